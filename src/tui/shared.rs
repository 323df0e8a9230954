//! What every pane may read: where we are, who else is here, what waits, what happened.

use std::collections::VecDeque;
use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;

use super::keymap::Keymap;
use super::object::Namespaces;
use super::user::Setup;
use crate::base::ids::{ApprovalId, CallId};
use crate::base::{Actor, SafeText};
use crate::bus::{CallEvent, CallPhase, Event, Level, Message};
use crate::gate::{Effect, OperationInfo};
use crate::rows::RowKey;
use crate::rows::path::is_path;

/// How one gets out of a read-only session.
pub const READ_ONLY: &str =
    "Start qd without --readonly, or with --write where the configuration says readonly.";

/// How many lines the timeline keeps in memory; the audit log has them all.
const TIMELINE: usize = 500;
/// How many pointers F3 goes through.
const POINTERS: usize = 10;

/// The state that belongs to no single pane. Panes read it through `Cx` and `Look`; the
/// application alone changes it.
pub struct Shared {
    /// Who sits at this screen.
    pub actor: Actor,
    /// Every operation there is.
    pub catalogue: Arc<[OperationInfo]>,
    /// No change can be asked for from this screen.
    pub read_only: bool,
    /// The clusters (kubeconfig contexts) that new tables show.
    pub clusters: Vec<CompactString>,
    pub namespaces: Namespaces,
    /// Namespaces on the keys 1 to 9, the last used first.
    pub favourites: Vec<CompactString>,
    /// Every cluster known, with what `cluster_list` says of it.
    pub known_clusters: Vec<ClusterInfo>,
    /// The kinds of the current cluster, for completion and aliases.
    pub kinds: Arc<[KindInfo]>,
    pub participants: Vec<Participant>,
    /// What waits for a decision, the oldest first.
    pub approvals: Vec<Waiting>,
    /// The newest last.
    pub timeline: VecDeque<Happening>,
    /// Why nothing can be written to the audit log, if so: changes are refused meanwhile.
    pub store_blocked: Option<String>,
    /// Where others point, the newest last, at most [`POINTERS`].
    pub pointers: Vec<Pointer>,
    /// The keys, for the help. The application puts its own here.
    pub keymap: Arc<Keymap>,
    /// What a k9s user has set up.
    pub user: Arc<Setup>,
    /// How the tables of each kind were sorted last.
    pub sorts: super::sorts::Sorts,
    /// Where log panes keep what memory has no room for.
    pub log_disk: super::Disk,
}

/// One cluster in one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterInfo {
    pub name: CompactString,
    pub version: CompactString,
    pub latency_ms: Option<i64>,
    pub up: Option<bool>,
    pub current: bool,
    /// Whom we act as there, if not as the kubeconfig's user.
    pub acting: CompactString,
}

impl ClusterInfo {
    /// Takes how the server was when it was last asked.
    pub fn seen_as(&mut self, other: &Self) {
        (self.up, self.latency_ms, self.version) = (other.up, other.latency_ms, other.version.clone());
    }

    /// From the columns of `cluster_list`, by their names.
    pub fn told(name: CompactString, text: impl Fn(&str) -> CompactString) -> Self {
        let version = text("VERSION");
        Self {
            name,
            version: if version == "–" { CompactString::default() } else { version },
            latency_ms: text("LATENCY")
                .split(' ')
                .next()
                .and_then(|n| n.parse::<f64>().ok())
                .map(|n| n.round() as i64),
            up: match text("STATUS").as_str() {
                "Ready" => Some(true),
                "Connecting" | "" | "–" => None,
                _ => Some(false),
            },
            current: text("CURRENT") == "*",
            acting: Some(text("AS")).filter(|whom| whom != "–").unwrap_or_default(),
        }
    }
}

/// A resource that a cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindInfo {
    /// What `kind` takes for exactly this resource: `pods`, `deployments.apps`.
    pub id: CompactString,
    pub plural: CompactString,
    pub singular: CompactString,
    pub kind: CompactString,
    pub group: CompactString,
    pub version: CompactString,
    pub short_names: Vec<CompactString>,
    pub namespaced: bool,
}

/// Someone who is here.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    pub actor: Actor,
    /// What they look at, in a few words: `logs › api-59ccb5`.
    pub looks_at: SafeText,
    /// The operation of theirs that runs now, and since when.
    pub doing: Option<(SafeText, Timestamp)>,
}

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub approval: ApprovalId,
    pub actor: Option<Actor>,
    pub operation: SafeText,
    pub target: SafeText,
    /// What it would do, in a few words, if known: `replicas 3 → 5`.
    pub summary: SafeText,
    pub expires_at: Option<Timestamp>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    pub at: Timestamp,
    pub actor: Option<Actor>,
    pub call: Option<CallId>,
    pub text: SafeText,
    pub mark: Mark,
    /// The status line had it as an answer to a key: it is no news there any more.
    pub said: bool,
}

