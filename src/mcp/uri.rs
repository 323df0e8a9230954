//! The addresses of resources: what the screen shows, and objects of clusters.

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where the operator looks, without the lines.
    Focus,
    /// The object under the operator's cursor, and the rows marked.
    Selection,
    /// The visible lines.
    Screen,
    /// The questions and remarks sent to the agent.
    Messages,
    Object(Object),
    /// All objects of a kind in a namespace; `name` is empty.
    List(Object),
    /// A pod's log.
    Log(Object),
}

/// An object of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    pub cluster: String,
    /// Absent where a kind has none, and for all of them.
    pub namespace: Option<String>,
    pub kind: String,
    pub name: String,
}

/// Stands for "no namespace" in an address, which cannot hold an empty part.
const NONE: &str = "_";

impl Place {
    pub fn parse(uri: &str) -> Option<Self> {
        match uri {
            "console://focus" => return Some(Place::Focus),
            "console://selection" => return Some(Place::Selection),
            "console://screen" => return Some(Place::Screen),
            "console://messages" => return Some(Place::Messages),
            _ => {}
        }
        let path = uri.strip_prefix("k8s://")?;
        let parts: Vec<String> = path.split('/').map(decode).collect::<Option<_>>()?;
        if parts.iter().any(String::is_empty) {
            return None;
        }
        let namespace = |n: &str| (n != NONE).then(|| n.to_owned());
        let object = |c: &str, n: &str, kind: &str, name: &str| Object {
            cluster: c.to_owned(),
            namespace: namespace(n),
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [c, n, kind] => Some(Place::List(object(c, n, kind, ""))),
            [c, n, kind, name] => Some(Place::Object(object(c, n, kind, name))),
            [c, n, "pods" | "pod", name, "log"] => Some(Place::Log(object(c, n, "pods", name))),
            _ => None,
        }
    }
}

impl Object {
    /// Its address.
    pub fn uri(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or(NONE);
        let parts = [&self.cluster, namespace, &self.kind, &self.name].map(encode);
        format!("k8s://{}", parts.join("/").trim_end_matches('/'))
    }
}

/// Percent-decoding (RFC 3986 §2.1). `None` for a broken sequence or what is not UTF-8.
fn decode(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Everything but the unreserved characters of RFC 3986 §2.3 is encoded.
fn encode(part: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let object = Object {
            cluster: "arn:aws:eks:eu-1:1:cluster/prod".into(),
            namespace: Some("shop".into()),
            kind: "deployments.apps".into(),
            name: "api".into(),
        };
        assert_eq!(
            object.uri(),
            "k8s://arn%3Aaws%3Aeks%3Aeu-1%3A1%3Acluster%2Fprod/shop/deployments.apps/api"
        );
        assert_eq!(Place::parse(&object.uri()), Some(Place::Object(object)));
        let node = Object { cluster: "eu".into(), kind: "nodes".into(), name: "n1".into(), namespace: None };
        assert_eq!(node.uri(), "k8s://eu/_/nodes/n1");
        assert_eq!(Place::parse("k8s://eu/_/nodes/n1"), Some(Place::Object(node)));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for wrong in
            ["", "k8s://", "k8s://eu", "k8s://eu//pods", "k8s://eu/a/b/c/d", "k8s://eu/a/%zz", "console://x"]
        {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
        assert!(matches!(Place::parse("k8s://eu/shop/pods"), Some(Place::List(_))));
        assert!(matches!(Place::parse("k8s://eu/shop/pods/a/log"), Some(Place::Log(_))));
    }
}
