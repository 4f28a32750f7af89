//! The built agent from outside: its process, its port, its files. Nothing here looks inside.

#![allow(clippy::unwrap_used)] // A failing unwrap is how a test says what went wrong.

mod api;
mod applies;
mod browser;
mod crash;
mod ending;
mod go;
mod health;
mod http;
mod import;
mod keeping;
mod modes;
mod operations;
mod postgres;
mod process;
mod proxies;
mod public;
mod queue;
mod secrets;
mod shim;
mod starts;
mod story;
mod support;
mod tail;
mod tls;
mod versions;
mod work;
