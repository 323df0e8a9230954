//! The tools, resources and prompts that the protocol's conformance suites call.
//!
//! They are served beside the operations, on the same endpoint, when a hidden flag asks for them:
//! what the suites judge is the door that agents use. They touch nothing.

use std::future::Future;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Prompt,
    ReadResourceResult, Resource, ResourceTemplate, ServerCapabilities, SubscriptionFilter, Tool,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use tokio::task::JoinSet;

pub fn capabilities(_: &mut ServerCapabilities) {}

pub fn tools() -> Vec<Tool> {
    Vec::new()
}

pub fn call(
    _: &CallToolRequestParams,
    _: &RequestContext<RoleServer>,
) -> impl Future<Output = Option<Result<CallToolResponse, ErrorData>>> + Send {
    std::future::ready(None)
}

pub fn resources() -> Vec<Resource> {
    Vec::new()
}

pub fn templates() -> Vec<ResourceTemplate> {
    Vec::new()
}

pub fn read(_: &str) -> Option<ReadResourceResult> {
    None
}

pub fn prompts() -> Vec<Prompt> {
    Vec::new()
}

pub fn prompt(_: &GetPromptRequestParams) -> Option<Result<GetPromptResponse, ErrorData>> {
    None
}

pub fn accept(_: &SubscriptionFilter, _: &mut SubscriptionFilter) {}

pub fn listen(_: &SubscriptionContext, _: &mut JoinSet<()>) {}
