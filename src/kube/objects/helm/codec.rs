//! A release as text: JSON, compressed, in base64, and once more in base64 as every value of a Secret.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A Secret holds a megabyte; what that unpacks to has an end too.
const MOST: u64 = 64 << 20;
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Reads a Secret's `release`.
pub fn decode(data: &str) -> Result<Value, String> {
    let outer = STANDARD.decode(data.trim()).map_err(|e| format!("not base64: {e}"))?;
    let inner = STANDARD.decode(outer.trim_ascii()).map_err(|e| format!("not base64 inside base64: {e}"))?;
    // Helm 2 kept some without compression, and Helm 3 reads them.
    if !inner.starts_with(&GZIP) {
        return serde_json::from_slice(&inner).map_err(|e| format!("not JSON: {e}"));
    }
    let mut json = Vec::new();
    let read = flate2::read::GzDecoder::new(&inner[..]).take(MOST + 1).read_to_end(&mut json);
    match read {
        Ok(n) if n as u64 > MOST => Err("it is too large".to_owned()),
        Ok(_) => serde_json::from_slice(&json).map_err(|e| format!("not JSON: {e}")),
        Err(e) => Err(format!("not gzip: {e}")),
    }
}

/// Writes a Secret's `release`.
pub fn encode(release: &Value) -> Result<String, String> {
    let json = serde_json::to_vec(release).map_err(|e| e.to_string())?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&json).map_err(|e| e.to_string())?;
    let packed = gzip.finish().map_err(|e| e.to_string())?;
    Ok(STANDARD.encode(STANDARD.encode(packed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_back_and_nonsense_is_refused() {
        let release = json!({"name": "web", "version": 3, "manifest": "---\nkind: Service\n"});
        assert_eq!(decode(&encode(&release).unwrap()).unwrap(), release);
        let plain = STANDARD.encode(STANDARD.encode(release.to_string()));
        assert_eq!(decode(&plain).unwrap(), release);
        for wrong in ["", "***", "aGVsbG8="] {
            assert!(decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
