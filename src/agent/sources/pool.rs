//! Uploads on their way to operations: content by hash, in bounded memory, for two minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{ContentHash, MAX_FILE_BYTES, MAX_TOTAL_BYTES, Manifest, SourceError, SourcePath};

/// How long content waits for an operation that takes it.
pub const TIME_TO_LIVE: Duration = Duration::from_mins(2);
/// The most bytes that wait: a few operations' worth.
pub const MAX_POOL_BYTES: u64 = 4 * MAX_TOTAL_BYTES;

/// Content of one file; cheap to clone.
pub type Content = Arc<[u8]>;

/// What was uploaded. It stays when an operation takes it, because another that lists the same content may have been
/// told a moment ago that it is here; content that was taken goes first when room is needed. Clones share one pool.
#[derive(Clone)]
pub struct SourcePool {
    waiting: Arc<Mutex<HashMap<ContentHash, Waiting>>>,
    limit: u64,
}

struct Waiting {
    content: Content,
    until: Instant,
    taken: bool,
}

/// What [`SourcePool::take`] found.
pub enum Taken {
    /// Everything: each path with its content.
    All(Vec<(SourcePath, Content)>),
    /// These hashes are not there; the rest waits on, its time began anew.
    Missing(Vec<ContentHash>),
}

impl Default for SourcePool {
    fn default() -> Self {
        Self { waiting: Arc::default(), limit: MAX_POOL_BYTES }
    }
}

impl SourcePool {
    /// Keeps content for [`TIME_TO_LIVE`]. Sent again, its time begins anew.
    pub fn put(&self, expected: ContentHash, bytes: Vec<u8>, now: Instant) -> Result<(), SourceError> {
        let found = ContentHash::of(&bytes);
        if found != expected {
            return Err(SourceError::Corrupt { expected, found });
        }
        let mut waiting = self.swept(now);
        if !waiting.contains_key(&expected) {
            let room_for_it = |waiting: &HashMap<ContentHash, Waiting>| {
                let held: usize = waiting.values().map(|one| one.content.len()).sum();
                (held + bytes.len()) as u64 <= self.limit
            };
            if !room_for_it(&waiting) {
                waiting.retain(|_, one| !one.taken);
            }
            if !room_for_it(&waiting) {
                return Err(SourceError::PoolFull { limit: self.limit });
            }
        }
        waiting.insert(expected, Waiting { content: bytes.into(), until: now + TIME_TO_LIVE, taken: false });
        Ok(())
    }

    /// Everything the manifest lists, or what is missing; nothing in between.
    pub fn take(&self, manifest: &Manifest, now: Instant) -> Result<Taken, SourceError> {
        let mut waiting = self.swept(now);
        let mut missing: Vec<ContentHash> = Vec::new();
        let mut found = Vec::new();
        for (path, listed) in manifest.iter() {
            let Some(one) = waiting.get_mut(&listed.sha256) else {
                missing.push(listed.sha256.clone());
                continue;
            };
            one.until = now + TIME_TO_LIVE;
            let size = one.content.len() as u64;
            if size != listed.size {
                return Err(SourceError::Size { path: path.to_string(), listed: listed.size, found: size });
            }
            found.push((path.clone(), one.content.clone()));
        }
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            return Ok(Taken::Missing(missing));
        }
        for (_, listed) in manifest.iter() {
            if let Some(one) = waiting.get_mut(&listed.sha256) {
                one.taken = true;
            }
        }
        Ok(Taken::All(found))
    }

    /// Forgets what waited too long. Called from time to time, so that plain text does not outstay an idle hour.
    pub fn sweep(&self, now: Instant) {
        drop(self.swept(now));
    }

    fn swept(&self, now: Instant) -> MutexGuard<'_, HashMap<ContentHash, Waiting>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| one.until > now);
        waiting
    }
}

/// Puts the pieces of one upload stream together: a message with a hash begins a source, the others continue it.
pub struct Assembly {
    pool: SourcePool,
    current: Option<(ContentHash, Vec<u8>)>,
    stored: u32,
}

impl Assembly {
    /// Begins a stream into this pool.
    pub fn new(pool: SourcePool) -> Self {
        Self { pool, current: None, stored: 0 }
    }

    /// Takes the next message.
    pub fn push(&mut self, sha256: &str, data: &[u8]) -> Result<(), SourceError> {
        if !sha256.is_empty() {
            let next = ContentHash::parse(sha256)?;
            self.store()?;
            self.current = Some((next, Vec::new()));
        }
        let (hash, bytes) = self.current.as_mut().ok_or(SourceError::Unnamed)?;
        if (bytes.len() + data.len()) as u64 > MAX_FILE_BYTES {
            return Err(SourceError::FileTooLarge { name: hash.to_string() });
        }
        bytes.extend_from_slice(data);
        Ok(())
    }

    /// Stores the last source and says how many there were.
    pub fn finish(mut self) -> Result<u32, SourceError> {
        self.store()?;
        Ok(self.stored)
    }

