//! What a kubeconfig says of one context: read eagerly as text, made into TLS and credentials lazily.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use kube::Config;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::auth::{Credential, Proof};
use super::connect::{self, Dialing, Timed};
use super::error::{Error, Result};
use super::impersonation::Impersonation;

/// The name of the context that stands for the cluster this process is a pod of.
pub(super) const IN_CLUSTER: &str = "in-cluster";

/// One context's settings. Replaced as a whole when the kubeconfig changes.
pub(super) struct Settings {
    pub(super) context: Arc<str>,
    /// As written in the kubeconfig: `https://host:port`.
    pub(super) server: String,
    pub(super) default_namespace: String,
    /// What the context calls its cluster and its user.
    pub(super) cluster: String,
    pub(super) user: String,
    /// Of all that concerns this context, to see whether a changed file changed it.
    pub(super) digest: [u8; 32],
    /// Whom its requests are to be taken for, if not for the user.
    pub(super) acting: Option<Impersonation>,
    source: Source,
    prepared: OnceCell<Arc<Prepared>>,
}

enum Source {
    File(Arc<Kubeconfig>),
    InCluster,
}

/// Settings with their files read: enough to dial.
pub(super) struct Prepared {
    config: Config,
    pub(super) credential: Credential,
    /// Sent with every request: impersonation.
    pub(super) headers: HeaderMap,
    /// Scheme, host and the path that goes before every request's (Rancher has one), without its last slash.
    pub(super) base: String,
    proxy: Option<Uri>,
}

impl Settings {
    /// The settings of a context of `file`.
    pub(super) fn of(file: &Arc<Kubeconfig>, context: &str) -> Self {
        let named = file.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
        let cluster = named
            .and_then(|c| file.clusters.iter().find(|n| n.name == c.cluster))
            .and_then(|n| n.cluster.as_ref());
        let user = named
            .and_then(|c| c.user.as_ref())
            .and_then(|user| file.auth_infos.iter().find(|n| &n.name == user))
            .and_then(|n| n.auth_info.as_ref());
        let mut hash = Sha256::new();
        for part in [serde_json::to_vec(&named), serde_json::to_vec(&cluster), serde_json::to_vec(&user)]
            .into_iter()
            .flatten()
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let namespace = named.and_then(|c| c.namespace.clone()).filter(|n| !n.is_empty());
        Self {
            context: context.into(),
            server: cluster.and_then(|c| c.server.clone()).unwrap_or_default(),
            default_namespace: namespace.unwrap_or_else(|| "default".into()),
            cluster: named.map(|c| c.cluster.clone()).unwrap_or_default(),
            user: named.and_then(|c| c.user.clone()).unwrap_or_default(),
            digest: hash.finalize().into(),
            acting: user.and_then(Impersonation::of_user),
            source: Source::File(file.clone()),
            prepared: OnceCell::new(),
        }
    }

    /// The settings of the cluster that this process runs in, if it runs in one.
    pub(super) fn in_cluster() -> Option<Self> {
        let config = Config::incluster().ok()?;
        Some(Self {
            context: IN_CLUSTER.into(),
            server: config.cluster_url.to_string(),
            default_namespace: config.default_namespace,
            cluster: IN_CLUSTER.to_owned(),
            user: String::new(),
            digest: [0; 32],
            acting: None,
            source: Source::InCluster,
            prepared: OnceCell::new(),
        })
    }

    /// To act as another than the kubeconfig says, if one is named.
    #[must_use]
    pub(super) fn acting_as(mut self, whom: Option<&Impersonation>) -> Self {
        if let Some(whom) = whom {
            self.acting = Some(whom.clone());
        }
        self
    }

    /// Reads the files that the context names, once.
    pub(super) async fn prepared(&self) -> Result<Arc<Prepared>> {
        self.prepared.get_or_try_init(|| self.prepare()).await.cloned()
    }

