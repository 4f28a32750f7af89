//! The shim itself: everything that happens in its process.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command as Program},
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use super::{Command, Exit, Process, Record, Stream, folder, lines::Lines, now_nanos};

/// How long output may still come after the command ended: its children can hold the pipes open.
const LINGER: Duration = Duration::from_secs(2);
/// The pause before an exit that could not be written is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the command of this folder to its end, once: a second shim on the folder leaves at once.
///
/// Errors are about the folder only; a command that fails, or cannot be started, is an [`Exit`].
pub async fn run(folder: &Path) -> io::Result<()> {
    // Alone in a session, so that neither a terminal nor the agent's own end reaches the command. This fails only
    // for the leader of a process group, who has a group of its own already.
    setsid().ok();
    let this = Process::current().ok_or_else(|| io::Error::other("/proc does not tell this process"))?;
    let signals = Asked::listen()?;
    if !folder::claim_json(&folder.join(folder::SHIM), &this)? {
        return Ok(());
    }
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the run folder has no command.json");
    let command: Command = folder::read_json(&folder.join(folder::COMMAND))?.ok_or_else(missing)?;
    let mut output = Output::create(folder)?;
    let exit = match start(&command) {
        Ok(child) => supervise(child, &command, signals, &mut output).await,
        Err(error) => {
            Exit { error: Some(format!("{}: {error}", command.program.display())), ..Exit::default() }
        }
    };
    settle(&mut output, &command);
    say_exit(folder, &Exit { records: output.records, lost: output.lost, ..exit }).await
}

/// Brings the output to the disk. The exit is written after it: whoever finds an exit after a power cut finds all of
/// the output that it counts.
fn settle(output: &mut Output<File>, command: &Command) {
    let settled = output.settle();
    let stdout = command.stdout.as_deref().map_or(Ok(()), folder::settle);
    for error in [settled, stdout].into_iter().filter_map(Result::err) {
        // The exit still says how the command ended, and that is worth more.
        eprintln!("the output may not outlive a power cut: {error}");
    }
}

/// Leaves the exit, however long the disk is full: without it nobody would know how the command ended.
async fn say_exit(folder: &Path, exit: &Exit) -> io::Result<()> {
    loop {
        match folder::write_json(&folder.join(folder::EXIT), exit) {
            Err(error) if folder.exists() => {
                eprintln!("cannot write the exit, trying again: {error}");
                sleep(AGAIN).await;
            }
            written => return written,
        }
    }
}

fn start(command: &Command) -> io::Result<Child> {
    let stdout = match &command.stdout {
        Some(path) => Stdio::from(private_file(path)?),
        None => Stdio::piped(),
    };
    Program::new(&command.program)
        .args(&command.args)
        .current_dir(&command.folder)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Writes what comes and passes on what is asked, until the command ended and its output did.
async fn supervise(mut child: Child, command: &Command, mut asked: Asked, output: &mut Output<File>) -> Exit {
    let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let mut stdout = Pipe::new(Stream::Stdout, child.stdout.take());
    let mut stderr = Pipe::new(Stream::Stderr, child.stderr.take());
    let (mut status, mut deadline) = (None, None);
    let mut was_asked = false;
    while status.is_none() || stdout.is_open() || stderr.is_open() {
        tokio::select! {
            records = stdout.read(), if stdout.is_open() => output.write(records),
            records = stderr.read(), if stderr.is_open() => output.write(records),
            ended = child.wait(), if status.is_none() => {
                match ended {
                    Ok(ended) => status = Some(ended),
                    Err(error) => return Exit { error: Some(error.to_string()), ..Exit::default() },
                }
                deadline = Some(Instant::now() + LINGER);
            }
            () = asked.next(), if !was_asked && status.is_none() => {
                was_asked = true;
                deadline = Some(Instant::now() + Duration::from_secs(command.grace_seconds));
                send(group, Signal::INT);
            }
            () = due(deadline), if deadline.is_some() => {
                send(group, Signal::KILL);
                if status.is_some() { break }
                deadline = None;
            }
        }
    }
    output.write(stdout.rest());
    output.write(stderr.rest());
    exit_of(status, was_asked)
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may be gone already; then there is nobody to tell.
        kill_process_group(group, signal).ok();
    }
}

fn exit_of(status: Option<ExitStatus>, asked: bool) -> Exit {
    let code = status.and_then(|status| status.code());
    let signal = status.and_then(|status| status.signal());
    Exit { code, signal, asked, ..Exit::default() }
}

