//! The gate itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Reply, Request, Transport, Watch};
use super::context::Context;
use super::operation::Callable;
use super::preview::Preview;
use super::spec::OperationInfo;
use crate::base::ids::CallId;
use crate::base::{Actor, Error, Result, SharedClock};
use crate::bus::{Bus, Events};

/// What a gate is made of.
pub struct Parts {
    pub operations: Vec<Arc<dyn Callable>>,
    pub bus: Bus,
    pub clock: SharedClock,
}

/// The gate. Cloning shares it.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    operations: BTreeMap<&'static str, Arc<dyn Callable>>,
    catalogue: Arc<[OperationInfo]>,
    bus: Bus,
    clock: SharedClock,
}

impl Gate {
    pub fn new(parts: Parts) -> Result<Self> {
        let catalogue: Arc<[OperationInfo]> = parts.operations.iter().map(|o| o.info()).collect();
        let mut operations = BTreeMap::new();
        for operation in parts.operations {
            let name = operation.spec().name;
            if operations.insert(name, operation).is_some() {
                return Err(Error::internal(format!("two operations are named {name}")));
            }
        }
        Ok(Self { inner: Arc::new(Inner { operations, catalogue, bus: parts.bus, clock: parts.clock }) })
    }

    /// A door's handle for one actor, whose credential the door has checked.
    pub fn client(&self, actor: Actor) -> Client {
        let actor = Arc::new(actor);
        Client::new(Arc::new(Local { gate: self.clone(), actor: actor.clone() }), actor)
    }

    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    pub fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.inner.catalogue.clone()
    }

    /// The operations themselves, for the door that builds its commands from them.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<dyn Callable>> {
        self.inner.operations.values()
    }

    fn enter(
        &self,
        actor: &Arc<Actor>,
        request: &Request,
    ) -> Result<(Arc<dyn Callable>, serde_json::Value, Context)> {
        let operation = self
            .inner
            .operations
            .get(request.operation.as_str())
            .ok_or_else(|| Error::not_found(format!("there is no operation {:?}", request.operation)))?
            .clone();
        let (arguments, target) = operation.normalize(request.arguments.clone())?;
        let context = Context::new(
            CallId::new(),
            actor.clone(),
            operation.spec().name,
            target.to_string().into(),
            CancellationToken::new(),
            self.clone(),
        );
        Ok((operation, arguments, context))
    }
}

struct Local {
    gate: Gate,
    actor: Arc<Actor>,
}

#[async_trait]
impl Transport for Local {
    async fn call(&self, request: Request) -> Result<Reply> {
        let (operation, arguments, context) = self.gate.enter(&self.actor, &request)?;
        let call = context.call();
        let output = operation.run(context, arguments).await?;
        Ok(Reply::Done { call, output })
    }

    async fn preview(&self, request: Request) -> Result<Preview> {
        let (operation, arguments, context) = self.gate.enter(&self.actor, &request)?;
        operation.preview(context, arguments).await
    }

    async fn watch(&self, request: Request) -> Result<Watch> {
        let (operation, arguments, context) = self.gate.enter(&self.actor, &request)?;
        operation.watch(context, arguments).await
    }

    fn events(&self) -> Events {
        self.gate.bus().subscribe()
    }

    fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.gate.catalogue()
    }
}
