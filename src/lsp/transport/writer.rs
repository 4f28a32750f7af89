//! Writes the outbox to the client on a thread of its own: a client that does not read blocks this thread only.

use std::io::{self, BufWriter, Write};
use std::thread;

use tokio::sync::mpsc::Sender;

use super::outbox::{Outbox, Outgoing};
use super::{Event, Loss};

/// Starts writing to `output` until the outbox is closed and empty. An error is [`Loss::Output`].
pub(crate) fn start(
    output: impl Write + Send + 'static,
    outbox: Outbox,
    events: Sender<Event>,
) -> io::Result<()> {
    let run = move || {
        if let Err(error) = write_all(output, &outbox) {
            tracing::error!(%error, "cannot write to the client");
            let _ = events.try_send(Event::Lost(Loss::Output));
            // Nobody reads any more. Taking what comes keeps the queue from growing until the server has ended.
            while outbox.next().is_some() {}
        }
        outbox.drained();
    };
    thread::Builder::new().name("lsp-writer".into()).spawn(run)?;
    Ok(())
}

fn write_all(output: impl Write, outbox: &Outbox) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(64 << 10, output);
    let mut body = Vec::new();
    while let Some(message) = outbox.next() {
        write_one(&mut output, &mut body, &message)?;
        if outbox.is_empty() {
            output.flush()?;
        }
    }
    output.flush()
}

fn write_one(output: &mut impl Write, body: &mut Vec<u8>, message: &Outgoing) -> io::Result<()> {
    body.clear();
    serde_json::to_writer(&mut *body, message)?;
    write!(output, "Content-Length: {}\r\n\r\n", body.len())?;
    output.write_all(body)?;
    // One answer of many megabytes should not be held for ever.
    body.shrink_to(1 << 20);
    Ok(())
}

#[cfg(test)]
mod tests {
    use tower_lsp::jsonrpc::Response;

    use super::*;

    #[test]
    fn messages_are_framed_by_their_length_in_bytes() {
        let outbox = Outbox::default();
        outbox.push(Outgoing::Response(Response::from_ok(1.into(), "ü".into())));
        outbox.close();
        let mut written = Vec::new();
        write_all(&mut written, &outbox).unwrap();
        let body = r#"{"jsonrpc":"2.0","result":"ü","id":1}"#;
        assert_eq!(
            String::from_utf8(written).unwrap(),
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        );
    }

    #[test]
    fn a_client_that_went_away_is_a_loss_and_does_not_fill_the_memory() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (events, mut lost) = tokio::sync::mpsc::channel(1);
        let outbox = Outbox::default();
        start(Broken, outbox.clone(), events).unwrap();
        outbox.push(Outgoing::Response(Response::from_ok(1.into(), "x".into())));
        assert!(matches!(lost.blocking_recv(), Some(Event::Lost(Loss::Output))));
        outbox.push(Outgoing::Response(Response::from_ok(2.into(), "x".into())));
        outbox.close();
        assert!(outbox.wait_drained(std::time::Duration::from_secs(10)));
        assert!(outbox.is_empty());
    }
}
