//! Builds the domains and the gate.

use std::sync::Arc;

use crate::base::{Result, SystemClock};
use crate::bus::Bus;
use crate::gate::{Gate, Parts, bind};
use crate::operations::{self, Deck};
use crate::session::Session;

/// What a session works with.
pub struct Built {
    pub gate: Gate,
    pub deck: Arc<Deck>,
}

/// Builds every domain and the gate over them. Connects to nothing yet.
pub fn deck() -> Result<Built> {
    let bus = Bus::default();
    let clock: crate::base::SharedClock = Arc::new(SystemClock);
    let session = Session::new(bus.clone(), clock.clone());
    let deck = Arc::new(Deck { kube: crate::kube::Clusters::new(crate::kube::Options::default()), session });
    let gate = Gate::new(Parts { operations: bind(operations::all(), &deck), bus, clock })?;
    Ok(Built { gate, deck })
}
