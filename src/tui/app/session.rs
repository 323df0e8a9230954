//! What the application itself asks for: clusters, kinds, who is here, what waits.
//!
//! Signals of the bus are level-triggered: on each the state is read again, never counted, and
//! never more than once at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::told::{approvals, clusters, kinds, participants};
use super::{App, Dirty, Outbound};
use crate::base::SafeText;
use crate::base::text::is_glob;
use crate::bus::{CallPhase, Event, Level, MessageKind};
use crate::gate::{Frame, Reply, Request};
use crate::rows::Table;
use crate::tui::effect::{Flash, Message, PaneId, Ticket};
use crate::tui::object::are_several;
use crate::tui::shared::ClusterInfo;

/// The least time between two reads of the same thing.
const PAUSE: Duration = Duration::from_millis(250);

/// What was learnt of the clusters since then is news enough.
const LATELY: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
/// How often those that are down are asked again by themselves, and after which time first.
const TRIES: u32 = 3;
const FIRST_TRY: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);

/// One thing that is read again when a signal says so.
#[derive(Default)]
struct Reread {
    running: Option<Ticket>,
    /// A signal came since the running read began.
    again: bool,
    not_before: Option<Timestamp>,
}

impl Reread {
    /// When a read that waits may begin.
    fn due(&self) -> Option<Timestamp> {
        if self.again && self.running.is_none() { self.not_before } else { None }
    }
}

#[derive(Default)]
pub(super) struct Session {
    /// The reading of the clusters' names, and the one of how they are: that of the names may come again while servers
    /// that do not answer are waited for.
    names: Option<Ticket>,
    states: Option<Ticket>,
    /// Sets of contexts that were gone to by globs or as `all`, and what each of them is.
    pub(super) sets: BTreeMap<String, Vec<CompactString>>,
    /// When every cluster was asked how it is.
    asked: Option<Timestamp>,
    /// When those that were down are asked once more, and how often they were: on a slow machine or line the first
    /// answer may only have come too late.
    again: (Option<Timestamp>, u32),
    pub setup: Option<Ticket>,
    /// What the files say is to be shown once it is read.
    pub show_setup: bool,
    /// Keys of the person's own that are in each other's way, or in the console's.
    pub clashes: Vec<String>,
    kinds: Option<Ticket>,
    /// A kind that was not known when it was typed: the cluster is asked for it. With the line, to go there then.
    pub asked_kind: Option<(Ticket, String)>,
    /// The names of the workspaces, to be said.
    pub workspaces: Option<Ticket>,
    /// The one that is to be opened.
    pub workspace: Option<(Ticket, String)>,
    namespaces_watch: Option<Ticket>,
    namespace_table: Table,
    /// For completion.
    pub namespaces: Vec<CompactString>,
    participants: Reread,
    approvals: Reread,
    pub has_focus_set: bool,
    pub published: Option<Value>,
    /// The pane that waits for the editor.
    pub editing: Option<PaneId>,
    /// Which text was edited last, and where the cursor stood then.
    pub left: Option<(u64, (usize, usize))>,
}

impl Session {
    pub fn wake(&self) -> Option<Timestamp> {
        self.participants.due().into_iter().chain(self.approvals.due()).chain(self.again.0).min()
    }
}

impl App {
    pub(super) fn start_session(&mut self) {
        self.session.has_focus_set = self.shared.has_operation("focus_set");
        self.read_clusters(true);
        self.read_kinds();
        self.read_setup();
        self.read_participants();
        self.read_approvals();
    }

    /// Reads the clusters once. Watching them asks every server again and again, which is for the pane that
    /// shows them. Offline gives the names at once; how the servers are follows.
    fn read_clusters(&mut self, offline: bool) {
        let ticket = self.next_ticket();
        if offline {
            self.session.names = Some(ticket);
        } else {
            self.session.states = Some(ticket);
            self.session.asked = Some(self.clock.now());
        }
        if self.shared.has_operation("cluster_list") {
            self.executor.call(None, ticket, Request::new("cluster_list", json!({ "offline": offline })));
        }
    }

    /// Takes what was learnt of every cluster. One that is being asked again keeps what it last was.
    pub(super) fn learn_clusters(&mut self, mut known: Vec<ClusterInfo>) {
        known.sort_by(|a, b| a.name.cmp(&b.name));
        for cluster in known.iter_mut().filter(|c| c.up.is_none()) {
            if let Some(before) = self.shared.known_clusters.iter().find(|c| c.name == cluster.name) {
                cluster.seen_as(before);
            }
        }
        let first = self.shared.known_clusters.is_empty();
        self.shared.known_clusters = known;
        if first {
            self.name_clusters();
        } else {
            self.follow_sets();
            self.leave_gone_clusters();
        }
    }

