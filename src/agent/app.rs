//! The composition root: opens the store, binds the port, builds the services, runs them and takes them down.
//!
//! The only file that sees all modules.

mod storage;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, middleware::from_fn_with_state};
use serde_json::json;
use tokio::{net::TcpListener, time::sleep};
use tonic::service::Routes;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    auth::{Browsers, Door, Hosts, guard},
    clusters::Clusters,
    config::Config,
    grpc::{self, Deploys, Operate, Services},
    housekeeping::{give_up_the_silent, keep_within, look_over},
    http::{self, Readiness, Web, count_refusals},
    journal::Journal,
    keys,
    lock::Lock,
    mask::{MarkKey, Memory},
    op::{DigestKey, OpContext, Operations},
    publishers::Publishers,
    serve,
    shim::Launcher,
    shutdown::Shutdown,
    sources::local::Allowed,
};

/// An agent with everything open and bound, that does not serve yet.
pub struct App {
    config: Config,
    listeners: Vec<TcpListener>,
    urls: Urls,
    router: Router,
    journal: Journal,
    publishers: Publishers,
    operations: Operations,
    shutdown: Shutdown,
    // Released last, when nothing of ours touches the files any more.
    _locks: Vec<Lock>,
}

/// Where the agent is reached.
struct Urls {
    grpc: String,
    http: String,
}

impl App {
    /// Opens and binds. Nothing runs and nobody is served before [`App::run`].
    pub async fn build(config: Config, memory: Memory) -> anyhow::Result<Self> {
        let data = &config.data;
        let (store, locks) = storage::open(&config).await?;
        let marks = MarkKey::new(key(data, "marks.key")?);
        let journal = Journal::new(store, marks).remembering(memory);
        let (listeners, bound) = bind(&config).await?;
        let urls = urls(&config, &bound);
        let shutdown = Shutdown::default();
        let publishers = Publishers::default();
        let operations = operations(&config, &journal)?;
        let base: Arc<str> = config.public_url.clone().unwrap_or_else(|| urls.http.clone()).into();
        let browsers = Browsers::default();
        let stop = shutdown.token.clone();
        let services = Services {
            journal: journal.clone(),
            browsers: browsers.clone(),
            publishers: publishers.clone(),
            retention: Arc::new(config.retention.clone()),
            work: Arc::new(operations.clone()),
            base: Arc::clone(&base),
            stop: stop.clone(),
            shutdown: shutdown.clone(),
        };
        let readiness = Readiness::default();
        let web = Web { journal: journal.clone(), browsers: browsers.clone(), base, stop, readiness };
        let hosts = Hosts::new(&bound, config.public_url.as_deref());
        let origins = config.origins.clone();
        let door = Door { hosts, token: config.token.clone(), browsers, origins };
        let operate = Operate::new(operations.clone(), Arc::clone(&services.base));
        let allowed = Allowed::new(config.allow.clone());
        let deploys = Deploys::new(services.clone(), operations.clone(), allowed);
        let more = |routes: Routes| {
            routes.add_service(grpc::operation_server(operate)).add_service(grpc::deploy_server(deploys))
        };
        let grpc = grpc::routes(services, more).await?;
        let router = router(grpc, web, door);
        Ok(Self { config, listeners, urls, router, journal, publishers, operations, shutdown, _locks: locks })
    }

    /// The line that says that the agent is ready, and where.
    pub fn ready(&self) -> String {
        json!({ "ready": { "grpc": self.urls.grpc, "http": self.urls.http } }).to_string()
    }

