//! The first bytes of a connection: which protocol its peer speaks. A peer that says nothing is for the caller to drop.

use std::io::{self, Cursor};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, join, split};

/// How HTTP/2 begins; no request of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocols of our port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Reads until the protocol is known: the whole preface of HTTP/2, or the first byte that is not of it. Gives back a
/// stream that begins with what was read.
pub(super) async fn greet<S>(
    mut stream: S,
) -> io::Result<(Protocol, impl AsyncRead + AsyncWrite + Unpin + Send + 'static)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut first = Vec::with_capacity(PREFACE.len());
    let protocol = loop {
        let rest = PREFACE.len() - first.len();
        if rest == 0 {
            break Protocol::Two;
        }
        if (&mut stream).take(rest as u64).read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&first) {
            break Protocol::One;
        }
    };
    let (read, write) = split(stream);
    Ok((protocol, join(Cursor::new(first).chain(read), write)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// The protocol of a peer that sends these pieces, and all that a server reads of it.
    async fn greeted(pieces: &[&[u8]]) -> io::Result<(Protocol, Vec<u8>)> {
        let (mut peer, ours) = duplex(1);
        let send = async move {
            for piece in pieces {
                peer.write_all(piece).await.unwrap();
            }
        };
        let read = async move {
            let (protocol, mut stream) = greet(ours).await?;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await?;
            Ok((protocol, all))
        };
        tokio::join!(send, read).1
    }

    #[tokio::test]
    async fn the_protocol_is_known_and_nothing_is_lost() {
        let request = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(greeted(&[request]).await.unwrap(), (Protocol::One, request.to_vec()));
        assert_eq!(greeted(&[b"P", b"OST /"]).await.unwrap(), (Protocol::One, b"POST /".to_vec()));
        let (protocol, all) = greeted(&[&PREFACE[..9], &PREFACE[9..], b"more"]).await.unwrap();
        assert_eq!((protocol, all), (Protocol::Two, [PREFACE, b"more"].concat()));
        assert!(greeted(&[]).await.is_err() && greeted(&[&PREFACE[..5]]).await.is_err());
    }
}
