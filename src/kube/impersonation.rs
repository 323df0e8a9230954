//! Acting as another: the user, groups and UID that every request to a cluster is to be taken for.
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation>.

use kube::config::AuthInfo;

use crate::base::{Error, Result};

/// Whom to act as, in place of what the kubeconfig says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impersonation {
    pub user: String,
    pub groups: Vec<String>,
    pub uid: Option<String>,
}

impl Impersonation {
    /// From flags; nothing where none is given. Groups and a UID belong to a user: the server takes them with one only.
    pub fn of(user: Option<&str>, groups: &[String], uid: Option<&str>) -> Result<Option<Self>> {
        let filled = |text: &&str| !text.trim().is_empty();
        match user.filter(filled) {
            None if user.is_some() => Err(Error::invalid("--as names nobody").next("Write --as USER.")),
            None if groups.is_empty() && uid.is_none() => Ok(None),
            None => {
                let what = if groups.is_empty() { "--as-uid" } else { "--as-group" };
                Err(Error::invalid(format!("{what} is of somebody, and --as does not say of whom"))
                    .next("Add --as USER."))
            }
            Some(user) => Ok(Some(Self {
                user: user.to_owned(),
                groups: groups.to_vec(),
                uid: uid.filter(filled).map(str::to_owned),
            })),
        }
    }

    /// What a kubeconfig's user is to act as by itself.
    pub(super) fn of_user(user: &AuthInfo) -> Option<Self> {
        Some(Self {
            user: user.impersonate.clone().filter(|name| !name.is_empty())?,
            groups: user.impersonate_groups.clone().unwrap_or_default(),
            uid: user.impersonate_uid.clone(),
        })
    }

    /// Puts it in the place of what a user of the kubeconfig has.
    pub(super) fn put(&self, user: &mut AuthInfo) {
        user.impersonate = Some(self.user.clone());
        user.impersonate_groups = (!self.groups.is_empty()).then(|| self.groups.clone());
        user.impersonate_uid.clone_from(&self.uid);
        user.impersonate_user_extra = None;
    }

    /// `jane`, `jane in devs, ops`.
    pub fn words(&self) -> String {
        match self.groups.as_slice() {
            [] => self.user.clone(),
            groups => format!("{} in {}", self.user, groups.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_without_a_user_are_refused_and_nothing_is_nobody() {
        let devs = vec!["devs".to_owned()];
        assert_eq!(Impersonation::of(None, &[], None).unwrap(), None);
        let jane = Impersonation::of(Some("jane"), &devs, Some("7")).unwrap().unwrap();
        assert_eq!((jane.words().as_str(), jane.uid.as_deref()), ("jane in devs", Some("7")));
        for (user, groups, uid) in [(None, &devs[..], None), (None, &[], Some("7")), (Some(" "), &[], None)] {
            assert!(Impersonation::of(user, groups, uid).unwrap_err().next_step().contains("--as USER"));
        }
    }

    #[test]
    fn what_a_user_of_the_kubeconfig_had_is_replaced_whole() {
        let mut user = AuthInfo {
            impersonate: Some("root".into()),
            impersonate_groups: Some(vec!["system:masters".into()]),
            impersonate_user_extra: Some([("scopes".to_owned(), vec!["all".to_owned()])].into()),
            ..AuthInfo::default()
        };
        let own = Impersonation::of_user(&user).unwrap();
        assert_eq!(own.words(), "root in system:masters");
        let jane = Impersonation::of(Some("jane"), &[], None).unwrap().unwrap();
        jane.put(&mut user);
        assert_eq!(Impersonation::of_user(&user), Some(jane));
        assert!(user.impersonate_groups.is_none() && user.impersonate_user_extra.is_none());
        assert_eq!(Impersonation::of_user(&AuthInfo::default()), None);
    }
}
