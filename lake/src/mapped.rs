//! Memory that the kernel may write out: large pieces are files of a folder, mapped and nameless from the start, so
//! that nothing stays of them when the process ends, however it ends.
//!
//! Where the folder cannot take one later (it is full), that piece is ordinary memory.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use allocator_api2::alloc::{AllocError, Allocator, Global, Layout};

use crate::answer::{Result, fatal};

/// What is smaller stays in memory.
const LARGE: usize = 1 << 20;

#[derive(Clone, Default)]
pub struct Mapped(Option<Arc<Folder>>);

struct Folder {
    path: CString,
    /// Where pieces are that are files, and how large each is.
    pieces: Mutex<HashMap<usize, usize>>,
}

impl Mapped {
    /// Pieces are files of this folder, which is tried; None: all is ordinary memory.
    pub fn new(folder: Option<&Path>) -> Result<Mapped> {
        let Some(folder) = folder else { return Ok(Mapped(None)) };
        let path = CString::new(folder.as_os_str().as_bytes()).map_err(|e| fatal!("index_folder: {e}"))?;
        let made = Mapped(Some(Arc::new(Folder { path, pieces: Mutex::default() })));
        let tried = made.0.as_ref().and_then(|f| f.map(LARGE)).ok_or_else(|| {
            let why = std::io::Error::last_os_error();
            fatal!("index_folder: {} takes no files of this process (O_TMPFILE): {why}", folder.display())
        })?;
        // SAFETY: it was mapped above, with this size.
        unsafe { made.deallocate(tried, Layout::new::<u8>()) };
        Ok(made)
    }

    /// Bytes that are in files.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |f| f.pieces().values().sum())
    }
}

impl Folder {
    fn pieces(&self) -> std::sync::MutexGuard<'_, HashMap<usize, usize>> {
        self.pieces.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn map(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the path is a string that ends in NUL; the descriptor is closed below, the mapping keeps the file.
        let file = unsafe { libc::open(self.path.as_ptr(), libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC, 0o600) };
        if file < 0 {
            return None;
        }
        // SAFETY: the file is this process's own. Its space is taken at once: a full disk is no SIGBUS later.
        let at = unsafe {
            let at = match libc::posix_fallocate(file, 0, size as libc::off_t) {
                0 => libc::mmap(
                    std::ptr::null_mut(),
                    size,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED,
                    file,
                    0,
                ),
                why => {
                    *libc::__errno_location() = why;
                    libc::MAP_FAILED
                }
            };
            libc::close(file);
            at
        };
        if at == libc::MAP_FAILED {
            return None;
        }
        self.pieces().insert(at as usize, size);
        NonNull::new(at.cast())
    }
}

// SAFETY: a piece is given back where it came from, which is known by its address; a mapping is aligned to a page.
unsafe impl Allocator for Mapped {
    fn allocate(&self, layout: Layout) -> std::result::Result<NonNull<[u8]>, AllocError> {
        if let Some(folder) = self.0.as_ref().filter(|_| layout.size() >= LARGE)
            && let Some(at) = folder.map(layout.size())
        {
            return Ok(NonNull::slice_from_raw_parts(at, layout.size()));
        }
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, at: NonNull<u8>, layout: Layout) {
        let mapped = self.0.as_ref().and_then(|f| f.pieces().remove(&(at.as_ptr() as usize)));
        // SAFETY: the caller's promise; what was mapped has this size.
        unsafe {
            match mapped {
                Some(size) => {
                    libc::munmap(at.as_ptr().cast(), size);
                }
                None => Global.deallocate(at, layout),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_files_where_the_folder_takes_them() {
        let fill = |m: Mapped| {
            let mut map: hashbrown::HashMap<u64, u64, std::hash::RandomState, Mapped> =
                hashbrown::HashMap::with_hasher_in(std::hash::RandomState::new(), m.clone());
            (0..200_000).for_each(|n| {
                map.insert(n, n * 2);
            });
            assert!((0..200_000).all(|n| map[&n] == n * 2));
            let bytes = m.bytes();
            drop(map);
            assert_eq!(m.bytes(), 0);
            bytes
        };
        assert!(fill(Mapped::new(Some(&std::env::temp_dir())).unwrap()) > LARGE);
        assert_eq!(fill(Mapped::default()), 0);
        let none = Mapped::new(Some(Path::new("/nowhere/at/all")));
        assert!(none.err().unwrap().text().contains("/nowhere/at/all"));
    }
}