    /// A context that was renamed or deleted is in view no more: new tables show the others, or the current one.
    fn leave_gone_clusters(&mut self) {
        let known = &self.shared.known_clusters;
        if known.is_empty() || self.shared.clusters.iter().any(|name| is_glob(name) || name == "all") {
            return;
        }
        let is_gone = |name: &&CompactString| !known.iter().any(|c| c.name == **name);
        let Some(gone) = self.shared.clusters.iter().find(is_gone).cloned() else { return };
        let left: Vec<CompactString> = self.shared.clusters.iter().filter(|n| !is_gone(n)).cloned().collect();
        let current = known.iter().find(|c| c.current).map(|c| c.name.clone());
        let (place, next) = match (left.is_empty(), current) {
            (true, Some(current)) => (vec![current.clone()], format!("New tables show {current}.")),
            (true, None) => (Vec::new(), ":ctx lists those that there are.".to_owned()),
            (false, _) => (left, "New tables show the others.".to_owned()),
        };
        self.set_clusters(place);
        self.flash(Flash::warning(format!("there is no context {gone} any more")).next(next));
    }

    /// Takes what a watch has noticed of one cluster; without a name, of the current one.
    pub(super) fn cluster_seen(&mut self, cluster: &str, up: bool) {
        let same = |c: &&mut ClusterInfo| if cluster.is_empty() { c.current } else { c.name == cluster };
        if let Some(known) = self.shared.known_clusters.iter_mut().find(same) {
            known.up = Some(up);
            if !up {
                known.latency_ms = None;
            }
        }
        // It can say now which kinds there are, if none could.
        if up && self.shared.kinds.is_empty() && self.session.kinds.is_none() {
            self.read_kinds();
        }
    }

    /// Other clusters are in view: what is known of the old ones is read again for these.
    pub(super) fn cluster_changed(&mut self) {
        if let Some(old) = self.session.namespaces_watch.take() {
            self.executor.cancel(old);
            self.session.namespace_table = Table::default();
            self.session.namespaces.clear();
        }
        // Whoever goes from tab to tab does not ask all servers each time.
        let now = self.clock.now();
        if self.session.asked.is_none_or(|at| now.duration_since(at) > LATELY) {
            self.session.again = (None, 0);
            self.read_clusters(false);
        }
        self.read_kinds();
        self.read_setup();
    }

    pub(super) fn cluster_argument(&self) -> Value {
        let shared = &self.shared;
        let up = |name: &&CompactString| {
            shared.known_clusters.iter().any(|c| c.name == **name && c.up == Some(true))
        };
        // What is asked of one of several is asked of one that answers.
        let cluster = shared.clusters.iter().find(up).or(shared.clusters.first());
        match cluster.filter(|_| !are_several(&shared.clusters) || shared.clusters.len() > 1) {
            Some(cluster) => json!({ "cluster": cluster }),
            None => json!({}),
        }
    }

    pub(super) fn read_kinds(&mut self) {
        if self.shared.has_operation("kind_list") {
            let ticket = self.next_ticket();
            let mut arguments = self.cluster_argument();
            // In one page: completion needs them all.
            arguments["limit"] = json!(100_000);
            let request = Request::new("kind_list", arguments);
            self.executor.call(None, ticket, request);
            self.session.kinds = Some(ticket);
        }
    }

    /// The namespaces, once someone wants to complete one.
    pub(super) fn watch_namespaces(&mut self) {
        if self.session.namespaces_watch.is_some() || !self.shared.has_operation("resource_list") {
            return;
        }
        let ticket = self.next_ticket();
        let mut arguments = self.cluster_argument();
        arguments["kind"] = json!("namespaces");
        self.executor.watch(None, ticket, Request::new("resource_list", arguments));
        self.session.namespaces_watch = Some(ticket);
    }

    fn read_participants(&mut self) {
        self.reread("participant_list", |session| &mut session.participants);
    }

    fn read_approvals(&mut self) {
        self.reread("approval_list", |session| &mut session.approvals);
    }

    fn reread(&mut self, operation: &str, which: fn(&mut Session) -> &mut Reread) {
        if !self.shared.has_operation(operation) {
            return;
        }
        let now = self.clock.now();
        let ticket = self.next_ticket();
        let reread = which(&mut self.session);
        if reread.running.is_some() || reread.not_before.is_some_and(|t| now < t) {
            reread.again = true;
            return;
        }
        *reread = Reread { running: Some(ticket), again: false, not_before: now.checked_add(PAUSE).ok() };
        self.executor.call(None, ticket, Request::new(operation, json!({})));
    }

    /// Reads what had to wait.
    pub(super) fn session_due(&mut self) {
        let now = self.clock.now();
        if self.session.participants.due().is_some_and(|due| due <= now) {
            self.read_participants();
        }
        if self.session.approvals.due().is_some_and(|due| due <= now) {
            self.read_approvals();
        }
        if self.session.again.0.take_if(|due| *due <= now).is_some() {
            self.read_clusters(false);
        }
    }

    /// Clusters that are down are asked again after 15, 30 and 60 s, and then when somebody looks.
    fn ask_those_down_again(&mut self) {
        let tries = self.session.again.1;
        let down = self.shared.known_clusters.iter().any(|c| c.up == Some(false));
        let due = (down && tries < TRIES).then(|| self.clock.now() + FIRST_TRY * 2i32.pow(tries));
        self.session.again = (due, tries + 1);
    }

