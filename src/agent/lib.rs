//! The agent: runs operations near the cluster and keeps each as a durable session.
//!
//! In reading order: what a session and a frame are, what is hidden, where it is kept, who follows, what runs, and
//! how it is served.

pub mod duration;
pub mod frame;
pub mod journal;
pub mod mask;
pub mod metrics;
pub mod session;
pub mod store;

pub mod clusters;
pub mod helm;
pub mod kube;
pub mod op;
pub mod shim;
pub mod sources;

pub mod auth;
pub mod grpc;
pub mod housekeeping;
pub mod http;
pub mod publishers;
pub mod serve;

pub mod app;
pub mod config;
pub mod import;
pub mod keys;
pub mod lock;
pub mod log;
pub mod maintenance;
pub mod shutdown;