    /// Serves until `stop` says why to end, then takes everything down within the grace and says how that went.
    pub async fn run(self, stop: impl Future<Output = String>) -> anyhow::Result<()> {
        let Self { config, listeners, router, journal, publishers, operations, shutdown, .. } = self;
        operations.ask_helm();
        // Before anybody is served: whoever asks for a session finds it running.
        tokio::pin!(stop);
        let adopted = tokio::select! {
            adopted = operations.adopt() => {
                adopted.context("cannot go on with the operations of the last agent")?
            }
            why = &mut stop => {
                tracing::info!("{why}: stopping before anybody was served");
                operations.drain(config.grace).await;
                return Ok(journal.close().await?);
            }
        };
        if adopted > 0 {
            tracing::info!(operations = adopted, "going on with what the last agent left");
        }
        operations.sweep_uploads();
        let mut limits = serve::Limits::of_process();
        limits.connections /= listeners.len().max(1);
        for listener in listeners {
            let (router, tls) = (router.clone(), config.tls.clone());
            shutdown.tasks.spawn(serve::serve(listener, router, tls, limits, shutdown.clone()));
        }
        shutdown.tasks.spawn(give_up_the_silent(
            journal.clone(),
            publishers,
            config.publisher_timeout,
            shutdown.token.clone(),
        ));
        shutdown.tasks.spawn(look_over(journal.clone(), shutdown.token.clone()));
        shutdown.tasks.spawn(keep_within(
            journal.clone(),
            config.retention.clone(),
            config.prune_interval,
            shutdown.token.clone(),
        ));
        let why = tokio::select! {
            why = &mut stop => why,
            why = idle(config.idle_exit, &shutdown, &operations) => why,
        };
        tracing::info!(grace = ?config.grace, "{why}: stopping");
        // Helm goes on under its shims; the next agent adopts them.
        let (drained, let_go) = tokio::join!(shutdown.drain(config.grace), operations.drain(config.grace));
        if !let_go {
            tracing::warn!("operations did not let go in time");
        }
        journal.close().await?;
        match drained {
            Ok(()) => tracing::info!("stopped, every request had ended"),
            Err(left) => tracing::warn!("stopped, but {left}"),
        }
        Ok(())
    }
}

fn operations(config: &Config, journal: &Journal) -> anyhow::Result<Operations> {
    let program = std::env::current_exe().context("cannot find this program again, to start shims of it")?;
    Ok(Operations::new(OpContext {
        journal: journal.clone(),
        data_dir: std::path::absolute(&config.data).context("--data is no path")?,
        clusters: Clusters::new(config.clusters.clone(), config.local)?,
        helm: config.helm.clone(),
        launcher: Launcher::new(program),
        digests: DigestKey::new(key(&config.data, "requests.key")?),
    }))
}

fn key(data: &Path, name: &str) -> anyhow::Result<[u8; 32]> {
    let path = data.join(name);
    keys::kept(&path).with_context(|| format!("cannot use the key {}", path.display()))
}

fn router(grpc: Router, web: Web, door: Door) -> Router {
    let metrics = web.journal.metrics().clone();
    let http = http::routes(web).layer(CatchPanicLayer::custom(http::panicked));
    let all = http.merge(grpc).fallback(http::nowhere);
    let guarded = all.layer(from_fn_with_state(door, guard));
    http::harden(guarded.layer(from_fn_with_state(metrics, count_refusals)))
}

/// Both doors are on every port: who splits them does so with a firewall, and the same rules hold behind it.
async fn bind(config: &Config) -> anyhow::Result<(Vec<TcpListener>, Vec<SocketAddr>)> {
    let (mut listeners, mut bound) = (Vec::new(), Vec::new());
    for address in [Some(config.listen), config.http_listen].into_iter().flatten() {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}: is another agent running?"))?;
        bound.push(listener.local_addr().context("the port that was bound has no address")?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

fn urls(config: &Config, bound: &[SocketAddr]) -> Urls {
    let url = |address: Option<&SocketAddr>| address.map(|address| url(config, *address)).unwrap_or_default();
    Urls { grpc: url(bound.first()), http: url(bound.last()) }
}

fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    // An agent on every address is reached on this machine under this one.
    let shown = if address.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    } else {
        address
    };
    format!("{scheme}://{shown}")
}

/// Ends when nobody was connected and nothing ran for so long.
async fn idle(limit: Option<Duration>, shutdown: &Shutdown, work: &Operations) -> String {
    let Some(limit) = limit else { return std::future::pending().await };
    let mut quiet = Duration::ZERO;
    let step = (limit / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        sleep(step).await;
        let alone = shutdown.idle().is_some_and(|idle| idle >= step);
        quiet = if alone && work.running() == 0 { quiet + step } else { Duration::ZERO };
        if quiet >= limit {
            return format!("nobody was here for {limit:?}");
        }
    }
}
