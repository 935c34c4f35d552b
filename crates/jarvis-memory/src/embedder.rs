//! What turns text into vectors: the local model, a provider, or nothing at all.

use crate::MemoryError;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_embed::LocalEmbedder;
use std::fmt;
use std::sync::Arc;

/// The source of embeddings. There is no pretended one: without weights and provider, recall is by words.
#[derive(Clone)]
pub enum Embedder {
    /// The multilingual model on this machine's processor.
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

enum Side {
    Query,
    Passage,
}

impl Embedder {
    /// The name stored beside every vector, so that only vectors of one model are compared.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Local(_) => Some(jarvis_embed::MODEL),
            Self::Provider { model, .. } => Some(model),
            Self::Unavailable(_) => None,
        }
    }

    /// The vector of a question; `None` without a model or without words. 1536 dimensions, unit norm.
    pub async fn query(&self, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        self.embed(Side::Query, text).await
    }

    /// The vector of something to be found; `None` without a model or without words.
    pub async fn passage(&self, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        self.embed(Side::Passage, text).await
    }

    async fn embed(&self, side: Side, text: &str) -> Result<Option<Vec<f32>>, MemoryError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let text = text.to_owned();
        match self {
            Self::Unavailable(_) => Ok(None),
            Self::Local(model) => {
                let model = Arc::clone(model);
                let run = move || match side {
                    Side::Query => model.embed_query(&text),
                    Side::Passage => model.embed_passage(&text),
                };
                let vector = tokio::task::spawn_blocking(run)
                    .await
                    .map_err(|_| MemoryError::Bug("the embedding model panicked"))?;
                Ok(Some(vector))
            }
            Self::Provider { client, .. } => {
                let inputs = [text];
                let reply = client.embed(&inputs).await.map_err(MemoryError::Embedding)?;
                let vector = reply.vectors.into_iter().next();
                Ok(vector.map(padded))
            }
        }
    }
}

fn padded(mut vector: Vec<f32>) -> Vec<f32> {
    vector.resize(DIMENSIONS, 0.0);
    vector
}