/// The ways in which a shim is asked to end its command.
struct Asked {
    terminate: Signals,
    interrupt: Signals,
}

impl Asked {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// One stream of the command; closed from the start where the command has none.
struct Pipe<R> {
    stream: Stream,
    reader: Option<R>,
    lines: Lines,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(stream: Stream, reader: Option<R>) -> Self {
        Self { stream, reader, lines: Lines::default(), buffer: vec![0; 8 << 10] }
    }

    fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    async fn read(&mut self) -> Vec<Record> {
        let Some(reader) = &mut self.reader else { return Vec::new() };
        match reader.read(&mut self.buffer).await {
            Ok(count) if count > 0 => records(self.stream, self.lines.push(&self.buffer[..count])),
            _ => {
                self.reader = None;
                self.rest()
            }
        }
    }

    fn rest(&mut self) -> Vec<Record> {
        records(self.stream, self.lines.rest())
    }
}

fn records(stream: Stream, lines: Vec<String>) -> Vec<Record> {
    lines.into_iter().map(|text| Record { at: now_nanos(), stream, text }).collect()
}

/// `output.ndjson`: what the agent reads up to a line end is a whole record. A disk that takes no more costs lines,
/// never the command: they are counted, and a record that was written in part is completed before the next begins.
struct Output<W> {
    file: W,
    /// What is left of the record in hand.
    rest: Vec<u8>,
    records: u64,
    lost: u64,
}

impl Output<File> {
    fn create(folder: &Path) -> io::Result<Self> {
        let file = private_file(&folder.join(folder::OUTPUT))?;
        Ok(Self { file, rest: Vec::new(), records: 0, lost: 0 })
    }
}

/// What output is written to.
trait Disk: io::Write {
    /// Returns when everything that was written would outlive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl<W: Disk> Output<W> {
    fn write(&mut self, records: Vec<Record>) {
        for record in records {
            if self.put(&record).is_err() {
                self.lost += 1;
            }
        }
    }

    /// An error means that nothing of the record is in the file, and nothing will be.
    fn put(&mut self, record: &Record) -> io::Result<()> {
        self.flush()?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let whole = line.len();
        self.rest = line;
        match self.flush() {
            Err(error) if self.rest.len() == whole => {
                self.rest.clear();
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Writes what is left, and brings it to the disk.
    fn settle(&mut self) -> io::Result<()> {
        // A record that does not fit is lost; those before it are not.
        let flushed = self.flush();
        self.file.sync().and(flushed)
    }

    /// Writes what is left of the record in hand; it counts when it is whole.
    fn flush(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            let count = match self.file.write(&self.rest) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                written => written?,
            };
            self.rest.drain(..count);
            if self.rest.is_empty() {
                self.records += 1;
            }
        }
        Ok(())
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    #[derive(Default)]
    struct Small {
        written: Vec<u8>,
        room: usize,
        /// How much of it would outlive a power cut.
        synced: usize,
    }

    impl Disk for Small {
        fn sync(&mut self) -> io::Result<()> {
            self.synced = self.written.len();
            Ok(())
        }
    }

    impl io::Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.written.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(text: &str) -> Vec<Record> {
        vec![Record { at: 1, stream: Stream::Stdout, text: text.to_owned() }]
    }

    #[test]
    fn a_full_disk_costs_lines_and_leaves_no_half_record() {
        let file = Small { room: 60, ..Small::default() };
        let mut output = Output { file, rest: Vec::new(), records: 0, lost: 0 };
        for text in ["whole", "half", "lost", "lost too"] {
            output.write(record(text));
        }
        assert_eq!((output.records, output.lost), (1, 2));
        output.file.room = 1000;
        output.write(record("again"));
        assert_eq!((output.records, output.lost), (3, 2));
        let lines = output.file.written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let texts: Vec<String> =
            lines.map(|line| serde_json::from_slice::<Record>(line).unwrap().text).collect();
        assert_eq!(texts, ["whole", "half", "again"]);
    }

    #[test]
    fn all_output_is_on_the_disk_before_the_exit_is_said() {
        let file = Small { room: 60, ..Small::default() };
        let mut output = Output { file, rest: Vec::new(), records: 0, lost: 0 };
        output.write(record("whole"));
        output.write(record("half"));
        assert_eq!(output.file.synced, 0);
        assert!(output.settle().is_err(), "the disk is full");
        assert_eq!(output.file.synced, 60, "what was written is kept all the same");
        output.file.room = 1000;
        output.settle().unwrap();
        assert_eq!((output.records, output.file.synced), (2, output.file.written.len()));
    }
}
