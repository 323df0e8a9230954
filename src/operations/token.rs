//! Operations on API tokens. Persons only, which the gate holds: an agent that could make tokens could
//! become anyone.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::{ActorKind, Code, Error, Result, Role};
use crate::gate::auth::{NewToken, Token};
use crate::gate::{Context, Definition, Method, Operation, Spec, Target, define};

pub const LIST: &[Definition<Deck>] =
    &[define::<TokenCreate>(), define::<TokenList>(), define::<TokenRevoke>()];

const YEAR_HOURS: u32 = 24 * 366;

/// The rights of the token's holder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// An AI assistant: its changes wait for a person.
    #[default]
    Agent,
    /// A program that reads.
    Viewer,
    /// A program that changes things.
    Operator,
    Admin,
}

impl From<Rights> for Role {
    fn from(rights: Rights) -> Self {
        match rights {
            Rights::Agent => Role::Agent,
            Rights::Viewer => Role::Viewer,
            Rights::Operator => Role::Operator,
            Rights::Admin => Role::Admin,
        }
    }
}

/// The token to make.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct TokenCreateInput {
    /// The holder's name in the audit log.
    pub name: String,
    /// What the holder is, and may do.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub role: Rights,
    /// Hours until it expires; default 720, 0 never.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
}

/// The token. Its text is given here and never again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenCreateOutput {
    /// To be sent as `Authorization: Bearer TEXT`.
    pub text: String,
    pub token: Token,
}

struct TokenCreate;

impl Operation for TokenCreate {
    type Deck = Deck;
    type Input = TokenCreateInput;
    type Output = TokenCreateOutput;

    const SPEC: Spec = Spec::change(
        "token_create",
        Method::Post,
        "/v1/tokens",
        "Make an API token; its text is shown once.",
    )
    .persons_only();

    fn target(input: &Self::Input) -> Target {
        Target { name: input.name.clone(), ..Target::own("token") }
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if input.name.is_empty() || input.name.len() > 64 || !input.name.chars().all(plain) {
            return Err(Error::invalid(format!("{:?} cannot name a token", input.name))
                .next("Use at most 64 letters, digits, \"-\", \"_\", \".\" and \"@\"."));
        }
        let role = Role::from(input.role);
        let kind = if role == Role::Agent { ActorKind::Agent } else { ActorKind::Client };
        if role == Role::Admin && cx.actor().role != Role::Admin {
            return Err(Error::new(Code::PermissionDenied, "only an admin can make an admin's token"));
        }
        let lifetime = match input.hours.unwrap_or(720) {
            0 => None,
            hours if hours <= YEAR_HOURS => Some(Duration::from_secs(u64::from(hours) * 3600)),
            hours => return Err(Error::invalid(format!("{hours} hours is more than a year"))),
        };
        let (tokens, by, now) = (deck.tokens.clone(), cx.actor().clone(), cx.now());
        let issued =
            blocking(move || tokens.create(NewToken { name: input.name, kind, role, lifetime }, &by, now))
                .await?;
        Ok(TokenCreateOutput { text: issued.secret, token: issued.token })
    }
}

/// Files are read and written away from the runtime's workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// No arguments.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct TokenListInput {}

/// The tokens, without their texts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenListOutput {
    pub total: usize,
    pub tokens: Vec<Token>,
}

struct TokenList;

impl Operation for TokenList {
    type Deck = Deck;
    type Input = TokenListInput;
    type Output = TokenListOutput;

    const SPEC: Spec =
        Spec::observe("token_list", "/v1/tokens", "List the API tokens: who holds each, until when.")
            .persons_only();

    fn target(_: &Self::Input) -> Target {
        Target::own("token")
    }

    async fn run(deck: Arc<Deck>, _: Context, _: Self::Input) -> Result<Self::Output> {
        let list = deck.tokens.clone();
        let tokens = blocking(move || list.list()).await?;
        Ok(TokenListOutput { total: tokens.len(), tokens })
    }
}

/// The token to revoke.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct TokenRevokeInput {
    /// Its identifier, as `token_list` gives it.
    pub id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenRevokeOutput {
    pub id: String,
    pub revoked: bool,
}

struct TokenRevoke;

impl Operation for TokenRevoke {
    type Deck = Deck;
    type Input = TokenRevokeInput;
    type Output = TokenRevokeOutput;

    const SPEC: Spec = Spec::destroy(
        "token_revoke",
        Method::Delete,
        "/v1/tokens/{id}",
        "Revoke an API token at once; it cannot be given back.",
    )
    .idempotent()
    .persons_only();

    fn target(input: &Self::Input) -> Target {
        Target { name: input.id.clone(), ..Target::own("token") }
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let (tokens, id) = (deck.tokens.clone(), input.id.clone());
        if blocking(move || tokens.revoke(&id)).await? {
            return Ok(TokenRevokeOutput { id: input.id, revoked: true });
        }
        Err(Error::not_found(format!("there is no token {:?}", input.id)).next("`qd token list` gives them."))
    }
}
