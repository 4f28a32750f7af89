//! `bench agent`: what an agent costs that has nothing to do.

use std::io::{BufRead, BufReader};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Programs;
use super::measure::Measured;
use crate::cache::Cache;
use crate::process::Program;
use crate::scratch::Scratch;

pub(super) fn run(cache: &Cache, programs: &Programs) -> Result<Vec<Measured>> {
    let scratch = Scratch::new("bench-agent")?;
    let mut times = Vec::new();
    let mut memory = None;
    for run in 0..10 {
        let begun = Instant::now();
        let data = scratch.path().join(format!("data-{run}"));
        let program = Program::new(&programs.agent).args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
        let mut agent = program.talk(&cache.log("bench-agent"))?;
        let mut ready = String::new();
        let output = agent.stdout.take().context("the agent has no standard output")?;
        BufReader::new(output).read_line(&mut ready)?;
        times.push(begun.elapsed());
        ensure!(ready.contains("\"ready\""), "the agent said {ready:?} instead of where it listens");
        if memory.is_none() {
            sleep(Duration::from_secs(3));
            memory = Some(Measured::memory("idle memory", agent.id(), 40.0)?);
        }
        agent.kill()?;
        agent.wait()?;
    }
    // The issue sets no limit for the start; an editor waits for it, so half a second is the most that is pleasant.
    let start = Measured::time("start to ready, median", 50.0, times, 500.0);
    Ok(memory.into_iter().chain([start]).collect())
}
