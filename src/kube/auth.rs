//! Who we are to an API server: tokens, token files, passwords, exec plugins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use kube::config::{AuthInfo, ExecConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::error::{Error, Result};
use super::exec_plugin;

/// How old a token file's content may be, as client-go has it.
const FILE_AGE: Duration = Duration::from_secs(60);
/// A credential is renewed so long before it expires.
const EARLY: SignedDuration = SignedDuration::from_secs(30);
/// A plugin that failed is not run again at once by every request that waits.
const FAILURE_AGE: Duration = Duration::from_secs(5);

/// A client certificate chain with its key, in PEM.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: SecretString,
}

/// What a request is sent with.
#[derive(Debug, Clone, Default)]
pub(super) struct Proof {
    pub(super) header: Option<HeaderValue>,
    /// A plugin's client certificate; the kubeconfig's own is part of the TLS settings.
    pub(super) identity: Option<Arc<Identity>>,
    /// Counts up with each renewal.
    pub(super) generation: u64,
}

/// One user's credential, renewed when it must be.
pub(super) struct Credential {
    context: Arc<str>,
    source: Source,
    state: Mutex<State>,
}

enum Source {
    Nothing,
    Fixed(HeaderValue),
    File(PathBuf),
    Exec(Box<ExecConfig>),
    /// Said when it is asked for.
    Unusable(String),
}

#[derive(Default)]
struct State {
    proof: Option<Proof>,
    made: Option<Instant>,
    expires: Option<Timestamp>,
    generation: u64,
    failed: Option<(Instant, Error)>,
}

impl Credential {
    /// The order of precedence is client-go's.
    pub(super) fn new(context: Arc<str>, user: &AuthInfo) -> Result<Self> {
        let source = if let Some(token) = &user.token {
            Source::Fixed(bearer(&context, token.expose_secret())?)
        } else if let Some(file) = &user.token_file {
            Source::File(file.into())
        } else if let (Some(name), Some(password)) = (&user.username, &user.password) {
            let pair = format!("{name}:{}", password.expose_secret());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            Source::Fixed(header(&context, &format!("Basic {encoded}"))?)
        } else if let Some(exec) = &user.exec {
            Source::Exec(Box::new(exec.clone()))
        } else if let Some(provider) = &user.auth_provider {
            match provider.config.get("id-token").or_else(|| provider.config.get("access-token")) {
                Some(token) => Source::Fixed(bearer(&context, token)?),
                None => Source::Unusable(format!(
                    "the auth-provider {:?} was taken out of Kubernetes; use an exec plugin",
                    provider.name
                )),
            }
        } else {
            Source::Nothing
        };
        Ok(Self { context, source, state: Mutex::default() })
    }

    /// The proof as it is now; runs the plugin or reads the file if need be. Requests that come
    /// while that happens wait for its one result.
    pub(super) async fn proof(&self) -> Result<Proof> {
        match &self.source {
            Source::Nothing => return Ok(Proof::default()),
            Source::Fixed(header) => {
                return Ok(Proof { header: Some(header.clone()), ..Proof::default() });
            }
            Source::Unusable(reason) => {
                return Err(self.fail(reason.clone(), "Change the user in the kubeconfig."));
            }
            Source::File(_) | Source::Exec(_) => {}
        }
        let mut state = self.state.lock().await;
        if let (Some(proof), false) = (&state.proof, self.stale(&state)) {
            return Ok(proof.clone());
        }
        if let Some((at, error)) = &state.failed
            && at.elapsed() < FAILURE_AGE
        {
            return Err(error.clone());
        }
        match self.renew(&mut state).await {
            Ok(proof) => Ok(proof),
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Whether it comes from where another may come: a plugin, or a file.
    pub(super) fn is_renewed(&self) -> bool {
        matches!(self.source, Source::File(_) | Source::Exec(_))
    }

    /// Told that the server refused the proof of that generation. Returns whether a renewed one is
    /// worth a second try.
    pub(super) async fn refused(&self, generation: u64) -> bool {
        if !self.is_renewed() {
            return false;
        }
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.proof = None;
        }
        true
    }

    fn stale(&self, state: &State) -> bool {
        match self.source {
            Source::File(_) => state.made.is_none_or(|at| at.elapsed() > FILE_AGE),
            _ => state.expires.is_some_and(|at| Timestamp::now() + EARLY >= at),
        }
    }

    async fn renew(&self, state: &mut State) -> Result<Proof> {
        let mut proof = Proof { generation: state.generation + 1, ..Proof::default() };
        let mut expires = None;
        match &self.source {
            Source::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                match (text, &state.proof) {
                    (Ok(text), _) => proof.header = Some(bearer(&self.context, text.trim())?),
                    // A token that was read once goes on being used when its file is taken away.
                    (Err(_), Some(old)) => proof = old.clone(),
                    (Err(e), None) => {
                        return Err(self.fail(
                            format!("the token file {} cannot be read: {e}", path.display()),
                            "Write the file, or change the user in the kubeconfig.",
                        ));
                    }
                }
            }
            Source::Exec(config) => {
                let issued = exec_plugin::run(&self.context, config).await?;
                if let Some(token) = &issued.token {
                    proof.header = Some(bearer(&self.context, token.expose_secret())?);
                }
                proof.identity =
                    issued.identity.map(|(certificate, key)| Arc::new(Identity { certificate, key }));
                expires = issued.expires;
            }
            Source::Nothing | Source::Fixed(_) | Source::Unusable(_) => {}
        }
        state.generation = proof.generation;
        state.proof = Some(proof.clone());
        state.made = Some(Instant::now());
        state.expires = expires;
        state.failed = None;
        Ok(proof)
    }

