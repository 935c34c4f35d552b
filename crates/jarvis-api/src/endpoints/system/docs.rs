//! `GET /api/docs`

use crate::docs_page::{self, STYLE_POLICY};
use crate::edge::MessageLanguage;
use axum::Extension;
use axum::http::{HeaderName, header};
use axum::response::Html;
use jarvis_core::{ErrorCode, Language};
use std::sync::Arc;
use utoipa::openapi::OpenApi;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// The page in French and in English, rendered once.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    fr: Arc<str>,
    en: Arc<str>,
}

impl Pages {
    /// Renders both.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).expect("an OpenAPI document has text keys only");
        Self {
            fr: docs_page::render(&document, Language::Fr).into(),
            en: docs_page::render(&document, Language::En).into(),
        }
    }
}

/// The document as a page, in French or English by `Accept-Language`.
#[utoipa::path(get, path = "/api/docs", tag = "system",
    responses((status = 200, description = "The page.", content_type = "text/html", body = String)))]
pub(crate) async fn docs(
    Extension(MessageLanguage(language)): Extension<MessageLanguage>,
    Extension(pages): Extension<Arc<Pages>>,
) -> ([(HeaderName, &'static str); 3], Html<String>) {
    let page = if language == Language::Fr {
        &pages.fr
    } else {
        &pages.en
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, STYLE_POLICY),
        (header::CONTENT_LANGUAGE, language.as_str()),
        (header::VARY, "accept-language"),
    ];
    (headers, Html(page.to_string()))
}