/// How a line of the timeline ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    None,
    Running,
    Waits,
    Done,
    Failed,
    Refused,
}

impl Mark {
    pub fn sign(self) -> &'static str {
        match self {
            Mark::None => "",
            Mark::Running => "…",
            Mark::Waits => "⚑",
            Mark::Done => "✓",
            Mark::Failed => "✗",
            Mark::Refused => "⊘",
        }
    }
}

/// Where a participant points.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointer {
    /// Counts them: no two have the same.
    pub number: u64,
    pub from: Actor,
    pub cluster: CompactString,
    pub kind: CompactString,
    pub namespace: CompactString,
    pub name: CompactString,
    /// The part of it that is meant, if not all: a column's name or a path in its manifest.
    pub field: CompactString,
    pub text: SafeText,
    pub at: Timestamp,
    /// The operator went there: the status line need not offer it any more.
    pub followed: bool,
}

impl Pointer {
    fn is_at_same_as(&self, other: &Self) -> bool {
        let place = |p: &Self| {
            (p.cluster.clone(), p.kind.clone(), p.namespace.clone(), p.name.clone(), p.field.clone())
        };
        place(self) == place(other)
    }

    /// A field of the manifest, and not a column of a table.
    pub fn path(&self) -> Option<&str> {
        is_path(&self.field).then_some(&*self.field)
    }
}

impl Shared {
    pub fn new(actor: Actor, catalogue: Arc<[OperationInfo]>) -> Self {
        Self {
            actor,
            catalogue,
            read_only: false,
            clusters: Vec::new(),
            namespaces: Namespaces::All,
            favourites: Vec::new(),
            known_clusters: Vec::new(),
            kinds: Arc::from([]),
            participants: Vec::new(),
            approvals: Vec::new(),
            timeline: VecDeque::new(),
            store_blocked: None,
            pointers: Vec::new(),
            keymap: Arc::default(),
            user: Arc::default(),
            sorts: super::sorts::Sorts::default(),
            log_disk: super::Disk::default(),
        }
    }

    /// Whether an operation is given the terminal while it runs.
    pub fn needs_terminal(&self, name: &str) -> bool {
        self.operation(name).is_some_and(|o| o.terminal)
    }

    pub fn has_operation(&self, name: &str) -> bool {
        self.catalogue.iter().any(|o| o.name == name)
    }

    pub fn operation(&self, name: &str) -> Option<&OperationInfo> {
        self.catalogue.iter().find(|o| o.name == name)
    }

    /// The kind that a word names: plural, singular, short name, `plural.group` or `group/version/plural`.
    pub fn kind(&self, word: &str) -> Option<&KindInfo> {
        let word = word.to_lowercase();
        self.kinds
            .iter()
            .find(|kind| kind.goes_by(&word))
            .or_else(|| self.kinds.iter().find(|k| k.is_path(&word)))
    }

