//! What turns text into vectors: the local models, a provider, or nothing at all.

use crate::MemoryError;
use chrono::NaiveDate;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_db::queries::gym::EmbeddingModel;
use jarvis_embed::{Kind, LocalEmbedder, LocalModel};
use jarvis_llm::{Breaker, BreakerState, Embed, EmbedReply, LlmError, LlmErrorKind, ModelRegistry, Usage};
use jarvis_observe::METRICS;
use jarvis_observe::cost::ModelUse;
use jarvis_observe::metrics::Held;
use jarvis_observe::provider::Breaker as Standing;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::{Instant as Deadline, timeout_at};

/// Texts that a provider is given at once: well under what any takes in a request.
const BATCH: usize = 64;
/// Requests with texts that the model does not take, after which the others are given up: then it is no single text.
const MOST_REJECTIONS: usize = 16;

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

/// Vectors of texts.
#[derive(Clone, PartialEq)]
pub struct Vectors {
    /// One per text: 1536 numbers, unit norm. None for a text without words, one that the model does not take, and one
    /// for which time ran out.
    pub vectors: Vec<Option<Vec<f32>>>,
    /// Texts that the model does not take.
    pub rejected: usize,
    /// Whether all were asked for before the deadline.
    pub in_time: bool,
}

/// Why nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The gym's model is a provider's, and the gym lets none read its conversations.
    Refused,
    /// This process cannot compute the gym's model.
    NoModel,
}

/// What became of texts, and what that cost: it was spent whatever became of them.
#[derive(Debug)]
pub struct Asked {
    /// The vectors, or why there are none.
    pub outcome: Result<Result<Vectors, Lack>, MemoryError>,
    /// What a provider counted; none for a local model.
    pub spent: Option<Spent>,
}

impl Asked {
    fn free(outcome: Result<Result<Vectors, Lack>, MemoryError>) -> Self {
        Self { outcome, spent: None }
    }
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

impl fmt::Debug for Vectors {
    /// A vector can be turned back into words: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vectors")
            .field("texts", &self.vectors.len())
            .field("rejected", &self.rejected)
            .field("in_time", &self.in_time)
            .finish_non_exhaustive()
    }
}

impl Vectors {
    fn none_yet(texts: usize) -> Self {
        Self {
            vectors: vec![None; texts],
            rejected: 0,
            in_time: true,
        }
    }

