//! The layer between SQLite and its files: every change and every sync of a database and its WAL is told to a
//! [`Disk`], then done by the layer below.
//!
//! It is registered as the default one, so the store opens its files as it always does and knows nothing of it. Files
//! outside the watched folders pass through. Syncs are told and not done: here only the disk of the test remembers.

// SQLite's file layer is a table of C functions; there is no other way in.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use rusqlite::ffi::{
    self, SQLITE_FCNTL_PRAGMA, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_io_methods,
    sqlite3_vfs,
};

use crate::disk::Disk;

/// A folder whose files are on a disk of the test.
struct Watched {
    folder: PathBuf,
    disk: Disk,
    is_careless: bool,
}

static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

/// Lets the files of a folder be on this disk. A careless one runs with `synchronous=NORMAL`, whatever the store asks
/// for.
pub(crate) fn watch(folder: &Path, disk: &Disk, is_careless: bool) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let watched = Watched { folder: folder.to_owned(), disk: disk.clone(), is_careless };
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
}

/// Forgets a folder.
pub(crate) fn forget(folder: &Path) {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|watched| watched.folder != folder);
}

/// A file of a watched folder.
struct Told {
    disk: Disk,
    name: String,
    is_careless: bool,
}

/// What SQLite sees as a file: our part, then the memory of the layer below.
#[repr(C)]
struct Layered {
    base: sqlite3_file,
    /// From `Box::into_raw`; null for a file that nobody watches.
    told: *mut Told,
}

fn register() {
    // SAFETY: the default layer lives as long as the process, and so does its copy, which is leaked on purpose.
    unsafe {
        let mut layer = *below_layer();
        layer.szOsFile += c_int::try_from(size_of::<Layered>()).unwrap_or(c_int::MAX);
        layer.zName = c"ktl-faults".as_ptr();
        layer.pNext = std::ptr::null_mut();
        layer.xOpen = Some(open);
        layer.xDelete = Some(delete);
        ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 1);
    }
}

fn below_layer() -> *mut sqlite3_vfs {
    // SAFETY: a name of a layer that SQLite brings along on every Unix.
    unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) }
}

fn told(name: *const c_char) -> Option<Told> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names that end with a zero.
    let path = PathBuf::from(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    let all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let watched = all.iter().find(|watched| path.parent() == Some(&watched.folder))?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(Told { disk: watched.disk.clone(), name, is_careless: watched.is_careless })
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `file` has room for our part and the part below, as `szOsFile` says.
    unsafe {
        let layered = file.cast::<Layered>();
        let is_data = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL) != 0;
        let told =
            told(name).filter(|_| is_data).map_or(std::ptr::null_mut(), |told| Box::into_raw(Box::new(told)));
        layered.write(Layered { base: sqlite3_file { pMethods: &raw const METHODS }, told });
        let vfs = below_layer();
        let answer = (*vfs).xOpen.map_or(ffi::SQLITE_ERROR, |open| open(vfs, name, below(file), flags, out));
        if answer != ffi::SQLITE_OK {
            (*file).pMethods = std::ptr::null();
            drop_told(file);
        }
        answer
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    if let Some(told) = told(name) {
        told.disk.delete(&told.name);
    }
    let vfs = below_layer();
    // SAFETY: the arguments are SQLite's own.
    unsafe { (*vfs).xDelete.map_or(ffi::SQLITE_ERROR, |delete| delete(vfs, name, sync)) }
}

/// The part of the layer below, which follows ours.
unsafe fn below(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `open` was given memory for both.
    unsafe { file.cast::<u8>().add(size_of::<Layered>()).cast() }
}

unsafe fn told_of<'file>(file: *mut sqlite3_file) -> Option<&'file Told> {
    // SAFETY: `open` wrote a pointer from a box, or null; `close` takes it back.
    unsafe { (*file.cast::<Layered>()).told.as_ref() }
}

unsafe fn drop_told(file: *mut sqlite3_file) {
    // SAFETY: as in `told_of`; the pointer is replaced, so it is dropped once.
    unsafe {
        let told = std::mem::replace(&mut (*file.cast::<Layered>()).told, std::ptr::null_mut());
        if !told.is_null() {
            drop(Box::from_raw(told));
        }
    }
}

/// A method that the layer below does alone.
macro_rules! pass {
    ($($name:ident => $method:ident ( $($argument:ident: $type:ty),* );)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: the arguments are SQLite's own, and the part below was opened.
            unsafe {
                let file = below(file);
                (*(*file).pMethods).$method.map_or(ffi::SQLITE_ERROR, |method| method(file $(, $argument)*))
            }
        }
    )*};
}

pass! {
    read => xRead(to: *mut c_void, count: c_int, at: i64);
    write_below => xWrite(from: *const c_void, count: c_int, at: i64);
    truncate_below => xTruncate(to: i64);
    file_size => xFileSize(size: *mut i64);
    lock => xLock(level: c_int);
    unlock => xUnlock(level: c_int);
    check_reserved_lock => xCheckReservedLock(answer: *mut c_int);
    control_below => xFileControl(what: c_int, argument: *mut c_void);
    sector_size => xSectorSize();
    device_characteristics => xDeviceCharacteristics();
    shm_map => xShmMap(page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void);
    shm_lock => xShmLock(offset: c_int, count: c_int, flags: c_int);
    shm_unmap => xShmUnmap(delete: c_int);
    close_below => xClose();
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `pass`.
    unsafe {
        let file = below(file);
        if let Some(barrier) = (*(*file).pMethods).xShmBarrier {
            barrier(file);
        }
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once.
    unsafe {
        drop_told(file);
        close_below(file)
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: SQLite gives `count` bytes at `from`.
    unsafe {
        if let (Some(told), Ok(length), Ok(offset)) =
            (told_of(file), usize::try_from(count), usize::try_from(at))
        {
            told.disk.write(&told.name, offset, std::slice::from_raw_parts(from.cast(), length));
        }
        write_below(file, from, count, at)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, to: i64) -> c_int {
    // SAFETY: the arguments are SQLite's own.
    unsafe {
        if let (Some(told), Ok(to)) = (told_of(file), usize::try_from(to)) {
            told.disk.truncate(&told.name, to);
        }
        truncate_below(file, to)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    if let Some(told) = unsafe { told_of(file) } {
        told.disk.sync(&told.name);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(file: *mut sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: for a pragma, `argument` is an array of an answer, the name and the value, of which SQLite goes on with
    // the value: two bytes are written into its own memory, and no value is shorter than "FULL".
    unsafe {
        if what == SQLITE_FCNTL_PRAGMA && told_of(file).is_some_and(|told| told.is_careless) {
            let texts = argument.cast::<*mut c_char>();
            let (name, value) = (*texts.add(1), *texts.add(2));
            let is = |text: *mut c_char, word: &CStr| {
                !text.is_null() && CStr::from_ptr(text).to_bytes().eq_ignore_ascii_case(word.to_bytes())
            };
            if is(name, c"synchronous") && is(value, c"full") {
                value.write(c_char::try_from(b'1').unwrap_or_default());
                value.add(1).write(0);
            }
        }
        control_below(file, what, argument)
    }
}

/// Version 2: with shared memory, without memory-mapped reads, which would pass by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
