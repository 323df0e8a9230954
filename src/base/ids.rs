//! Identifiers: ULIDs, so that they sort by the time they were made.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ulid::Ulid);

        impl $name {
            /// A new identifier: 48 bits of time in milliseconds, 80 random bits.
            #[allow(clippy::new_without_default, reason = "each call gives another value")]
            pub fn new() -> Self {
                Self(ulid::Ulid::generate())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::base::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                ulid::Ulid::from_string(s).map(Self).map_err(|_| {
                    crate::base::Error::invalid(format!("{s:?} is not an identifier (26 characters of base 32)"))
                })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$" })
            }
        }
    };
}

id!(
    /// One call of an operation, from its intent to its outcome.
    CallId
);
id!(
    /// One held call and the decision about it.
    ApprovalId
);
id!(
    /// One grant.
    GrantId
);
id!(
    /// One participant of the session: a screen, an agent's connection.
    ParticipantId
);