    fn store(&mut self) -> Result<(), SourceError> {
        let Some((hash, bytes)) = self.current.take() else { return Ok(()) };
        self.pool.put(hash, bytes, Instant::now())?;
        self.stored += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Listed, *};

    fn manifest(files: &[(&str, &[u8])]) -> Manifest {
        let listed = |content: &[u8]| Listed { sha256: ContentHash::of(content), size: content.len() as u64 };
        let files = files.iter().map(|(path, content)| (SourcePath::parse(path).unwrap(), listed(content)));
        Manifest::new(files).unwrap()
    }

    fn is_all(taken: &Taken) -> bool {
        matches!(taken, Taken::All(_))
    }

    #[test]
    fn only_what_is_missing_is_asked_for_and_two_operations_may_take_it() {
        let (pool, now) = (SourcePool::default(), Instant::now());
        let wanted = manifest(&[("a", b"one"), ("b", b"two"), ("c", b"two")]);
        pool.put(ContentHash::of(b"one"), b"one".to_vec(), now).unwrap();
        let Taken::Missing(missing) = pool.take(&wanted, now).unwrap() else { panic!("nothing is missing") };
        assert_eq!(missing, [ContentHash::of(b"two")]);
        pool.put(ContentHash::of(b"two"), b"two".to_vec(), now).unwrap();
        let Taken::All(files) = pool.take(&wanted, now).unwrap() else { panic!("something is missing") };
        assert_eq!(files.len(), 3);
        assert!(is_all(&pool.take(&wanted, now).unwrap()), "the first operation took it from the second");
    }

    #[test]
    fn content_is_forgotten_after_two_minutes() {
        let (pool, now) = (SourcePool::default(), Instant::now());
        pool.put(ContentHash::of(b"x"), b"x".to_vec(), now).unwrap();
        pool.sweep(now + TIME_TO_LIVE);
        assert!(pool.waiting.lock().unwrap().is_empty());
    }

    #[test]
    fn content_that_is_not_its_hash_is_refused() {
        let pool = SourcePool::default();
        let error = pool.put(ContentHash::of(b"x"), b"y".to_vec(), Instant::now()).unwrap_err();
        assert!(matches!(error, SourceError::Corrupt { .. }), "{error}");
    }

    #[test]
    fn a_wrong_size_names_the_path() {
        let (pool, now) = (SourcePool::default(), Instant::now());
        pool.put(ContentHash::of(b"x"), b"x".to_vec(), now).unwrap();
        let path = SourcePath::parse("a.yaml").unwrap();
        let wanted = Manifest::new([(path, Listed { sha256: ContentHash::of(b"x"), size: 9 })]).unwrap();
        let error = pool.take(&wanted, now).err().unwrap().to_string();
        assert!(error.contains("a.yaml") && error.contains('9'), "{error}");
    }

    #[test]
    fn the_pool_is_bounded() {
        let (pool, now) = (SourcePool { limit: 4, ..SourcePool::default() }, Instant::now());
        let put = |text: &[u8]| pool.put(ContentHash::of(text), text.to_vec(), now);
        put(b"one").unwrap();
        put(b"one").unwrap();
        assert!(matches!(put(b"two"), Err(SourceError::PoolFull { limit: 4 })));
        assert!(pool.put(ContentHash::of(b"two"), b"two".to_vec(), now + TIME_TO_LIVE).is_ok());
    }

    #[test]
    fn content_that_was_taken_makes_room() {
        let (pool, now) = (SourcePool { limit: 4, ..SourcePool::default() }, Instant::now());
        pool.put(ContentHash::of(b"one"), b"one".to_vec(), now).unwrap();
        assert!(is_all(&pool.take(&manifest(&[("a", b"one")]), now).unwrap()));
        pool.put(ContentHash::of(b"two"), b"two".to_vec(), now).unwrap();
        assert!(!is_all(&pool.take(&manifest(&[("a", b"one")]), now).unwrap()));
    }

    #[test]
    fn pieces_become_sources() {
        let pool = SourcePool::default();
        let mut assembly = Assembly::new(pool.clone());
        assembly.push(ContentHash::of(b"onetwo").as_str(), b"one").unwrap();
        assembly.push("", b"two").unwrap();
        assembly.push(ContentHash::of(b"").as_str(), b"").unwrap();
        assert_eq!(assembly.finish().unwrap(), 2);
        assert!(is_all(&pool.take(&manifest(&[("a", b"onetwo"), ("empty", b"")]), Instant::now()).unwrap()));
    }

    #[test]
    fn pieces_without_a_name_or_beyond_the_limit_are_refused() {
        let mut assembly = Assembly::new(SourcePool::default());
        assert!(matches!(assembly.push("", b"x"), Err(SourceError::Unnamed)));
        assembly.push(ContentHash::of(b"x").as_str(), &vec![0; 8 << 20]).unwrap();
        assert!(matches!(assembly.push("", b"x"), Err(SourceError::FileTooLarge { .. })));
    }
}