    fn fail(&self, reason: String, next: &str) -> Error {
        Error::Credential { context: self.context.to_string(), reason, next: next.to_owned() }
    }
}

fn bearer(context: &str, token: &str) -> Result<HeaderValue> {
    header(context, &format!("Bearer {}", token.trim()))
}

fn header(context: &str, value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::Credential {
        context: context.to_owned(),
        reason: "the token holds characters that a header cannot carry".into(),
        next: "Change the user in the kubeconfig.".into(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(script: &str) -> AuthInfo {
        AuthInfo {
            exec: Some(ExecConfig {
                command: Some("/bin/sh".into()),
                args: Some(vec!["-c".into(), script.into()]),
                ..ExecConfig::default()
            }),
            ..AuthInfo::default()
        }
    }

    #[tokio::test]
    async fn a_plugin_runs_once_until_its_token_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("n");
        let script = format!(
            r#"echo x >>{0}; echo "{{\"status\":{{\"token\":\"t$(wc -l <{0})\"}}}}""#,
            count.display()
        );
        let credential = Credential::new("c".into(), &exec(&script)).unwrap();
        let first = credential.proof().await.unwrap();
        assert_eq!(first.header.as_ref().unwrap(), "Bearer t1");
        assert_eq!(credential.proof().await.unwrap().header, first.header);
        assert!(credential.refused(first.generation).await);
        let second = credential.proof().await.unwrap();
        assert_eq!(second.header.as_ref().unwrap(), "Bearer t2");
        // A late refusal of the first token does not throw the second away.
        credential.refused(first.generation).await;
        assert_eq!(credential.proof().await.unwrap().header, second.header);
    }

    #[tokio::test]
    async fn an_expired_token_is_renewed_and_a_failure_is_remembered_for_a_moment() {
        let expired = r#"echo '{"status":{"token":"a","expirationTimestamp":"2001-01-01T00:00:00Z"}}'"#;
        let credential = Credential::new("c".into(), &exec(expired)).unwrap();
        let first = credential.proof().await.unwrap();
        assert_eq!(credential.proof().await.unwrap().generation, first.generation + 1);

        let credential = Credential::new("c".into(), &exec("echo no >&2; exit 1")).unwrap();
        let began = Instant::now();
        for _ in 0..20 {
            credential.proof().await.unwrap_err();
        }
        assert!(began.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_fixed_token_has_no_second_try() {
        let user = AuthInfo { token: Some(SecretString::from("abc\n".to_owned())), ..AuthInfo::default() };
        let credential = Credential::new("c".into(), &user).unwrap();
        assert_eq!(credential.proof().await.unwrap().header.unwrap(), "Bearer abc");
        assert!(!credential.refused(0).await);
    }
}