    /// Who points at an object of a kind, as [`Self::kind`] names it, the newest first. What a pointer leaves open fits all.
    pub fn pointers_at<'a, 'k>(
        &'a self,
        kind: &'k str,
        key: &'k RowKey,
    ) -> impl Iterator<Item = &'a Pointer> {
        let is_kind = move |word: &str| {
            word.is_empty() || word == kind || self.kind(word).is_some_and(|known| known.id == kind)
        };
        let fits = |given: &str, own: &str| given.is_empty() || own.is_empty() || given == own;
        self.pointers.iter().rev().filter(move |p| {
            p.name == key.name
                && fits(&p.namespace, &key.namespace)
                && fits(&p.cluster, &key.cluster)
                && is_kind(&p.kind)
        })
    }

    /// Takes note of an event; whether the screen shows something of it.
    pub fn note(&mut self, event: &Event, now: Timestamp) -> bool {
        match event {
            Event::Call(call) => self.note_call(call),
            Event::Message(message) => {
                self.note_message(message);
                true
            }
            Event::Store { writable, reason } => {
                let blocked = (!writable)
                    .then(|| reason.clone().unwrap_or_else(|| "the audit log cannot be written".to_owned()));
                let changed = blocked != self.store_blocked;
                self.store_blocked = blocked;
                changed
            }
            Event::Notice { level, text } => {
                let mark = if *level == Level::Error { Mark::Failed } else { Mark::None };
                self.happened(Happening {
                    at: now,
                    actor: None,
                    call: None,
                    text: SafeText::new(text),
                    mark,
                    said: false,
                });
                true
            }
            Event::Changed(changed) => {
                let mark = if changed.bad { Mark::Failed } else { Mark::None };
                self.happened(Happening {
                    at: now,
                    actor: None,
                    call: None,
                    text: SafeText::new(&changed.words()),
                    mark,
                    said: false,
                });
                true
            }
            Event::Approval(_) | Event::Contexts | Event::Participants { .. } | Event::Resync { .. } => false,
        }
    }

    fn note_call(&mut self, event: &CallEvent) -> bool {
        // What this screen reads to draw itself is no news to whoever sits at it.
        let reads = self.operation(&event.operation).is_some_and(|o| o.effect == Effect::Observe);
        if reads && event.actor.same_as(&self.actor) {
            return false;
        }
        let mark = match &event.phase {
            CallPhase::Started => Mark::Running,
            CallPhase::Progress { .. } => return self.note_progress(event),
            CallPhase::Held { .. } => Mark::Waits,
            CallPhase::Denied { .. } => Mark::Refused,
            CallPhase::Succeeded { .. } => Mark::Done,
            CallPhase::Failed { .. } => Mark::Failed,
        };
        let doing = (mark == Mark::Running).then(|| (SafeText::new(&event.operation), event.at));
        for participant in self.participants.iter_mut().filter(|p| p.actor.same_as(&event.actor)) {
            participant.doing.clone_from(&doing);
        }
        if let Some(line) = self.timeline.iter_mut().rev().find(|l| l.call == Some(event.call)) {
            line.mark = mark;
            return true;
        }
        let text = SafeText::new(&format!("{} {}", event.operation, event.target));
        let actor = Some(event.actor.clone());
        self.happened(Happening { at: event.at, actor, call: Some(event.call), text, mark, said: false });
        true
    }

    fn note_progress(&mut self, event: &CallEvent) -> bool {
        self.timeline.iter().any(|l| l.call == Some(event.call))
    }

    fn note_message(&mut self, message: &Message) {
        let about = message.about.as_ref();
        let field = |name: &str| {
            about
                .and_then(|v| v.get(name))
                .and_then(|v| v.as_str())
                .map(CompactString::new)
                .unwrap_or_default()
        };
        let name = field("name");
        if !name.is_empty() && !message.from.same_as(&self.actor) {
            let pointer = Pointer {
                number: self.pointers.last().map_or(0, |p| p.number + 1),
                from: message.from.clone(),
                cluster: field("cluster"),
                kind: field("kind"),
                namespace: field("namespace"),
                name,
                field: field("field"),
                text: SafeText::new(&message.text),
                at: message.at,
                followed: false,
            };
            // Whoever points at the same again has something new to say of it.
            self.pointers.retain(|p| !(p.from.same_as(&pointer.from) && p.is_at_same_as(&pointer)));
            if self.pointers.len() >= POINTERS {
                self.pointers.remove(0);
            }
            self.pointers.push(pointer);
        }
        self.happened(Happening {
            at: message.at,
            actor: Some(message.from.clone()),
            call: None,
            text: SafeText::new(&format!("\u{201c}{}\u{201d}", message.text)),
            mark: Mark::None,
            said: false,
        });
    }

    /// Adds a line to the timeline.
    pub fn happened(&mut self, line: Happening) {
        if self.timeline.len() == TIMELINE {
            self.timeline.pop_front();
        }
        self.timeline.push_back(line);
    }
}

impl KindInfo {
    /// Whether a word, in lower case, is one of its names.
    pub fn goes_by(&self, word: &str) -> bool {
        self.id == word
            || self.plural == word
            || self.singular == word
            || self.short_names.iter().any(|s| *s == word)
            || self.kind.to_lowercase() == word
    }

    /// As k9s names it: `apps/v1/deployments`, `v1/pods`.
    pub fn gvr(&self) -> String {
        let parts = [&self.group, &self.version, &self.plural];
        parts.iter().filter(|part| !part.is_empty()).map(|part| part.as_str()).collect::<Vec<_>>().join("/")
    }

    /// `apps/v1/deployments`, `v1/pods`, `apps/deployments`.
    fn is_path(&self, word: &str) -> bool {
        let mut parts = word.rsplit('/');
        if parts.next() != Some(self.plural.as_str()) {
            return false;
        }
        let rest: Vec<_> = parts.collect();
        match rest.as_slice() {
            [one] => *one == self.version || *one == self.group,
            [version, group] => *version == self.version && *group == self.group,
            _ => false,
        }
    }
}
