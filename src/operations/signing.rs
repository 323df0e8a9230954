//! Operations on certificate signing requests.

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::{Deck, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::Place;
use crate::kube::objects::signing::{self, Verdict};

pub const LIST: &[Definition<Deck>] = &[define::<Decide<Approve>>(), define::<Decide<Deny>>()];

const KIND: &str = "certificatesigningrequest";

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct SigningInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
}

/// The request as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SigningOutput {
    pub version: TargetVersion,
}

/// Which way it is decided.
trait Way: Send + Sync + 'static {
    const SPEC: Spec;
    const VERDICT: Verdict;
    const WORD: &'static str;
}

struct Approve;
struct Deny;

impl Way for Approve {
    // A certificate is good until it runs out, whatever is done afterwards.
    const SPEC: Spec = Spec::destroy(
        "certificatesigningrequest_approve",
        Method::Post,
        "/v1/certificatesigningrequests/{name}/approve",
        "Approve a certificate signing request, so that its signer issues the certificate.",
    );
    const VERDICT: Verdict = Verdict::Approved;
    const WORD: &'static str = "approve";
}

impl Way for Deny {
    const SPEC: Spec = Spec::change(
        "certificatesigningrequest_deny",
        Method::Post,
        "/v1/certificatesigningrequests/{name}/deny",
        "Deny a certificate signing request.",
    );
    const VERDICT: Verdict = Verdict::Denied;
    const WORD: &'static str = "deny";
}

struct Decide<W>(PhantomData<W>);

async fn place(deck: &Deck, input: &SigningInput) -> Result<Place> {
    let kind = "certificatesigningrequests.certificates.k8s.io";
    Place::find(&deck.kube, input.cluster.as_deref(), None, kind, &input.name).await
}

impl<W: Way> Operation for Decide<W> {
    type Deck = Deck;
    type Input = SigningInput;
    type Output = SigningOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        common::target(&input.cluster, &None, KIND, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new(&format!("kubectl certificate {}", W::WORD)).word(&input.name);
        Some(command.context(input.cluster.as_deref()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place(&deck, &input).await?;
        let now = signing::run(&place, W::VERDICT, cx.now(), common::seen(&cx).as_ref()).await?;
        Ok(SigningOutput { version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Preview> {
        let place = place(&deck, &input).await?;
        common::preview(Self::target(&input), signing::plan(&place, W::VERDICT, cx.now()).await?).await
    }
}
