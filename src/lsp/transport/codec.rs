//! Finds messages in a byte stream, and finds its way back after anything that is none.
//!
//! A frame is a block of header lines, a blank line and `Content-Length` bytes. Whatever does not fit (garbage, a
//! length that is missing, no number or over the limit) is reported once, and reading goes on at the next
//! `Content-Length: N` line. That mark is unambiguous: JSON text never holds a raw line break inside a string.
//! Nothing here knows JSON.

use std::io::{self, Read};

/// The longest message that is read, in bytes. A longer one is refused by name and skipped.
pub(crate) const LIMIT: usize = 128 << 20;

const MARK: &[u8] = b"content-length:";
/// How much is asked of the input at a time.
const CHUNK: usize = 64 << 10;
/// A header line is never longer; what is longer is noise, of which only the end can still hold a mark.
const LONGEST_LINE: usize = 8 << 10;
const LONGEST_MARK: usize = 64;

/// Why bytes were skipped. The words go to the client in an error response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Skipped {
    #[error("bytes outside a message were skipped; a message starts with a `Content-Length: N` line")]
    Noise,
    #[error("a message without a `Content-Length` header was skipped; the header is required")]
    NoLength,
    #[error("a message with `Content-Length: {0}` was skipped; expected a number of bytes")]
    BadLength(String),
    #[error(
        "a message of {0} bytes was skipped; the limit is {LIMIT} bytes (128 MiB), so open a smaller file or close this one"
    )]
    TooLong(u64),
}

/// Reads frames from `input`, one call at a time.
pub(crate) struct FrameReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where unread bytes start in `buffer`.
    at: usize,
    header: Header,
    /// Something was skipped and reported; stay silent until the next length.
    lost: bool,
}

