use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use serde_json::Value;

use super::failure::{Failure, Outcome};
use super::route::Ask;

pub(super) async fn create(_ask: Ask, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
pub(super) async fn update(_ask: Ask, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
pub(super) async fn patch(_ask: Ask, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
pub(super) async fn delete(_ask: Ask, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
pub(super) async fn delete_collection(_ask: Ask, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
pub(super) fn prepare_job(_job: &mut Value, _uid: &str) {}
