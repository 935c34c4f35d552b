//! Small texts for the keys of the backups, such as what is handed out to a member.

use super::archive;
use super::error::BackupError;
use super::key::Keys;
use age::Encryptor;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The text as an age file for the recipients of `keys`; `path` is for messages.
///
/// # Errors
/// [`BackupError::BadKey`] when the keys cannot be used together.
pub fn seal(keys: &Keys, path: &Path, text: &[u8]) -> Result<Vec<u8>, BackupError> {
    let encryptor = Encryptor::with_recipients(keys.for_writing()).map_err(|_| BackupError::BadKey {
        path: path.to_owned(),
        reason: "its keys cannot be used together",
    })?;
    let at = BackupError::at(path);
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut stream| {
        stream.write_all(text)?;
        stream.finish()
    });
    written.map_err(at)?;
    Ok(sealed)
}

/// What [`seal`] put into the file, when it is whole.
///
/// # Errors
/// [`BackupError::WrongKey`], [`BackupError::BadKey`] for public keys alone, [`BackupError::Damaged`] when it was
/// changed or cut.
pub fn unseal(path: &Path, keys: &Keys) -> Result<Vec<u8>, BackupError> {
    let mut text = Vec::new();
    let mut stream = archive::open(path, keys)?;
    stream
        .read_to_end(&mut text)
        .map_err(|error| archive::damage(path, &error))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_sealed_text_opens_with_its_key_alone_and_only_when_nothing_of_it_changed() {
        let folder = std::env::temp_dir().join(format!("jarvis-sealed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let keys = ["one", "two"].map(|name| {
            let file = folder.join(name);
            std::fs::write(&file, generate(chrono::DateTime::UNIX_EPOCH).0.expose_secret()).unwrap();
            Keys::read(&file).unwrap()
        });
        let path = folder.join("text.age");
        let sealed = seal(&keys[0], &path, b"knee").unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("knee"));
        std::fs::write(&path, &sealed).unwrap();
        assert_eq!(unseal(&path, &keys[0]).unwrap(), b"knee");
        assert!(matches!(
            unseal(&path, &keys[1]),
            Err(BackupError::WrongKey { .. })
        ));
        std::fs::write(&path, &sealed[..sealed.len() - 1]).unwrap();
        assert!(matches!(
            unseal(&path, &keys[0]),
            Err(BackupError::Damaged { .. })
        ));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
