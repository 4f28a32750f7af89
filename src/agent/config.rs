//! What was typed, and what it means.

mod public;
mod retention;

use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use tokio_rustls::rustls::ServerConfig;

pub use self::public::{PublicArgs, double_dashes, unused_environment};
pub use self::retention::RetentionArgs;
use crate::{
    auth::{Origins, Token},
    clusters::ClusterSpec,
    maintenance::Place,
    serve,
    store::{Retention, postgres::PostgresUrl},
};

/// Runs Helm operations near the cluster and keeps every one as a durable session.
#[derive(Debug, Parser)]
#[command(name = "ktl-agent", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What else the program does.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs one helm for an agent that may be gone before it ends.
    #[command(hide = true)]
    Shim {
        /// The run folder.
        #[arg(long)]
        run: PathBuf,
    },
    /// Brings the sessions of a Go agent's -mirror-store over into a folder of this agent.
    Import {
        /// The Go agent's file; it is only read.
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Copies the sessions of an agent, which may be running, into a new file.
    Backup {
        /// The new file.
        file: PathBuf,
        /// Whose sessions.
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Makes a new folder of sessions from a backup.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Deletes what the limits do not keep, while no agent runs; or says what they would take, at any time.
    Prune {
        /// Whose sessions.
        #[command(flatten)]
        place: PlaceArgs,
        /// What is kept.
        #[command(flatten)]
        retention: RetentionArgs,
        /// Only say what would go.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Where the sessions of an agent are, as typed.
#[derive(Args, Debug)]
pub struct PlaceArgs {
    /// Folder of the sessions.
    #[arg(long, value_name = "DIR", required_unless_present = "mirror_store")]
    pub data: Option<PathBuf>,
    /// The file of the sessions, when not in --data.
    #[arg(long, value_name = "FILE")]
    pub mirror_store: Option<PathBuf>,
}

impl PlaceArgs {
    /// What is meant.
    pub fn read(&self) -> Result<Place, Mistakes> {
        let places = public::places(self.data.as_deref(), self.mirror_store.as_deref());
        let (data, store) =
            places.ok_or_else(|| Mistakes(vec!["--data is required: name the folder of an agent".into()]))?;
        Ok(Place { data, store })
    }
}

impl RetentionArgs {
    /// What is meant by an operator who names every limit.
    pub fn named(&self) -> Result<Retention, Mistakes> {
        self.read(false).map_err(Mistakes)
    }
}

/// How to serve, as typed.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Address and port; 0 takes a free one, which the ready line names.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7443")]
    pub listen: String,
    /// Folder of the sessions; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// PostgreSQL database of the sessions, which other agents may share; --data then has everything else.
    #[arg(long, value_name = "URL", conflicts_with = "mirror_store")]
    pub store: Option<String>,
    /// File whose content clients have to send as a bearer token. Needed off loopback.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Started by an editor for its own user: takes kubeconfig paths from requests. Needs a token and loopback.
    #[arg(long)]
    pub local: bool,
    /// The helm to run.
    #[arg(long, value_name = "PATH", env = "KTL_HELM", default_value = "helm")]
    pub helm: PathBuf,
    /// A cluster that requests may name; may be given several times.
    #[arg(long, value_name = "name=N,kubeconfig=P,context=C")]
    pub cluster: Vec<String>,
    /// Where browsers reach this agent, when not at the address it listens on.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// A page of another origin that may read here, with the token; exact, and may be given several times.
    #[arg(long, value_name = "URL")]
    pub allow_origin: Vec<String>,
    /// PEM file with the server's certificate.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// End when nobody was connected and nothing ran for so many seconds.
    #[arg(long, value_name = "SECS")]
    pub idle_exit: Option<u64>,
    /// Seconds to let requests end after SIGTERM.
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    pub grace: u64,
    /// Seconds of silence after which a session that only clients publish to is given up for lost.
    #[arg(long, value_name = "SECS", default_value_t = 3600)]
    pub publisher_timeout: u64,
    /// Flags that the public agent has too.
    #[command(flatten)]
    pub public: PublicArgs,
    /// How often retention is applied: 30s, 5m. By default every minute.
    #[arg(long, alias = "mirror-prune-interval", value_name = "TIME")]
    pub prune_interval: Option<String>,
    /// What is kept.
    #[command(flatten)]
    pub retention: RetentionArgs,
}

/// How to serve, checked.
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen too.
    pub http_listen: Option<SocketAddr>,
    /// Folder of everything but the sessions.
    pub data: PathBuf,
    /// File of the sessions.
    pub store: PathBuf,
    /// Database of the sessions, instead of the file.
    pub database: Option<PostgresUrl>,
    /// Folders in which public requests may name files.
    pub allow: Vec<PathBuf>,
    /// The secret of clients.
    pub token: Option<Token>,
    /// Whether requests may name kubeconfig files.
    pub local: bool,
    /// The helm to run.
    pub helm: PathBuf,
    /// Clusters by name.
    pub clusters: Vec<ClusterSpec>,
    /// Where browsers come from, without a slash at its end.
    pub public_url: Option<String>,
    /// Pages of other origins that may read.
    pub origins: Origins,
    /// TLS, or in clear.
    pub tls: Option<Arc<ServerConfig>>,
    /// When to end by itself.
    pub idle_exit: Option<Duration>,
    /// How long requests may take to end.
    pub grace: Duration,
    /// When a silent publisher is lost.
    pub publisher_timeout: Duration,
    /// What is kept.
    pub retention: Retention,
    /// How often that is applied.
    pub prune_interval: Duration,
}

/// Everything that is wrong with a command line, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(Vec<String>);

impl Config {
    /// Checks everything and reports every mistake at once.
    pub fn new(args: ServeArgs) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut note = |mistake: String| mistakes.push(mistake);
        let places = public::places(args.data.as_deref(), args.public.mirror_store.as_deref());
        if places.is_none() {
            note("--data is required: name a folder for the sessions, such as --data /var/lib/ktl".into());
        }
        let listen = check(address("--listen", &args.listen), &mut note);
        let http_listen = args.public.http_listen.as_deref().filter(|text| !text.is_empty());
        let http_listen = http_listen.and_then(|text| check(address("--http-listen", text), &mut note));
        let token = token(&args).and_then(|token| check(token, &mut note));
        check_exposure(&args, [listen, http_listen], &mut note);
        let public_url = args.public_url.as_deref().map(public_url).and_then(|url| check(url, &mut note));
        let origins = check(origins(&args.allow_origin), &mut note).unwrap_or_default();
        let tls = check(tls(&args), &mut note).flatten();
        let clusters = args.cluster.iter().filter_map(|text| check(cluster(text), &mut note));
        let clusters = clusters.chain(args.public.cluster()).collect();
        let allow =
            args.public.allow_path.iter().filter_map(|path| check(allowed(path), &mut note)).collect();
        let database = args.store.as_deref().and_then(|url| check(database(url), &mut note));
        let prune_interval = check(retention::interval(args.prune_interval.as_deref()), &mut note);
        let retention = args.retention.read(args.local);
        mistakes.extend(retention.as_ref().err().cloned().unwrap_or_default());
        let (Some(listen), Some((data, store)), Some(prune_interval), Ok(retention), true) =
            (listen, places, prune_interval, retention, mistakes.is_empty())
        else {
            return Err(Mistakes(mistakes));
        };
        Ok(Self {
            listen,
            http_listen,
            data,
            store,
            database,
            allow,
            token,
            local: args.local,
            helm: args.helm,
            clusters,
            public_url,
            origins,
            tls,
            idle_exit: args.idle_exit.map(Duration::from_secs),
            grace: Duration::from_secs(args.grace),
            publisher_timeout: Duration::from_secs(args.publisher_timeout),
            retention,
            prune_interval,
        })
    }
}

