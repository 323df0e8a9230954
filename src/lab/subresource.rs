use axum::body::Body;
use http::Response;
use hyper::body::Incoming;

use super::failure::{Failure, Outcome};
use super::route::Ask;

pub(super) async fn request(_ask: Ask, _verb: &str, _body: Incoming) -> Outcome<Response<Body>> {
    Err(Failure::method_not_allowed())
}
