//! Quarterdeck: a terminal console from which an operator and AI agents run infrastructure
//! together, in one live session.
//!
//! Everything anyone can do is an *operation*, defined once ([`operations`]), and run through one
//! *gate* ([`gate`]). The doors ([`tui`], [`mcp`], [`rest`], [`cli`]) are built from the operations'
//! definitions and know the system only through [`gate::Client`].
//!
//! # The map
//!
//! | room | holds | may import |
//! |---|---|---|
//! | [`tui`], [`mcp`], [`rest`], [`cli`] | the doors | [`gate`], [`rows`], [`bus`], [`base`] |
//! | [`operations`] | one file a noun; the only room that composes domains | every domain, [`gate`], [`store`], [`rows`], [`bus`], [`base`] |
//! | [`gate`], [`kube`], [`k9s`], [`session`] | the gate; the domains | [`store`], [`rows`], [`bus`], [`base`]; never each other |
//! | [`store`] | durable state: audit chain, approvals, grants | [`rows`], [`bus`], [`base`] |
//! | [`rows`], [`bus`], [`base`] | tables as data; the event channel; errors, ids, clock, safe text | downwards only |
//! | [`lab`] | the practice fleet | [`base`], [`rows`] |
//! | [`wiring`] | what `main` calls: builds the domains, opens the doors | all |
//!
//! # Invariants
//!
//! 1. Running an operation without the gate does not compile: its [`gate::Context`] is made only inside `gate`.
//! 2. No rule means no: agents change nothing until policy or a person allows it.
//! 3. The audit intent is durable before the effect starts, in the transaction that consumes the approval.
//! 4. An approval is used once, by the exact call that was previewed; nobody approves their own call.
//! 5. A call that had started when the process died goes to a person; it is never run again by itself.
//! 6. Text from outside reaches the terminal only as [`base::SafeText`].
//! 7. Secrets never reach a door; every output passes the redactor, but for what a person at the screen asks to see.
//! 8. Drawing is a pure function of state; input never waits for I/O, sorting or a slow cluster.
//! 9. Cost follows what changed and what is visible: no step per frame or event is O(all rows).
//! 10. Nothing polls what can be watched; an idle console uses no CPU.

pub mod base;
pub mod bus;
pub mod cli;
pub mod gate;
pub mod k9s;
pub mod kube;
pub mod lab;
pub mod mcp;
pub mod operations;
pub mod rest;
pub mod rows;
pub mod session;
pub mod store;
pub mod tui;
pub mod wiring;
