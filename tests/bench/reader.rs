//! The plain reader: asks for all pods as a protobuf stream and only looks for its end mark.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use crate::bed::Bed;

const END: &[u8] = b"k8s.io/initial-events-end";

/// Seconds from the connect to the bookmark that ends the initial events.
pub fn seconds_to_last_pod(bed: &Bed) -> f64 {
    let address = bed.server.trim_start_matches("https://").to_owned();
    let config = tls(bed);
    let began = Instant::now();
    let mut socket = TcpStream::connect(&address).unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tls = rustls::Stream::new(&mut connection, &mut socket);
    let path = "/api/v1/pods?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    write!(
        tls,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer admintoken\r\nAccept: application/vnd.kubernetes.protobuf;type=watch\r\n\r\n"
    )
    .unwrap();
    let mut buffer = vec![0; 1 << 18];
    let mut held = 0;
    loop {
        let n = tls.read(&mut buffer[held..]).unwrap();
        assert!(n > 0, "the stream ended before its end mark");
        let filled = held + n;
        if memchr::memmem::find(&buffer[..filled], END).is_some() {
            return began.elapsed().as_secs_f64();
        }
        // The mark may lie across two reads.
        held = filled.min(END.len());
        buffer.copy_within(filled - held..filled, 0);
    }
}

/// Trusts the test bed's authority.
pub fn tls(bed: &Bed) -> rustls::ClientConfig {
    let directory = bed.kubeconfig.parent().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&std::fs::read_to_string(directory.join("ca.crt")).unwrap()) {
        roots.add(certificate.into()).unwrap();
    }
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The certificates of a PEM file, in DER.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    pem.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|block| {
            let body: String = block.split("-----END").next().unwrap().split_whitespace().collect();
            base64::engine::general_purpose::STANDARD.decode(body).unwrap()
        })
        .collect()
}