    pub(super) fn note_event(&mut self, event: &Arc<Event>) {
        let now = self.clock.now();
        if self.shared.note(event, now) {
            self.soil(Dirty::Data);
        }
        match event.as_ref() {
            Event::Participants { .. } => self.read_participants(),
            Event::Approval(_) => self.read_approvals(),
            Event::Call(call) if matches!(call.phase, CallPhase::Held { .. }) => {
                if !call.actor.same_as(&self.shared.actor) {
                    self.outbound.push_back(Outbound::Bell);
                }
                self.read_approvals();
            }
            Event::Contexts => self.read_clusters(true),
            Event::Resync { .. } => {
                self.read_clusters(true);
                self.read_participants();
                self.read_approvals();
            }
            // The timeline has it too; what is this bad must not pass unseen.
            Event::Notice { level: level @ Level::Error, text } => {
                self.show(Flash { level: *level, text: text.clone(), next: None }, 30, true);
            }
            Event::Changed(changed) => self.tell_change(changed),
            // On a narrow screen no timeline shows what an assistant answers.
            Event::Message(said)
                if said.kind != MessageKind::Point && !said.from.same_as(&self.shared.actor) =>
            {
                let text = SafeText::new(&format!("{}: {}", said.from, said.text));
                let next = Some(":messages has all of it.".to_owned());
                self.show(Flash { level: Level::Info, text: text.to_string(), next }, 15, false);
            }
            Event::Call(_) | Event::Message(_) | Event::Store { .. } | Event::Notice { .. } => {}
        }
    }

    pub(super) fn receive_own(&mut self, message: Message) {
        match message {
            Message::Reply { ticket, result } => {
                if self.finish_background(ticket, &result) {
                    return;
                }
                let opened = self.session.workspace.take_if(|(asked, _)| *asked == ticket);
                let output = match result {
                    Ok(Reply::Done { output, .. }) => Some(output),
                    Err(error) if opened.is_some() => return self.flash(Flash::error(&error)),
                    Ok(Reply::Held(_)) | Err(_) => None,
                };
                match (opened, output) {
                    (Some((_, name)), Some(output)) => self.open_workspace(&name, &output),
                    (_, output) => self.own_reply(ticket, output),
                }
            }
            Message::Job { ticket, value } => {
                if let Ok(interaction) = value.downcast::<crate::gate::Interaction>() {
                    self.ready_to_talk(ticket, *interaction);
                }
            }
            Message::Frame { ticket, frame: Frame::Table(delta) } => {
                if self.session.namespaces_watch == Some(ticket) {
                    self.session.namespace_table.apply(delta, None);
                    let rows = self.session.namespace_table.slots().iter();
                    let mut names: Vec<CompactString> = rows.map(|(_, row)| row.key.name.clone()).collect();
                    names.sort();
                    self.session.namespaces = names;
                    self.suggest();
                }
                self.soil(Dirty::Data);
            }
            _ => {}
        }
    }

    fn own_reply(&mut self, ticket: Ticket, output: Option<Value>) {
        let session = &mut self.session;
        if let Some((_, line)) = session.asked_kind.take_if(|(asked, _)| *asked == ticket) {
            return self.kind_came(&line, output.as_ref().map(kinds));
        }
        if session.workspaces == Some(ticket) {
            if let Some(output) = output {
                self.tell_workspaces(&output);
            }
        } else if session.names == Some(ticket) {
            if let Some(output) = output {
                let first = self.shared.known_clusters.is_empty();
                self.learn_clusters(clusters(&output));
                // Where there are none, none can be asked how it is.
                if first && !self.shared.known_clusters.is_empty() {
                    self.read_clusters(false);
                }
            }
        } else if session.states == Some(ticket) {
            if let Some(output) = output {
                // Which contexts there are was perhaps read again since these servers were asked.
                for seen in clusters(&output) {
                    if let Some(known) = self.shared.known_clusters.iter_mut().find(|c| c.name == seen.name) {
                        known.seen_as(&seen);
                    }
                }
                self.ask_those_down_again();
            }
        } else if session.setup == Some(ticket) {
            if let Some(output) = output {
                self.take_setup(output);
                if std::mem::take(&mut self.session.show_setup) {
                    self.show_setup();
                }
            }
        } else if session.kinds == Some(ticket) {
            session.kinds = session.kinds.filter(|_| output.is_some());
            if let Some(output) = output {
                self.shared.kinds = kinds(&output).into();
                // Scopes of plugins are words for kinds.
                self.lay_own_keys();
                self.every_pane(|pane, cx| pane.set_up(cx));
                self.suggest();
            }
        } else if session.participants.running == Some(ticket) {
            session.participants.running = None;
            if let Some(output) = output {
                self.shared.participants =
                    participants(&output, &self.shared.participants, &self.shared.actor);
            }
            if self.session.participants.again {
                self.read_participants();
            }
        } else if session.approvals.running == Some(ticket) {
            session.approvals.running = None;
            if let Some(output) = output {
                self.shared.approvals = approvals(&output);
            }
            if self.session.approvals.again {
                self.read_approvals();
            }
        } else {
            return;
        }
        self.soil(Dirty::Data);
    }
}
