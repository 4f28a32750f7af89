//! Kubernetes: a client for a cluster, objects by kind, and when an object is ready.
//!
//! Readiness is a pure function of one object; who watches, and what follows from it, is `op/rollout`'s business.

pub mod config;
pub mod kinds;
pub mod logs;
pub mod pod;
pub mod readiness;

pub use config::{KubeError, Kubeconfig, connect};
