//! The OpenAPI document: what the handlers say of themselves, and the errors they declare.

use crate::endpoints::auth::sign_in::SignInInput;
use crate::endpoints::kiosks::pair::PairInput;
use crate::endpoints::kiosks::token::KioskTokenInput;
use crate::endpoints::members::recall::RecallInput;
use crate::endpoints::sessions::close::CloseSessionInput;
use crate::endpoints::sessions::context::ContextInput;
use crate::endpoints::sessions::open::OpenSessionInput;
use crate::fact_views::{CorrectFactInput, DecideProposalInput, StateFactInput};
use crate::fields::FromFields;
use crate::problem::{self, Problem, ProblemBody};
use crate::router::DECLARED_ERRORS;
use jarvis_core::{ErrorCode, Language};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as DeriveOpenApi};

/// What is said of the API as a whole.
#[derive(DeriveOpenApi)]
#[openapi(
    info(
        title = "JARVIS",
        description = "From badge to memory: a kiosk opens a session by badge, sends what happens as events, and \
            closes it; the conversation becomes facts, a summary and an embedding, and the next session begins with \
            what was said.\n\nErrors are `application/problem+json` with a stable `code`, in French or English by \
            `Accept-Language`. What belongs to another gym answers 404. Every answer carries `x-request-id`."
    ),
    tags(
        (name = "kiosk", description = "A kiosk, for the member in front of it."),
        (name = "person", description = "A person who signs in."),
        (name = "manager", description = "A manager of the gym."),
        (name = "both", description = "A kiosk or a person."),
        (name = "system", description = "The process and its documents."),
    ),
    components(schemas(ProblemBody)),
    modifiers(&Schemes),
)]
pub(crate) struct Describe;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = |description: &str| {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(description));
            SecurityScheme::Http(scheme.build())
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "kiosk",
            bearer("A token of POST /api/v1/kiosks/token, good for 15 minutes."),
        );
        components.add_security_scheme(
            "person",
            bearer("A token of POST /api/v1/auth/sign-in, good for an hour."),
        );
    }
}

/// Requests that may hold no other fields than those listed, and the fields that are read.
const STRICT: [(&str, &[&str]); 10] = [
    ("PairInput", PairInput::FIELDS),
    ("KioskTokenInput", KioskTokenInput::FIELDS),
    ("SignInInput", SignInInput::FIELDS),
    ("OpenSessionInput", OpenSessionInput::FIELDS),
    ("CloseSessionInput", CloseSessionInput::FIELDS),
    ("RecallInput", RecallInput::FIELDS),
    ("ContextInput", ContextInput::FIELDS),
    ("StateFactInput", StateFactInput::FIELDS),
    ("CorrectFactInput", CorrectFactInput::FIELDS),
    ("DecideProposalInput", DecideProposalInput::FIELDS),
];

