//! A local agent that runs: found through what it left in the state folder, and asked what it is.

use std::{fs, time::Duration};

use ktl_proto::control::v1::InfoResponse;
use tokio::time::{Instant, sleep, timeout};

use super::{
    LocalAgent, POLL, Running,
    record::{Record, read_ready},
    spawn,
};
use crate::{
    agent::connect,
    settings::{Remote, Token},
};

/// An agent of ours answers over loopback; one that does not is gone.
const ALIVE_DEADLINE: Duration = Duration::from_secs(3);

/// An agent that runs and answers.
pub(super) struct Found {
    pub(super) remote: Remote,
    pub(super) info: InfoResponse,
}

impl Found {
    pub(super) fn is_current(&self) -> bool {
        self.info.version == env!("CARGO_PKG_VERSION")
    }

    pub(super) fn may_be_replaced(&self) -> bool {
        !self.is_current() && self.info.running == 0
    }

    pub(super) fn into_running(self) -> Running {
        let notice = (!self.is_current()).then(|| {
            format!(
                "the local agent is version {}, this is {}; it is replaced by the next start after its {} running operations have ended",
                self.info.version,
                env!("CARGO_PKG_VERSION"),
                self.info.running
            )
        });
        Running { remote: self.remote, notice }
    }

    /// Asks it to end, and waits until it has. One that does not end keeps its data locked, which the start then says.
    pub(super) async fn stop(self) {
        spawn::terminate(self.info.pid);
        let end = Instant::now() + Duration::from_secs(10);
        while spawn::is_alive(self.info.pid) && Instant::now() < end {
            sleep(POLL).await;
        }
    }
}

/// Asks at every address that an agent of this folder may have. Nobody is asked when the agent is gone: its port may
/// belong to somebody else by now, who would be told the token and sent the sources.
pub(super) async fn find(agent: &LocalAgent) -> Option<Found> {
    agent.holder()?;
    let token = fs::read_to_string(agent.token_file()).ok()?;
    let token = Token::new(token.trim());
    let recorded = Record::read(&agent.record_file()).map(|record| record.grpc);
    let announced =
        [agent.ready_file(), agent.starting_file()].map(|path| read_ready(&path).map(|ready| ready.grpc));
    let mut addresses: Vec<String> = recorded.into_iter().chain(announced.into_iter().flatten()).collect();
    addresses.dedup();
    for address in addresses {
        let remote = Remote { token: Some(token.clone()), ..Remote::plain(&address) };
        if let Ok(Ok((_, Some(info)))) = timeout(ALIVE_DEADLINE, connect::ask(&remote)).await {
            let found = Found { remote, info };
            record(agent, &found);
            return Some(found);
        }
    }
    None
}

/// Only a hint for the next editor, so a failure to write it costs nothing but a second look.
pub(super) fn record(agent: &LocalAgent, found: &Found) {
    let record = Record {
        pid: found.info.pid,
        grpc: found.remote.address.clone(),
        http: found.info.http_url.clone(),
        version: found.info.version.clone(),
        token_file: agent.token_file(),
    };
    if Record::read(&agent.record_file()).as_ref() != Some(&record)
        && let Err(error) = record.write(&agent.record_file())
    {
        tracing::warn!(%error, "agent.json was not written");
    }
}
