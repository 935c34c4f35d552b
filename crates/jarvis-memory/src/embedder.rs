//! What turns text into vectors: the local models, a provider, or nothing at all.

use crate::MemoryError;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_embed::{Kind, LocalEmbedder, LocalModel};
use jarvis_llm::{Breaker, BreakerState, Embed, EmbedReply, LlmError, LlmErrorKind, Usage};
use jarvis_observe::METRICS;
use jarvis_observe::cost::ModelUse;
use jarvis_observe::metrics::Held;
use jarvis_observe::provider::Breaker as Standing;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A person waits for the answer to a question: a provider that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Texts that a provider is given at once: well under what any takes in a request.
const BATCH: usize = 64;

/// The source of embeddings. There is no pretended one: without weights and provider, recall is by words.
#[derive(Clone)]
pub enum Embedder {
    /// The multilingual models on this machine's processor.
    Local(Arc<LocalEmbedder>),
    /// A provider that speaks the OpenAI protocol, for the gyms whose model it serves.
    Provider(Arc<Provider>),
    /// None, and why.
    Unavailable(String),
}

/// A provider of embeddings.
pub struct Provider {
    /// Who it is, for the ledger of usage, such as `openai`.
    pub name: String,
    /// The model's name, stored beside every vector.
    pub model: String,
    /// The client, behind `breaker`.
    pub client: Box<dyn Embed>,
    /// Whether the provider is left alone at the moment.
    pub breaker: Breaker,
    /// The local models, for the gyms that compare theirs.
    pub local: Option<Arc<LocalEmbedder>>,
}

/// A vector and what it cost.
#[derive(Clone, PartialEq)]
pub struct Embedded {
    /// 1536 numbers, unit norm.
    pub vector: Vec<f32>,
    /// What a provider counted; none for a local model.
    pub spent: Option<Spent>,
}

/// Vectors of several texts and what they cost together.
pub struct EmbeddedMany {
    /// One per text, as [`Embedded::vector`]; none for a text without words.
    pub vectors: Vec<Option<Vec<f32>>>,
    /// What a provider counted.
    pub spent: Option<Spent>,
}

/// What a provider counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The provider.
    pub provider: String,
    /// The model, as it was asked for.
    pub model: String,
    /// The tokens.
    pub usage: Usage,
}

impl fmt::Debug for Embedded {
    /// A vector can be turned back into words: only what it cost is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
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
            Self::Provider(provider) => Some(&provider.model),
            Self::Unavailable(_) => None,
        }
    }

    /// Where the breaker before the provider stands now; `None` when no provider is asked.
    pub fn breaker(&self) -> Option<Standing> {
        match self {
            Self::Provider(provider) => Some(standing(&provider.breaker.state())),
            Self::Local(_) | Self::Unavailable(_) => None,
        }
    }

    /// The local models, where their weights are.
    pub fn local(&self) -> Option<&Arc<LocalEmbedder>> {
        match self {
            Self::Local(local) => Some(local),
            Self::Provider(provider) => provider.local.as_ref(),
            Self::Unavailable(_) => None,
        }
    }

    /// Why not every gym's summaries can be embedded, if they cannot.
    pub fn lacking(&self) -> Option<String> {
        match self {
            Self::Local(local) => local.missing().map(ToString::to_string),
            Self::Provider(provider) => match provider.breaker.state() {
                BreakerState::Closed => None,
                BreakerState::Open { cause, .. } | BreakerState::HalfOpen { cause } => Some(format!(
                    "the embedding provider fails ({cause}): processing waits, and recall is by words"
                )),
            },
            Self::Unavailable(why) => Some(why.clone()),
        }
    }

    /// The vector of a question under `model`, the gym's; `None` when this process cannot compute that model, or
    /// without words.
    pub async fn query(&self, model: &str, text: &str) -> Result<Option<Embedded>, MemoryError> {
        self.embed(model, Kind::Query, text).await
    }

    /// The vector of something to be found under `model`, as [`Embedder::query`].
    pub async fn passage(&self, model: &str, text: &str) -> Result<Option<Embedded>, MemoryError> {
        self.embed(model, Kind::Passage, text).await
    }

    /// The vectors of several things to be found under `model`, as [`Embedder::passage`]; `None` when this process cannot
    /// compute that model.
    pub async fn passages(
        &self,
        model: &str,
        texts: Vec<String>,
    ) -> Result<Option<EmbeddedMany>, MemoryError> {
        match self {
            Self::Unavailable(_) => Ok(None),
            Self::Local(local) => embed_many_here(local, model, texts).await,
            Self::Provider(provider) if provider.model == model => {
                let embedded = provider.embed_many(texts).await;
                embedded.map(Some).map_err(MemoryError::Embedding)
            }
            Self::Provider(provider) => match &provider.local {
                Some(local) => embed_many_here(local, model, texts).await,
                None => Ok(None),
            },
        }
    }

    async fn embed(&self, model: &str, kind: Kind, text: &str) -> Result<Option<Embedded>, MemoryError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        match self {
            Self::Unavailable(_) => Ok(None),
            Self::Local(local) => embed_here(local, model, kind, text).await,
            Self::Provider(provider) if provider.model == model => {
                let embedded = provider.embed(kind, text).await;
                embedded.map(Some).map_err(MemoryError::Embedding)
            }
            Self::Provider(provider) => match &provider.local {
                Some(local) => embed_here(local, model, kind, text).await,
                None => Ok(None),
            },
        }
    }
}

