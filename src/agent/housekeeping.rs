//! What an agent does beside its work: gives silent publishers up, and keeps its store within bounds.
//!
//! A failure here is said and tried again at the next tick: it keeps more than was asked for, never less.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    journal::Journal,
    publishers::Publishers,
    session::Timestamp,
    store::{Pruned, Retention, SessionQuery},
};

/// How often silent publishers are looked for.
const SILENCE: Duration = Duration::from_mins(1);

/// Until `stop`: gives sessions up for lost that only clients publish to, and that nothing was heard of for `timeout`
/// while no stream was open.
pub async fn give_up_the_silent(
    journal: Journal,
    publishers: Publishers,
    timeout: Duration,
    stop: CancellationToken,
) {
    let mut ticks = interval(SILENCE);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let before = Timestamp::now().earlier(timeout);
        match journal.give_up(before, publishers.sessions()).await {
            Ok(lost) => lost.iter().for_each(|id| tracing::warn!(session = %id, "given up for lost")),
            Err(error) => tracing::error!(%error, "cannot look after silent sessions"),
        }
    }
}

/// Until `stop`: reads every session once, so that damage is known before somebody needs it. It takes half of the time.
pub async fn look_over(journal: Journal, stop: CancellationToken) {
    let mut query = SessionQuery { limit: 100, ..SessionQuery::default() };
    loop {
        let page = match journal.list(&query).await {
            Ok(page) => page,
            Err(error) => return tracing::error!(%error, "cannot look over what is stored"),
        };
        for session in page.sessions.iter().filter(|session| session.damage.is_empty()) {
            let started = Instant::now();
            // Deleted meanwhile, or noted by the store.
            let _ = journal.look_over(&session.id).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(started.elapsed()) => {}
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            return;
        }
    }
}

/// Until `stop`: applies retention, again and again, and packs what is finished.
pub async fn keep_within(journal: Journal, retention: Retention, every: Duration, stop: CancellationToken) {
    let mut ticks = interval(every);
    // A prune that took longer than a tick is not followed by another one at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while prune(&journal, &retention).await && !stop.is_cancelled() {}
        tokio::select! {
            () = stop.cancelled() => return,
            packed = journal.pack() => if let Err(error) = packed {
                tracing::error!(%error, "cannot pack");
            }
        }
    }
}

/// Whether there is more to take.
async fn prune(journal: &Journal, retention: &Retention) -> bool {
    match journal.prune(retention, false).await {
        Ok(Pruned { condemned, trimmed, freed, more }) => {
            if !condemned.is_empty() || !trimmed.is_empty() {
                let (sessions, trimmed) = (condemned.len(), trimmed.len());
                tracing::info!(sessions, trimmed, freed, "retention took the oldest");
            }
            // A plan that came to nothing would come to nothing again.
            more && !condemned.is_empty()
        }
        Err(error) => {
            tracing::error!(%error, "cannot prune");
            false
        }
    }
}
