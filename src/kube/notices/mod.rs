//! Objects that somebody wants to be told of: one watch each, and a word whenever the object comes to another state.

mod state;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::state::State;
use super::objects::describe::part::text;
use super::objects::place::Place;
use super::objects::states::States;
use super::pauses;
use crate::base::{self, Actor, Code, SharedClock};
use crate::bus::{Bus, Changed, Event};

/// Objects that a session watches at once: each is a stream of its server's.
const MOST: usize = 64;
/// What was told is kept for those who were not there.
const TOLD: usize = 256;

/// The notices of a session.
pub struct Notices {
    bus: Bus,
    clock: SharedClock,
    all: Mutex<All>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct All {
    last: u64,
    running: BTreeMap<u64, Running>,
    told: VecDeque<(u64, Changed)>,
    /// The number of what was told last.
    last_told: u64,
}

struct Running {
    notice: Notice,
    task: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Who wants to be told of what.
#[derive(Debug, Clone)]
pub struct Notice {
    pub number: u64,
    pub actor: Actor,
    pub cluster: String,
    /// Empty for what has none.
    pub namespace: String,
    /// As discovery resolves it.
    pub kind: String,
    pub name: String,
    /// Why, in the words of whoever wants to know.
    pub note: Option<String>,
    pub made: Timestamp,
    /// The state that it was last seen in.
    pub state: String,
    pub bad: bool,
    /// How often a change was told, and when last.
    pub told: u64,
    pub at: Option<Timestamp>,
    /// Why nobody knows how it is now: the stream broke, and is tried again.
    pub unknown: Option<String>,
    /// It is gone, or cannot be watched: nothing more will be told.
    pub over: bool,
}

impl Notice {
    fn target(&self) -> String {
        let parts = [&self.cluster, &self.namespace, &self.kind, &self.name];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

impl Notices {
    pub fn new(bus: Bus, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { bus, clock, all: Mutex::default(), changed: watch::Sender::new(0) })
    }

    /// Begins to watch an object, which must be there.
    pub async fn create(
        self: &Arc<Self>,
        place: Place,
        actor: &Actor,
        note: Option<String>,
    ) -> base::Result<Notice> {
        let live = place.get().await?;
        let State { words, bad } = state::of(&live);
        let mut all = self.all.lock();
        let same = |n: &Notice| {
            !n.over
                && n.actor.same_as(actor)
                && n.name == place.name
                && n.kind == place.resource.full_name()
                && *n.cluster == **place.cluster.name()
                && n.namespace == place.namespace.as_deref().unwrap_or_default()
        };
        if let Some(known) = all.running.values_mut().map(|r| &mut r.notice).find(|n| same(n)) {
            known.note = note.or_else(|| known.note.take());
            let known = known.clone();
            drop(all);
            self.changed.send_modify(|n| *n += 1);
            return Ok(known);
        }
        // Of those that are over the latest are kept, to be read.
        let over: Vec<u64> =
            all.running.iter().filter(|(_, one)| one.notice.over).map(|(number, _)| *number).collect();
        for number in over.iter().rev().skip(MOST) {
            all.running.remove(number);
        }
        if all.running.values().filter(|one| !one.notice.over).count() >= MOST {
            return Err(base::Error::new(Code::RateLimited, format!("{MOST} objects are watched already"))
                .next("Cancel one: notice_list has them."));
        }
        all.last += 1;
        let number = all.last;
        let notice = Notice {
            number,
            actor: actor.clone(),
            cluster: place.cluster.name().to_string(),
            namespace: place.namespace.clone().unwrap_or_default(),
            kind: place.resource.full_name(),
            name: place.name.clone(),
            note,
            made: self.clock.now(),
            state: words,
            bad,
            told: 0,
            at: None,
            unknown: None,
            over: false,
        };
        let uid = text(&live, "/metadata/uid");
        let task = tokio::spawn(follow(Arc::downgrade(self), number, place, uid));
        all.running.insert(number, Running { notice: notice.clone(), task: Some(task) });
        drop(all);
        self.changed.send_modify(|n| *n += 1);
        Ok(notice)
    }

    /// Ends one.
    pub fn cancel(&self, number: u64) -> base::Result<Notice> {
        let ended = self.all.lock().running.remove(&number);
        let Some(ended) = ended else { return Err(unknown(number)) };
        self.changed.send_modify(|n| *n += 1);
        Ok(ended.notice.clone())
    }

    pub fn get(&self, number: u64) -> base::Result<Notice> {
        self.all.lock().running.get(&number).map(|one| one.notice.clone()).ok_or_else(|| unknown(number))
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Notice> {
        self.all.lock().running.values().map(|one| one.notice.clone()).collect()
    }

    /// What was told after the number given, each with its own number, and the last number there is.
    pub fn told(&self, after: u64) -> (Vec<(u64, Changed)>, u64) {
        let all = self.all.lock();
        (all.told.iter().filter(|(number, _)| *number > after).cloned().collect(), all.last_told)
    }

    /// Changes whenever one of them does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes a state that was seen, and tells it if it is another; false once nobody wants to know.
    fn saw(&self, number: u64, now: &State, over: bool) -> bool {
        let at = self.clock.now();
        let mut all = self.all.lock();
        let Some(one) = all.running.get_mut(&number) else { return false };
        let notice = &mut one.notice;
        let heard = notice.unknown.take().is_some();
        if notice.state == now.words && !over {
            drop(all);
            if heard {
                self.changed.send_modify(|n| *n += 1);
            }
            return true;
        }
        let before = std::mem::replace(&mut notice.state, now.words.clone());
        (notice.bad, notice.at, notice.over) = (now.bad, Some(at), over);
        notice.told += 1;
        let changed = Changed {
            notice: number,
            actor: notice.actor.clone(),
            target: notice.target(),
            before,
            now: now.words.clone(),
            bad: now.bad,
            note: notice.note.clone(),
            at,
        };
        all.last_told += 1;
        let last = all.last_told;
        all.told.push_back((last, changed.clone()));
        if all.told.len() > TOLD {
            all.told.pop_front();
        }
        drop(all);
        self.changed.send_modify(|n| *n += 1);
        self.bus.publish(Event::Changed(changed));
        !over
    }

    /// Nothing is known of it for now.
    fn lost(&self, number: u64, why: &base::Error) -> bool {
        let mut all = self.all.lock();
        let Some(one) = all.running.get_mut(&number) else { return false };
        let news = one.notice.unknown.is_none();
        one.notice.unknown = Some(why.message.clone());
        drop(all);
        if news {
            self.changed.send_modify(|n| *n += 1);
        }
        true
    }
}

fn unknown(number: u64) -> base::Error {
    base::Error::not_found(format!("there is no notice {number}")).next("notice_list has those that are.")
}

fn gone() -> State {
    State { words: "gone".to_owned(), bad: false }
}

/// Follows one object until it is gone, cannot be watched, or nobody wants to know any more.
async fn follow(notices: Weak<Notices>, number: u64, place: Place, mut uid: String) {
    let mut waits = pauses();
    loop {
        let mut states = States::of(&place);
        let ended = loop {
            let next = states.next().await;
            let Some(notices) = notices.upgrade() else { return };
            match next {
                Ok(Some(object)) => {
                    waits = pauses();
                    let own = text(&object, "/metadata/uid");
                    // Its end was missed while the stream was broken.
                    if own != uid && !notices.saw(number, &gone(), false) {
                        return;
                    }
                    uid = own;
                    if !notices.saw(number, &state::of(&object), false) {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let Some(notices) = notices.upgrade() else { return };
        let goes_on = match ended {
            None => true,
            Some(error) if error.code == Code::NotFound => notices.saw(number, &gone(), true),
            Some(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
                notices.lost(number, &error)
            }
            Some(error) => {
                let words = format!("not watched: {}", error.message);
                notices.saw(number, &State { words, bad: true }, true)
            }
        };
        drop(notices);
        if !goes_on {
            return;
        }
        let pause = waits.next().unwrap_or(std::time::Duration::from_secs(30));
        tokio::time::sleep(pause).await;
    }
}
