//! Which operation a path means.

use http::Method;

use crate::gate::{self, OperationInfo};

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Word(String),
    Field(String),
}

/// The parts of `/v1/pods/{name}/log`.
pub fn parts(template: &str) -> Vec<Part> {
    template
        .split('/')
        .skip(1)
        .map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(field) => Part::Field(field.to_owned()),
            None => Part::Word(part.to_owned()),
        })
        .collect()
}

/// The fields that a template names.
pub fn fields(template: &str) -> Vec<String> {
    let field = |part| match part {
        Part::Field(name) => Some(name),
        Part::Word(_) => None,
    };
    parts(template).into_iter().filter_map(field).collect()
}

pub fn method(info: &OperationInfo) -> Method {
    match info.method {
        gate::Method::Get => Method::GET,
        gate::Method::Post => Method::POST,
        gate::Method::Put => Method::PUT,
        gate::Method::Patch => Method::PATCH,
        gate::Method::Delete => Method::DELETE,
    }
}

/// All templates, those with more words first: `/v1/approvals/all` goes before `/v1/approvals/{id}`.
pub struct Paths {
    routes: Vec<(Vec<Part>, Method, usize)>,
}

pub enum Found {
    /// The operation's index in the catalogue, and the path's fields, decoded.
    Route(usize, Vec<(String, String)>),
    /// The path is there, but for these methods only.
    OtherMethods(String),
    Nothing,
}

impl Paths {
    pub fn of(catalogue: &[OperationInfo]) -> Self {
        let one = |(i, info): (usize, &OperationInfo)| (parts(&info.path), method(info), i);
        let mut routes: Vec<_> = catalogue.iter().enumerate().map(one).collect();
        routes.sort_by_key(|(parts, ..)| {
            parts.iter().map(|p| u8::from(matches!(p, Part::Field(_)))).collect::<Vec<_>>()
        });
        Self { routes }
    }

    pub fn find(&self, wanted: &Method, path: &str) -> Found {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut allowed: Vec<&str> = Vec::new();
        for (parts, method, index) in &self.routes {
            let Some(fields) = fit(parts, &segments) else { continue };
            // A GET route answers HEAD too; the server leaves the body out.
            if method == wanted || (wanted == Method::HEAD && method == Method::GET) {
                return Found::Route(*index, fields);
            }
            if !allowed.contains(&method.as_str()) {
                allowed.push(method.as_str());
            }
        }
        if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed.join(", ")) }
    }
}

fn fit(parts: &[Part], segments: &[&str]) -> Option<Vec<(String, String)>> {
    if parts.len() != segments.len() {
        return None;
    }
    let mut fields = Vec::new();
    for (part, segment) in parts.iter().zip(segments) {
        match part {
            Part::Word(word) if word == segment => {}
            Part::Word(_) => return None,
            Part::Field(_) if segment.is_empty() => return None,
            Part::Field(name) => fields.push((name.clone(), decode(segment)?)),
        }
    }
    Some(fields)
}

/// Percent-decoding of one segment; `None` where it is not UTF-8 or not well formed.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Effect;

    fn info(method: gate::Method, path: &str) -> OperationInfo {
        OperationInfo {
            name: path.to_owned(),
            summary: String::new(),
            effect: Effect::Observe,
            idempotent: true,
            method,
            path: path.to_owned(),
            watch: false,
            preview: false,
            terminal: false,
            input: serde_json::Value::Null.into(),
            output: serde_json::Value::Null.into(),
        }
    }

    #[test]
    fn words_go_before_fields_and_methods_are_told_apart() {
        let paths = Paths::of(&[
            info(gate::Method::Get, "/v1/things/{id}"),
            info(gate::Method::Get, "/v1/things/all"),
            info(gate::Method::Delete, "/v1/things/{name}"),
        ]);
        let found = |method: Method, path: &str| match paths.find(&method, path) {
            Found::Route(index, fields) => format!("{index} {fields:?}"),
            Found::OtherMethods(allowed) => allowed,
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found(Method::GET, "/v1/things/all"), "1 []");
        assert_eq!(found(Method::GET, "/v1/things/a%2Fb%20c"), "0 [(\"id\", \"a/b c\")]");
        assert_eq!(found(Method::DELETE, "/v1/things/x"), "2 [(\"name\", \"x\")]");
        assert_eq!(found(Method::PUT, "/v1/things/x"), "GET, DELETE");
        for path in ["/v1/things", "/v1/things/", "/v1/things/a/b", "/v1/things/%ff", "/v1/things/%2", "/"] {
            assert_eq!(found(Method::GET, path), "nothing", "{path}");
        }
    }
}
