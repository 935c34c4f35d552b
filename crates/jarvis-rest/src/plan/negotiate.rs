//! What the answer will be.

use super::tree::ReadNode;
use crate::cache::media::Handler;
use crate::cache::{Name, SchemaCache};
use crate::error::RestError;
use crate::request::ApiRequest;
use crate::request::media::MediaType;
use crate::settings::Settings;
use axum::http::StatusCode;

/// How rows become a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// An array of objects.
    Json {
        /// Whether nulls are left out.
        stripped: bool,
    },
    /// One object.
    Single {
        /// Whether nulls are left out.
        stripped: bool,
    },
    /// Lines.
    Csv,
    /// A collection of features.
    GeoJson,
    /// What a function of the database makes of it.
    Custom {
        /// The function.
        function: Name,
        /// Of which rows; of any when absent.
        of: Option<Name>,
    },
    /// No body.
    Nothing,
}

/// Chooses the first accepted media type that can be made.
pub fn choose(
    request: &ApiRequest,
    cache: &SchemaCache,
    settings: &Settings,
    subject: &Name,
    read: &ReadNode,
) -> Result<(Shape, MediaType), RestError> {
    let whole =
        read.children.is_empty() && matches!(read.select.as_slice(), [only] if only.field.field.name == "*");
    let made = |media: &MediaType| make(media, &cache.handlers, subject, whole);
    let choice = request.accepts.iter().find_map(|media| match media {
        MediaType::Single { stripped } => Some((Shape::Single { stripped: *stripped }, media.clone())),
        MediaType::Stripped => Some((Shape::Json { stripped: true }, media.clone())),
        MediaType::Plan(_) if !settings.plan => None,
        MediaType::Plan(plan) => match &plan.of {
            MediaType::Single { stripped } => Some((Shape::Single { stripped: *stripped }, media.clone())),
            MediaType::Stripped => Some((Shape::Json { stripped: true }, media.clone())),
            other => made(other).map(|(shape, _)| (shape, media.clone())),
        },
        other => made(other),
    });
    choice.ok_or_else(|| not_acceptable(&request.accepts))
}

/// None of what is accepted can be made.
pub fn not_acceptable(accepts: &[MediaType]) -> RestError {
    let names: Vec<String> = accepts.iter().map(MediaType::name).collect();
    let message = format!("None of these media types are available: {}", names.join(", "));
    RestError::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message)
}

fn make(media: &MediaType, handlers: &[Handler], subject: &Name, whole: bool) -> Option<(Shape, MediaType)> {
    let of_subject = |accepts: &MediaType| {
        handlers
            .iter()
            .find(|handler| whole && handler.of.as_ref() == Some(subject) && handler.accepts == *accepts)
    };
    let of_any = handlers
        .iter()
        .find(|handler| handler.of.is_none() && handler.accepts == *media);
    if let Some(handler) = of_subject(&MediaType::Any)
        .or_else(|| of_subject(media))
        .or(of_any)
    {
        let shape = Shape::Custom {
            function: handler.function.clone(),
            of: handler.of.clone(),
        };
        return Some((shape, handler.makes.clone()));
    }
    match media {
        MediaType::Any | MediaType::Json => Some((Shape::Json { stripped: false }, MediaType::Json)),
        MediaType::Csv => Some((Shape::Csv, MediaType::Csv)),
        MediaType::GeoJson => Some((Shape::GeoJson, MediaType::GeoJson)),
        _ => None,
    }
}
