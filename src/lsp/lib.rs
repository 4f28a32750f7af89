//! The language server: from a lens in the editor to a session on the agent, and back as diagnostics.