/// Adds to every operation the errors it can answer with, and closes the requests against unknown fields.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    for (name, _) in STRICT {
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(name) {
            schema.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    for (path, item) in &mut document.paths.paths {
        let probe = !path.starts_with("/api/v1") || path.ends_with("openapi.json");
        for operation in operations(item) {
            let codes = errors_of(operation, probe);
            describe_errors(operation, &codes);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}

/// What an endpoint declares, and what its callers, its body and the database add.
fn errors_of(operation: &Operation, probe: bool) -> BTreeSet<&'static str> {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let declared = DECLARED_ERRORS
        .iter()
        .find(|(of, _)| *of == id)
        .map_or(&[][..], |(_, codes)| codes);
    let mut codes: Vec<ErrorCode> = declared.to_vec();
    codes.extend([ErrorCode::UriTooLong, ErrorCode::HeadersTooLarge]);
    let callers = serde_json::to_string(&operation.security).unwrap_or_default();
    let (kiosk, person) = (callers.contains("\"kiosk\""), callers.contains("\"person\""));
    if kiosk || person {
        codes.extend([ErrorCode::Unauthenticated, ErrorCode::TokenExpired]);
    }
    if kiosk {
        codes.extend([ErrorCode::KioskRevoked, ErrorCode::RateLimited]);
    }
    if kiosk != person {
        codes.push(ErrorCode::Forbidden);
    }
    if operation.request_body.is_some() {
        codes.extend([
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidJson,
            ErrorCode::InvalidUtf8,
            ErrorCode::PayloadTooLarge,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::RequestTimeout,
        ]);
    }
    if !probe {
        codes.extend([
            ErrorCode::DatabaseUnavailable,
            ErrorCode::StorageFull,
            ErrorCode::Overloaded,
            ErrorCode::Internal,
        ]);
    }
    codes.into_iter().map(ErrorCode::as_str).collect()
}

fn describe_errors(operation: &mut Operation, codes: &BTreeSet<&'static str>) {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|c| codes.contains(c.as_str())) {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let lines: Vec<String> = codes
            .iter()
            .map(|c| format!("`{}`: {}", c.as_str(), c.title(Language::En)))
            .collect();
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .examples_from_iter(codes.iter().map(|code| (code.as_str(), example(*code))))
            .build();
        let mut response = ResponseBuilder::new()
            .description(lines.join("\n\n"))
            .content(problem::CONTENT_TYPE, content)
            .header(
                "x-request-id",
                header("The id of the request, as in the log.", Type::String),
            );
        if status == 401 {
            response = response.header("www-authenticate", header("Always `Bearer`.", Type::String));
        }
        if status == 429 || status == 503 {
            response = response.header("retry-after", header("Seconds to wait.", Type::Integer));
        }
        let response = response.build();
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(|| response.into());
    }
}

fn header(description: &str, of: Type) -> Header {
    let schema = ObjectBuilder::new().schema_type(of);
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// A whole answer with this code, in English.
fn example(code: ErrorCode) -> Example {
    let body = Problem::new(code).body(Language::En, "01993d5e-7a60-7f3a-9f1d-2f5c8c1f0a11");
    let value = serde_json::to_value(body).expect("a problem has text keys only");
    ExampleBuilder::new().value(Some(value)).build()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn document() -> Value {
        serde_json::to_value(crate::openapi()).unwrap()
    }

    fn each_operation(document: &Value, mut look: impl FnMut(&str, &Value)) {
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                look(&format!("{} {path}", method.to_uppercase()), operation);
            }
        }
    }

    #[test]
    fn every_operation_is_described_and_declares_its_errors() {
        let document = document();
        let mut ids = Vec::new();
        each_operation(&document, |name, operation| {
            for part in ["summary", "operationId"] {
                assert!(
                    operation[part].as_str().is_some_and(|t| !t.is_empty()),
                    "{name} has no {part}"
                );
            }
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{name} {status}");
            }
        });
        let mut declared: Vec<_> = super::DECLARED_ERRORS
            .iter()
            .map(|(id, _)| (*id).to_owned())
            .collect();
        ids.sort();
        declared.sort();
        assert_eq!(ids, declared);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"").skip(1) {
            let pointer = reference.split('"').next().unwrap().trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn every_field_of_every_schema_is_explained() {
        let document = document();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let named = |schema: &Value| schema["$ref"].is_string();
                let variants = property["oneOf"].as_array().into_iter().flatten();
                let explained =
                    property["description"].is_string() || named(property) || variants.into_iter().any(named);
                assert!(explained, "{name}.{field}: {property}");
            }
        }
    }

    #[test]
    fn request_schemas_have_the_fields_that_are_read() {
        let document = document();
        for (name, fields) in super::STRICT {
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], false, "{name}");
            let properties = schema["properties"].as_object().unwrap();
            let mut expected: Vec<_> = fields.to_vec();
            expected.sort_unstable();
            let mut documented: Vec<_> = properties.keys().map(String::as_str).collect();
            documented.sort_unstable();
            assert_eq!(documented, expected, "{name}");
        }
    }
}
