//! The contract: `ktl.api.v1`, as public clients speak it, and `ktl.control.v1`, which is ours.
//!
//! Everything here is generated from `proto/ktl/**`, where each message is described. Nothing of ours is used.

/// `ktl.api`: the public API.
pub mod api {
    /// `ktl.api.v1`, wire-compatible with the Go agent.
    pub mod v1 {
        #![allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::large_enum_variant)]
        tonic::include_proto!("ktl.api.v1");
    }
}

/// `ktl.control`: what is ours.
pub mod control {
    /// `ktl.control.v1`: facts, sessions, operations.
    pub mod v1 {
        #![allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::large_enum_variant)]
        tonic::include_proto!("ktl.control.v1");
    }
}

/// All files above as an encoded `google.protobuf.FileDescriptorSet`, for reflection and for JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ktl.fds"));
