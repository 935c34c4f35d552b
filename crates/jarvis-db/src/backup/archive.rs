//! The file: an age-encrypted tar archive, written and read in one pass and in bounded memory.
//!
//! Its members, in order: `manifest.json`, `signing-key.pem` (when there is one), then the output of `pg_dump` in
//! pieces `database.dump/00000001`, … A piece is at most [`PIECE`] long, because tar wants to know a member's length
//! before its content. Without JARVIS: `age -d -i KEY FILE | tar -xO --wildcards 'database.dump/*' | pg_restore …`.

use super::error::BackupError;
use super::key::Keys;
use super::manifest::Manifest;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

/// The longest piece of the dump, and what is held in memory of it.
const PIECE: usize = 4 << 20;
/// A manifest that is longer than this is none of ours.
const MAX_MANIFEST: u64 = 256 << 20;

const MANIFEST: &str = "manifest.json";
const SIGNING_KEY: &str = "signing-key.pem";
const DUMP: &str = "database.dump/";

/// Counts and hashes what is written.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What was written: its length in bytes and its SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Writes an archive to a file.
pub(super) struct ArchiveWriter {
    path: PathBuf,
    tar: Builder<StreamWriter<Hashing<BufWriter<File>>>>,
    pieces: u32,
}

impl ArchiveWriter {
    /// Begins an archive for the recipients of `keys`; `path` is for messages.
    pub(super) fn begin(file: File, path: &Path, keys: &Keys) -> Result<Self, BackupError> {
        let hashing = Hashing {
            inner: BufWriter::with_capacity(1 << 20, file),
            hash: Sha256::new(),
            length: 0,
        };
        let encryptor = Encryptor::with_recipients(keys.for_writing()).map_err(|_| BackupError::BadKey {
            path: path.to_owned(),
            reason: "its keys cannot be used together",
        })?;
        let stream = encryptor.wrap_output(hashing).map_err(BackupError::at(path))?;
        Ok(Self {
            path: path.to_owned(),
            tar: Builder::new(stream),
            pieces: 0,
        })
    }

    pub(super) fn manifest(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec(manifest).expect("a manifest is plain data");
        self.member(MANIFEST, &text)
    }

    pub(super) fn signing_key(&mut self, pem: &SecretString) -> Result<(), BackupError> {
        self.member(SIGNING_KEY, pem.expose_secret().as_bytes())
    }

    /// Copies `dump` to its end; `stopped` is asked between pieces.
    pub(super) fn dump(
        &mut self,
        dump: &mut dyn Read,
        stopped: &dyn Fn() -> bool,
    ) -> Result<u64, BackupError> {
        let mut buffer = Vec::with_capacity(PIECE);
        let mut total = 0;
        loop {
            if stopped() {
                return Err(BackupError::Interrupted);
            }
            buffer.clear();
            let read = dump
                .take(PIECE as u64)
                .read_to_end(&mut buffer)
                .map_err(BackupError::at(Path::new("pg_dump")))?;
            if read == 0 {
                return Ok(total);
            }
            total += read as u64;
            self.pieces += 1;
            let name = format!("{DUMP}{:08}", self.pieces);
            self.member(&name, &buffer)?;
        }
    }

    /// Ends the archive: everything is on the disk when this returns.
    pub(super) fn finish(self) -> Result<Written, BackupError> {
        let at = BackupError::at(&self.path);
        let stream = self.tar.into_inner().map_err(&at)?;
        let hashing = stream.finish().map_err(&at)?;
        let file = hashing
            .inner
            .into_inner()
            .map_err(|error| at(error.into_error()))?;
        file.sync_all().map_err(&at)?;
        Ok(Written {
            bytes: hashing.length,
            sha256: hex(&hashing.hash.finalize()),
        })
    }

    fn member(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        self.tar
            .append_data(&mut header, name, content)
            .map_err(BackupError::at(&self.path))
    }
}

