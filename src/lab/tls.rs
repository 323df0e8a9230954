//! The fleet's certificate authority, made anew at every start, and the kubeconfig that trusts it.

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;

/// What the servers serve with and what clients check them by.
pub(super) struct Trust {
    pub server: Arc<rustls::ServerConfig>,
    /// The authority's certificate as PEM.
    pub authority: String,
}

/// Makes an authority (ECDSA P-256) and one certificate for all servers on loopback.
pub(super) fn make() -> anyhow::Result<Trust> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "quarterdeck practice fleet");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("make the authority")?;

    let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"].map(str::to_owned);
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer).context("sign the servers' certificate")?;

    // The provider is named, so that the fleet starts whether or not the process has installed one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
        )?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Trust { server: Arc::new(server), authority: issuer.pem() })
}

/// One context of the kubeconfig.
pub(super) struct Entry {
    pub name: String,
    pub address: String,
    pub token: String,
    pub namespace: String,
}

/// The kubeconfig's text; the first entry is the current context.
pub(super) fn kubeconfig(authority: &str, entries: &[Entry]) -> String {
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let current = entries.first().map_or("", |e| e.name.as_str());
    let mut out = format!("apiVersion: v1\nkind: Config\ncurrent-context: {current}\nclusters:\n");
    for e in entries {
        out.push_str(&format!(
            "- name: {}\n  cluster:\n    server: https://{}\n    certificate-authority-data: {authority}\n",
            e.name, e.address
        ));
    }
    out.push_str("contexts:\n");
    for e in entries {
        out.push_str(&format!(
            "- name: {0}\n  context:\n    cluster: {0}\n    user: {0}\n    namespace: {1}\n",
            e.name, e.namespace
        ));
    }
    out.push_str("users:\n");
    for e in entries {
        out.push_str(&format!("- name: {}\n  user:\n    token: {}\n", e.name, e.token));
    }
    out
}
