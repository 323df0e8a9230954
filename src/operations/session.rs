//! Operations about the session: who is here, where each looks, what they say and point at.
//!
//! All of them are `observe`: they change what participants know of each other, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::input::{Object, Within};
use super::{Deck, common};
use crate::base::{Code, Error, Result};
use crate::bus::{Event, MessageKind};
use crate::gate::{
    Context, Definition, Effect, Frame, Method, Operation, Record, Right, Spec, Talk, Target, Watch, define,
};
use crate::session::{Focus, FocusOf, Inbox, MAX_TEXT, ObjectRef, Outgoing, Participant, Posted, Session};

pub const LIST: &[Definition<Deck>] = &[
    define::<FocusGet>(),
    define::<FocusSet>(),
    define::<ParticipantList>(),
    define::<ObjectPoint>(),
    define::<MessageSend>(),
    define::<MessageList>(),
];

/// How long a server may take to say whether the object that somebody points at is there.
const A_LOOK: Duration = Duration::from_secs(2);

/// An operation that others see and that changes nothing outside the session.
const fn presence(name: &'static str, method: Method, path: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        summary,
        effect: Effect::Observe,
        idempotent: false,
        method,
        path,
        record: Record::Always,
        right: Right::Use,
        exits: &[],
        talk: Talk::No,
        asks_each: false,
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct FocusGetInput {
    /// Whose focus, by name; default: the operator's.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// Leave out the visible lines.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
}

struct FocusGet;

impl Operation for FocusGet {
    type Deck = Deck;
    type Input = FocusGetInput;
    type Output = FocusOf;

    const SPEC: Spec = Spec::observe(
        "focus_get",
        "/v1/session/focus",
        "Read what the operator looks at: pane, selected object, filter and the visible lines.",
    );
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("focus")
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        current_focus(&deck.session, &input)
            .ok_or_else(|| match &input.participant {
                Some(name) => Error::not_found(format!("{name:?} shows nothing now")),
                None => Error::not_found("no screen is attached to this session"),
            })
            .map_err(|e| e.next("List who is present with participant_list."))
    }

    /// The focus now (`null` while there is none) and after each change.
    async fn watch(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Watch> {
        let session = deck.session.clone();
        let mut events = session.bus().subscribe();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut sent: Option<Option<FocusOf>> = None;
            loop {
                let focus = current_focus(&session, &input);
                if sent.as_ref() != Some(&focus) {
                    let value = serde_json::to_value(&focus).map_err(Error::internal);
                    if sender.send(value.map(Frame::Value)).await.is_err() {
                        return;
                    }
                    sent = Some(focus);
                }
                let news = |event: &Event| matches!(event, Event::Participants { .. } | Event::Resync { .. });
                if !next_matching(&mut events, &sender, news).await {
                    return;
                }
            }
        });
        Ok(Watch::frames(receiver))
    }
}

fn current_focus(session: &Session, input: &FocusGetInput) -> Option<FocusOf> {
    let mut found = session.focus(input.participant.as_deref())?;
    if input.brief {
        found.focus.lines = Vec::new();
    }
    Some(found)
}

