//! Reads what a shim writes while it writes it, from any record on.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use super::{Exit, Process, Record, Stream, folder};

/// How often the folder is looked at while nothing new is there.
const PAUSE: Duration = Duration::from_millis(25);
/// How many looks pass between two questions whether the shim is alive.
const LOOKS: u32 = 20;
/// The most bytes of one look.
const CHUNK: u64 = 256 << 10;
/// The most bytes of standard error that are read as a whole.
const MAX_STDERR: usize = 1 << 20;

/// What a look at the folder gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Tailed {
    /// Records, and the number of the first of them, from 1.
    Records(u64, Vec<Record>),
    /// It ended and every record was given.
    Exit(Exit),
    /// The shim is gone and left no exit: nobody knows how it ended.
    Gone,
}

/// A reader of one shim's folder. Dropping it stops nothing.
pub struct Tail {
    at: PathBuf,
    output: Option<File>,
    partial: Vec<u8>,
    /// The number of the next record in the file.
    next: u64,
    /// Records before this one were given in an earlier life.
    from: u64,
    looks: u32,
}

impl Tail {
    /// Reads the folder from after record `after` on.
    pub fn new(at: &Path, after: u64) -> Self {
        Self { at: at.to_owned(), output: None, partial: Vec::new(), next: 1, from: after + 1, looks: 0 }
    }

    /// The next records, or the end. Waits for them; safe to drop while waiting.
    pub async fn next(&mut self) -> io::Result<Tailed> {
        loop {
            // The exit is written after the last record, so it has to be looked at before the records.
            let exit: Option<Exit> = folder::read_json(&self.at.join(folder::EXIT))?;
            let is_gone = exit.is_none() && self.asks_who_is_alive() && !self.is_alive()?;
            let (first, records) = self.read()?;
            if !records.is_empty() {
                return Ok(Tailed::Records(first, records));
            }
            match exit {
                Some(exit) => return Ok(Tailed::Exit(exit)),
                None if is_gone && !self.at.join(folder::EXIT).exists() => return Ok(Tailed::Gone),
                None => sleep(PAUSE).await,
            }
        }
    }

    /// Everything that a command wrote to standard error, at most the last mebibyte of it.
    pub fn stderr(at: &Path) -> io::Result<String> {
        let bytes = std::fs::read(at.join(folder::OUTPUT))?;
        let mut text = String::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            // The last line of a shim that was killed may be half a record.
            if let Ok(Record { stream: Stream::Stderr, text: line, .. }) = serde_json::from_slice(line) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        let mut last = text.len().saturating_sub(MAX_STDERR)..=text.len();
        let start = last.find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        Ok(text.split_off(start))
    }

    /// Asks the command to end; false when its shim is gone.
    pub fn terminate(&self) -> bool {
        self.process().ok().flatten().is_some_and(|process| process.terminate())
    }

    fn process(&self) -> io::Result<Option<Process>> {
        folder::read_json(&self.at.join(folder::SHIM))
    }

    fn is_alive(&self) -> io::Result<bool> {
        Ok(self.process()?.is_some_and(|process| process.is_alive()))
    }

    fn asks_who_is_alive(&mut self) -> bool {
        self.looks = (self.looks + 1) % LOOKS;
        self.looks == 1
    }

    /// Whole records that are new, as many as one look takes.
    fn read(&mut self) -> io::Result<(u64, Vec<Record>)> {
        self.open()?;
        let Some(output) = &mut self.output else { return Ok((self.next, Vec::new())) };
        output.take(CHUNK).read_to_end(&mut self.partial)?;
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.partial.split_off(end);
        let complete = std::mem::replace(&mut self.partial, rest);
        let mut first = self.next;
        let mut records = Vec::new();
        for line in complete.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if self.next >= self.from {
                records.push(serde_json::from_slice(line)?);
            } else {
                first = self.next + 1;
            }
            self.next += 1;
        }
        // A whole look of old records is no reason to wait.
        if records.is_empty() && end > 0 { self.read() } else { Ok((first, records)) }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.output.is_none() {
            self.output = match File::open(self.at.join(folder::OUTPUT)) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }
}

/// Asks the command of a folder to end and returns when its shim has: after its grace it is killed. A folder that
/// no shim took, or whose shim is gone, is left at once.
pub async fn stop(at: &Path) {
    let tail = Tail::new(at, 0);
    while tail.terminate() {
        sleep(PAUSE * 4).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(number: u64) -> Record {
        Record { at: 1, stream: Stream::Stdout, text: number.to_string() }
    }

    fn write(at: &Path, numbers: std::ops::RangeInclusive<u64>) {
        let lines: Vec<String> =
            numbers.map(|number| serde_json::to_string(&record(number)).unwrap() + "\n").collect();
        fs::write(at.join(folder::OUTPUT), lines.concat()).unwrap();
    }

    #[tokio::test]
    async fn records_are_numbered_and_go_on_where_they_ended() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), 1..=5);
        folder::write_json(
            &home.path().join(folder::EXIT),
            &Exit { code: Some(0), records: 5, ..Exit::default() },
        )
        .unwrap();
        let mut tail = Tail::new(home.path(), 3);
        assert_eq!(tail.next().await.unwrap(), Tailed::Records(4, vec![record(4), record(5)]));
        let Tailed::Exit(exit) = tail.next().await.unwrap() else { panic!("no exit") };
        assert!(exit.succeeded());
        assert!(matches!(Tail::new(home.path(), 5).next().await.unwrap(), Tailed::Exit(_)));
    }

    #[tokio::test]
    async fn half_a_record_waits_for_its_end() {
        let home = tempfile::tempdir().unwrap();
        let line = serde_json::to_string(&record(1)).unwrap();
        let path = home.path().join(folder::OUTPUT);
        fs::write(&path, &line[..10]).unwrap();
        let mut tail = Tail::new(home.path(), 0);
        assert!(tail.read().unwrap().1.is_empty());
        fs::write(&path, line.clone() + "\n").unwrap();
        assert_eq!(tail.next().await.unwrap(), Tailed::Records(1, vec![record(1)]));
    }

    #[tokio::test]
    async fn a_shim_is_stopped_and_waited_for() {
        let home = tempfile::tempdir().unwrap();
        stop(home.path()).await;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        folder::write_json(&home.path().join(folder::SHIM), &process).unwrap();
        stop(home.path()).await;
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_shim_that_is_gone_without_an_exit_is_said() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), 1..=1);
        let gone = Process { pid: i32::MAX, started: 1 };
        folder::write_json(&home.path().join(folder::SHIM), &gone).unwrap();
        let mut tail = Tail::new(home.path(), 0);
        assert!(matches!(tail.next().await.unwrap(), Tailed::Records(1, _)));
        assert_eq!(tail.next().await.unwrap(), Tailed::Gone);
        assert!(!tail.terminate());
    }
}
