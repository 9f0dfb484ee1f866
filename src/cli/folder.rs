//! Output folders: replaced as a whole once everything is there, so that an interrupted run leaves the old one untouched.

use anyhow::{Context, Result, bail};
use quorate::output::File;
use std::fs;
use std::path::{Path, PathBuf};

/// An output folder that is reserved for this process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as this lives: the system frees it even if the process is killed.
    _lock: fs::File,
}

impl Folder {
    /// Reserves `parent/name`. The parent is made if it isn't there.
    ///
    /// # Errors
    /// If it can't be written to, or another process is writing it.
    pub fn reserve(parent: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(parent).with_context(|| format!("can't make the folder {}", parent.display()))?;
        let lock_path = parent.join(format!(".{name}.lock"));
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("can't write into the folder {}", parent.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                bail!(
                    "another run is writing {}: wait for it, or write elsewhere with --out",
                    parent.join(name).display()
                )
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", lock_path.display()));
            }
        }
        let folder = Self {
            path: parent.join(name),
            _lock: lock,
        };
        // A process that was killed between two renames has left the old folder aside.
        let old = folder.beside("old");
        if !folder.path.exists() && old.is_dir() {
            fs::rename(&old, &folder.path).with_context(|| format!("can't put {} back", folder.path.display()))?;
        }
        // What isn't an output folder is never replaced by one.
        let is_ours = || folder.path.join("manifest.json").is_file();
        let is_empty = || fs::read_dir(&folder.path).is_ok_and(|mut entries| entries.next().is_none());
        if folder.path.exists() && !is_ours() && !is_empty() {
            bail!(
                "{} is there already and no output folder (it has no manifest.json): write elsewhere with --out",
                folder.path.display()
            );
        }
        Ok(folder)
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
