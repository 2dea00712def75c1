//! Where a table's files are: a local folder, or a prefix of an S3 bucket (`s3.rs`).
//!
//! Names are relative to the table and have "/" between their parts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::answer::{Fail, Result, fatal};

/// Files that are read at once, at most: of each CHUNK_BYTES are in memory (`data`), which `check` counts.
const READERS: usize = 4;

pub struct Entry {
    pub name: String,
    pub size: u64,
    pub modified_ms: i64,
}

/// The answer of `put_new`.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    Done,
    Exists,
}

pub trait Store: Send + Sync {
    /// None when there is no such file.
    fn get(&self, name: &str) -> Result<Option<Bytes>>;
    /// A file to be read in pieces.
    fn open(&self, name: &str) -> Result<Input>;
    /// How many files may be read at once: no more than one where it is whole in memory as long.
    fn at_once(&self) -> usize {
        1
    }
    /// Writes a file whose name nobody else uses; it is durable when `settle` has returned.
    fn put(&self, name: &str, bytes: Bytes) -> Result<()>;
    /// A file that is put piece by piece, and ended by `end`. None: files are put as a whole here.
    fn begin(&self, _name: &str) -> Result<Option<File>> {
        Ok(None)
    }
    fn end(&self, _name: &str, _file: &File) -> Result<()> {
        Ok(())
    }
    /// Writes a file whole, in place of the one that may be there.
    fn replace(&self, name: &str, bytes: Bytes) -> Result<()>;
    /// Writes a file whole unless there is one: the compare-and-swap of a commit. It is sent once; an error is
    /// Retry where it certainly was not written, otherwise Unknown.
    fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put>;
    /// What was put survives a loss of power from here on.
    fn settle(&self) -> Result<()>;
    /// Files below a folder ("" for all), with those of folders in it; names begin with the folder's.
    fn list(&self, under: &str) -> Result<Vec<Entry>>;
    /// No such file is no error.
    fn delete(&self, name: &str) -> Result<()>;
    /// For texts.
    fn place(&self) -> &str;
}

/// A file that a Parquet reader reads.
pub enum Input {
    Local(File, u64),
    Whole(Bytes),
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Input::Local(_, n) => *n,
            Input::Whole(b) => b.len() as u64,
        }
    }
}

struct Part {
    file: File,
    at: u64,
}

impl Read for Part {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let outage = |e: io::Error| ParquetError::External(Box::new(e));
        Ok(match self {
            Input::Local(f, _) => {
                Box::new(io::BufReader::new(Part { file: f.try_clone().map_err(outage)?, at: start }))
            }
            Input::Whole(b) => Box::new(io::Cursor::new(b.slice((start as usize).min(b.len())..))),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Input::Local(f, _) => {
                let mut out = vec![0; length];
                f.read_exact_at(&mut out, start).map_err(|e| ParquetError::External(Box::new(e)))?;
                Ok(out.into())
            }
            Input::Whole(b) => {
                let (start, end) = (start as usize, (start as usize).saturating_add(length));
                if end > b.len() {
                    return Err(ParquetError::EOF(format!("{end} bytes are asked of a file that has {}", b.len())));
                }
                Ok(b.slice(start..end))
            }
        }
    }
}

/// A new file of a store: in memory while it is small, or where the store takes files as a whole.
pub struct Output<'a> {
    store: &'a dyn Store,
    name: String,
    memory: Vec<u8>,
    file: Option<File>,
    bytes: u64,
}

/// What a new file has in memory before it is written piece by piece.
const OUTPUT_BYTES: usize = 8 << 20;

impl<'a> Output<'a> {
    pub fn new(store: &'a dyn Store, name: String) -> Output<'a> {
        Output { store, name, memory: vec![], file: None, bytes: 0 }
    }

    /// Puts what was written into the store; answers the file's name and bytes.
    pub fn end(&mut self) -> Result<(String, u64)> {
        match &self.file {
            Some(file) => self.store.end(&self.name, file)?,
            None => self.store.put(&self.name, std::mem::take(&mut self.memory).into())?,
        }
        self.file = None;
        Ok((std::mem::take(&mut self.name), self.bytes))
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > OUTPUT_BYTES {
            self.file = self.store.begin(&self.name).map_err(io::Error::other)?;
        }
        match &mut self.file {
            Some(file) => {
                let held = std::mem::take(&mut self.memory);
                let about = |e: io::Error| io::Error::new(e.kind(), format!("cannot write {}: {e}", self.name));
                file.write_all(&held).and_then(|()| file.write_all(bytes)).map_err(about)?;
            }
            None => self.memory.extend_from_slice(bytes),
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output<'_> {
    /// A file that was not ended is of no use to anybody; if it stays, the vacuum takes it.
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = self.store.delete(&self.name);
        }
    }
}

/// A folder of this machine. Order on disk: data first, then the entry of the log, then its folder.
pub struct Local {
    root: PathBuf,
    place: String,
    /// Folders in which names were made since the last `settle`.
    dirty: std::sync::Mutex<Vec<PathBuf>>,
}

fn outage(what: &str, path: &Path, e: io::Error) -> Fail {
    let text = format!("{what} {}: {e}", path.display());
    match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory | io::ErrorKind::ReadOnlyFilesystem => {
            Fail::Fatal(format!("{text}; give the user that ods-sink runs as the right to read and write there"))
        }
        _ => Fail::Retry(text),
    }
}

impl Local {
    pub fn new(root: PathBuf) -> Local {
        Local { place: root.display().to_string(), root, dirty: Default::default() }
    }

