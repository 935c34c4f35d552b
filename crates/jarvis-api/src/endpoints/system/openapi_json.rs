//! `GET /api/v1/openapi.json`

use axum::Extension;
use axum::http::{HeaderName, header};
use jarvis_core::ErrorCode;
use std::sync::Arc;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// The document, rendered once.
#[derive(Debug, Clone)]
pub(crate) struct Document(pub(crate) Arc<str>);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "The OpenAPI document.", body = Object)))]
pub(crate) async fn openapi_json(
    Extension(Document(text)): Extension<Document>,
) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string())
}
