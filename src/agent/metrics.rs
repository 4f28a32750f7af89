//! What the agent counts and times, as Prometheus reads it.
//!
//! Nothing that a session brings (its name, its words, its tags) is ever a label: the number of series does not grow
//! with what the agent has seen. Knows nobody who counts, and nothing of HTTP.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    session::Status,
    store::{Pruned, Stock},
};

/// Upper bounds in seconds. A group commit is a few milliseconds on a disk, and half a second is a disk in trouble.
const LATENCIES: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 4.096, 16.384];

type Labels<const N: usize> = [(&'static str, String); N];

/// The measures of one agent. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Measures>);

struct Measures {
    registry: Registry,
    append: Histogram,
    appended: Counter,
    failed: Counter,
    pruned: Counter,
    pruned_bytes: Counter,
    refused: Family<Labels<2>, Counter>,
    followers: Gauge,
    lag: Gauge,
    lag_max: Gauge,
    store_bytes: Gauge,
    sessions: Family<Labels<1>, Gauge>,
}

/// How far all followers are behind, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// How many follow.
    pub followers: u64,
    /// The frames that all of them together have not taken yet.
    pub total: u64,
    /// The same of the slowest.
    pub max: u64,
}

/// Which door refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP and its events.
    Http,
    /// gRPC.
    Grpc,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ktl");
        let append = Histogram::new(LATENCIES);
        let help = "From a call to its acknowledgement: the frames are on stable storage";
        registry.register_with_unit("append", help, Unit::Seconds, append.clone());
        let appended = Counter::default();
        registry.register("frames_appended", "Frames on stable storage", appended.clone());
        let failed = Counter::default();
        registry.register("appends_failed", "Appends that were refused or failed", failed.clone());
        let pruned = Counter::default();
        registry.register("sessions_pruned", "Sessions that retention took", pruned.clone());
        let pruned_bytes = Counter::default();
        let help = "What the pruned sessions held";
        registry.register_with_unit("sessions_pruned", help, Unit::Bytes, pruned_bytes.clone());
        let refused = Family::default();
        let help = "Requests that were refused, by protocol and its status code";
        registry.register("requests_refused", help, refused.clone());
        let followers = Gauge::default();
        registry.register("followers", "Readers of sessions, over SSE and gRPC", followers.clone());
        let (lag, lag_max) = (Gauge::default(), Gauge::default());
        let help = "Frames that the followers together have not taken yet";
        registry.register("follower_lag_frames", help, lag.clone());
        registry.register("follower_lag_frames_max", "The same of the slowest follower", lag_max.clone());
        let store_bytes = Gauge::default();
        let help = "The store on the disk, with its log";
        registry.register_with_unit("store", help, Unit::Bytes, store_bytes.clone());
        let sessions = Family::default();
        registry.register("sessions", "Sessions by state", sessions.clone());
        Self(Arc::new(Measures {
            registry,
            append,
            appended,
            failed,
            pruned,
            pruned_bytes,
            refused,
            followers,
            lag,
            lag_max,
            store_bytes,
            sessions,
        }))
    }
}

impl Metrics {
    /// An append was answered after so long: with so many frames stored, or with a refusal.
    pub fn appended(&self, took: Duration, frames: Option<u64>) {
        match frames {
            Some(frames) => {
                self.0.append.observe(took.as_secs_f64());
                self.0.appended.inc_by(frames);
            }
            None => {
                self.0.failed.inc();
            }
        }
    }

    /// Retention took these.
    pub fn pruned(&self, pruned: &Pruned) {
        self.0.pruned.inc_by(pruned.condemned.len() as u64);
        self.0.pruned_bytes.inc_by(pruned.freed);
    }

    /// A request was answered with this code, which is a refusal.
    pub fn refused(&self, by: Protocol, code: impl fmt::Display) {
        let protocol = match by {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        };
        let labels = [("protocol", protocol.to_owned()), ("code", code.to_string())];
        self.0.refused.get_or_create(&labels).inc();
    }

    /// Everything in the text format of `OpenMetrics`, with what is true only now.
    pub fn text(&self, stock: &Stock, lag: Lag) -> String {
        let Measures { followers, lag: behind, lag_max, store_bytes, sessions, .. } = &*self.0;
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        followers.set(gauge(lag.followers));
        behind.set(gauge(lag.total));
        lag_max.set(gauge(lag.max));
        store_bytes.set(gauge(stock.bytes));
        for status in Status::ALL {
            let count = stock.sessions.get(&status).copied().unwrap_or(0);
            sessions.get_or_create(&[("state", status.word().to_owned())]).set(gauge(count));
        }
        let mut text = String::new();
        // Writing into a string cannot fail; were it so, the scrape would be empty and said to be broken.
        encode(&mut text, &self.0.registry).map_or_else(|_| String::new(), |()| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read_back() {
        let metrics = Metrics::default();
        metrics.appended(Duration::from_millis(3), Some(5));
        metrics.appended(Duration::from_millis(3), None);
        metrics.refused(Protocol::Http, 401);
        metrics.pruned(&Pruned { freed: 7, ..Pruned::default() });
        let stock = Stock { bytes: 9, sessions: [(Status::Lost, 2)].into() };
        let text = metrics.text(&stock, Lag { followers: 3, total: 12, max: 10 });
        for line in [
            "ktl_append_seconds_bucket{le=\"0.002\"} 0",
            "ktl_append_seconds_bucket{le=\"0.004\"} 1",
            "ktl_append_seconds_count 1",
            "ktl_frames_appended_total 5",
            "ktl_appends_failed_total 1",
            "ktl_sessions_pruned_bytes_total 7",
            "ktl_requests_refused_total{protocol=\"http\",code=\"401\"} 1",
            "ktl_followers 3",
            "ktl_follower_lag_frames 12",
            "ktl_follower_lag_frames_max 10",
            "ktl_store_bytes 9",
            "ktl_sessions{state=\"lost\"} 2",
            "ktl_sessions{state=\"running\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
