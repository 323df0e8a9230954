//! Credential plugins: a program of the user's that prints a token or a client certificate.
//!
//! kube's own runner lets the plugin have our stdin and stderr, which would tear the screen. Here
//! it gets neither, nor our terminal (see [`super::launcher`]): its stderr becomes the reason of the error. The protocol is
//! `client.authentication.k8s.io` (`v1beta1` and `v1`), as the Kubernetes authentication page gives it.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use kube::config::{ExecConfig, ExecInteractiveMode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::error::{Error, Result};
use super::launcher;

/// A person may have to touch a key or answer in a browser.
const TIMEOUT: Duration = Duration::from_secs(60);
/// More output than any certificate chain needs.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// What a plugin gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Issued {
    pub(super) token: Option<SecretString>,
    /// PEM of the certificate chain and of its key.
    pub(super) identity: Option<(String, SecretString)>,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<ExecStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// Runs the plugin of `context` once.
pub(super) async fn run(context: &str, config: &ExecConfig) -> Result<Issued> {
    let command = config.command.as_deref().unwrap_or_default();
    let fail = |reason: String, next: Option<String>| Error::Credential {
        context: context.to_owned(),
        reason,
        next: next.unwrap_or_else(|| {
            format!("Run `{}` in a shell to see what it says.", shown(command, config.args.as_deref()))
        }),
    };
    if command.is_empty() {
        return Err(fail("the user's exec plugin names no command".into(), None));
    }
    if config.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(fail(
            format!("the plugin {command} insists on a terminal of its own"),
            Some(format!("Run `kubectl --context {context} get ns` in a shell to log in, then try again.")),
        ));
    }
    let output = match tokio::time::timeout(TIMEOUT, output(command, config)).await {
        Err(_) => {
            return Err(fail(format!("{command} did not finish in {} s", TIMEOUT.as_secs()), None));
        }
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
            let hint = config.install_hint.clone().filter(|hint| !hint.trim().is_empty());
            let next = hint.unwrap_or_else(|| {
                format!(
                    "Install {command}, or write its whole path in the kubeconfig's users: exec: command."
                )
            });
            return Err(fail(format!("the plugin {command} is not installed"), Some(next)));
        }
        Ok(Err(e)) => return Err(fail(format!("{command} cannot be run: {e}"), None)),
        Ok(Ok(output)) => output,
    };
    if !output.success {
        let said = last_line(&output.stderr);
        return Err(fail(format!("{command} failed ({}): {said}", output.status), None));
    }
    parse(&output.stdout).map_err(|reason| fail(format!("{command}: {reason}"), None))
}

struct Output {
    success: bool,
    status: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn output(command: &str, config: &ExecConfig) -> std::io::Result<Output> {
    let mut child = launcher::command(command)
        .args(config.args.iter().flatten())
        .envs(config.env.iter().flatten().filter_map(|e| Some((e.get("name")?, e.get("value")?))))
        .env("KUBERNETES_EXEC_INFO", exec_info(config).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let out = child.stdout.take();
    let err = child.stderr.take();
    let (a, b) = tokio::join!(
        async {
            match out {
                Some(out) => out.take(OUTPUT_LIMIT).read_to_end(&mut stdout).await,
                None => Ok(0),
            }
        },
        async {
            match err {
                Some(err) => err.take(OUTPUT_LIMIT).read_to_end(&mut stderr).await,
                None => Ok(0),
            }
        },
    );
    a.and(b)?;
    let status = child.wait().await?;
    if let Some(error) = launcher::cannot_start(status.code(), &stderr) {
        return Err(error);
    }
    Ok(Output { success: status.success(), status: status.to_string(), stdout, stderr })
}

fn exec_info(config: &ExecConfig) -> Value {
    let mut spec = json!({ "interactive": false });
    if config.provide_cluster_info
        && let Some(cluster) = &config.cluster
    {
        spec["cluster"] = json!({
            "server": cluster.server,
            "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
            "certificate-authority-data": cluster
                .certificate_authority_data
                .as_ref()
                .map(|pem| base64::engine::general_purpose::STANDARD.encode(pem)),
            "proxy-url": cluster.proxy_url,
            "tls-server-name": cluster.tls_server_name,
            "config": cluster.config,
        });
        if let Some(map) = spec["cluster"].as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
    }
    json!({
        "apiVersion": config.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1"),
        "kind": "ExecCredential",
        "spec": spec,
    })
}

fn parse(stdout: &[u8]) -> std::result::Result<Issued, String> {
    let credential: ExecCredential = serde_json::from_slice(stdout)
        .map_err(|e| format!("its output is no ExecCredential in JSON: {e}"))?;
    let status = credential.status.ok_or("its output has no status")?;
    let expires = match status.expiration_timestamp {
        Some(text) => Some(text.parse().map_err(|e| format!("expirationTimestamp {text:?}: {e}"))?),
        None => None,
    };
    let identity = match (status.client_certificate_data, status.client_key_data) {
        (Some(cert), Some(key)) => Some((cert, SecretString::from(key))),
        (None, None) => None,
        _ => return Err("it gave a client certificate or a key without the other".into()),
    };
    let token = status.token.filter(|t| !t.is_empty()).map(SecretString::from);
    if token.is_none() && identity.is_none() {
        return Err("it gave neither a token nor a client certificate".into());
    }
    Ok(Issued { token, identity, expires })
}

/// The command as a person would type it.
fn shown(command: &str, args: Option<&[String]>) -> String {
    std::iter::once(command)
        .chain(args.into_iter().flatten().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ")
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
    line.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use secrecy::ExposeSecret;

    use super::*;

    /// An entry of the plugin's environment, as the kubeconfig writes it.
    fn env(name: &str, value: &str) -> HashMap<String, String> {
        HashMap::from([("name".to_owned(), name.to_owned()), ("value".to_owned(), value.to_owned())])
    }

    fn shell(script: &str) -> ExecConfig {
        ExecConfig {
            command: Some("/bin/sh".into()),
            args: Some(vec!["-c".into(), script.into()]),
            env: Some(vec![env("WHO", "me")]),
            ..ExecConfig::default()
        }
    }

    #[tokio::test]
    async fn a_plugin_gets_its_environment_and_gives_a_token() {
        let script = r#"case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 9;; esac
            echo "{\"status\":{\"token\":\"t-$WHO\",\"expirationTimestamp\":\"2030-01-01T00:00:00Z\"}}""#;
        let issued = run("c", &shell(script)).await.unwrap();
        assert_eq!(issued.token.unwrap().expose_secret(), "t-me");
        assert!(issued.expires.is_some());
    }

    #[tokio::test]
    async fn what_a_failing_plugin_says_becomes_the_reason() {
        let error = run("c", &shell("echo 'login first' >&2; exit 3")).await.unwrap_err();
        assert!(error.to_string().contains("login first"), "{error}");
        let mut missing = shell("");
        missing.command = Some("/nonexistent/plugin".into());
        missing.install_hint = Some("get it there".into());
        let error: crate::base::Error = run("c", &missing).await.unwrap_err().into();
        assert_eq!(error.next.as_deref(), Some("get it there"));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        assert!(parse(br#"{"status":{"clientCertificateData":"x"}}"#).is_err());
        assert!(parse(br#"{"status":{}}"#).is_err());
    }
}
