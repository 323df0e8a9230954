//! May this actor do this? Answered by Cedar policies: the shipped ones in `policies/`, each replaced by
//! a file of the same name in the configuration's directory, and whatever else lies there.
//!
//! What no policy permits is denied. Two things are not left to policy files: an agent never decides,
//! and a policy that does not fit the schema is refused when it is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::spec::{Effect, Right, Spec, System, Target};
use crate::base::{Actor, ActorKind, Code, Door, Error, Result, Role};

const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");
const SHIPPED: &[(&str, &str)] = &[
    ("admin.cedar", include_str!("../../policies/admin.cedar")),
    ("agent.cedar", include_str!("../../policies/agent.cedar")),
    ("operator.cedar", include_str!("../../policies/operator.cedar")),
    ("viewer.cedar", include_str!("../../policies/viewer.cedar")),
];

/// Rulings kept; a full cache is emptied.
const CACHED: usize = 4096;

/// What is to happen with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    Run,
    Hold,
    /// Why, in one sentence.
    Deny(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    Run,
    Propose,
    Decide,
    Approve,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Action::Run => "run",
            Action::Propose => "propose",
            Action::Decide => "decide",
            Action::Approve => "approve",
        }
    }
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Question {
    kind: ActorKind,
    name: compact_str::CompactString,
    role: Role,
    door: Door,
    operation: &'static str,
    /// That of several calls as one is that of the worst of them.
    effect: Effect,
    target: Target,
}

/// The policies in force.
pub struct Policy {
    policies: PolicySet,
    types: Types,
    version: String,
    decide_elsewhere: bool,
    authorizer: Authorizer,
    cache: Mutex<HashMap<Question, Ruling>>,
}

/// Entity types, parsed once.
struct Types {
    actor: EntityTypeName,
    role: EntityTypeName,
    effect: EntityTypeName,
    operation: EntityTypeName,
    action: EntityTypeName,
}

impl Policy {
    /// The shipped policies alone.
    pub fn shipped() -> Result<Self> {
        let files = SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self::of(&files)
    }