/// What an archive holds, in its order.
pub(super) trait Visitor {
    /// The manifest; false ends the reading here.
    fn manifest(&mut self, manifest: Manifest) -> Result<bool, BackupError>;
    /// The key that signs access tokens.
    fn signing_key(&mut self, pem: SecretString) -> Result<(), BackupError>;
    /// A piece of the dump.
    fn dump(&mut self, piece: &[u8]) -> Result<(), BackupError>;
}

/// Reads an archive, from its beginning to its end, or until the visitor has enough.
///
/// # Errors
/// [`BackupError::NotABackup`], [`BackupError::WrongKey`], [`BackupError::Damaged`], [`BackupError::Newer`], and
/// those of the visitor.
pub(super) fn read(path: &Path, keys: &Keys, visitor: &mut dyn Visitor) -> Result<(), BackupError> {
    let mut archive = Archive::new(open(path, keys)?);
    let damaged = |error: &io::Error| damage(path, error);
    let mut first = true;
    for entry in archive.entries().map_err(|e| damaged(&e))? {
        let mut entry = entry.map_err(|e| damaged(&e))?;
        let name = entry
            .path()
            .map_err(|e| damaged(&e))?
            .to_string_lossy()
            .into_owned();
        if std::mem::take(&mut first) != (name == MANIFEST) {
            return Err(BackupError::NotABackup {
                path: path.to_owned(),
            });
        }
        let limit = if name == MANIFEST {
            MAX_MANIFEST
        } else {
            PIECE as u64
        };
        if entry.size() > limit {
            return Err(BackupError::NotABackup {
                path: path.to_owned(),
            });
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| damaged(&e))?;
        if name == MANIFEST {
            if !visitor.manifest(Manifest::parse(path, &content)?)? {
                return Ok(());
            }
        } else if name == SIGNING_KEY {
            let pem = String::from_utf8(content).map_err(|_| BackupError::NotABackup {
                path: path.to_owned(),
            })?;
            visitor.signing_key(pem.into())?;
        } else if name.starts_with(DUMP) {
            visitor.dump(&content)?;
        }
    }
    if first {
        return Err(BackupError::NotABackup {
            path: path.to_owned(),
        });
    }
    // Whether the end is really the end is known by reading it.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|e| damaged(&e))?;
    Ok(())
}

pub(super) fn open(path: &Path, keys: &Keys) -> Result<StreamReader<BufReader<File>>, BackupError> {
    let file = File::open(path).map_err(BackupError::at(path))?;
    let not_a_backup = || BackupError::NotABackup {
        path: path.to_owned(),
    };
    let sort = |error| match error {
        DecryptError::NoMatchingKeys => BackupError::WrongKey {
            path: path.to_owned(),
        },
        DecryptError::InvalidMac | DecryptError::DecryptionFailed => BackupError::Damaged {
            path: path.to_owned(),
            reason: "its head was changed",
        },
        DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => not_a_backup(),
        DecryptError::Io(error) => BackupError::at(path)(error),
        _ => not_a_backup(),
    };
    let decryptor = Decryptor::new_buffered(BufReader::with_capacity(1 << 20, file)).map_err(sort)?;
    decryptor.decrypt(keys.for_reading()?).map_err(sort)
}

/// age authenticates every 64 KiB and marks the last piece, so a changed byte and a cut end are both noticed.
pub(super) fn damage(path: &Path, error: &io::Error) -> BackupError {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off",
        io::ErrorKind::InvalidData => "it was changed since it was written",
        _ => "it cannot be read to its end",
    };
    BackupError::Damaged {
        path: path.to_owned(),
        reason,
    }
}

/// The SHA-256 of a file, in hexadecimal, and its length.
pub(super) fn fingerprint(path: &Path) -> Result<Written, BackupError> {
    let at = BackupError::at(path);
    let mut file = File::open(path).map_err(&at)?;
    let mut hashing = Hashing {
        inner: io::sink(),
        hash: Sha256::new(),
        length: 0,
    };
    let bytes = io::copy(&mut file, &mut hashing).map_err(&at)?;
    Ok(Written {
        bytes,
        sha256: hex(&hashing.hash.finalize()),
    })
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
