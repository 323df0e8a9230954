//! Who calls over HTTP: tokens, and the guard against other sites' pages.
//!
//! A token is 256 random bits; only its SHA-256 is kept. Browsers that were sent to a name which
//! now resolves to loopback (DNS rebinding, CVE-2026-42559 and its like) are stopped by the Host
//! header, other sites' scripts by Origin. What passes carries an `Arc<Actor>` in its extensions.

mod guard;
mod limit;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::RwLock;

pub use guard::{Hosts, Keeper, admit, refusal};
pub use tokens::{Issued, NewToken, Token, Tokens};

use crate::base::{Actor, ActorKind, Code, Door, Error, Result, Role, SharedClock};
use limit::Failures;

/// Turns the `Authorization` header into an actor.
pub struct Authenticator {
    tokens: Arc<Tokens>,
    /// Of this process only, for local tools: never on disk but in the runtime directory.
    session: RwLock<Option<tokens::Secret>>,
    failures: Failures,
    clock: SharedClock,
}

impl Authenticator {
    pub fn new(tokens: Arc<Tokens>, clock: SharedClock) -> Self {
        Self { tokens, session: RwLock::new(None), failures: Failures::default(), clock }
    }

    /// Makes the session's own token and gives its text, once. It is a client's, with the
    /// operator's role: it can propose and act, but not decide about held calls.
    pub fn issue_session_token(&self) -> Result<String> {
        let (text, secret) = tokens::generate()?;
        *self.session.write() = Some(secret);
        Ok(text)
    }

    /// Who the header's token belongs to. `peer` is the address of the connection, not one that a
    /// header claims; failures from one address are counted, and answered 429 beyond a few a second.
    pub fn authenticate(&self, header: Option<&str>, door: Door, peer: IpAddr) -> Result<Actor> {
        match self.check(header, door) {
            Ok(actor) => Ok(actor),
            Err(error) if self.failures.note(peer) => Err(error),
            Err(_) => {
                Err(Error::new(Code::RateLimited, "too many calls with a wrong token came from this address"))
            }
        }
    }

    fn check(&self, header: Option<&str>, door: Door) -> Result<Actor> {
        let missing = || {
            Error::new(Code::Unauthenticated, "the call has no token")
                .next("Send \"Authorization: Bearer TOKEN\"; `qd token create` makes one.")
        };
        let header = header.ok_or_else(missing)?;
        let (scheme, text) = header.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let wrong = || {
            Error::new(Code::Unauthenticated, "the token is not valid, or no longer")
                .next("`qd token list` shows the valid ones; `qd token create` makes a new one.")
        };
        let presented = tokens::Presented::parse(text.trim()).ok_or_else(wrong)?;
        if self.session.read().as_ref().is_some_and(|secret| secret.fits(&presented)) {
            return Ok(at_door(Actor::new(ActorKind::Client, "local", Role::Operator, door)));
        }
        let token = self.tokens.find(&presented, self.clock.now())?.ok_or_else(wrong)?;
        Ok(at_door(Actor::new(token.kind, token.name, token.role, door)))
    }
}

/// The token with which a stream was opened. A stream outlives the moment in which it was let in, so that what is sent
/// on it asks again.
#[derive(Clone)]
pub struct Standing {
    authenticator: Arc<Authenticator>,
    header: String,
    door: Door,
}

impl Standing {
    /// What to say to whoever holds a token that was revoked, or that has expired.
    pub fn check(&self) -> Result<()> {
        self.authenticator.check(Some(&self.header), self.door).map(drop)
    }
}

/// Whoever speaks MCP is an agent, whatever its token could do elsewhere: an assistant that was
/// handed a wide token is still an assistant.
fn at_door(actor: Actor) -> Actor {
    if actor.door == Door::Mcp && actor.kind != ActorKind::Agent {
        return Actor { kind: ActorKind::Agent, role: Role::Agent, ..actor };
    }
    actor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use jiff::Timestamp;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn setup() -> (tempfile::TempDir, Arc<Tokens>, Authenticator, Arc<ManualClock>) {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_000_000).unwrap());
        let tokens = Arc::new(Tokens::new(dir.path().join("tokens.json")));
        (dir, tokens.clone(), Authenticator::new(tokens, clock.clone()), clock)
    }

    fn new_token(name: &str) -> NewToken {
        NewToken { name: name.to_owned(), kind: ActorKind::Agent, role: Role::Agent, lifetime: None }
    }

    fn bearer(text: &str) -> String {
        format!("Bearer {text}")
    }

    #[test]
    fn a_token_is_its_holder_until_it_is_revoked_or_expires_and_is_not_on_disk() {
        let (dir, tokens, auth, clock) = setup();
        let ana = Actor::operator("ana");
        let issued = tokens.create(new_token("ci"), &ana, clock_now(&clock)).unwrap();
        let header = bearer(&issued.secret);
        let actor = auth.authenticate(Some(&header), Door::Rest, HERE).unwrap();
        assert_eq!((actor.kind, &*actor.name, actor.door), (ActorKind::Agent, "ci", Door::Rest));
        let file = std::fs::read_to_string(dir.path().join("tokens.json")).unwrap();
        let secret = issued.secret.rsplit('_').next().unwrap();
        assert!(!file.contains(secret) && file.contains("\"ci\""));
        assert!(tokens.revoke(&issued.token.id).unwrap());
        assert_eq!(
            auth.authenticate(Some(&header), Door::Rest, HERE).unwrap_err().code,
            Code::Unauthenticated
        );

        let short = NewToken { lifetime: Some(Duration::from_secs(60)), ..new_token("short") };
        let header = bearer(&tokens.create(short, &ana, clock_now(&clock)).unwrap().secret);
        auth.authenticate(Some(&header), Door::Rest, HERE).unwrap();
        clock.advance(Duration::from_secs(60));
        assert!(auth.authenticate(Some(&header), Door::Rest, HERE).is_err());
    }

    fn clock_now(clock: &ManualClock) -> Timestamp {
        crate::base::Clock::now(clock)
    }

    #[test]
    fn whatever_is_not_a_token_is_refused_and_then_limited() {
        let (_dir, _tokens, auth, _clock) = setup();
        let zero = format!("Bearer qd_{}_{}", "0".repeat(16), "0".repeat(64));
        let headers = [None, Some("Bearer"), Some("Basic YTpi"), Some("Bearer qd_x_y"), Some(zero.as_str())];
        for header in headers {
            let error = auth.authenticate(header, Door::Rest, HERE).unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated, "{header:?}");
        }
        let limited = (0..100)
            .filter(|_| auth.authenticate(None, Door::Rest, HERE).unwrap_err().code == Code::RateLimited)
            .count();
        assert!(limited > 50, "{limited}");
        // Another address, and a right token from this one, are not held up.
        let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(auth.authenticate(None, Door::Rest, other).unwrap_err().code, Code::Unauthenticated);
        let header = bearer(&auth.issue_session_token().unwrap());
        assert_eq!(auth.authenticate(Some(&header), Door::Rest, HERE).unwrap().name, "local");
    }

    #[test]
    fn at_the_mcp_door_everyone_is_an_agent() {
        let (_dir, _tokens, auth, _clock) = setup();
        let header = bearer(&auth.issue_session_token().unwrap());
        let actor = auth.authenticate(Some(&header), Door::Mcp, HERE).unwrap();
        assert_eq!((actor.kind, actor.role), (ActorKind::Agent, Role::Agent));
    }
}
