//! The secret keys of a data folder, each in a file of its own beside the store.
//!
//! Not in the store: it holds marks and digests of secrets, and in a copy of it (a backup, an old disk) that came with
//! its keys, short secrets could be guessed. A store that is opened without its keys loses little: new marks are not
//! equal to old ones, and a request that is sent again under an old id is refused instead of joined.

use std::{fs, io, path::Path};

use ring::rand::{SystemRandom, generate};

use crate::shim::write_atomically;

/// The key in this file; made now, for its owner only, when there is no file. One process at a time.
pub fn kept(path: &Path) -> io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => bytes.as_slice().try_into().map_err(|_| damaged(bytes.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn make(path: &Path) -> io::Result<[u8; 32]> {
    let random = generate::<[u8; 32]>(&SystemRandom::new());
    let key = random.map_err(|_| io::Error::other("the system gives no random bytes"))?.expose();
    write_atomically(path, &key)?;
    Ok(key)
}

fn damaged(length: usize) -> io::Error {
    let words =
        format!("it has {length} bytes instead of 32: bring it back, or remove it and a new one is made");
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("requests.key");
        let key = kept(&path).unwrap();
        assert_eq!(kept(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(kept(&home.path().join("marks.key")).unwrap(), key);
    }

    #[test]
    fn a_damaged_key_is_not_replaced_in_silence() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("requests.key");
        fs::write(&path, "half").unwrap();
        let error = kept(&path).unwrap_err().to_string();
        assert!(error.contains("4 bytes") && error.contains("remove it"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"half");
    }
}
