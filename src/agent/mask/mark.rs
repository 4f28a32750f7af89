//! What stands where a secret stood: `«secret:1f0c33ab»`, equal for equal secrets of a session.

use std::{fmt, ops::Range};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::session::SessionId;

const OPEN: &str = "«secret:";
const CLOSE: &str = "»";
/// How many hexadecimal digits tell the secrets of a session apart.
const DIGITS: usize = 8;

/// A secret key of one agent, from which the keys of its sessions' marks are made. Without it a mark says nothing
/// about the value behind it.
#[derive(Clone)]
pub struct MarkKey([u8; 32]);

impl MarkKey {
    /// A key that was kept.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key nobody else has.
    pub fn random() -> Self {
        let mut hash = Sha256::new();
        hash.update(Uuid::new_v4().as_bytes());
        hash.update(Uuid::new_v4().as_bytes());
        Self(hash.finalize().into())
    }

    /// The bytes, to be kept in a file that only its owner can read.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of one session: its marks say nothing about those of another one.
    pub(super) fn of_session(&self, session: &SessionId) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(session.as_str());
        Self(hash.finalize().into())
    }

    /// The mark of a secret.
    pub(super) fn mark(&self, secret: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(secret);
        let digest = hash.finalize();
        let first = digest[..DIGITS / 2].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        format!("{OPEN}{first:0DIGITS$x}{CLOSE}")
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey(..)")
    }
}

/// Where marks stand in a text.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let ends = |at: usize| {
        let digits = text.get(at..at + DIGITS)?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (is_hex && text[at + DIGITS..].starts_with(CLOSE)).then_some(at + DIGITS + CLOSE.len())
    };
    text.match_indices(OPEN).filter_map(|(at, _)| Some(at..ends(at + OPEN.len())?)).collect()
}

/// Whether a text is a mark and nothing else.
pub(super) fn is_mark(text: &str) -> bool {
    text.starts_with(OPEN) && find(text).first().is_some_and(|found| *found == (0..text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_by_its_whole_form() {
        let mark = MarkKey::random().mark("hunter2");
        assert!(is_mark(&mark), "{mark}");
        for text in ["«secret:hunter2»", "«secret:1f0c33ab", "«secret:1f0c33ab» x", "«secret:1F0C33AB»", ""]
        {
            assert!(!is_mark(text), "{text}");
        }
        assert_eq!(find(&format!("a{mark}b{mark}")).len(), 2);
    }
}