/// Counts the call of a provider, with what it used; none was made while the breaker was open.
fn note_call(reply: &Result<EmbedReply, LlmError>) {
    if let Err(error) = reply
        && matches!(error.kind, LlmErrorKind::CircuitOpen { .. })
    {
        return;
    }
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
    };
    jarvis_observe::provider::note_call("embedding", outcome, used);
}

/// Where a breaker stands, in the words of the metrics.
pub fn standing(state: &BreakerState) -> Standing {
    match state {
        BreakerState::Closed => Standing::Closed,
        BreakerState::HalfOpen { .. } => Standing::HalfOpen,
        BreakerState::Open { .. } => Standing::Open,
    }
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

async fn embed_here(
    local: &Arc<LocalEmbedder>,
    model: &str,
    kind: Kind,
    text: &str,
) -> Result<Option<Embedded>, MemoryError> {
    let Some(model) = LocalModel::named(model) else {
        return Ok(None);
    };
    let (local, text) = (Arc::clone(local), text.to_owned());
    let _timed = Timed::new("local");
    let vector = tokio::task::spawn_blocking(move || local.embed(model, kind, &text))
        .await
        .map_err(|_| MemoryError::Bug("the embedding model panicked"))?;
    Ok(vector.map(|vector| Embedded { vector, spent: None }))
}

/// One text at a time on a blocking thread, so that a long conversation does not hold it for many seconds.
async fn embed_many_here(
    local: &Arc<LocalEmbedder>,
    model: &str,
    texts: Vec<String>,
) -> Result<Option<EmbeddedMany>, MemoryError> {
    let mut vectors = Vec::with_capacity(texts.len());
    for text in &texts {
        if !has_words(text) {
            vectors.push(None);
            continue;
        }
        match embed_here(local, model, Kind::Passage, text).await? {
            Some(embedded) => vectors.push(Some(embedded.vector)),
            None => return Ok(None),
        }
    }
    Ok(Some(EmbeddedMany { vectors, spent: None }))
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

impl Provider {
    async fn embed_many(&self, texts: Vec<String>) -> Result<EmbeddedMany, LlmError> {
        let mut many = EmbeddedMany {
            vectors: vec![None; texts.len()],
            spent: None,
        };
        let (places, inputs): (Vec<usize>, Vec<String>) = texts
            .into_iter()
            .enumerate()
            .filter(|(_, text)| has_words(text))
            .unzip();
        for (places, inputs) in places.chunks(BATCH).zip(inputs.chunks(BATCH)) {
            let _timed = Timed::new("provider");
            let reply = self.client.embed(inputs).await;
            note_call(&reply);
            let reply = reply?;
            if reply.vectors.len() != inputs.len() {
                return Err(LlmError::unusable_vector());
            }
            for (place, vector) in places.iter().zip(reply.vectors) {
                let vector = stored_form(vector).ok_or_else(LlmError::unusable_vector)?;
                if let Some(slot) = many.vectors.get_mut(*place) {
                    *slot = Some(vector);
                }
            }
            let spent = many.spent.get_or_insert_with(|| Spent {
                provider: self.name.clone(),
                model: reply.model,
                usage: Usage::default(),
            });
            spent.usage += reply.usage;
        }
        Ok(many)
    }

    async fn embed(&self, kind: Kind, text: &str) -> Result<Embedded, LlmError> {
        let _timed = Timed::new("provider");
        let inputs = [text.to_owned()];
        let call = self.client.embed(&inputs);
        let reply = match kind {
            Kind::Query => tokio::time::timeout(PATIENCE, call)
                .await
                .unwrap_or_else(|_| Err(LlmError::too_late())),
            Kind::Passage => call.await,
        };
        note_call(&reply);
        let reply = reply?;
        let spent = Spent {
            provider: self.name.clone(),
            model: reply.model,
            usage: reply.usage,
        };
        let vector = reply.vectors.into_iter().next().and_then(stored_form);
        let vector = vector.ok_or_else(LlmError::unusable_vector)?;
        Ok(Embedded {
            vector,
            spent: Some(spent),
        })
    }
}

/// Unit norm, and zeros up to the stored dimensions; none when there is no direction or it does not fit. The table
/// of vectors has halves, which hold no number above 65504.
fn stored_form(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let norm = vector
        .iter()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt();
    if vector.len() > DIMENSIONS || !norm.is_finite() || norm <= 0.0 {
        return None;
    }
    for number in &mut vector {
        #[expect(clippy::cast_possible_truncation, reason = "at most 1 in size")]
        let scaled = (f64::from(*number) / norm) as f32;
        *number = scaled;
    }
    vector.resize(DIMENSIONS, 0.0);
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_stored_with_unit_norm_whatever_the_provider_sent() {
        for sent in [vec![3.0, 4.0], vec![3e30, 4e30], vec![3e-30, 4e-30]] {
            let stored = stored_form(sent).unwrap();
            assert_eq!(stored.len(), DIMENSIONS);
            assert!((stored[0] - 0.6).abs() < 1e-6 && (stored[1] - 0.8).abs() < 1e-6);
        }
        for sent in [
            vec![],
            vec![0.0; 5],
            vec![f32::NAN],
            vec![f32::INFINITY, 1.0],
            vec![1.0; 1537],
        ] {
            assert_eq!(stored_form(sent), None);
        }
    }
}
