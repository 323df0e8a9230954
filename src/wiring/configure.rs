//! `qd config init|show|check`: on this machine's files, without a session.

use std::io::Write as _;

use super::arguments::{Common, ConfigAction};
use crate::base::config::{self, Effective, Inputs};
use crate::base::{Code, Error, Paths, Result, paths};
use crate::gate::Form;
use crate::kube::objects::links;
use crate::tui::keymap::Keymap;
use crate::tui::{command, files, skin};

/// Loads the configuration as the flags and the environment say.
pub fn load(common: &Common) -> Result<(Paths, Effective)> {
    let (paths, inputs) = inputs(common)?;
    Ok((paths, config::load(&inputs)?))
}

fn inputs(common: &Common) -> Result<(Paths, Inputs)> {
    let paths = Paths::discover()?;
    let mut set = common.set.clone();
    set.extend(common.kubeconfig.as_ref().map(|file| format!("kubernetes.kubeconfig={}", file.display())));
    let inputs = Inputs {
        file: common.config.clone().unwrap_or_else(|| paths.config_file()),
        required: common.config.is_some(),
        environment: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
        set,
    };
    Ok((paths, inputs))
}

pub fn run(action: ConfigAction, common: &Common, forms: &[Form]) -> Result<()> {
    match action {
        ConfigAction::Init => init(common)?,
        ConfigAction::Show => say(&load(common)?.1.to_yaml()),
        ConfigAction::Check => {
            let (paths, inputs) = inputs(common)?;
            let (effective, mut mistakes) = config::examine(&inputs);
            mistakes.extend(names(&paths, &effective));
            // All of them are said, and the command ends as by the first.
            let code = mistakes.first().map(|first| first.code);
            if let Some((last, code)) = mistakes.pop().zip(code) {
                mistakes.iter().for_each(|mistake| super::complain(mistake, forms));
                return Err(Error { code, ..last });
            }
            match effective.file {
                Some(file) => say(&format!("{} is right.\n", file.display())),
                None => say(&format!(
                    "There is no {}: the defaults hold. `qd config init` writes it.\n",
                    paths.config_file().display()
                )),
            }
        }
    }
    Ok(())
}

/// Looks for what the configuration names: a theme, a keymap, a command that the console opens with, links. What is not
/// there, or cannot be.
fn names(paths: &Paths, effective: &Effective) -> Vec<Error> {
    let screen = &effective.config.screen;
    let at = |key: &str, error: Error| {
        let written = effective.written(&format!("screen.{key}"));
        Error { message: format!("{written}: screen.{key}: {}", error.message), ..error }
    };
    let theme = skin::load(&screen.theme, &files::theme_folders(Some(&paths.config))).err();
    let keymap = Keymap::named(&screen.keymap, &paths.config.join("keymaps")).err();
    let open = (!screen.open.is_empty()).then(|| command::parse(&screen.open).err()).flatten();
    let found = [("theme", theme), ("keymap", keymap), ("open", open)];
    let written = effective.written("kubernetes.links");
    let links = links::mistakes(&effective.config.kubernetes.links).into_iter();
    let links = links.map(|why| Error::invalid(format!("{written}: kubernetes.links: {why}")));
    found.into_iter().filter_map(|(key, error)| Some(at(key, error?))).chain(links).collect()
}

fn init(common: &Common) -> Result<()> {
    let file = match &common.config {
        Some(file) => file.clone(),
        None => {
            let paths = Paths::discover()?;
            paths::private_dir(&paths.config)?;
            paths.config_file()
        }
    };
    let mut open = std::fs::File::create_new(&file).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(Code::AlreadyExists, format!("{} is there already", file.display()))
                .next("Edit it, or move it away first; `qd config init --config FILE` writes elsewhere.")
        }
        _ => Error::unavailable(format!("cannot write {}: {e}", file.display()))
            .next("Name a place that you can write: `qd config init --config FILE`."),
    })?;
    open.write_all(config::template().as_bytes())
        .map_err(|e| Error::unavailable(format!("cannot write {}: {e}", file.display())))?;
    say(&format!("Wrote {}.\n", file.display()));
    Ok(())
}

fn say(text: &str) {
    // A reader that closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
