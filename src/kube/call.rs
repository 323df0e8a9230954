//! One request to an API server, and its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::Serialize;
use url::form_urlencoded;

use super::error::{Error, Result};

/// How long an answer may take unless the call says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The only form of a list that is needed where names, labels and owners are enough.
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// A request: method, path with query, headers and body.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
}

impl Call {
    /// `path` is absolute, as `/api/v1/namespaces/default/pods`; its parts must be valid in a path
    /// already ([`super::Resource::path`] makes such paths).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a query parameter, encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        let start = self.path.len();
        form_urlencoded::Serializer::for_suffix(&mut self.path, start).append_pair(name, value.as_ref());
        self
    }

    /// Adds a query parameter if there is a value.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    #[must_use]
    pub fn accept(self, types: &'static str) -> Self {
        self.header(ACCEPT, HeaderValue::from_static(types))
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A JSON body.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Request(e.to_string()))?;
        Ok(self.body("application/json", body))
    }

    /// A body of the type given: `application/merge-patch+json`, `application/apply-patch+yaml`.
    #[must_use]
    pub fn body(self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut call = self.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        call.body = body.into();
        call
    }

    /// How long the answer's head, and for [`super::Cluster::send`] its body too, may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Call {
    /// Refuses a path in which a name is more than one part: `/`, `%` and dots alone mean other paths to a server once
    /// it has decoded them, and nobody would have been asked about those. Kubernetes allows them in no name.
    pub(super) fn check(&self) -> Result<()> {
        let path = self.path.split('?').next().unwrap_or_default();
        let escapes = path.split('%').skip(1).filter_map(|after| after.get(..2));
        for escape in escapes {
            let byte = u8::from_str_radix(escape, 16).unwrap_or(0);
            if matches!(byte, b'/' | b'%' | b'.') || byte.is_ascii_control() {
                return Err(Error::Name(path.to_owned()));
            }
        }
        Ok(())
    }
}

/// A whole answer with a status of 2xx.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_encoded() {
        let call =
            Call::get("/api/v1/pods").query("labelSelector", "a in (b,c)").query_if("limit", None::<&str>);
        assert_eq!(call.path, "/api/v1/pods?labelSelector=a+in+%28b%2Cc%29");
        assert_eq!(call.query("x", "1").path, "/api/v1/pods?labelSelector=a+in+%28b%2Cc%29&x=1");
    }

    #[test]
    fn a_name_is_one_part_of_the_path() {
        let path = |name| crate::kube::Resource::pods().path(Some("shop"), Some(name));
        for name in ["web-0", "system:node", "a.b", "wéb", "a b", "x?y"] {
            assert!(Call::get(path(name)).query("fieldSelector", "a/b%").check().is_ok(), "{name}");
        }
        for name in ["web/log", "../secrets", "..", ".", "a%2fb", "a\r\nb", "a\0b", "/"] {
            assert!(matches!(Call::get(path(name)).check(), Err(Error::Name(_))), "{name}");
        }
        let space = crate::kube::Resource::pods().path(Some("shop/secrets"), None);
        assert!(Call::get(space).check().is_err());
    }
}
