//! Setting the images of containers, init containers too.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Object;
use super::{Deck, command, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::rollout::image::{self, Wanted};

pub const LIST: &[Definition<Deck>] = &[define::<ImageSet>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ImageSetInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// `container=image` for each container that changes; `*=image` for all.
    #[arg(long = "image", required = true)]
    #[schemars(length(min = 1))]
    pub images: Vec<String>,
}

impl ImageSetInput {
    fn wanted(&self) -> Result<Vec<Wanted>> {
        if self.images.is_empty() {
            return Err(Error::invalid("no image is named").next("Write web=registry.example/web:2."));
        }
        self.images.iter().map(|text| Wanted::parse(text)).collect()
    }
}

/// The object as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImageSetOutput {
    pub version: TargetVersion,
}

struct ImageSet;

impl Operation for ImageSet {
    type Deck = Deck;
    type Input = ImageSetInput;
    type Output = ImageSetOutput;

    const SPEC: Spec = Spec::change(
        "image_set",
        Method::Post,
        "/v1/images/{kind}/{name}",
        "Set the images of a pod's or a workload's containers.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = command::kubectl("set image", &input.object);
        let command = input.images.iter().fold(command, |command, image| command.word(image));
        Some(command.within(&input.object.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let wanted = input.wanted()?;
        let place = input.object.place_to_change(&deck).await?;
        let now = image::run(&place, &wanted, common::seen(&cx).as_ref()).await?;
        Ok(ImageSetOutput { version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let wanted = input.wanted()?;
        let plan = image::plan(&input.object.place_to_change(&deck).await?, &wanted).await?;
        common::preview(Self::target(&input), plan).await
    }
}
