//! The part `cluster`: what `cargo xtask cluster` promises, tried on three clusters at the same time, one of them with a
//! node that is simulated.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::needs::Needs;
use super::tally::Tally;
use crate::cluster::{Cluster, NodeKind, State};

pub(super) fn run(needs: &Needs, log: &Path) -> Result<Option<Tally>> {
    let named = |letter| Cluster::named(needs.cache(), &format!("{}-{letter}", Needs::cluster_name()));
    let (first, second, paper) = (named('a')?, named('b')?, named('c')?);
    let done = claims(needs, &first, &second, &paper);
    // However it went, nothing may be left of them.
    for cluster in [first, second, paper] {
        cluster.down(needs.cache())?;
    }
    let (claims, skipped) = done?;

    let mut tally = Tally::default();
    let mut lines = String::new();
    for (what, held) in claims {
        tally.add(&Tally::one(held.is_ok()));
        match held {
            Ok(()) => writeln!(lines, "ok: {what}")?,
            Err(error) => writeln!(lines, "FAILED: {what}: {error:#}")?,
        }
    }
    tally.skipped.extend(skipped);
    fs::write(log, lines)?;
    Ok(Some(tally))
}

type Claim = (&'static str, Result<()>);

/// What was claimed and whether it held, and why the rest could not be tried.
fn claims(
    needs: &Needs,
    first: &Cluster,
    second: &Cluster,
    paper: &Cluster,
) -> Result<(Vec<Claim>, Option<String>)> {
    let (one, third, other) = thread::scope(|scope| {
        let one = scope.spawn(|| first.up(needs.cache()));
        let third = scope.spawn(|| paper.up_simulated(needs.cache()));
        let other = second.up(needs.cache());
        let panicked = |_| Err(anyhow!("starting a cluster panicked"));
        (one.join().unwrap_or_else(panicked), third.join().unwrap_or_else(panicked), other)
    });
    let (one, third, other) = (one?, third?, other?);
    let mut claims: Vec<Claim> = vec![("clusters start side by side", Ok(()))];
    claims
        .push(("a simulated node runs a pod on paper and says that it is simulated", pretend(paper, &third)));
    claims.push((
        "a cluster with a simulated node whose first process was killed goes without a trace",
        paper.kill_first().and_then(|()| gone(needs, paper, &third)),
    ));
    if one.node != NodeKind::Real {
        return Ok((claims, Some(format!("what pods leave behind cannot be tried on a {}", one.node))));
    }
    claims.push(("a pod runs in the first and its log can be read", speak(first, &one)));
    claims.push(("a pod runs in the second and its log can be read", speak(second, &other)));
    // The pod and its shim live on, and nothing is left that could stop them in an orderly way.
    let killed = first.kill(&["containerd", "kubelet", "kube-apiserver"]);
    claims.push((
        "a cluster whose node programs were killed goes without a trace",
        killed.and_then(|()| gone(needs, first, &one)),
    ));
    claims.push(("its neighbor is not disturbed by that", log_is_read(second, &other)));
    claims.push((
        "a cluster whose first process was killed goes without a trace",
        second.kill_first().and_then(|()| gone(needs, second, &other)),
    ));
    Ok((claims, None))
}

fn pretend(cluster: &Cluster, state: &State) -> Result<()> {
    let told = cluster.env()?;
    let is_told = told.iter().any(|(name, value)| name == "KTL_TEST_NODE" && value == "simulated");
    ensure!(is_told && state.node.to_string().contains("on paper only"), "it says {}: {told:?}", state.node);
    // Nobody has this image: a node that ran the pod could not get it ready.
    cluster.kubectl(&state.assets).args(["run", "actor", "--image=127.0.0.1:1/none:1"]).read()?;
    let ready = ["wait", "--for=condition=Ready", "--timeout=90s", "pod/actor"];
    cluster.kubectl(&state.assets).args(ready).read().map(drop)
}

fn speak(cluster: &Cluster, state: &State) -> Result<()> {
    let words = ["sh", "-c", "echo here I am; sleep 600"];
    let pod =
        ["run", "speaker", "--image=ktl.test/busybox:1", "--image-pull-policy=Never", "--command", "--"];
    cluster.kubectl(&state.assets).args(pod).args(words).read()?;
    let ready = ["wait", "--for=condition=Ready", "--timeout=90s", "pod/speaker"];
    cluster.kubectl(&state.assets).args(ready).read()?;
    log_is_read(cluster, state)
}

fn log_is_read(cluster: &Cluster, state: &State) -> Result<()> {
    let said = cluster.kubectl(&state.assets).args(["logs", "speaker"]).read()?;
    ensure!(said.trim() == "here I am", "the log of the pod is {said:?}");
    Ok(())
}

fn gone(needs: &Needs, cluster: &Cluster, state: &State) -> Result<()> {
    cluster.down(needs.cache())?;
    let traces = cluster.traces(state)?;
    ensure!(traces.is_empty(), "still there: {}", traces.join(", "));
    Ok(())
}
