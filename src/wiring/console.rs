//! `qd` and `qd lab`: the console on a session of its own, or on the one that is live.

use super::arguments::Opening;
use super::build::Setting;
use super::host::Host;
use super::join;
use crate::base::{Code, Door, Error, Result};
use crate::bus::{Bus, Event, Level};
use crate::gate::Client;
use crate::gate::wire::Purpose;
use crate::{lab as fleet, tui};

/// `qd`, with what it opens with. Where a session is live, its console joins it: one session, seen
/// from two terminals.
pub async fn console(setting: Setting, opening: Opening) -> Result<u8> {
    need_terminal(&opening)?;
    let person = setting.person(Door::Screen);
    let mut heir = false;
    let mut live = join::join(&setting, Purpose::Wire, &person).await?;
    while let Some(joined) = live {
        let read_only = joined.welcome.read_only;
        let same = joined.is_same(&setting);
        let remote = joined.remote();
        // The palette and the forms are made from it.
        remote.fetch_catalogue().await?;
        let gone = remote.gone();
        let client = Client::new(std::sync::Arc::new(remote), std::sync::Arc::new(person.clone()));
        tokio::select! {
            shown = show(client, &setting, &opening, read_only) => return shown,
            // The terminal is given back by what is dropped here, and taken again below.
            () = gone.cancelled() => heir = true,
        }
        if !same {
            // A session over other clusters, such as the practice fleet, or that acts as another has no heir here.
            return Err(Error::unavailable("the session that this console had joined has ended")
                .next("Start it again, or open another."));
        }
        live = join::again(&setting, Purpose::Wire, &person).await?;
    }
    let mut host = Host::open(&setting).await?;
    if heir {
        host.notes.push("the process that held the session has ended: this console holds it now".to_owned());
    }
    let shown = run(&mut host, &setting, &opening).await;
    host.close().await;
    shown
}

/// `qd lab`: the same on the practice fleet, in a session and directories of its own.
pub async fn lab(mut setting: Setting, opening: Opening) -> Result<u8> {
    need_terminal(&opening)?;
    let failed = |e: anyhow::Error| Error::unavailable(format!("cannot start the practice fleet: {e:#}"));
    crate::base::paths::private_dir(&setting.paths.runtime)?;
    let options =
        fleet::Options { directory: Some(setting.paths.runtime.clone()), ..fleet::Options::default() };
    let fleet = fleet::open(options).await.map_err(failed)?;
    setting.effective.config.kubernetes.kubeconfig = fleet.kubeconfig_path().to_owned();
    setting.effective.config.kubernetes.context.clear();
    // Practice leaves no trace in the real audit log, and does not take the real session's socket.
    setting.paths.state = setting.paths.state.join("lab");
    setting.session.get_or_insert_with(|| "lab".to_owned());
    let mut host = Host::open(&setting).await?;
    let shown = run(&mut host, &setting, &opening).await;
    host.close().await;
    drop(fleet);
    shown
}

async fn run(host: &mut Host, setting: &Setting, opening: &Opening) -> Result<u8> {
    let bus = host.built.gate.bus().clone();
    let client = host.built.gate.client(setting.person(Door::Screen));
    let read_only = host.built.gate.is_read_only();
    // What became of the session is said last: it stays on the screen.
    let mut notes = std::mem::take(&mut host.notes);
    if setting.effective.config.http.enabled
        && let Err(error) = host.listen_http(setting).await
    {
        // A console without an HTTP endpoint is still a console.
        host.notes.push(format!("{error}. {}", error.next_step()));
    }
    notes.splice(0..0, std::mem::take(&mut host.notes));
    tokio::spawn(tell(bus, notes));
    let stop = host.stopping();
    tokio::select! {
        shown = show(client, setting, opening, read_only) => shown,
        // The terminal is given back by what is dropped here.
        () = stop.cancelled() => Ok(0),
    }
}

/// Says the notes once the screen listens.
async fn tell(bus: Bus, notes: Vec<String>) {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    for text in notes {
        tracing::warn!(text, "note");
        bus.publish(Event::Notice { level: Level::Warning, text });
    }
}

async fn show(client: Client, setting: &Setting, opening: &Opening, read_only: bool) -> Result<u8> {
    let config = &setting.effective.config;
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let command = opening.command(&config.screen.open).or_else(|| filled(&config.screen.open));
    let options = tui::Options {
        command,
        theme: filled(&config.screen.theme),
        keymap: filled(&config.screen.keymap),
        read_only,
        write: setting.write,
        config_dir: Some(setting.paths.config.clone()),
        mouse: config.screen.mouse,
        own_editor: tui::terminal::has_editor(),
        namespace: filled(&config.kubernetes.namespace),
        sorts: Some(setting.paths.state.join("sorts.json")),
        log_disk: tui::Disk::new(
            setting.paths.state.join("lines"),
            u64::from(config.screen.log_disk_mib) << 20,
        ),
        ..tui::Options::default()
    };
    match tui::run(client, options).await {
        Ok(()) => Ok(0),
        Err(error) => Err(match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::unavailable(format!("the console ended: {error:#}")),
        }),
    }
}

/// The console needs a terminal; a script that mistyped a command should hear that, not see a screen.
fn need_terminal(opening: &Opening) -> Result<()> {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    let error = match opening.words.first() {
        Some(word) => {
            Error::new(Code::InvalidArgument, format!("{word:?} is no command, and this is no terminal"))
        }
        None => Error::new(Code::InvalidArgument, "the console needs a terminal, and this is none"),
    };
    Err(error.next("`qd --help` lists the commands; `qd serve` runs without a screen."))
}