/// Nothing of what was typed is repeated: it may hold a password.
fn database(url: &str) -> Result<PostgresUrl, String> {
    url.parse().map_err(|error| format!("--store: {error}"))
}

/// An address that others reach needs a secret; what `--local` allows is for one user only.
fn check_exposure(args: &ServeArgs, listens: [Option<SocketAddr>; 2], note: &mut impl FnMut(String)) {
    let has_token = args.token_file.is_some() || args.public.token.is_some();
    let typed = [
        ("--listen", args.listen.as_str()),
        ("--http-listen", args.public.http_listen.as_deref().unwrap_or("")),
    ];
    for ((flag, text), bound) in typed.into_iter().zip(listens) {
        if bound.is_none_or(|bound| bound.ip().is_loopback()) {
            continue;
        }
        if !has_token {
            note(format!(
                "{flag} {text}: everybody could use this agent; name a secret with --token-file, or listen on 127.0.0.1"
            ));
        }
        if args.local {
            note(format!("--local: {flag} {text} is open to others; listen on 127.0.0.1"));
        }
    }
    if args.local && !has_token {
        note("--local: requests may name kubeconfigs, whose plugins run as you; add --token-file".into());
    }
}

fn check<T>(result: Result<T, String>, note: &mut impl FnMut(String)) -> Option<T> {
    result.map_err(note).ok()
}

fn address(flag: &str, text: &str) -> Result<SocketAddr, String> {
    // ":7443" means every address, as for the public agent.
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let expected = "expected ADDRESS:PORT, such as 127.0.0.1:7443";
    let found = full.to_socket_addrs().map_err(|error| format!("{flag} {text}: {error}; {expected}"))?;
    found.into_iter().next().ok_or_else(|| format!("{flag} {text}: no address; {expected}"))
}

fn token(args: &ServeArgs) -> Option<Result<Token, String>> {
    // As for the public agent: an empty token is none.
    let typed = args.public.token.as_deref().and_then(Token::new).map(Ok);
    typed.or_else(|| args.token_file.as_deref().map(token_in))
}

fn token_in(path: &Path) -> Result<Token, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("--token-file {name}: {error}"))?;
    Token::new(&text)
        .ok_or_else(|| format!("--token-file {name}: it is empty; put a long random text into it"))
}

fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let good = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']));
    let expected = "expected http://HOST[:PORT] or https://HOST[:PORT] without a path";
    if good { Ok(url.to_owned()) } else { Err(format!("--public-url {text}: {expected}")) }
}

fn origins(texts: &[String]) -> Result<Origins, String> {
    Origins::parse(texts).map_err(|(text, error)| format!("--allow-origin {text}: {error}"))
}

fn tls(args: &ServeArgs) -> Result<Option<Arc<ServerConfig>>, String> {
    let clients = args.public.tls_client_ca.as_deref();
    let (cert, key) = match (args.tls_cert.as_deref(), args.tls_key.as_deref()) {
        (None, None) if clients.is_some() => {
            return Err(
                "--tls-client-ca needs --tls-cert and --tls-key: without TLS nobody shows a certificate"
                    .into(),
            );
        }
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return Err("--tls-cert needs --tls-key".into()),
        (None, Some(_)) => return Err("--tls-key needs --tls-cert".into()),
    };
    let read = |flag: &str, path: &Path| {
        fs::read(path).map_err(|error| format!("{flag} {}: {error}", path.display()))
    };
    let (cert, key) = (read("--tls-cert", cert)?, read("--tls-key", key)?);
    let clients = clients.map(|path| read("--tls-client-ca", path)).transpose()?;
    serve::tls(&cert, &key, clients.as_deref()).map(Some).map_err(|error| error.to_string())
}

/// A folder as the system knows it, without links: requests are compared with this.
fn allowed(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let found = fs::canonicalize(path).map_err(|error| format!("--allow-path {shown}: {error}"))?;
    if found.is_dir() { Ok(found) } else { Err(format!("--allow-path {shown}: it is no folder")) }
}

fn cluster(text: &str) -> Result<ClusterSpec, String> {
    text.parse().map_err(|error| format!("--cluster {text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str]) -> Result<Config, Mistakes> {
        let cli = Cli::try_parse_from([&["ktl-agent"], args].concat()).unwrap();
        Config::new(cli.serve)
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let args = [
            "--listen",
            "nowhere",
            "--public-url",
            "ftp://x",
            "--tls-cert",
            "a",
            "--token-file",
            "/none",
            "--allow-origin",
            "*",
        ];
        let mistakes = config(&args).err().unwrap().to_string();
        for flag in [
            "--listen nowhere",
            "--data is required",
            "--public-url ftp://x",
            "--allow-origin *: expected one origin",
            "--tls-key",
            "--token-file /none",
        ] {
            assert!(mistakes.contains(flag), "{flag} is not in {mistakes}");
        }
    }

    #[test]
    fn a_database_is_named_by_a_url_whose_password_is_never_shown() {
        let config = |url: &str| config(&["--data", "d", "--store", url]);
        let database = config("postgres://ann:s3cret@db/ktl").ok().unwrap().database.unwrap();
        assert_eq!(database.to_string(), "postgres://db:5432/ktl");
        for bad in ["/var/lib/sessions.db", "postgres://ann:s3cret@db", "mysql://ann:s3cret@db/ktl"] {
            let said = config(bad).err().unwrap().to_string();
            assert!(said.contains("--store: ") && said.contains("expected postgres://"), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn off_loopback_a_token_is_needed() {
        for listen in ["0.0.0.0:7443", ":7443", "[::]:7443", "10.0.0.1:1"] {
            let mistakes = config(&["--listen", listen, "--data", "d"]).err().unwrap().to_string();
            assert!(mistakes.contains("--token-file"), "{mistakes}");
        }
        assert!(config(&["--listen", "127.0.0.1:0", "--data", "d"]).is_ok());
        assert!(config(&["--listen", "[::1]:0", "--data", "d"]).is_ok());
    }

    #[test]
    fn only_the_local_agent_prunes_by_itself() {
        let token = tempfile::NamedTempFile::new().unwrap();
        fs::write(token.path(), "s3cret").unwrap();
        let local = ["--data", "d", "--local", "--token-file", token.path().to_str().unwrap()];
        assert_eq!(config(&["--data", "d"]).ok().unwrap().retention, Retention::default());
        assert_eq!(config(&local).ok().unwrap().retention.max_sessions, Some(1000));
    }

    /// Who may name a kubeconfig may run its credential plugin, as the user.
    #[test]
    fn the_local_agent_is_for_its_own_user_only() {
        let token = tempfile::NamedTempFile::new().unwrap();
        fs::write(token.path(), "s3cret").unwrap();
        let open = config(&["--data", "d", "--local"]).err().unwrap().to_string();
        assert!(open.contains("--local") && open.contains("--token-file"), "{open}");
        let token = token.path().to_str().unwrap();
        let far = ["--data", "d", "--local", "--listen", "0.0.0.0:0", "--token-file", token];
        let far = config(&far).err().unwrap().to_string();
        assert!(far.contains("--local") && far.contains("127.0.0.1"), "{far}");
    }
}
