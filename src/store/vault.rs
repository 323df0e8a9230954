//! Seals what a held call carries before it is written to the database.
//!
//! Exactly what was approved has to run, so that its arguments are kept whole: with whatever secret
//! they hold. They are encrypted (XChaCha20-Poly1305, a random nonce each) with a key that lies beside
//! the database and never in it. The identifier of the approval and the column are bound to the text,
//! so that one cannot be put in another's place.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::error::StoreError;
use super::keys;

const FILE: &str = "held.key";
/// Begins every sealed text; JSON and plain words never begin so.
const MARK: &str = "sealed:1:";
const NONCE: usize = 24;

pub(super) struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// With the key in `directory`, which is made if there is none.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self::with(&*keys::key_file(&directory.join(FILE), true)?))
    }

    /// With the key in `directory`, if it is there.
    pub fn find(directory: &Path) -> Option<Self> {
        keys::key_file(&directory.join(FILE), false).ok().map(|key| Self::with(&key))
    }

    /// With a key that lives as long as the process.
    pub fn ephemeral() -> Result<Self, StoreError> {
        Ok(Self::with(&*keys::random()?))
    }

    fn with(key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// The text for the database.
    pub fn seal(&self, id: &str, column: &str, clear: &str) -> Result<String, StoreError> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce)
            .map_err(|e| StoreError::Other(format!("the system gives no random numbers: {e}")))?;
        let bound = format!("approval\0{id}\0{column}");
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: clear.as_bytes(), aad: bound.as_bytes() })
            .map_err(|_| StoreError::Other("a held call could not be sealed".to_owned()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{MARK}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// The text as it was; `None` where it was not sealed with this key for this place. What an
    /// earlier version wrote in clear is given as it is.
    pub fn open_text(&self, id: &str, column: &str, stored: &str) -> Option<String> {
        let Some(text) = stored.strip_prefix(MARK) else { return Some(stored.to_owned()) };
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let bound = format!("approval\0{id}\0{column}");
        let clear =
            self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: bound.as_bytes() }).ok()?;
        String::from_utf8(clear).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_own_place_with_its_own_key_only() {
        let vault = Vault::ephemeral().unwrap();
        let sealed = vault.seal("a", "arguments", r#"{"password":"hunter2"}"#).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_ne!(sealed, vault.seal("a", "arguments", r#"{"password":"hunter2"}"#).unwrap());
        assert_eq!(vault.open_text("a", "arguments", &sealed).unwrap(), r#"{"password":"hunter2"}"#);
        assert!(vault.open_text("b", "arguments", &sealed).is_none());
        assert!(vault.open_text("a", "preview", &sealed).is_none());
        assert!(Vault::ephemeral().unwrap().open_text("a", "arguments", &sealed).is_none());
        assert_eq!(vault.open_text("a", "arguments", "{}").unwrap(), "{}");
        assert!(vault.open_text("a", "arguments", "sealed:1:AAAA").is_none());
    }
}