/// Waits for an event that matters. False once the reader or the bus is gone.
async fn next_matching(
    events: &mut crate::bus::Events,
    sender: &mpsc::Sender<Result<Frame>>,
    matters: impl Fn(&Event) -> bool,
) -> bool {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = sender.closed() => return false,
        };
        match event {
            Some(event) if matters(&event) => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct FocusSetOutput {
    /// Whether it differs from before.
    pub changed: bool,
}

struct FocusSet;

impl Operation for FocusSet {
    type Deck = Deck;
    type Input = Focus;
    type Output = FocusSetOutput;

    const SPEC: Spec =
        presence("focus_set", Method::Put, "/v1/session/focus", "Tell the others what you look at.")
            .idempotent()
            .unrecorded("presence: a screen says many times a second where it looks");

    fn target(_: &Self::Input) -> Target {
        Target::own("focus")
    }

    async fn run(deck: Arc<Deck>, cx: Context, focus: Self::Input) -> Result<Self::Output> {
        Ok(FocusSetOutput { changed: deck.session.set_focus(cx.actor(), focus) })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ParticipantListInput {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ParticipantListOutput {
    pub total: usize,
    pub participants: Vec<Participant>,
}

impl ParticipantListOutput {
    fn of(participants: Vec<Participant>) -> Self {
        Self { total: participants.len(), participants }
    }
}

struct ParticipantList;

impl Operation for ParticipantList {
    type Deck = Deck;
    type Input = ParticipantListInput;
    type Output = ParticipantListOutput;

    const SPEC: Spec = Spec::observe(
        "participant_list",
        "/v1/session/participants",
        "List who is present, where each looks and what each did last.",
    )
    .unrecorded("presence: watching it is how a screen or an agent is present");
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("participant")
    }

    async fn run(deck: Arc<Deck>, _: Context, _: Self::Input) -> Result<Self::Output> {
        Ok(ParticipantListOutput::of(deck.session.participants()))
    }

    /// The whole list now and after each change; who watches is present for as long.
    async fn watch(deck: Arc<Deck>, cx: Context, _: Self::Input) -> Result<Watch> {
        let mut lists = deck.session.watch_participants(cx.actor());
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let list = tokio::select! {
                    list = lists.recv() => list,
                    () = sender.closed() => return,
                };
                let Some(list) = list else { return };
                let value = serde_json::to_value(ParticipantListOutput::of(list)).map_err(Error::internal);
                if sender.send(value.map(Frame::Value)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Watch::frames(receiver))
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ObjectPointInput {
    /// The object's kind.
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
    /// The object's name.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Its kubeconfig context; default: the operator's focus.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Its namespace; default: the operator's focus.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
    /// A column or a path: `STATUS`, `spec.replicas`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why, in one sentence.
    #[arg(long)]
    pub reason: String,
}

/// What was posted, and who saw it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PostedOutput {
    pub number: u64,
    /// Others who are present.
    pub present: usize,
    /// Why nobody could see whether it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

fn posted(deck: &Deck, cx: &Context, outgoing: Outgoing) -> Result<PostedOutput> {
    let long = outgoing.text.chars().count();
    if long > MAX_TEXT {
        return Err(Error::invalid(format!("a message has at most {MAX_TEXT} characters, and not {long}"))
            .next("Say the short of it, and where the rest is."));
    }
    let number = deck.session.post(cx.actor(), outgoing).number;
    let present = deck.session.participants().iter().filter(|p| !p.actor.same_as(cx.actor())).count();
    Ok(PostedOutput { number, present, unchecked: None })
}

/// An error where the object is surely not there. A server that cannot be asked now, or not by whoever points,
/// does not keep anybody from pointing: then it says why that is not known.
async fn is_there(deck: &Deck, about: &ObjectRef) -> Result<Option<String>> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let within = Within { cluster: given(&about.cluster), namespace: given(&about.namespace) };
    let object = Object { kind: about.kind.clone(), name: about.name.clone(), within };
    let look = async { Ok::<_, Error>(object.place(deck).await?.get().await?) };
    match tokio::time::timeout(A_LOOK, look).await {
        Ok(Ok(live)) => common::has_field(&live, about.field.as_deref()).map(|()| None),
        Ok(Err(error)) if error.code == Code::NotFound => Err(error),
        Ok(Err(error)) => Ok(Some(error.message)),
        Err(_) => Ok(Some("its server does not answer in time".to_owned())),
    }
}

struct ObjectPoint;

impl Operation for ObjectPoint {
    type Deck = Deck;
    type Input = ObjectPointInput;
    type Output = PostedOutput;

    const SPEC: Spec = presence(
        "object_point",
        Method::Post,
        "/v1/session/pointers",
        "Point at an object or a field of it on the operator's screen, saying why.",
    );

    fn target(input: &Self::Input) -> Target {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        Target::kubernetes(or_empty(&input.cluster), or_empty(&input.namespace), &*input.kind, &*input.name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let focus = deck.session.focus(None).map(|f| f.focus).unwrap_or_default();
        let selected = focus.selected.unwrap_or_default();
        let or_focus =
            |given: Option<String>, shown: Option<String>, last: String| given.or(shown).unwrap_or(last);
        let about = ObjectRef {
            cluster: or_focus(input.cluster, focus.cluster, selected.cluster),
            namespace: or_focus(input.namespace, focus.namespace, selected.namespace),
            kind: input.kind,
            name: input.name,
            field: input.field,
        };
        let doubt = is_there(&deck, &about).await?;
        let point = Outgoing { kind: MessageKind::Point, text: input.reason, to: None, about: Some(about) };
        Ok(PostedOutput { unchecked: doubt, ..posted(&deck, &cx, point)? })
    }
}

/// What a message is meant as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A remark.
    #[default]
    Note,
    /// A question that wants an answer.
    Ask,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct MessageSendInput {
    /// The words.
    pub text: String,
    /// A remark or a question.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub kind: Meaning,
    /// The one it is for, by name; default: everyone.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The object it is about.
    #[arg(long, value_name = "CLUSTER/NAMESPACE/KIND/NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<ObjectRef>,
}

struct MessageSend;

impl Operation for MessageSend {
    type Deck = Deck;
    type Input = MessageSendInput;
    type Output = PostedOutput;

    const SPEC: Spec = presence(
        "message_send",
        Method::Post,
        "/v1/session/messages",
        "Say something to the others, such as an answer to the operator's question.",
    );

    fn target(_: &Self::Input) -> Target {
        Target::own("message")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        if input.text.trim().is_empty() {
            return Err(Error::invalid("the text is empty").next("Say what you mean in `text`."));
        }
        let kind = match input.kind {
            Meaning::Note => MessageKind::Note,
            Meaning::Ask => MessageKind::Ask,
        };
        posted(&deck, &cx, Outgoing { kind, text: input.text, to: input.to, about: input.about })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct MessageListInput {
    /// Only messages after this number.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only questions.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub questions: bool,
    /// What you and all others sent too, whoever it was for.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Wait up to so many seconds (at most 45) for one.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
    /// At most so many; default 20.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct MessageListOutput {
    pub total: usize,
    /// Give it as `after` to read on.
    pub last: u64,
    pub messages: Vec<Posted>,
}

struct MessageList;

impl MessageList {
    fn inbox(cx: &Context, input: &MessageListInput) -> Inbox {
        Inbox {
            after: input.after,
            kind: input.questions.then_some(MessageKind::Ask),
            reader: (!input.all).then(|| cx.actor().clone()),
            limit: input.limit.unwrap_or(20).clamp(1, 256) as usize,
        }
    }
}

impl Operation for MessageList {
    type Deck = Deck;
    type Input = MessageListInput;
    type Output = MessageListOutput;

    const SPEC: Spec = Spec::observe(
        "message_list",
        "/v1/session/messages",
        "Read messages sent to you, each with the object it is about.",
    );
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("message")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let inbox = Self::inbox(&cx, &input);
        let mut events = deck.session.bus().subscribe();
        let mut messages = deck.session.messages(&inbox);
        let wait = Duration::from_secs(u64::from(input.wait_seconds.unwrap_or(0).min(45)));
        let deadline = tokio::time::Instant::now() + wait;
        while messages.is_empty() && !wait.is_zero() {
            tokio::select! {
                event = events.next() => match event.as_deref() {
                    Some(Event::Message(_) | Event::Resync { .. }) => messages = deck.session.messages(&inbox),
                    Some(_) => {}
                    None => break,
                },
                () = tokio::time::sleep_until(deadline) => break,
                () = cx.cancelled().cancelled() => break,
            }
        }
        let last = messages.last().map_or(inbox.after.unwrap_or(0), |m| m.number);
        Ok(MessageListOutput { total: messages.len(), last, messages })
    }

    /// Those of before that were asked for, and then each as it comes, one frame a message.
    async fn watch(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Watch> {
        let mut inbox = Self::inbox(&cx, &input);
        let session = deck.session.clone();
        let mut events = session.bus().subscribe();
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                for message in session.messages(&inbox) {
                    inbox.after = Some(message.number);
                    let value = serde_json::to_value(&message).map_err(Error::internal);
                    if sender.send(value.map(Frame::Value)).await.is_err() {
                        return;
                    }
                }
                // What was there before is sent; from here on none may be skipped.
                inbox.after = inbox.after.or(Some(0));
                let news = |event: &Event| matches!(event, Event::Message(_) | Event::Resync { .. });
                if !next_matching(&mut events, &sender, news).await {
                    return;
                }
            }
        });
        Ok(Watch::frames(receiver))
    }
}
