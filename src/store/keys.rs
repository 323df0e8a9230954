//! The two keys of the audit log: made once, kept beside the database and never in it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::error::StoreError;

const CHAIN: &str = "audit-chain.key";
const CHECKPOINT: &str = "audit-checkpoint.key";

/// The chain's HMAC key and the checkpoints' signing key.
pub struct Keys {
    chain: Zeroizing<[u8; 32]>,
    signing: SigningKey,
}

impl Keys {
    /// The keys in `directory`. With `create`, made there if there are none: only for a new
    /// database, since an old one can go on with its own keys alone.
    pub fn open(directory: &Path, create: bool) -> Result<Self, StoreError> {
        let chain = key_file(&directory.join(CHAIN), create)?;
        let seed = key_file(&directory.join(CHECKPOINT), create)?;
        let signing = SigningKey::from_bytes(&seed);
        let public = directory.join("audit-checkpoint.pub");
        if create && !public.exists() {
            // For checking checkpoints elsewhere; a directory that cannot be written is not an error here.
            let _ = std::fs::write(&public, format!("{}\n", hex::encode(signing.verifying_key().to_bytes())));
        }
        Ok(Self { chain, signing })
    }

    /// Keys that live as long as the process.
    pub fn ephemeral() -> Result<Self, StoreError> {
        let seed = random()?;
        Ok(Self { chain: random()?, signing: SigningKey::from_bytes(&seed) })
    }

    pub(super) fn chain(&self) -> &[u8] {
        &*self.chain
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The public half, with which anyone can check the checkpoints.
    pub fn verifying(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }
}

pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)
        .map_err(|e| StoreError::Other(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}

pub(super) fn key_file(path: &Path, create: bool) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let error = |reason: String| StoreError::Key { path: path.display().to_string(), reason };
    match File::open(path) {
        Ok(file) => read_key(file, path),
        Err(e) if e.kind() == ErrorKind::NotFound && create => {
            let key = random()?;
            let temporary = path.with_extension(format!("{}.new", std::process::id()));
            let written = write_key(&temporary, &key);
            // A link, not a rename: if another process was first, its key stays.
            let linked = written.and_then(|()| std::fs::hard_link(&temporary, path));
            let _ = std::fs::remove_file(&temporary);
            match linked {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => {
                    return Err(match StoreError::of_file(path, &e) {
                        e if e.passes() => e,
                        _ => error(format!("cannot be made: {e}")),
                    });
                }
            }
            read_key(File::open(path).map_err(|e| error(e.to_string()))?, path)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            Err(error("is missing, and the audit log was written with it".to_owned()))
        }
        Err(e) => Err(error(e.to_string())),
    }
}

fn write_key(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(Zeroizing::new(hex::encode(key)).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn read_key(mut file: File, path: &Path) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let error =
        |reason: &str| StoreError::Key { path: path.display().to_string(), reason: reason.to_owned() };
    let mode = file.metadata().map_err(|e| error(&e.to_string()))?.mode();
    if mode & 0o077 != 0 {
        return Err(error("can be read by others: chmod 600 it, and consider the audit log's key as known"));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|e| error(&e.to_string()))?;
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| error("does not hold 64 hexadecimal digits"))?;
    Ok(key)
}