    /// The shipped policies with those of a directory: a file of a shipped one's name takes its place.
    /// A directory that is not there changes nothing; a file that is wrong is an error that names it.
    pub fn load(directory: &Path) -> Result<Self> {
        let mut files: BTreeMap<String, String> =
            SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Self::of(&files),
            Err(e) => return Err(unreadable(directory, &e)),
        };
        let mut own = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| unreadable(directory, &e))?.path();
            if path.extension().is_some_and(|e| e == "cedar") {
                let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                own.push(path.display().to_string());
                files.insert(name, text);
            }
        }
        let policy = Self::of(&files)?;
        if !own.is_empty() {
            policy.validate(&own)?;
        }
        Ok(policy)
    }

    fn of(files: &BTreeMap<String, String>) -> Result<Self> {
        let mut policies = PolicySet::new();
        let mut hash = Sha256::new();
        for (file, text) in files {
            hash.update(file.as_bytes());
            hash.update([0]);
            hash.update(text.as_bytes());
            hash.update([0]);
            let parsed = PolicySet::from_str(text).map_err(|e| wrong(file, &e.to_string()))?;
            for (i, policy) in parsed.policies().enumerate() {
                let name = policy.annotation("id").map_or_else(|| format!("{file}#{}", i + 1), str::to_owned);
                policies
                    .add(policy.new_id(PolicyId::new(&name)))
                    .map_err(|e| wrong(file, &format!("policy {name}: {e}")))?;
            }
        }
        Ok(Self {
            policies,
            types: Types::new()?,
            version: hex::encode(&hash.finalize()[..8]),
            decide_elsewhere: false,
            authorizer: Authorizer::new(),
            cache: Mutex::default(),
        })
    }

    /// Lets persons decide at every door, not at the screen alone.
    #[must_use]
    pub fn deciding_elsewhere(mut self, allowed: bool) -> Self {
        self.decide_elsewhere = allowed;
        self
    }

    /// Names the policies in force: a digest of their text.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn validate(&self, files: &[String]) -> Result<()> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(Error::internal)?;
        let result = Validator::new(schema).validate(&self.policies, ValidationMode::Strict);
        if result.validation_passed() {
            return Ok(());
        }
        let faults: Vec<String> = result.validation_errors().take(3).map(|e| e.to_string()).collect();
        Err(wrong(&files.join(", "), &faults.join("; ")))
    }

    /// What is to happen with a call.
    pub(crate) fn rule(&self, actor: &Actor, spec: &Spec, target: &Target) -> Ruling {
        let question = Question {
            kind: actor.kind,
            name: actor.name.clone(),
            role: actor.role,
            door: actor.door,
            operation: spec.name,
            effect: spec.effect,
            target: target.clone(),
        };
        if let Some(ruling) = self.cache.lock().get(&question) {
            return ruling.clone();
        }
        let ruling = self.rule_anew(actor, spec, target);
        let mut cache = self.cache.lock();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(question, ruling.clone());
        ruling
    }

    fn rule_anew(&self, actor: &Actor, spec: &Spec, target: &Target) -> Ruling {
        let ask = |action| self.ask(actor, action, spec.name, spec.effect, target);
        let result = match spec.right {
            Right::Decide if is_agent(actor) => return Ruling::Deny("an agent never decides".to_owned()),
            Right::Decide => ask(Action::Decide).map(|()| Ruling::Run),
            Right::Person if actor.kind != ActorKind::Person || is_agent(actor) => {
                return Ruling::Deny(format!("{} is for persons alone: it gives rights", spec.name));
            }
            Right::Person => ask(Action::Run).map(|()| Ruling::Run),
            Right::Use => ask(Action::Run)
                .map(|()| Ruling::Run)
                .or_else(|denied| ask(Action::Propose).map(|()| Ruling::Hold).map_err(|_| denied)),
        };
        result.unwrap_or_else(Ruling::Deny)
    }

    /// Whether a person may decide about a held call.
    pub(in crate::gate) fn may_approve(
        &self,
        decider: &Actor,
        operation: &str,
        effect: Effect,
        target: &Target,
    ) -> Result<()> {
        let denied =
            |why: String| Err(Error::new(Code::PermissionDenied, why).next("Ask someone who may decide."));
        if is_agent(decider) {
            return denied("an agent never decides".to_owned());
        }
        self.ask(decider, Action::Approve, operation, effect, target).or_else(denied)
    }

    /// Asks Cedar; the error is why not.
    fn ask(
        &self,
        actor: &Actor,
        action: Action,
        operation: &str,
        effect: Effect,
        target: &Target,
    ) -> Result<(), String> {
        let inner = || -> Result<cedar_policy::Response, String> {
            let (request, entities) = self.question(actor, action, operation, effect, target)?;
            Ok(self.authorizer.is_authorized(&request, &self.policies, &entities))
        };
        let response = inner().map_err(|e| format!("the policy could not be asked: {e}"))?;
        if response.decision() == cedar_policy::Decision::Allow {
            return Ok(());
        }
        if let Some(e) = response.diagnostics().errors().next() {
            return Err(format!("the policy failed: {e}"));
        }
        let forbidding: Vec<String> = response.diagnostics().reason().map(|id| id.to_string()).collect();
        let (role, action) = (actor.role.as_str(), action.as_str());
        Err(if forbidding.is_empty() {
            format!(
                "no policy lets the role {role} {action} {operation} through the {} door",
                actor.door.as_str()
            )
        } else {
            format!("the policy {} forbids it", forbidding.join(", "))
        })
    }

    fn question(
        &self,
        actor: &Actor,
        action: Action,
        operation: &str,
        effect: Effect,
        target: &Target,
    ) -> Result<(Request, Entities), String> {
        let types = &self.types;
        let uid = |type_name: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
        };
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let principal = uid(&types.actor, &actor.to_string());
        let role = uid(&types.role, actor.role.as_str());
        let resource = uid(&types.operation, operation);
        let effect_uid = uid(&types.effect, effect.as_str());
        let kind = actor.to_string();
        let kind = kind.split(':').next().unwrap_or_default();
        let attributes =
            HashMap::from([("kind".to_owned(), text(kind)), ("name".to_owned(), text(actor.name.as_str()))]);
        let system = match target.system {
            System::Quarterdeck => "quarterdeck",
            System::Kubernetes => "kubernetes",
            System::Device => "device",
            System::Server => "server",
            System::Data => "data",
        };
        let context = Context::from_pairs([
            ("effect".to_owned(), text(effect.as_str())),
            ("operation".to_owned(), text(operation)),
            ("door".to_owned(), text(actor.door.as_str())),
            ("system".to_owned(), text(system)),
            ("cluster".to_owned(), text(&target.place)),
            ("namespace".to_owned(), text(&target.namespace)),
            ("kind".to_owned(), text(&target.kind)),
            ("name".to_owned(), text(&target.name)),
            ("decide_elsewhere".to_owned(), RestrictedExpression::new_bool(self.decide_elsewhere)),
        ])
        .map_err(|e| e.to_string())?;
        let entities = [
            Entity::new(principal.clone(), attributes, HashSet::from([role.clone()]))
                .map_err(|e| e.to_string())?,
            Entity::new_no_attrs(role, HashSet::new()),
            Entity::new_no_attrs(resource.clone(), HashSet::from([effect_uid.clone()])),
            Entity::new_no_attrs(effect_uid, HashSet::new()),
        ];
        let entities = Entities::from_entities(entities, None).map_err(|e| e.to_string())?;
        let action = uid(&types.action, action.as_str());
        let request = Request::new(principal, action, resource, context, None).map_err(|e| e.to_string())?;
        Ok((request, entities))
    }
}

impl Types {
    fn new() -> Result<Self> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(Error::internal);
        Ok(Self {
            actor: name("Actor")?,
            role: name("Role")?,
            effect: name("Effect")?,
            operation: name("Operation")?,
            action: name("Action")?,
        })
    }
}

