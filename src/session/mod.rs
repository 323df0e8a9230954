//! The live session: who is present, where each looks, and what they say to each other.
//!
//! A participant is an actor at a door. It is present while it watches the participants (a screen
//! and an agent's connection both do), and for a while after it last moved its focus. A focus is
//! what a screen shows, as data and as the visible lines; messages are tied to objects, never to
//! keys or coordinates. A session ends with its process; what is kept of it is the workspaces that a person saves.

mod focus;
mod messages;
mod participants;
mod workspaces;

use std::sync::{Arc, Weak};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::base::{Actor, SharedClock};
use crate::bus::{Bus, CallEvent, CallPhase, Event, Events};

pub use focus::{Focus, ObjectRef};
pub use messages::{Inbox, MAX_TEXT, Outgoing, Posted};
pub use participants::{Activity, FocusOf, Participant};
pub use workspaces::{Workspace, Workspaces};

use messages::Messages;
use participants::Participants;

/// The session's state. Cheap to ask: every method takes one short lock.
pub struct Session {
    bus: Bus,
    clock: SharedClock,
    participants: Mutex<Participants>,
    messages: Mutex<Messages>,
}

impl Session {
    /// A session without participants. Inside a tokio runtime it also follows the bus, so that
    /// each participant's last call is known.
    pub fn new(bus: Bus, clock: SharedClock) -> Arc<Self> {
        let session = Arc::new(Self {
            bus,
            clock,
            participants: Mutex::new(Participants::default()),
            messages: Mutex::new(Messages::default()),
        });
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(follow(Arc::downgrade(&session), session.bus.subscribe()));
        }
        session
    }

    /// Makes `actor` present until the guard is dropped. An actor may be present several times
    /// (two connections of one agent); it leaves with the last.
    pub fn join(self: &Arc<Self>, actor: &Actor) -> Presence {
        let (id, first) = self.participants.lock().join(actor, self.clock.now());
        if first {
            self.bus.publish(Event::Participants { participant: id });
        }
        Presence { session: Arc::downgrade(self), actor: actor.clone() }
    }

    fn leave(&self, actor: &Actor) {
        let gone = self.participants.lock().leave(actor);
        if let Some(id) = gone {
            self.bus.publish(Event::Participants { participant: id });
        }
    }

    /// Those present, the longest first.
    pub fn participants(&self) -> Vec<Participant> {
        self.participants.lock().list(self.clock.now())
    }

    /// Says where `actor` looks. Returns whether that is new.
    pub fn set_focus(&self, actor: &Actor, focus: Focus) -> bool {
        let (id, changed) = self.participants.lock().set_focus(actor, focus.bounded(), self.clock.now());
        if changed {
            self.bus.publish(Event::Participants { participant: id });
        }
        changed
    }

    /// Where the participant of that name looks; without a name, the person whose screen moved last.
    pub fn focus(&self, participant: Option<&str>) -> Option<FocusOf> {
        self.participants.lock().focus(participant)
    }

    /// Adds a message and tells everyone.
    pub fn post(&self, from: &Actor, outgoing: Outgoing) -> Posted {
        let posted = self.messages.lock().add(from, outgoing, self.clock.now());
        self.bus.publish(Event::Message(posted.event()));
        posted
    }

    /// What was said, as `inbox` asks for it, oldest first.
    pub fn messages(&self, inbox: &Inbox) -> Vec<Posted> {
        self.messages.lock().select(inbox)
    }

    /// The number of the newest message; 0 when there is none yet.
    pub fn last_message(&self) -> u64 {
        self.messages.lock().last()
    }

    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Sends the participants now and after each change, until the reader is gone. `actor` is
    /// present for as long.
    pub fn watch_participants(self: &Arc<Self>, actor: &Actor) -> mpsc::Receiver<Vec<Participant>> {
        let (sender, receiver) = mpsc::channel(1);
        // Its own coming is in the first list; what comes after the subscription is news.
        let presence = self.join(actor);
        let mut events = self.bus.subscribe();
        let session = Arc::downgrade(self);
        tokio::spawn(async move {
            let _presence = presence;
            loop {
                let Some(list) = session.upgrade().map(|s| s.participants()) else { return };
                if sender.send(list).await.is_err() {
                    return;
                }
                loop {
                    let event = tokio::select! {
                        event = events.next() => event,
                        () = sender.closed() => return,
                    };
                    match event.as_deref() {
                        Some(Event::Participants { .. } | Event::Resync { .. }) => break,
                        Some(_) => {}
                        None => return,
                    }
                }
            }
        });
        receiver
    }

    fn note_call(&self, call: &CallEvent) {
        let running = match call.phase {
            CallPhase::Started | CallPhase::Progress { .. } | CallPhase::Held { .. } => true,
            CallPhase::Denied { .. } | CallPhase::Succeeded { .. } | CallPhase::Failed { .. } => false,
        };
        self.participants.lock().note_activity(
            &call.actor,
            Activity { operation: call.operation.clone(), target: call.target.clone(), at: call.at, running },
            self.clock.now(),
        );
    }

    /// The time, by the session's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn follow(session: Weak<Session>, mut events: Events) {
    while let Some(event) = events.next().await {
        if let Event::Call(call) = &*event {
            let Some(session) = session.upgrade() else { return };
            session.note_call(call);
        }
    }
}

