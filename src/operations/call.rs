//! Operations on calls under way.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::Result;
use crate::base::ids::CallId;
use crate::gate::{Context, Definition, Method, Operation, Spec, Target, define};

pub const LIST: &[Definition<Deck>] = &[define::<CallStop>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct CallStopInput {
    /// The call, as the audit log and the events name it.
    pub call: CallId,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct CallStopOutput {
    /// It was asked to end; its own result says what was done until then.
    pub asked: bool,
}

struct CallStop;

impl Operation for CallStop {
    type Deck = Deck;
    type Input = CallStopInput;
    type Output = CallStopOutput;

    const SPEC: Spec = Spec::change(
        "call_stop",
        Method::Post,
        "/v1/calls/{call}/stop",
        "Ask a long change under way, such as a drain or a batch, to end before its time.",
    )
    .idempotent();

    fn target(_: &Self::Input) -> Target {
        Target::own("call")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        cx.gate().stop(cx.actor(), input.call)?;
        Ok(CallStopOutput { asked: true })
    }
}
