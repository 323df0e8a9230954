//! What participants say to each other, tied to objects.

use std::collections::VecDeque;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::focus::ObjectRef;
use crate::base::Actor;
use crate::bus::{Message, MessageKind};

/// The most messages kept.
const MAX: usize = 256;
/// The longest text kept, in characters.
pub const MAX_TEXT: usize = 4000;

/// A message to post.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub kind: MessageKind,
    pub text: String,
    /// The name of the one participant it is for; everyone otherwise.
    pub to: Option<String>,
    pub about: Option<ObjectRef>,
}

/// A message as it was posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Posted {
    /// Rises by one with each message of the session.
    pub number: u64,
    pub from: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub kind: MessageKind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<ObjectRef>,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl Posted {
    /// The same as the bus carries it; `about` is an [`ObjectRef`] as JSON.
    pub(super) fn event(&self) -> Message {
        Message {
            from: self.from.clone(),
            kind: self.kind,
            text: self.text.clone(),
            about: self.about.as_ref().and_then(|about| serde_json::to_value(about).ok()),
            at: self.at,
        }
    }
}

/// Which messages to give.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Read on after this number; without it, the newest.
    pub after: Option<u64>,
    pub kind: Option<MessageKind>,
    /// Only those that others sent to this actor or to everyone; all messages otherwise.
    pub reader: Option<Actor>,
    pub limit: usize,
}

#[derive(Default)]
pub(super) struct Messages {
    ring: VecDeque<Posted>,
    last: u64,
}

impl Messages {
    pub fn add(&mut self, from: &Actor, outgoing: Outgoing, now: Timestamp) -> Posted {
        self.last += 1;
        let mut text = outgoing.text;
        if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(end);
        }
        let posted = Posted {
            number: self.last,
            from: from.clone(),
            to: outgoing.to,
            kind: outgoing.kind,
            text,
            about: outgoing.about,
            at: now,
        };
        if self.ring.len() == MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(posted.clone());
        posted
    }

    pub fn select(&self, inbox: &Inbox) -> Vec<Posted> {
        let wanted = |m: &&Posted| {
            m.number > inbox.after.unwrap_or(0)
                && inbox.kind.is_none_or(|kind| kind == m.kind)
                && inbox.reader.as_ref().is_none_or(|reader| {
                    !m.from.same_as(reader) && m.to.as_ref().is_none_or(|to| *to == reader.name)
                })
        };
        if inbox.after.is_some() {
            // Reading on: the oldest first, so that none is skipped.
            self.ring.iter().filter(wanted).take(inbox.limit).cloned().collect()
        } else {
            let mut newest: Vec<_> =
                self.ring.iter().rev().filter(wanted).take(inbox.limit).cloned().collect();
            newest.reverse();
            newest
        }
    }

    pub fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str, to: Option<&str>) -> Outgoing {
        Outgoing { kind: MessageKind::Note, text: text.into(), to: to.map(Into::into), about: None }
    }

    #[test]
    fn an_inbox_holds_what_others_sent_to_me_or_to_everyone() {
        let mut all = Messages::default();
        let (you, claude) = (Actor::operator("you"), Actor::agent("claude"));
        all.add(&you, note("to all", None), Timestamp::UNIX_EPOCH);
        all.add(&you, note("to bob", Some("bob")), Timestamp::UNIX_EPOCH);
        all.add(&claude, note("mine", None), Timestamp::UNIX_EPOCH);
        all.add(&you, note("to claude", Some("claude")), Timestamp::UNIX_EPOCH);
        let inbox = Inbox { reader: Some(claude), limit: 10, ..Inbox::default() };
        let texts: Vec<_> = all.select(&inbox).into_iter().map(|m| m.text).collect();
        assert_eq!(texts, ["to all", "to claude"]);
        let on = all.select(&Inbox { after: Some(1), limit: 2, ..Inbox::default() });
        assert_eq!(on.iter().map(|m| m.number).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        let mut all = Messages::default();
        for i in 0..1000 {
            all.add(&Actor::operator("you"), note(&format!("{i}"), None), Timestamp::UNIX_EPOCH);
        }
        let kept = all.select(&Inbox { limit: 1000, ..Inbox::default() });
        assert_eq!((kept.len(), kept[0].number, all.last()), (MAX, 1000 - MAX as u64 + 1, 1000));
    }
}
