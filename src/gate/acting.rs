//! As whom the systems behind the gate take its calls, where that is not whoever they log in as.

use std::sync::Arc;

use super::spec::Target;

type Whom = dyn Fn(&Target) -> Option<String> + Send + Sync;

/// Told by the domain that sends the calls; recorded with each call, and said in its preview.
#[derive(Clone, Default)]
pub struct Acting {
    whom: Option<Arc<Whom>>,
    /// The same as flags of the commands that calls are equal to: (`kubectl`, `--as jane`).
    flags: Vec<(&'static str, String)>,
}

impl Acting {
    /// `whom` gives the name for a target, as `jane in devs`.
    pub fn new(whom: impl Fn(&Target) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { whom: Some(Arc::new(whom)), flags: Vec::new() }
    }

    /// What a command is to be given so that it acts as the same.
    #[must_use]
    pub fn flagged(mut self, flags: Vec<(&'static str, String)>) -> Self {
        self.flags = flags;
        self
    }

    pub(in crate::gate) fn of(&self, target: &Target) -> Option<String> {
        self.whom.as_ref().and_then(|whom| whom(target))
    }

    /// A command as it would have to be typed. The flags go first: what follows `--` is another program's.
    pub(in crate::gate) fn command(&self, command: String) -> String {
        for (program, flags) in &self.flags {
            let rest = command.strip_prefix(program).filter(|rest| rest.starts_with(' '));
            // kubectl's own file is changed as whoever types.
            if let Some(rest) = rest.filter(|rest| !rest.starts_with(" config ")) {
                return format!("{program} {flags}{rest}");
            }
        }
        command
    }
}

impl std::fmt::Debug for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acting").field("flags", &self.flags).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_what_is_another_programs() {
        let acting = Acting::default().flagged(vec![("kubectl", "--as jane".to_owned())]);
        let said = acting.command("kubectl exec web -- kubectl get pods".to_owned());
        assert_eq!(said, "kubectl --as jane exec web -- kubectl get pods");
        assert_eq!(acting.command("kubectl-x y".to_owned()), "kubectl-x y");
        assert_eq!(Acting::default().of(&Target::default()), None);
    }
}
