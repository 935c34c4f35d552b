//! What turns text into vectors: the local model, a provider, or nothing at all.

use crate::MemoryError;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_embed::{Kind, LocalEmbedder, LocalModel};
use jarvis_observe::METRICS;
use jarvis_observe::cost::ModelUse;
use jarvis_observe::metrics::Held;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The source of embeddings. There is no pretended one: without weights and provider, recall is by words.
#[derive(Clone)]
pub enum Embedder {
    /// The multilingual models on this machine's processor.
    Local(Arc<LocalEmbedder>),
    /// A provider that speaks the OpenAI protocol.
    Provider {
        /// The model's name, stored beside every vector.
        model: String,
        /// The provider.
        client: Arc<dyn jarvis_llm::Embed>,
    },
    /// None, and why.
    Unavailable(String),
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) => write!(f, "Embedder::Unavailable({reason})"),
            other => write!(f, "Embedder({})", other.model().unwrap_or_default()),
        }
    }
}

impl Embedder {
    /// The model of choice, which a new gym takes.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Local(_) => Some(LocalModel::DEFAULT.name()),
            Self::Provider { model, .. } => Some(model),
            Self::Unavailable(_) => None,
        }
    }

    /// Why not every gym's summaries can be embedded, if they cannot.
    pub fn lacking(&self) -> Option<String> {
        match self {
            Self::Local(local) => local.missing().map(ToString::to_string),
            Self::Provider { .. } => None,
            Self::Unavailable(why) => Some(why.clone()),
        }
    }

    /// The vector of a question under `model`, the gym's; `None` when this process cannot compute that model, or
    /// without words. 1536 dimensions, unit norm.
    pub async fn query(&self, model: &str, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        self.embed(model, Kind::Query, text).await
    }

    /// The vector of something to be found under `model`, as [`Embedder::query`].
    pub async fn passage(&self, model: &str, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        self.embed(model, Kind::Passage, text).await
    }

    async fn embed(&self, model: &str, kind: Kind, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let text = text.to_owned();
        match self {
            Self::Unavailable(_) => Ok(None),
            Self::Local(local) => {
                let Some(model) = LocalModel::named(model) else {
                    return Ok(None);
                };
                let _timed = Timed::new("local");
                let local = Arc::clone(local);
                tokio::task::spawn_blocking(move || local.embed(model, kind, &text))
                    .await
                    .map_err(|_| MemoryError::Bug("the embedding model panicked"))
            }
            Self::Provider { model: own, .. } if own != model => Ok(None),
            Self::Provider { client, .. } => {
                let _timed = Timed::new("provider");
                let inputs = [text];
                let reply = client.embed(&inputs).await;
                note_call(&reply);
                let reply = reply.map_err(MemoryError::Embedding)?;
                let vector = reply.vectors.into_iter().next();
                Ok(vector.map(padded))
            }
        }
    }
}

/// Counts the call of a provider, with what it used.
fn note_call(reply: &Result<jarvis_llm::EmbedReply, jarvis_llm::LlmError>) {
    let (outcome, usage) = match reply {
        Ok(reply) => ("ok", reply.usage),
        Err(error) => (
            error.kind.code(),
            error.usage.as_deref().copied().unwrap_or_default(),
        ),
    };
    let used = ModelUse {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        micro_usd: 0,
    };
    jarvis_observe::provider::note_call("embedding", outcome, used);
}

/// One text being embedded: counted while it lasts, its duration at the end.
struct Timed {
    source: &'static str,
    started: Instant,
    _in_flight: Held,
}

impl Timed {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            started: Instant::now(),
            _in_flight: METRICS.embeddings_in_flight.hold(&[source]),
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        METRICS
            .embedding_duration
            .observe_as(&[self.source], self.started.elapsed());
    }
}

fn padded(mut vector: Vec<f32>) -> Vec<f32> {
    vector.resize(DIMENSIONS, 0.0);
    vector
}