    async fn prepare(&self) -> Result<Arc<Prepared>> {
        let fail = |reason: String| Error::Settings { context: self.context.to_string(), reason };
        let mut config = match &self.source {
            Source::InCluster => Config::incluster().map_err(|e| fail(e.to_string()))?,
            Source::File(file) => {
                let options =
                    KubeConfigOptions { context: Some(self.context.to_string()), ..Default::default() };
                let file = Kubeconfig::clone(file);
                // It says async but reads small files: keep that off the workers.
                let handle = tokio::runtime::Handle::current();
                tokio::task::spawn_blocking(move || {
                    handle.block_on(Config::from_custom_kubeconfig(file, &options))
                })
                .await
                .map_err(|e| fail(e.to_string()))?
                .map_err(|e| fail(chain(&e)))?
            }
        };
        // What the kubeconfig says of it may have more parts: those go with it, unless another is named.
        let own = Impersonation::of_user(&config.auth_info);
        if let Some(whom) = self.acting.as_ref().filter(|whom| own.as_ref() != Some(*whom)) {
            whom.put(&mut config.auth_info);
        }
        let credential = Credential::new(self.context.clone(), &config.auth_info)?;
        // What is left of the user is its client certificate: kube must not run a plugin for it.
        config.auth_info.exec = None;
        config.auth_info.auth_provider = None;
        let proxy = match &self.source {
            Source::File(_) => self.proxy().map_err(fail)?,
            Source::InCluster => None,
        };
        let mut base = config.cluster_url.to_string();
        base.truncate(base.trim_end_matches('/').len());
        let headers = impersonation(&config).map_err(fail)?;
        Ok(Arc::new(Prepared { config, credential, headers, base, proxy }))
    }

    /// The context's `proxy-url`, else the environment's unless it excludes the server.
    fn proxy(&self) -> Result<Option<Uri>, String> {
        let Source::File(file) = &self.source else { return Ok(None) };
        let named = file
            .contexts
            .iter()
            .find(|c| *c.name == *self.context)
            .and_then(|c| c.context.as_ref())
            .and_then(|c| file.clusters.iter().find(|n| n.name == c.cluster))
            .and_then(|n| n.cluster.as_ref())
            .and_then(|c| c.proxy_url.clone());
        let plain = self.server.starts_with("http://");
        let (upper, lower) =
            if plain { ("HTTP_PROXY", "http_proxy") } else { ("HTTPS_PROXY", "https_proxy") };
        let text = match named.filter(|p| !p.is_empty()) {
            Some(named) => named,
            None => match environment(upper, lower) {
                Some(proxy) if !excluded(&self.server, environment("NO_PROXY", "no_proxy").as_deref()) => {
                    proxy
                }
                _ => return Ok(None),
            },
        };
        // `proxy:3128` means HTTP, as curl and Go have it.
        let whole = if text.contains("://") { text.clone() } else { format!("http://{text}") };
        whole.parse().map(Some).map_err(|e| format!("proxy-url {text:?}: {e}"))
    }
}

impl Prepared {
    /// A connector, with a plugin's client certificate if there is one.
    pub(super) fn connector(&self, context: &str, proof: &Proof, http2: bool) -> Result<Timed> {
        let fail = |reason: String| Error::Settings { context: context.to_owned(), reason };
        let mut config = self.config.clone();
        if let Some(identity) = &proof.identity {
            use base64::Engine;
            use secrecy::ExposeSecret;
            let engine = base64::engine::general_purpose::STANDARD;
            config.auth_info.client_certificate = None;
            config.auth_info.client_key = None;
            config.auth_info.client_certificate_data = Some(engine.encode(&identity.certificate));
            config.auth_info.client_key_data = Some(engine.encode(identity.key.expose_secret()).into());
        }
        // A second installation fails and is of no harm: the first stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = config.rustls_client_config().map_err(|e| fail(chain(&e)))?;
        connect::connector(Dialing {
            tls,
            tls_server_name: self.config.tls_server_name.as_deref(),
            proxy: self.proxy.as_ref(),
            http2,
        })
        .map_err(fail)
    }
}

/// An error with all that lies below it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let said = e.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = e.source();
    }
    text
}

/// The headers of the Kubernetes API's user impersonation.
fn impersonation(config: &Config) -> Result<HeaderMap, String> {
    let user = &config.auth_info;
    let mut headers = HeaderMap::new();
    let mut add = |name: String, value: &str| -> Result<(), String> {
        let name = HeaderName::try_from(name).map_err(|e| format!("impersonation: {e}"))?;
        let value = HeaderValue::from_str(value).map_err(|e| format!("impersonation of {value:?}: {e}"))?;
        headers.append(name, value);
        Ok(())
    };
    if let Some(name) = &user.impersonate {
        add("impersonate-user".into(), name)?;
    }
    if let Some(uid) = &user.impersonate_uid {
        add("impersonate-uid".into(), uid)?;
    }
    for group in user.impersonate_groups.iter().flatten() {
        add("impersonate-group".into(), group)?;
    }
    for (key, values) in user.impersonate_user_extra.iter().flatten() {
        let escaped: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        for value in values {
            add(format!("impersonate-extra-{}", escaped.to_lowercase()), value)?;
        }
    }
    Ok(headers)
}