    fn put(&mut self, place: usize, vector: Vec<f32>) {
        if let Some(slot) = self.vectors.get_mut(place) {
            *slot = Some(vector);
        }
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

    /// The last day of the provider's model; `None` when none was announced, or no provider is asked.
    pub fn last_day(&self) -> Option<NaiveDate> {
        match self {
            Self::Provider(provider) => last_day(&provider.model),
            Self::Local(_) | Self::Unavailable(_) => None,
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
            Self::Provider(provider) => failing(&provider.breaker).map(|cause| {
                format!("the embedding provider fails ({cause}): processing waits, and recall is by words")
            }),
            Self::Unavailable(why) => Some(why.clone()),
        }
    }

    /// The vectors of texts under a gym's model: by a provider only where the gym lets it read its conversations. What is
    /// not asked for before `until` has none.
    pub async fn embed(
        &self,
        model: &EmbeddingModel,
        kind: Kind,
        texts: &[String],
        until: Option<Deadline>,
    ) -> Asked {
        if let Self::Provider(provider) = self
            && provider.model == model.name
        {
            if !model.external {
                return Asked::free(Ok(Err(Lack::Refused)));
            }
            let (outcome, usage) = provider.embed(kind, texts, until).await;
            let spent = usage.map(|usage| Spent {
                provider: provider.name.clone(),
                model: provider.model.clone(),
                usage,
            });
            let outcome = outcome.map(Ok).map_err(MemoryError::Embedding);
            return Asked { outcome, spent };
        }
        Asked::free(match (self.local(), LocalModel::named(&model.name)) {
            (Some(local), Some(model)) => embed_here(local, model, kind, texts, until).await,
            (_, None) if !model.external => Ok(Err(Lack::Refused)),
            _ => Ok(Err(Lack::NoModel)),
        })
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

/// The stable code of why a provider is left alone, or was a moment ago.
pub(crate) fn failing(breaker: &Breaker) -> Option<&'static str> {
    match breaker.state() {
        BreakerState::Closed => None,
        BreakerState::Open { cause, .. } | BreakerState::HalfOpen { cause } => Some(cause),
    }
}

/// The last day on which a model answers, as its provider announced it.
pub(crate) fn last_day(model: &str) -> Option<NaiveDate> {
    ModelRegistry::defaults()
        .find_entry(model)
        .and_then(|entry| entry.shutdown)
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

/// One text at a time on a blocking thread, so that a long conversation does not hold it for many seconds.
async fn embed_here(
    local: &Arc<LocalEmbedder>,
    model: LocalModel,
    kind: Kind,
    texts: &[String],
    until: Option<Deadline>,
) -> Result<Result<Vectors, Lack>, MemoryError> {
    let mut made = Vectors::none_yet(texts.len());
    for (place, text) in texts
        .iter()
        .enumerate()
        .filter(|(_, text)| says_something(kind, text))
    {
        if until.is_some_and(|until| Deadline::now() >= until) {
            made.in_time = false;
            break;
        }
        let (local, text) = (Arc::clone(local), text.clone());
        let _timed = Timed::new("local");
        let vector = tokio::task::spawn_blocking(move || local.embed(model, kind, &text))
            .await
            .map_err(|_| MemoryError::Bug("the embedding model panicked"))?;
        match vector {
            Some(vector) => made.put(place, vector),
            None => return Ok(Err(Lack::NoModel)),
        }
    }
    Ok(Ok(made))
}

/// Dots and masks are nothing to be found by; whoever asks is answered whatever it is but a blank.
fn says_something(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Passage => text.chars().any(char::is_alphanumeric),
        Kind::Query => !text.trim().is_empty(),
    }
}

/// Whether it is these texts that the model does not take; the provider itself is well.
fn is_about_the_texts(error: &LlmError) -> bool {
    matches!(error.kind, LlmErrorKind::Rejected { .. }) && !error.kind.is_of_the_provider()
}

impl Provider {
    /// In requests of [`BATCH`] texts. One that is rejected is asked for in halves, so that a single text spoils no other.
    async fn embed(
        &self,
        kind: Kind,
        texts: &[String],
        until: Option<Deadline>,
    ) -> (Result<Vectors, LlmError>, Option<Usage>) {
        let mut made = Vectors::none_yet(texts.len());
        let mut usage: Option<Usage> = None;
        let (places, inputs): (Vec<usize>, Vec<String>) = texts
            .iter()
            .cloned()
            .enumerate()
            .filter(|(_, text)| says_something(kind, text))
            .unzip();
        let mut waiting: Vec<(&[usize], &[String])> =
            places.chunks(BATCH).zip(inputs.chunks(BATCH)).collect();
        waiting.reverse();
        let mut rejections = 0;
        while let Some((places, inputs)) = waiting.pop() {
            let Some(reply) = self.ask(inputs, until).await else {
                made.in_time = false;
                break;
            };
            let counted = match &reply {
                Ok(reply) => Some(reply.usage),
                Err(error) => error.usage.as_deref().copied(),
            };
            if let Some(counted) = counted {
                *usage.get_or_insert_default() += counted;
            }
            match reply.and_then(|reply| stored_forms(reply, inputs.len())) {
                Ok(vectors) => {
                    for (place, vector) in places.iter().zip(vectors) {
                        made.put(*place, vector);
                    }
                }
                Err(error) if is_about_the_texts(&error) => {
                    rejections += 1;
                    if inputs.len() == 1 || rejections >= MOST_REJECTIONS {
                        made.rejected += inputs.len();
                    } else {
                        let half = inputs.len() / 2;
                        waiting.push((&places[half..], &inputs[half..]));
                        waiting.push((&places[..half], &inputs[..half]));
                    }
                }
                Err(error) => return (Err(error), usage),
            }
        }
        if made.rejected > 0 {
            tracing::warn!(
                texts = made.rejected,
                "the embedding model does not take some texts"
            );
        }
        (Ok(made), usage)
    }

    /// One request; none when time ran out.
    async fn ask(&self, inputs: &[String], until: Option<Deadline>) -> Option<Result<EmbedReply, LlmError>> {
        let _timed = Timed::new("provider");
        let call = self.client.embed(inputs);
        let reply = match until {
            None => Some(call.await),
            Some(until) if Deadline::now() >= until => return None,
            Some(until) => timeout_at(until, call).await.ok(),
        };
        match &reply {
            Some(reply) => note_call(reply),
            None => note_call(&Err(LlmError::too_late())),
        }
        reply
    }
}

fn stored_forms(reply: EmbedReply, expected: usize) -> Result<Vec<Vec<f32>>, LlmError> {
    let vectors: Option<Vec<Vec<f32>>> = reply.vectors.into_iter().map(stored_form).collect();
    vectors
        .filter(|vectors| vectors.len() == expected)
        .ok_or_else(LlmError::unusable_vector)
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