/// Whether the actor must never decide: an assistant, or whoever has an assistant's role.
pub(in crate::gate) fn is_agent(actor: &Actor) -> bool {
    actor.kind == ActorKind::Agent || actor.role == Role::Agent
}

fn wrong(file: &str, reason: &str) -> Error {
    Error::invalid(format!("the policy file {file}: {reason}"))
        .next("Mend the file; policies/schema.cedarschema says what policies can speak of.")
}

fn unreadable(path: &Path, e: &std::io::Error) -> Error {
    Error::unavailable(format!("the policy file {}: {e}", path.display()))
        .next("Make it readable for this user.")
}

#[cfg(test)]
mod tests {
    use super::super::spec::Method;
    use super::*;

    const LIST: Spec = Spec::observe("pod_list", "/v1/pods", "List.");
    const SCALE: Spec = Spec::change("deployment_scale", Method::Post, "/v1/scale", "Scale.");
    const DELETE: Spec = Spec::destroy("resource_delete", Method::Delete, "/v1/x", "Delete.");
    const DECIDE: Spec = Spec::change("approval_decide", Method::Post, "/v1/y", "Decide.").deciding();

    fn target() -> Target {
        Target::kubernetes("eu-1", "shop", "deployment", "api")
    }

    fn who(kind: ActorKind, role: Role, door: Door) -> Actor {
        Actor::new(kind, "x", role, door)
    }

    #[test]
    fn the_shipped_policies_fit_the_schema() {
        Policy::shipped().unwrap().validate(&["shipped".to_owned()]).unwrap();
    }

    #[test]
    fn each_role_may_do_what_it_should() {
        use ActorKind::{Agent, Client, Person};
        let p = Policy::shipped().unwrap();
        let rule = |kind, role, door, spec: &Spec| match p.rule(&who(kind, role, door), spec, &target()) {
            Ruling::Run => "run",
            Ruling::Hold => "hold",
            Ruling::Deny(_) => "deny",
        };
        for (kind, role, door, rulings) in [
            (Person, Role::Viewer, Door::Screen, ["run", "deny", "deny", "deny"]),
            (Person, Role::Operator, Door::Screen, ["run", "run", "run", "run"]),
            (Person, Role::Operator, Door::Cli, ["run", "run", "run", "deny"]),
            (Person, Role::Admin, Door::Screen, ["run", "run", "run", "run"]),
            (Client, Role::Operator, Door::Rest, ["run", "run", "run", "deny"]),
            (Agent, Role::Agent, Door::Mcp, ["run", "hold", "hold", "deny"]),
            // An assistant with a better role still decides nothing, and so does a person with an agent's.
            (Agent, Role::Admin, Door::Screen, ["run", "run", "run", "deny"]),
            (Person, Role::Agent, Door::Screen, ["run", "hold", "hold", "deny"]),
        ] {
            let found = [&LIST, &SCALE, &DELETE, &DECIDE].map(|spec| rule(kind, role, door, spec));
            assert_eq!(found, rulings, "{kind:?} {role:?} {door:?}");
        }
        let elsewhere = Policy::shipped().unwrap().deciding_elsewhere(true);
        assert_eq!(elsewhere.rule(&who(Person, Role::Operator, Door::Cli), &DECIDE, &target()), Ruling::Run);
    }

    #[test]
    fn own_files_add_replace_and_are_refused_when_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let shipped = Policy::shipped().unwrap();
        write(
            "mine.cedar",
            r#"@id("no-prod") forbid (principal, action, resource) when { context.cluster == "prod" };"#,
        );
        let p = Policy::load(directory.path()).unwrap();
        assert_ne!(p.version(), shipped.version());
        let prod = Target::kubernetes("prod", "shop", "deployment", "api");
        let agent = Actor::agent("claude");
        let Ruling::Deny(why) = p.rule(&agent, &LIST, &prod) else { panic!() };
        assert!(why.contains("no-prod"), "{why}");
        assert_eq!(p.rule(&agent, &LIST, &target()), Ruling::Run);

        // Even a policy that permits everything does not let an agent decide.
        write("agent.cedar", r#"permit (principal, action, resource);"#);
        let p = Policy::load(directory.path()).unwrap();
        assert!(matches!(p.rule(&agent, &DECIDE, &target()), Ruling::Deny(_)));
        assert_eq!(
            p.may_approve(&agent, "x", Effect::Change, &target()).unwrap_err().code,
            Code::PermissionDenied
        );

        write("typo.cedar", r#"permit (principal, action, resource) when { context.clutser == "x" };"#);
        let e = Policy::load(directory.path()).err().unwrap();
        assert!(e.message.contains("clutser"), "{e}");
        write("typo.cedar", "permit (principal");
        let e = Policy::load(directory.path()).err().unwrap();
        assert!(e.message.contains("typo.cedar"), "{e}");
        assert!(Policy::load(Path::new("/nonexistent")).is_ok());
    }
}