fn environment(upper: &str, lower: &str) -> Option<String> {
    std::env::var(upper).or_else(|_| std::env::var(lower)).ok().filter(|v| !v.is_empty())
}

/// Whether loopback or `NO_PROXY` excludes the server. The entries are those of Go's `httpproxy`, which kubectl reads: hosts
/// with all below them, `.domain` or `*.domain` for what is below alone, addresses, networks as `10.0.0.0/8`, each with a
/// port perhaps; `*` is everything.
fn excluded(server: &str, no_proxy: Option<&str>) -> bool {
    let Ok(url) = url::Url::parse(server) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    let port = url.port_or_known_default();
    no_proxy.into_iter().flat_map(|list| list.split(',')).any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        match (entry.as_str(), address) {
            ("", _) => false,
            ("*", _) => true,
            (network, Some(ip)) if network.contains('/') => contains(network, ip),
            (entry, address) => {
                // More than one colon is an IPv6 address without a port.
                let (name, wanted) = match entry.rsplit_once(':') {
                    Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                        (name, port.parse().ok())
                    }
                    _ => (entry, None),
                };
                let name = name.trim_matches(['[', ']']);
                (wanted.is_none() || wanted == port) && named(name, &host, address)
            }
        }
    })
}

fn named(name: &str, host: &str, address: Option<IpAddr>) -> bool {
    if let Some(ip) = address {
        return name.parse::<IpAddr>() == Ok(ip);
    }
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|head| head.ends_with('.'));
    match name.strip_prefix('*').unwrap_or(name).strip_prefix('.') {
        Some(domain) => below(domain),
        None => host == name || below(name),
    }
}

/// Whether a network such as `10.0.0.0/8` contains an address.
fn contains(network: &str, ip: IpAddr) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let head = |whole: u128, size: u32| (bits <= size).then(|| whole.checked_shr(size - bits).unwrap_or(0));
    match (base, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            bits <= 32 && head(a.to_bits().into(), 32) == head(b.to_bits().into(), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => bits <= 128 && head(a.to_bits(), 128) == head(b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_no_proxy_are_not_proxied() {
        assert!(excluded("https://127.0.0.1:6443", None));
        assert!(excluded("https://[::1]:6443", None));
        for (server, list, expected) in [
            ("https://api.corp.example", "a,.corp.example", true),
            ("https://corp.example", ".corp.example", false),
            ("https://API.corp.example", "*.corp.example", true),
            ("https://corp.example:6443", "corp.example", true),
            ("https://apicorp.example", "corp.example", false),
            ("https://corp.example:6443", "corp.example:6443", true),
            ("https://corp.example", "corp.example:6443", false),
            ("https://10.1.2.3:6443", "192.168.0.0/16, 10.0.0.0/8", true),
            ("https://11.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3", "0.0.0.0/0", true),
            ("https://10.1.2.3", "10.1.2.3", true),
            ("https://[fd00::1]:6443", "fd00::/8", true),
            ("https://[fd00::1]:6443", "fd00::1", true),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", true),
            ("https://x", "*", true),
            ("https://x", "", false),
            ("https://x", "10.0.0.0/99,/,:", false),
        ] {
            assert_eq!(excluded(server, Some(list)), expected, "{server} with NO_PROXY={list}");
        }
    }

    #[test]
    fn only_what_concerns_a_context_changes_its_digest() {
        let read = |extra: &str| {
            let text = format!(
                "clusters: [{{name: a, cluster: {{server: 'https://a'}}}}, {{name: b, cluster: {{server: 'https://{extra}'}}}}]\n\
                 users: [{{name: u, user: {{token: t}}}}]\n\
                 contexts: [{{name: a, context: {{cluster: a, user: u, namespace: shop}}}}, {{name: b, context: {{cluster: b, user: u}}}}]\n"
            );
            Arc::new(Kubeconfig::from_yaml(&text).unwrap())
        };
        let (one, two) = (read("b1"), read("b2"));
        assert_eq!(Settings::of(&one, "a").digest, Settings::of(&two, "a").digest);
        assert_ne!(Settings::of(&one, "b").digest, Settings::of(&two, "b").digest);
        assert_eq!(Settings::of(&one, "a").default_namespace, "shop");
        assert_eq!(Settings::of(&one, "b").default_namespace, "default");
    }
}
