//! Output folders: replaced as a whole once everything is there, so that an interrupted run leaves the old one untouched.

use anyhow::{Context, Result, bail};
use quorate::output::File;
use std::fs;
use std::path::{Path, PathBuf};

/// What stays in a scenario's folder when a run replaces that: it is made by another command, `quorate knee`.
const KEPT: &str = "knee";

/// An output folder that is reserved for this process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as this lives.
    _lock: Lock,
}

/// A lock beside a folder: the system frees it even if the process is killed.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    file: fs::File,
}

impl Lock {
    /// Takes the lock; `None`: somebody else has it.
    fn take(path: PathBuf) -> Result<Option<Self>> {
        loop {
            let file = fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| {
                    format!(
                        "can't write into the folder {}",
                        path.parent().unwrap_or(&path).display()
                    )
                })?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("can't lock {}", path.display()));
                }
            }
            // Whoever had it may have removed the file between the opening and the locking: then it locks nothing any more.
            if is_there_still(&file, &path) {
                return Ok(Some(Self { path, file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held: nobody else can have the lock of this file, and who opens it now notices.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

#[cfg(unix)]
fn is_there_still(file: &fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |of: std::io::Result<fs::Metadata>| of.ok().map(|of| (of.dev(), of.ino()));
    id(file.metadata()) == id(fs::metadata(path))
}

/// Elsewhere locks stay, so their files are what they were.
#[cfg(not(unix))]
fn is_there_still(_: &fs::File, _: &Path) -> bool {
    true
}

impl Folder {
    /// Reserves `parent/name` for the results of the scenario of this name. The parent is made if it isn't there.
    ///
    /// # Errors
    /// If it can't be written to, another process is writing it, or it holds something else.
    pub fn reserve(parent: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(parent).with_context(|| format!("can't make the folder {}", parent.display()))?;
        let Some(lock) = Lock::take(parent.join(format!(".{name}.lock")))? else {
            bail!(
                "another run is writing {}: wait for it, or write elsewhere with --out",
                parent.join(name).display()
            );
        };
        let folder = Self {
            path: parent.join(name),
            _lock: lock,
        };
        // A process that was killed between two renames has left the old folder aside.
        let old = folder.beside("old");
        if !folder.path.exists() && old.is_dir() {
            fs::rename(&old, &folder.path).with_context(|| format!("can't put {} back", folder.path.display()))?;
        }
        folder.keep(&old)?;
        if folder.path.exists() {
            folder.refuse_what_is_not_ours(name)?;
        }
        Ok(folder)
    }

    /// Reserves `parent/name/within` for what another command makes of the scenario of this name; the rest of the scenario's folder
    /// stays as it is.
    ///
    /// # Errors
    /// As [`Folder::reserve`].
    pub fn reserve_within(parent: &Path, name: &str, within: &str) -> Result<Self> {
        let whole = Self::reserve(parent, name)?;
        fs::create_dir_all(&whole.path).with_context(|| format!("can't make the folder {}", whole.path.display()))?;
        let folder = Self {
            path: whole.path.join(within),
            _lock: whole._lock,
        };
        if folder.path.exists() {
            folder.refuse_what_is_not_ours(name)?;
        }
        Ok(folder)
    }

    /// Takes over from a folder that was moved aside what isn't this command's to replace.
    fn keep(&self, old: &Path) -> Result<()> {
        let (from, to) = (old.join(KEPT), self.path.join(KEPT));
        if from.is_dir() && self.path.is_dir() && !to.exists() {
            fs::rename(&from, &to).with_context(|| format!("can't keep {}", to.display()))?;
        }
        Ok(())
    }

    /// Whether nothing is in the folder, or only what another command has made.
    fn holds_nothing_else(&self) -> bool {
        let is_ours = |entry: std::io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() == KEPT && entry.path().join("manifest.json").is_file())
        };
        fs::read_dir(&self.path).is_ok_and(|mut entries| entries.all(is_ours))
    }

    /// Refuses to replace what isn't an output folder of this scenario.
    fn refuse_what_is_not_ours(&self, scenario: &str) -> Result<()> {
        let path = self.path.display();
        let manifest = match fs::read(self.path.join("manifest.json")) {
            Ok(manifest) => manifest,
            Err(_) if self.holds_nothing_else() => return Ok(()),
            Err(_) => bail!(
                "{path} is there already and no output folder (it has no manifest.json): write elsewhere with --out"
            ),
        };
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
        match manifest["scenario"].as_str() {
            Some(of) if of == scenario => Ok(()),
            Some(of) => bail!("{path} holds the results of another scenario, '{of}': write elsewhere with --out"),
            None => {
                bail!("{path} is there already, and its manifest.json names no scenario: write elsewhere with --out")
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.{what}"))
    }

    /// Replaces the folder by these files: all of them, or none.
    ///
    /// # Errors
    /// If something can't be written; then the old folder is as it was.
    pub fn replace(&self, files: &[File]) -> Result<()> {
        let (fresh, old) = (self.beside("new"), self.beside("old"));
        let written = write_all(&fresh, files);
        if let Err(error) = written {
            // What was written so far is of no use to anybody; the first error is the one to tell.
            let _ = fs::remove_dir_all(&fresh);
            return Err(error);
        }
        remove(&old)?;
        if self.path.exists() {
            fs::rename(&self.path, &old).with_context(|| format!("can't move {} aside", self.path.display()))?;
        }
        if let Err(error) = fs::rename(&fresh, &self.path) {
            let _ = fs::rename(&old, &self.path);
            let _ = fs::remove_dir_all(&fresh);
            return Err(error).with_context(|| format!("can't put {} in place", self.path.display()));
        }
        self.keep(&old)?;
        remove(&old)
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn write_all(folder: &Path, files: &[File]) -> Result<()> {
    remove(folder)?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("can't make the folder {}", parent.display()))?;
        }
        fs::write(&path, &file.bytes).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

/// Writes a file whole or not at all: beside its place first.
///
/// # Errors
/// If it can't be written; then what stood there is as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.new"));
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(|| format!("can't write {}", path.display()))
}
