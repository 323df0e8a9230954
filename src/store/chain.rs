//! The audit chain: the canonical form of a row, its keyed hash, and signed checkpoints.
//!
//! A bare hash chain shows an edit only to someone who kept the hashes. So each row's hash is an
//! HMAC under a key that is not in the database (nobody can recompute the chain with the database
//! alone), and checkpoints signed with another key lie outside it (nobody can cut the chain off at an
//! earlier row, nor recompute it with the first key alone, without that showing).

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::keys::Keys;

pub(super) type Hash = [u8; 32];

/// What stands before the first row.
pub(super) const GENESIS: Hash = [0; 32];

/// A row's fields as the database holds them.
pub(super) struct Fields<'a> {
    pub seq: u64,
    /// Microseconds since the Unix epoch.
    pub at: i64,
    pub milliseconds: i64,
    /// kind, call, actor, role, door, operation, target, approval, code, detail.
    pub texts: [&'a str; 10],
}

/// Computes hashes under the chain's key.
#[derive(Clone)]
pub(super) struct Chain {
    mac: Hmac<Sha256>,
}

impl Chain {
    pub fn new(keys: &Keys) -> Self {
        // HMAC takes keys of any length (RFC 2104 section 2); a zero key is unreachable.
        let mac = Hmac::<Sha256>::new_from_slice(keys.chain()).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        Self { mac }
    }

    /// The hash of a row that follows `prev`. `buffer` is scratch space, kept between rows.
    pub fn row(&self, fields: &Fields<'_>, prev: &[u8], buffer: &mut Vec<u8>) -> Hash {
        buffer.clear();
        buffer.extend_from_slice(b"row1");
        buffer.extend_from_slice(&fields.seq.to_be_bytes());
        buffer.extend_from_slice(&fields.at.to_be_bytes());
        buffer.extend_from_slice(&fields.milliseconds.to_be_bytes());
        for text in fields.texts {
            // Lengths first, so that no two rows have one canonical form.
            buffer.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            buffer.extend_from_slice(text.as_bytes());
        }
        buffer.extend_from_slice(prev);
        self.digest(buffer)
    }

    /// Ties the newest row's number and hash together.
    pub fn head(&self, seq: u64, hash: &[u8]) -> Hash {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(b"head");
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(hash);
        self.digest(&bytes)
    }

    fn digest(&self, bytes: &[u8]) -> Hash {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

/// A signed statement, kept outside the database, of how long the chain was and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub seq: u64,
    /// The hash of row `seq`, in hexadecimal.
    pub head: String,
    /// Rows in the log.
    pub count: u64,
    pub time: Timestamp,
    /// Ed25519 over the other fields, in hexadecimal.
    pub signature: String,
}

impl Checkpoint {
    pub(super) fn sign(keys: &Keys, seq: u64, hash: &Hash, time: Timestamp) -> Self {
        let mut checkpoint =
            Self { seq, head: hex::encode(hash), count: seq, time, signature: String::new() };
        checkpoint.signature = hex::encode(keys.signing().sign(checkpoint.message().as_bytes()).to_bytes());
        checkpoint
    }

    /// Whether `key` signed it.
    pub fn verify(&self, key: &VerifyingKey) -> bool {
        let Ok(bytes) = hex::decode(&self.signature) else { return false };
        let Ok(signature) = Signature::from_slice(&bytes) else { return false };
        key.verify_strict(self.message().as_bytes(), &signature).is_ok()
    }

    fn message(&self) -> String {
        format!("quarterdeck-checkpoint-1\n{}\n{}\n{}\n{}\n", self.seq, self.head, self.count, self.time)
    }
}
