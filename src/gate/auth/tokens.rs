//! The tokens: made, kept as hashes, found again, revoked.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base::{Actor, ActorKind, Code, Error, Result, Role};

/// A token as it is kept and listed: not the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// 16 hexadecimal digits; also the first part of the token's text.
    pub id: String,
    /// The actor's name in the audit log.
    pub name: String,
    pub kind: ActorKind,
    pub role: Role,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// `person:ana`.
    pub created_by: String,
    /// Absent where it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

/// What a new token should be.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: String,
    pub kind: ActorKind,
    pub role: Role,
    pub lifetime: Option<Duration>,
}

/// A new token with its text, which is never given again.
#[derive(Debug, Clone)]
pub struct Issued {
    pub token: Token,
    pub secret: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    token: Token,
    /// SHA-256 of the secret part, in hexadecimal.
    sha256: String,
}

/// The hash of a secret.
pub(super) struct Secret {
    id: String,
    sha256: [u8; 32],
}

/// A token as a caller shows it.
pub(super) struct Presented {
    id: String,
    sha256: [u8; 32],
}

impl Secret {
    pub(super) fn fits(&self, presented: &Presented) -> bool {
        self.id == presented.id && bool::from(self.sha256.ct_eq(&presented.sha256))
    }
}

impl Presented {
    /// Reads `qd_ID_SECRET`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("qd_")?.split_once('_')?;
        let hexadecimal = |s: &str, len: usize| s.len() == len && s.bytes().all(|b| b.is_ascii_hexdigit());
        if !hexadecimal(id, 16) || !hexadecimal(secret, 64) {
            return None;
        }
        Some(Self { id: id.to_owned(), sha256: Sha256::digest(secret).into() })
    }
}

/// A new token's text, and what to keep of it.
pub(super) fn generate() -> Result<(String, Secret)> {
    let mut random = [0u8; 40];
    getrandom::fill(&mut random)
        .map_err(|e| Error::unavailable(format!("the system gives no random numbers: {e}")))?;
    let (id, secret) = (hex::encode(&random[..8]), hex::encode(&random[8..]));
    let sha256 = Sha256::digest(&secret).into();
    Ok((format!("qd_{id}_{secret}"), Secret { id, sha256 }))
}

/// The tokens of one user's file, shared by the sessions of that user: read again when it changed.
pub struct Tokens {
    path: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    /// Inode, size and time of the file as it was read.
    stamp: Option<(u64, u64, i64, i64)>,
    kept: Vec<Kept>,
}

impl Tokens {
    /// The tokens in the file at `path`, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, cache: Mutex::default() }
    }

    /// Makes a token.
    pub fn create(&self, new: NewToken, by: &Actor, now: Timestamp) -> Result<Issued> {
        let (secret, hashed) = generate()?;
        let expires_at = new
            .lifetime
            .map(|lifetime| now.checked_add(lifetime))
            .transpose()
            .map_err(|_| Error::invalid("the token would live too long"))?;
        let token = Token {
            id: hashed.id,
            name: new.name,
            kind: new.kind,
            role: new.role,
            created_at: now,
            created_by: by.to_string(),
            expires_at,
        };
        self.change(|kept| {
            if kept.iter().any(|k| k.token.name == token.name && k.token.kind == token.kind) {
                return Err(Error::new(
                    Code::AlreadyExists,
                    format!("a token is named {:?} already", token.name),
                ));
            }
            kept.push(Kept { token: token.clone(), sha256: hex::encode(hashed.sha256) });
            Ok(())
        })?;
        Ok(Issued { token, secret })
    }

    /// Forgets a token. False if there is none of that identifier.
    pub fn revoke(&self, id: &str) -> Result<bool> {
        self.change(|kept| {
            kept.retain(|k| k.token.id != id);
            Ok(())
        })
    }

    /// All tokens, the oldest first.
    pub fn list(&self) -> Result<Vec<Token>> {
        let mut cache = self.cache.lock();
        self.refresh(&mut cache)?;
        Ok(cache.kept.iter().map(|k| k.token.clone()).collect())
    }

    pub(super) fn find(&self, presented: &Presented, now: Timestamp) -> Result<Option<Token>> {
        let mut cache = self.cache.lock();
        self.refresh(&mut cache)?;
        let Some(kept) = cache.kept.iter().find(|k| k.token.id == presented.id) else { return Ok(None) };
        let mut sha256 = [0u8; 32];
        let fits = hex::decode_to_slice(&kept.sha256, &mut sha256).is_ok()
            && bool::from(sha256.ct_eq(&presented.sha256));
        let in_time = kept.token.expires_at.is_none_or(|at| now < at);
        Ok((fits && in_time).then(|| kept.token.clone()))
    }

    fn refresh(&self, cache: &mut Cache) -> Result<()> {
        let meta = match std::fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                *cache = Cache::default();
                return Ok(());
            }
            Err(e) => return Err(self.failed("look at", &e)),
        };
        let stamp = Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        if cache.stamp != stamp {
            let text = std::fs::read(&self.path).map_err(|e| self.failed("read", &e))?;
            cache.kept = serde_json::from_slice(&text).map_err(|e| self.failed("read", &e))?;
            cache.stamp = stamp;
        }
        Ok(())
    }

    /// Changes the file as a whole, one process at a time. Gives whether it changed.
    fn change(&self, work: impl FnOnce(&mut Vec<Kept>) -> Result<()>) -> Result<bool> {
        if let Some(directory) = self.path.parent() {
            crate::base::paths::private_dir(directory)?;
        }
        let open =
            |path: &PathBuf| File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        let lock = open(&self.path.with_extension("lock")).map_err(|e| self.failed("lock", &e))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|e| self.failed("lock", &e))?;
        let mut cache = self.cache.lock();
        self.refresh(&mut cache)?;
        let mut kept = cache.kept.clone();
        work(&mut kept)?;
        if kept.len() == cache.kept.len() {
            return Ok(false);
        }
        let text = serde_json::to_vec_pretty(&kept).map_err(Error::internal)?;
        let next = self.path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&next, &self.path)
        };
        write().map_err(|e| self.failed("write", &e))?;
        cache.stamp = None;
        self.refresh(&mut cache)?;
        Ok(true)
    }

    fn failed(&self, what: &str, e: &dyn std::fmt::Display) -> Error {
        Error::unavailable(format!("cannot {what} the tokens in {}: {e}", self.path.display()))
            .next("Check that file's permissions and the space on its disk.")
    }
}