/// Keeps an actor present; dropping it is leaving.
pub struct Presence {
    session: Weak<Session>,
    actor: Actor,
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.leave(&self.actor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemClock;
    use crate::bus::MessageKind;

    fn session() -> Arc<Session> {
        Session::new(Bus::default(), Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn watching_is_being_present() {
        let session = session();
        let you = Actor::operator("you");
        let claude = Actor::agent("claude");
        let mut seen = session.watch_participants(&you);
        assert_eq!(seen.recv().await.unwrap().len(), 1);
        let agent = session.watch_participants(&claude);
        let names: Vec<_> = seen.recv().await.unwrap().into_iter().map(|p| p.actor.name).collect();
        assert_eq!(names, ["you", "claude"]);
        drop(agent);
        assert_eq!(seen.recv().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_actor_with_two_connections_leaves_with_the_last() {
        let session = session();
        let claude = Actor::agent("claude");
        let (a, b) = (session.join(&claude), session.join(&claude));
        drop(a);
        assert_eq!(session.participants().len(), 1);
        drop(b);
        assert!(session.participants().is_empty());
    }

    #[tokio::test]
    async fn the_same_focus_twice_is_one_event() {
        let session = session();
        let mut events = session.bus().subscribe();
        let you = Actor::operator("you");
        let focus = Focus { pane: "pods".into(), ..Focus::default() };
        assert!(session.set_focus(&you, focus.clone()));
        assert!(!session.set_focus(&you, focus));
        assert!(matches!(*events.next().await.unwrap(), Event::Participants { .. }));
        let note = Outgoing { kind: MessageKind::Note, text: "hello".into(), to: None, about: None };
        session.post(&you, note);
        assert!(matches!(*events.next().await.unwrap(), Event::Message(_)));
    }

    #[tokio::test]
    async fn the_last_call_of_a_participant_is_known() {
        let session = session();
        let claude = Actor::agent("claude");
        let _here = session.join(&claude);
        session.bus().publish(Event::Call(CallEvent {
            call: crate::base::ids::CallId::new(),
            actor: claude.clone(),
            operation: "log_read".into(),
            target: "eu-1/shop/pod/api".into(),
            at: session.now(),
            phase: CallPhase::Started,
        }));
        for _ in 0..100 {
            if session.participants()[0].activity.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let activity = session.participants()[0].activity.clone().unwrap();
        assert_eq!((activity.operation.as_str(), activity.running), ("log_read", true));
    }
}
