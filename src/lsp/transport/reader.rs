//! Reads the client on a thread of its own, so that nothing a handler does keeps input from being read.
//!
//! Answers to our own requests go to whoever waits for them right here, past every queue: a handler that waits for
//! the user can never keep the user's answer from arriving.

use std::io::Read;
use std::thread;

use futures::SinkExt;
use tokio::sync::mpsc::Sender;
use tower_lsp::jsonrpc::{Error, ErrorCode, Id, Response};

use super::codec::{FrameReader, Skipped, header_inside};
use super::message::{Incoming, Malformed};
use super::outbox::{Outbox, Outgoing};
use super::{Event, Loss, last_resort};

/// Where an answer of the client goes: to the handler that asked.
pub(crate) trait Answers: Send + 'static {
    fn answer(&mut self, response: Response);
}

impl<S> Answers for S
where
    S: futures::Sink<Response> + Unpin + Send + 'static,
{
    fn answer(&mut self, response: Response) {
        // Refused only after `exit`, when nobody waits any more.
        let _ = self.start_send_unpin(response);
    }
}

/// Starts reading `input`. Its end, or an error, is [`Loss::Input`].
pub(crate) fn start(
    input: impl Read + Send + 'static,
    answers: impl Answers,
    outbox: Outbox,
    events: Sender<Event>,
) -> std::io::Result<()> {
    let mut reader = Reader { frames: FrameReader::new(input), answers, outbox, events };
    thread::Builder::new().name("lsp-reader".into()).spawn(move || reader.run())?;
    Ok(())
}

struct Reader<R, A> {
    frames: FrameReader<R>,
    answers: A,
    outbox: Outbox,
    events: Sender<Event>,
}

impl<R: Read, A: Answers> Reader<R, A> {
    fn run(&mut self) {
        loop {
            match self.frames.next() {
                Ok(Some(Ok(body))) => {
                    if self.body(body).is_err() {
                        return;
                    }
                }
                Ok(Some(Err(skipped))) => self.refuse(&skipped),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "cannot read from the client");
                    break;
                }
            }
        }
        let _ = self.events.blocking_send(Event::Lost(Loss::Input));
        last_resort();
    }

    /// An error means that nobody serves any more.
    fn body(&mut self, body: Vec<u8>) -> Result<(), ()> {
        let message = match Incoming::parse(&body) {
            Ok(Incoming::Answer(response)) => {
                self.answers.answer(response);
                return Ok(());
            }
            Ok(message) => message,
            Err(malformed) => {
                tracing::warn!(%malformed, "message refused");
                let framed_wrong = matches!(malformed, Malformed::Json(_));
                self.outbox.push(Outgoing::Response(malformed.into_response()));
                if framed_wrong {
                    self.resume(&body);
                }
                return Ok(());
            }
        };
        // A body can be 128 MiB; the message owns its text by now.
        drop(body);
        self.events.blocking_send(Event::Message(message)).map_err(drop)
    }

    /// What is no JSON may have been announced with a wrong length, too long or too short.
    fn resume(&mut self, body: &[u8]) {
        self.frames.distrust();
        if let Some(at) = header_inside(body) {
            self.frames.unread(&body[at..]);
        }
    }

    fn refuse(&self, skipped: &Skipped) {
        tracing::warn!(%skipped, "bytes skipped");
        let code = match skipped {
            Skipped::Noise => ErrorCode::ParseError,
            Skipped::NoLength | Skipped::BadLength(_) | Skipped::TooLong(_) => ErrorCode::InvalidRequest,
        };
        let error = Error { code, message: skipped.to_string().into(), data: None };
        self.outbox.push(Outgoing::Response(Response::from_error(Id::Null, error)));
    }
}
