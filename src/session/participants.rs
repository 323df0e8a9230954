//! Who is here.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::focus::Focus;
use crate::base::ids::ParticipantId;
use crate::base::{Actor, ActorKind};

/// How long a participant without a watch stays listed after it was last heard of.
const LINGER: Duration = Duration::from_secs(600);
/// The most participants listed; the one heard of longest ago makes room.
const MAX: usize = 256;

/// An actor present in the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    pub id: ParticipantId,
    pub actor: Actor,
    #[schemars(with = "String")]
    pub joined_at: Timestamp,
    #[schemars(with = "String")]
    pub last_seen: Timestamp,
    /// Where it looks, in one line: `pods › cart-7d9f4-p2lq8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_at: Option<String>,
    /// Its last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// A participant's last call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    pub operation: String,
    /// In one line: `eu-1/shop/pod/api-0`.
    pub target: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub running: bool,
}

/// A focus, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FocusOf {
    pub participant: Actor,
    /// When it last changed.
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub focus: Focus,
}

struct Entry {
    id: ParticipantId,
    actor: Actor,
    joined_at: Timestamp,
    last_seen: Timestamp,
    /// How many watches keep it present.
    holds: usize,
    focus: Option<(Timestamp, Focus)>,
    activity: Option<Activity>,
}

/// The list itself: few entries, so a vector in the order of joining does.
#[derive(Default)]
pub(super) struct Participants {
    entries: Vec<Entry>,
}

impl Participants {
    /// The entry's identifier, and whether the actor was not present before.
    pub fn join(&mut self, actor: &Actor, now: Timestamp) -> (ParticipantId, bool) {
        let (entry, new) = self.entry(actor, now);
        entry.holds += 1;
        (entry.id, new)
    }

    /// The identifier, if the actor is gone now.
    pub fn leave(&mut self, actor: &Actor) -> Option<ParticipantId> {
        let i = self.position(actor)?;
        let entry = &mut self.entries[i];
        entry.holds = entry.holds.saturating_sub(1);
        (entry.holds == 0).then(|| self.entries.remove(i).id)
    }

    pub fn set_focus(&mut self, actor: &Actor, focus: Focus, now: Timestamp) -> (ParticipantId, bool) {
        let (entry, new) = self.entry(actor, now);
        let changed = new || entry.focus.as_ref().is_none_or(|(_, old)| *old != focus);
        if changed {
            entry.focus = Some((now, focus));
        }
        (entry.id, changed)
    }

    pub fn note_activity(&mut self, actor: &Actor, activity: Activity, now: Timestamp) {
        if let Some(i) = self.position(actor) {
            self.entries[i].last_seen = now;
            self.entries[i].activity = Some(activity);
        }
    }

    pub fn list(&mut self, now: Timestamp) -> Vec<Participant> {
        self.entries.retain(|e| e.holds > 0 || seconds_between(e.last_seen, now) < LINGER.as_secs());
        self.entries
            .iter()
            .map(|e| Participant {
                id: e.id,
                actor: e.actor.clone(),
                joined_at: e.joined_at,
                last_seen: e.last_seen,
                looks_at: e.focus.as_ref().map(|(_, focus)| focus.summary()),
                activity: e.activity.clone(),
            })
            .collect()
    }

    pub fn focus(&self, name: Option<&str>) -> Option<FocusOf> {
        self.entries
            .iter()
            .filter(|e| match name {
                Some(name) => e.actor.name == name,
                None => e.actor.kind == ActorKind::Person,
            })
            .filter_map(|e| {
                let (at, focus) = e.focus.as_ref()?;
                Some((at, e, focus))
            })
            .max_by_key(|(at, ..)| **at)
            .map(|(at, e, focus)| FocusOf { participant: e.actor.clone(), at: *at, focus: focus.clone() })
    }

    fn position(&self, actor: &Actor) -> Option<usize> {
        self.entries.iter().position(|e| e.actor.same_as(actor) && e.actor.door == actor.door)
    }

    fn entry(&mut self, actor: &Actor, now: Timestamp) -> (&mut Entry, bool) {
        let found = self.position(actor);
        let i = found.unwrap_or_else(|| {
            if self.entries.len() >= MAX {
                self.drop_oldest();
            }
            self.entries.push(Entry {
                id: ParticipantId::new(),
                actor: actor.clone(),
                joined_at: now,
                last_seen: now,
                holds: 0,
                focus: None,
                activity: None,
            });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[i];
        entry.last_seen = now;
        (entry, found.is_none())
    }

    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().enumerate().min_by_key(|(_, e)| (e.holds > 0, e.last_seen));
        if let Some((i, _)) = oldest {
            self.entries.remove(i);
        }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_second() - from.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Door;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_focus_without_a_watch_lingers_and_then_goes() {
        let mut people = Participants::default();
        people.set_focus(&Actor::operator("you"), Focus::default(), at(0));
        assert_eq!(people.list(at(599)).len(), 1);
        assert!(people.list(at(601)).is_empty());
    }

    #[test]
    fn the_default_focus_is_the_person_whose_screen_moved_last() {
        let mut people = Participants::default();
        let pane = |p: &str| Focus { pane: p.into(), ..Focus::default() };
        people.set_focus(&Actor::operator("ann"), pane("pods"), at(1));
        people.set_focus(&Actor::operator("bob"), pane("logs"), at(2));
        people.set_focus(&Actor::agent("claude"), pane("yaml"), at(3));
        assert_eq!(people.focus(None).unwrap().focus.pane, "logs");
        assert_eq!(people.focus(Some("claude")).unwrap().focus.pane, "yaml");
        assert!(people.focus(Some("nobody")).is_none());
    }

    #[test]
    fn the_same_person_at_two_doors_is_two_participants_and_the_list_is_bounded() {
        let mut people = Participants::default();
        let mut you = Actor::operator("you");
        people.join(&you, at(0));
        you.door = Door::Rest;
        people.join(&you, at(0));
        assert_eq!(people.list(at(0)).len(), 2);
        for i in 0..1000 {
            people.set_focus(&Actor::agent(format!("a{i}")), Focus::default(), at(1));
        }
        let list = people.list(at(2));
        assert_eq!(list.len(), MAX);
        assert_eq!(list[0].actor.name, "you");
    }
}