/// What the header lines said so far.
#[derive(Default)]
struct Header {
    length: Option<usize>,
    others: bool,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0, header: Header::default(), lost: false }
    }

    /// The next body or the reason why bytes were skipped; `None` at the end of the input, also inside a frame.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Vec<u8>, Skipped>>> {
        while let Some(line) = self.line()? {
            let line = Line::parse(&line);
            if matches!(line, Line::Blank) && self.header.length.is_some() {
                return self.body();
            }
            let Some(skipped) = self.header_line(line) else { continue };
            if !std::mem::replace(&mut self.lost, true) {
                return Ok(Some(Err(skipped)));
            }
        }
        Ok(None)
    }

    /// The last body was none, so what follows it may be its rest: skip that silently.
    pub(crate) fn distrust(&mut self) {
        self.lost = true;
    }

    /// Puts bytes back in front of the input: a body that was none may hold the start of the next message.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        self.buffer.splice(..self.at, bytes.iter().copied());
        self.at = 0;
    }

    fn header_line(&mut self, line: Line) -> Option<Skipped> {
        match line {
            Line::Blank if self.header.others => Some(self.skip(Skipped::NoLength)),
            // Stray line breaks between messages harm nobody.
            Line::Blank => None,
            Line::Other => {
                self.header.others = true;
                None
            }
            Line::Noise => Some(self.skip(Skipped::Noise)),
            Line::Length { value, after_noise } => self.length(&value, after_noise),
        }
    }

    fn length(&mut self, value: &str, after_noise: bool) -> Option<Skipped> {
        let Ok(length) = value.parse::<u64>() else {
            return Some(self.skip(Skipped::BadLength(value.chars().take(40).collect())));
        };
        match usize::try_from(length) {
            Ok(fits) if fits <= LIMIT => self.header.length = Some(fits),
            _ => return Some(self.skip(Skipped::TooLong(length))),
        }
        // The noise is reported, and the length behind it on the same line counts all the same.
        after_noise.then_some(Skipped::Noise)
    }

    fn skip(&mut self, why: Skipped) -> Skipped {
        self.header = Header::default();
        why
    }

    fn body(&mut self) -> io::Result<Option<Result<Vec<u8>, Skipped>>> {
        let length = std::mem::take(&mut self.header).length.unwrap_or_default();
        self.lost = false;
        let buffered = length.min(self.buffer.len() - self.at);
        // Grown as bytes arrive: a header may promise more than ever comes.
        let mut body = Vec::with_capacity(length.min(1 << 20));
        body.extend_from_slice(&self.buffer[self.at..self.at + buffered]);
        self.at += buffered;
        let missing = length - buffered;
        let read = self.input.by_ref().take(missing as u64).read_to_end(&mut body)?;
        Ok((read == missing).then_some(Ok(body)))
    }

    /// One line without its break; of a line that no header can be, only the end.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = self.at;
        loop {
            if let Some(found) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let end = searched + found;
                let line =
                    self.buffer[self.at..end].strip_suffix(b"\r").unwrap_or(&self.buffer[self.at..end]);
                let line = line.to_vec();
                self.at = end + 1;
                return Ok(Some(line));
            }
            if self.buffer.len() - self.at > LONGEST_LINE {
                self.at = self.buffer.len() - LONGEST_MARK;
                // The cut is marked, so that the rest is not taken for a whole line.
                self.buffer[self.at] = 0;
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            searched = self.buffer.len();
            self.buffer.resize(searched + CHUNK, 0);
            let read = self.read_some(searched)?;
            self.buffer.truncate(searched + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }

    fn read_some(&mut self, from: usize) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.buffer[from..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// What a line outside a body can be.
enum Line {
    Blank,
    Length { value: String, after_noise: bool },
    Other,
    Noise,
}

impl Line {
    fn parse(line: &[u8]) -> Self {
        if line.is_empty() {
            return Self::Blank;
        }
        if let Some(start) = rfind_mark(line) {
            let value = String::from_utf8_lossy(&line[start + MARK.len()..]).trim().to_owned();
            return Self::Length { value, after_noise: start > 0 };
        }
        match line.iter().position(|&byte| byte == b':') {
            Some(colon) if colon > 0 && line[..colon].iter().all(|&byte| is_name(byte)) => Self::Other,
            _ => Self::Noise,
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn rfind_mark(line: &[u8]) -> Option<usize> {
    line.windows(MARK.len()).rposition(|window| window.eq_ignore_ascii_case(MARK))
}

/// Where in a body that is no message the header of the next one starts: a sender that announced more than it
/// sent makes us read into its next message. The header itself may be cut off at the end.
pub(crate) fn header_inside(body: &[u8]) -> Option<usize> {
    (0..body.len()).find(|&at| body[at].eq_ignore_ascii_case(&b'c') && starts_header(&body[at..]))
}

fn starts_header(bytes: &[u8]) -> bool {
    let shared = bytes.len().min(MARK.len());
    if !bytes[..shared].eq_ignore_ascii_case(&MARK[..shared]) {
        return false;
    }
    let mut rest =
        bytes[shared..].iter().skip_while(|byte| **byte == b' ').skip_while(|byte| byte.is_ascii_digit());
    matches!(rest.next(), None | Some(b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Everything that a reader makes of `input`: bodies as text, skips as their words.
    fn read(input: &str) -> Vec<Result<String, Skipped>> {
        let mut frames = FrameReader::new(input.as_bytes());
        let mut found = Vec::new();
        while let Some(next) = frames.next().unwrap() {
            found.push(next.map(|body| String::from_utf8(body).unwrap()));
        }
        found
    }

    #[allow(clippy::unnecessary_wraps)] // It reads as what it stands for.
    fn ok(body: &str) -> Result<String, Skipped> {
        Ok(body.to_owned())
    }

    #[test]
    fn frames_follow_each_other() {
        assert_eq!(read(&(frame("{}") + &frame("[1]"))), [ok("{}"), ok("[1]")]);
    }

    #[test]
    fn header_case_order_spaces_and_company_do_not_matter() {
        let body = "\r\n\r\n{}";
        for head in [
            "content-length:2",
            "CONTENT-LENGTH:   2 ",
            "Content-Type: application/vscode-jsonrpc\r\nContent-Length: 2",
            "Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\nX-Trace: 7",
        ] {
            assert_eq!(read(&format!("{head}{body}")), [ok("{}")], "{head}");
        }
        assert_eq!(read("Content-Length: 2\n\n{}"), [ok("{}")]);
    }

    #[test]
    fn garbage_is_reported_once_and_the_next_message_is_read() {
        let garbage = "hello there\r\n{]\r\n\0\u{1}\r\n";
        assert_eq!(read(&(garbage.to_owned() + &frame("{}"))), [Err(Skipped::Noise), ok("{}")]);
    }

    #[test]
    fn garbage_without_a_line_break_hides_no_message() {
        assert_eq!(read(&("!!!".to_owned() + &frame("{}"))), [Err(Skipped::Noise), ok("{}")]);
        let long = "x".repeat(3 * LONGEST_LINE);
        assert_eq!(read(&(long + &frame("{}"))), [Err(Skipped::Noise), ok("{}")]);
    }

    #[test]
    fn a_missing_length_costs_one_message() {
        let input = "Content-Type: application/vscode-jsonrpc\r\n\r\n{\"a\":1}".to_owned() + &frame("{}");
        assert_eq!(read(&input), [Err(Skipped::NoLength), ok("{}")]);
    }

    #[test]
    fn a_length_that_is_no_number_is_named() {
        for bad in ["-1", "1e3", "two", ""] {
            let input = format!("Content-Length: {bad}\r\n\r\n{{}}") + &frame("[]");
            assert_eq!(read(&input), [Err(Skipped::BadLength(bad.to_owned())), ok("[]")], "{bad}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_skipped_with_its_body() {
        let length = LIMIT + 1;
        // The text of a document may well talk about headers; only a raw line break makes one.
        let body = r#"{"text":"Content-Length: 2\r\n\r\n{}"}"#;
        let input = format!("Content-Length: {length}\r\n\r\n{body}") + &frame("[]");
        assert_eq!(read(&input), [Err(Skipped::TooLong(length as u64)), ok("[]")]);
    }

    #[test]
    fn an_absurd_length_neither_allocates_nor_swallows_what_follows() {
        let input = "Content-Length: 18446744073709551615\r\n\r\n{}".to_owned() + &frame("[]");
        assert_eq!(read(&input), [Err(Skipped::TooLong(u64::MAX)), ok("[]")]);
    }

    #[test]
    fn the_input_may_end_anywhere() {
        for input in [
            "",
            "Content-Le",
            "Content-Length: 2\r\n",
            "Content-Length: 2\r\n\r\n",
            "Content-Length: 2\r\n\r\n{",
        ] {
            assert_eq!(read(input), [], "{input:?}");
        }
    }

    #[test]
    fn bytes_may_arrive_one_at_a_time() {
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                into[0] = *first;
                self.0 = rest;
                Ok(1)
            }
        }
        let input = "junk\n".to_owned() + &frame("{\"a\":1}");
        let mut frames = FrameReader::new(Slow(input.as_bytes()));
        assert_eq!(frames.next().unwrap(), Some(Err(Skipped::Noise)));
        assert_eq!(frames.next().unwrap(), Some(Ok(b"{\"a\":1}".to_vec())));
        assert_eq!(frames.next().unwrap(), None);
    }

    #[test]
    fn what_was_read_too_much_can_be_read_again() {
        let next = frame("{}");
        let input = format!("Content-Length: {}\r\n\r\n[1,{next}{next}", 3 + next.len());
        let mut frames = FrameReader::new(input.as_bytes());
        let body = frames.next().unwrap().unwrap().unwrap();
        frames.distrust();
        let at = header_inside(&body).unwrap();
        frames.unread(&body[at..]);
        assert_eq!(frames.next().unwrap(), Some(Ok(b"{}".to_vec())));
        assert_eq!(frames.next().unwrap(), Some(Ok(b"{}".to_vec())));
    }

    #[test]
    fn a_header_inside_a_body_is_found_whole_and_cut() {
        assert_eq!(header_inside(b"[1,Content-Length: 5\r\n\r\n"), Some(3));
        assert_eq!(header_inside(b"[1,content-le"), Some(3));
        assert_eq!(header_inside(b"[1,content-length: 1"), Some(3));
        assert_eq!(header_inside(b"[1,content-length: x"), None);
        assert_eq!(header_inside(b"{\"content\":1"), None);
    }
}