    /// Where the file of that name is. What a log names may be anything.
    fn at(&self, name: &str) -> Result<PathBuf> {
        if name.contains('\0') || !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(fatal!(
                "the table in {} names the file {name}, which is outside of it: this engine does not read it",
                self.place
            ));
        }
        Ok(self.root.join(name))
    }

    fn make_folder(&self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent() {
            self.make_folder(above)?;
        }
        match fs::create_dir(folder) {
            Ok(()) => {
                if let Some(above) = folder.parent() {
                    self.dirty.lock().unwrap_or_else(|e| e.into_inner()).push(above.to_path_buf());
                }
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(outage("cannot make the folder", folder, e)),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(path)?;
        self.made(path, file.write_all(bytes).and_then(|()| file.sync_all()))
    }

    fn create(&self, path: &Path) -> Result<File> {
        self.make_folder(path.parent().unwrap_or(&self.root))?;
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| outage("cannot write", path, e))
    }

    /// A new file is on disk, or is taken away again.
    fn made(&self, path: &Path, done: io::Result<()>) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        if let Err(e) = done {
            let _ = fs::remove_file(path);
            return Err(outage("cannot write", path, e));
        }
        let mut dirty = self.dirty.lock().unwrap_or_else(|e| e.into_inner());
        if !dirty.iter().any(|d| d == folder) {
            dirty.push(folder.to_path_buf());
        }
        Ok(())
    }

    fn spare(&self, path: &Path) -> PathBuf {
        let folder = path.parent().unwrap_or(&self.root);
        folder.join(format!(".{}.tmp", uuid::Uuid::new_v4()))
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| outage("cannot flush the folder", folder, e))
}

/// Renames unless the new name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let text = |p: &Path| std::ffi::CString::new(p.as_os_str().as_bytes()).map_err(io::Error::other);
    let (a, b) = (text(from)?, text(to)?);
    // SAFETY: both are strings that end in NUL and live until the call returns.
    let r = unsafe { libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_NOREPLACE) };
    if r == 0 {
        return Ok(());
    }
    let e = io::Error::last_os_error();
    if matches!(e.raw_os_error(), Some(libc::EINVAL) | Some(libc::ENOSYS)) {
        // A file system without it: a hard link is as atomic.
        fs::hard_link(from, to)?;
        let _ = fs::remove_file(from);
        return Ok(());
    }
    Err(e)
}

impl Store for Local {
    fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.at(name)?;
        match fs::read(&path) {
            Ok(b) => Ok(Some(b.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(outage("cannot read", &path, e)),
        }
    }

    fn at_once(&self) -> usize {
        static FOUND: OnceLock<usize> = OnceLock::new();
        *FOUND.get_or_init(|| thread::available_parallelism().map_or(1, |n| n.get()).min(READERS))
    }

    fn open(&self, name: &str) -> Result<Input> {
        let path = self.at(name)?;
        let opened = File::open(&path).and_then(|f| f.metadata().map(|m| (f, m.len())));
        match opened {
            Ok((f, n)) => Ok(Input::Local(f, n)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(missing(&path.display().to_string())),
            Err(e) => Err(outage("cannot read", &path, e)),
        }
    }

    fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.write(&self.at(name)?, &bytes)
    }

    fn begin(&self, name: &str) -> Result<Option<File>> {
        self.create(&self.at(name)?).map(Some)
    }

    fn end(&self, name: &str, file: &File) -> Result<()> {
        self.made(&self.at(name)?, file.sync_all())
    }

    fn replace(&self, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.at(name)?;
        let spare = self.spare(&path);
        self.write(&spare, &bytes)?;
        fs::rename(&spare, &path).map_err(|e| outage("cannot write", &path, e))?;
        sync_folder(path.parent().unwrap_or(&self.root))
    }

    fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put> {
        let path = self.at(name)?;
        let spare = self.spare(&path);
        self.write(&spare, &bytes)?;
        match rename_new(&spare, &path) {
            Ok(()) => {
                let folder = path.parent().unwrap_or(&self.root);
                sync_folder(folder).map_err(|e| Fail::Unknown(e.text().to_string()))?;
                Ok(Put::Done)
            }
            Err(e) => {
                let _ = fs::remove_file(&spare);
                match e.kind() {
                    io::ErrorKind::AlreadyExists => Ok(Put::Exists),
                    _ => Err(outage("cannot write", &path, e)),
                }
            }
        }
    }

    fn settle(&self) -> Result<()> {
        let folders = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(|e| e.into_inner()));
        for (i, folder) in folders.iter().enumerate() {
            if let Err(e) = sync_folder(folder) {
                self.dirty.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(&folders[i..]);
                return Err(e);
            }
        }
        Ok(())
    }

    fn list(&self, under: &str) -> Result<Vec<Entry>> {
        let mut out = vec![];
        let mut folders = vec![self.at(under)?];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(e) => e,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(outage("cannot list", &folder, e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| outage("cannot list", &folder, e))?;
                let meta = match entry.metadata() {
                    Ok(m) => m,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(outage("cannot list", &folder, e)),
                };
                if meta.is_dir() {
                    folders.push(entry.path());
                } else if let Ok(name) = entry.path().strip_prefix(&self.root) {
                    let modified = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                    out.push(Entry {
                        name: name.to_string_lossy().into_owned(),
                        size: meta.len(),
                        modified_ms: modified.map_or(0, |d| d.as_millis() as i64),
                    });
                }
            }
        }
        Ok(out)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let path = self.at(name)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(outage("cannot delete", &path, e)),
        }
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The log names a file that is not there.
pub fn missing(path: &str) -> Fail {
    Fail::Gone(format!(
        "{path} is missing although the table names it: somebody deleted it, or a vacuum with too short a retention; \
         restore the file, or drop the table and load it anew"
    ))
}
