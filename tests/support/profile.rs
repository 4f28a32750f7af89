//! What the editors of the field say they can do, as far as the server looks at it.

use serde_json::{Value, json};

/// An editor that says nothing about itself.
pub(crate) fn silent() -> Value {
    json!({})
}

/// VS Code: everything, and UTF-16 only.
pub(crate) fn vscode() -> Value {
    json!({
        "general": { "positionEncodings": ["utf-16"] },
        "window": {
            "workDoneProgress": true,
            "showDocument": { "support": true },
            "showMessage": { "messageActionItem": { "additionalPropertiesSupport": true } },
        },
        "workspace": {
            "configuration": true,
            "workspaceFolders": true,
            "codeLens": { "refreshSupport": true },
            "didChangeWatchedFiles": { "dynamicRegistration": true, "relativePatternSupport": true },
        },
        "textDocument": {
            "codeLens": { "dynamicRegistration": true },
            "publishDiagnostics": { "relatedInformation": true, "dataSupport": true, "codeDescriptionSupport": true },
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["", "quickfix"] } } },
        },
    })
}

/// Neovim 0.11: UTF-8, no refresh of lenses.
pub(crate) fn neovim() -> Value {
    json!({
        "general": { "positionEncodings": ["utf-8", "utf-16", "utf-32"] },
        "window": { "workDoneProgress": true, "showDocument": { "support": true } },
        "workspace": { "configuration": true, "workspaceFolders": true },
        "textDocument": {
            "publishDiagnostics": { "relatedInformation": true, "dataSupport": true },
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["", "quickfix"] } } },
        },
    })
}

/// Helix 25: no lenses, no prompts.
pub(crate) fn helix() -> Value {
    json!({
        "general": { "positionEncodings": ["utf-8", "utf-32", "utf-16"] },
        "window": { "workDoneProgress": true, "showDocument": { "support": true } },
        "workspace": {
            "configuration": true,
            "workspaceFolders": true,
            "didChangeWatchedFiles": { "dynamicRegistration": true },
        },
        "textDocument": {
            "publishDiagnostics": {},
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["", "quickfix"] } } },
        },
    })
}
