//! `POST /v1/embeddings`, in the protocol of OpenAI, so that programs written for it embed as the gym's memory does.

use crate::body::{self, Media};
use crate::caller::Caller;
use crate::json;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jarvis_core::ErrorCode;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_memory::vectors;
use serde_json::{Value, json};

/// Its address. Errors are told as OpenAI tells them.
pub(crate) const PATH: &str = "/v1/embeddings";
/// The largest body: the most texts of the most characters are more, and nobody sends them at once.
const LIMIT: usize = 1024 * 1024;

/// What is asked.
struct Asked {
    texts: Vec<String>,
    base64: bool,
    dimensions: usize,
}

/// Answers with vectors of the gym's model, whichever model is named.
pub(crate) async fn embed(
    State(state): State<ApiState>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let media = Media::of(request.headers());
    let asked = read(media, request.into_body()).await?;
    let scope = match &caller {
        Caller::Kiosk(kiosk) => kiosk.identity.scope(),
        Caller::Person(person) => person.scope(),
    };
    let made = vectors::embed(&state.memory, &scope, &asked.texts).await?;
    let mut data = Vec::with_capacity(made.vectors.len());
    for (index, vector) in made.vectors.into_iter().enumerate() {
        let vector = shortened(vector, asked.dimensions)?;
        let embedding = if asked.base64 {
            packed(&vector)
        } else {
            json!(vector)
        };
        data.push(json!({ "object": "embedding", "index": index, "embedding": embedding }));
    }
    Ok(Json(json!({
        "object": "list", "data": data, "model": made.model,
        "usage": { "prompt_tokens": made.tokens, "total_tokens": made.tokens },
    })))
}

async fn read(media: Media, body: Body) -> Result<Asked, Problem> {
    let bytes = body::read(body, LIMIT).await?;
    if media != Media::Json {
        return Err(media.unsupported());
    }
    let wrong = |why: &str| Problem::because(ErrorCode::InvalidRequest, why);
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::new(ErrorCode::InvalidUtf8))?;
    let asked = json::read(text).map_err(body::refused)?;
    if !asked["model"].is_string() {
        return Err(wrong(
            "model: name one, such as text-embedding-3-small; the gym's own answers",
        ));
    }
    let inputs = match &asked["input"] {
        Value::Array(inputs) => inputs.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts: Option<Vec<String>> = inputs
        .iter()
        .map(|text| text.as_str().map(str::to_owned))
        .collect();
    let base64 = match asked["encoding_format"].as_str() {
        None if asked["encoding_format"].is_null() => false,
        Some("float") => false,
        Some("base64") => true,
        _ => return Err(wrong("encoding_format: float or base64")),
    };
    let dimensions = match &asked["dimensions"] {
        Value::Null => Some(DIMENSIONS),
        wanted => wanted
            .as_u64()
            .and_then(|wanted| usize::try_from(wanted).ok())
            .filter(|wanted| (1..=DIMENSIONS).contains(wanted)),
    };
    Ok(Asked {
        texts: texts.ok_or_else(|| wrong("input: a text, or a list of texts; tokens are not read"))?,
        base64,
        dimensions: dimensions.ok_or_else(|| wrong("dimensions: 1 to 1536"))?,
    })
}

/// The first numbers, with unit norm again.
fn shortened(mut vector: Vec<f32>, dimensions: usize) -> Result<Vec<f32>, Problem> {
    if dimensions >= vector.len() {
        return Ok(vector);
    }
    vector.truncate(dimensions);
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm <= 0.0 {
        let why = "dimensions: nothing is left of a vector of this model";
        return Err(Problem::because(ErrorCode::InvalidRequest, why));
    }
    for number in &mut vector {
        *number /= norm;
    }
    Ok(vector)
}

/// Little-endian floats in base64, as OpenAI packs them.
fn packed(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Value::String(STANDARD.encode(bytes))
}

/// What a request may get wrong; a refusal's detail begins with its name.
const PARAMETERS: [&str; 4] = ["input", "model", "dimensions", "encoding_format"];

/// An error as OpenAI tells it.
pub(crate) fn error_body(problem: &Problem, title: &str, detail: Option<&str>) -> Value {
    let kind = match problem.status().as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let message = detail.map_or_else(|| title.to_owned(), |detail| format!("{title} {detail}"));
    let parameter = detail
        .and_then(|detail| detail.split_once(':'))
        .map(|(name, _)| name);
    let parameter = parameter.filter(|name| PARAMETERS.contains(name));
    json!({ "error": { "message": message, "type": kind, "param": parameter, "code": problem.code().as_str() } })
}
