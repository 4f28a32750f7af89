//! Sends sources by content, in pieces.

use std::{collections::HashSet, time::Duration};

use futures::stream;
use ktl_proto::control::v1::UploadRequest;

use super::{Agent, AgentError, link::operations};
use crate::releases::Sources;

/// Well under the 4 MiB that a gRPC message may have.
const PIECE: usize = 256 * 1024;
/// Enough for the largest set of sources over a slow line.
const UPLOAD_DEADLINE: Duration = Duration::from_mins(2);

impl Agent {
    /// Sends those of `sources` whose hash is in `missing`.
    pub(super) async fn upload(&self, missing: &[String], sources: &Sources) -> Result<(), AgentError> {
        let pieces = pieces(missing, sources);
        let send = |link| {
            let pieces = pieces.clone();
            async move { operations(link).upload(stream::iter(pieces)).await }
        };
        self.patiently(|| self.attempt("upload", UPLOAD_DEADLINE, &send)).await.map(|_| ())
    }
}

/// The first piece of a source names it; an empty source is one empty piece.
fn pieces(missing: &[String], sources: &Sources) -> Vec<UploadRequest> {
    let wanted: HashSet<&str> = missing.iter().map(String::as_str).collect();
    let mut sent = HashSet::new();
    let mut pieces = Vec::new();
    for source in sources.files.values() {
        if !wanted.contains(source.sha256.as_str()) || !sent.insert(source.sha256.as_str()) {
            continue;
        }
        let mut name = Some(source.sha256.clone());
        let mut rest = source.bytes.as_slice();
        while !rest.is_empty() || name.is_some() {
            let (piece, tail) = rest.split_at(rest.len().min(PIECE));
            pieces.push(UploadRequest { sha256: name.take().unwrap_or_default(), data: piece.to_vec() });
            rest = tail;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_sent_each_content_once() {
        let big = vec![b'x'; PIECE + 1];
        let sources =
            Sources::of([("a", b"one".to_vec()), ("b", big), ("c", b"one".to_vec()), ("d", Vec::new())]);
        let hash = |path: &str| sources.files[path].sha256.clone();
        let pieces = pieces(&[hash("a"), hash("b"), hash("d")], &sources);
        let named: Vec<_> = pieces.iter().map(|piece| (piece.sha256.clone(), piece.data.len())).collect();
        assert_eq!(named, [(hash("a"), 3), (hash("b"), PIECE), (String::new(), 1), (hash("d"), 0)]);
    }
}
