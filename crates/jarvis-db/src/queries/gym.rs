//! Gyms.

use crate::{DbError, ScopedTx};
use jarvis_core::GymId;

/// A gym.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Gym {
    /// Its id.
    pub id: GymId,
    /// Its name, as members know it.
    pub name: String,
    /// Its short name in addresses and commands.
    pub slug: String,
    /// IANA time zone, such as `Europe/Paris`.
    pub timezone: String,
    /// Language of its pages, such as `fr`.
    pub locale: String,
    /// The embedding model whose vectors are compared.
    pub embedding_model: String,
    /// Whether models of a provider may read its conversations.
    pub external_models: bool,
}

/// The model whose vectors a gym compares, and whether a provider may compute them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Its name, as it stands beside the vectors.
    pub name: String,
    /// Whether models of a provider may read the gym's conversations; without it no word of them leaves for a vector.
    pub external: bool,
}

impl Gym {
    /// The model whose vectors it compares.
    pub fn model(&self) -> EmbeddingModel {
        EmbeddingModel {
            name: self.embedding_model.clone(),
            external: self.external_models,
        }
    }
}

/// The model whose vectors the gym compares.
///
/// # Errors
/// [`DbError::NotFound`] when the gym is not in scope.
pub async fn embedding_model(tx: &mut ScopedTx, gym: GymId) -> Result<EmbeddingModel, DbError> {
    let model = sqlx::query_as!(
        EmbeddingModel,
        "select embedding_model as name, external_models as external from public.gyms where id = $1",
        gym.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    model.ok_or(DbError::NotFound)
}

/// As [`embedding_model`]; the gym neither changes its model nor its mind before the end of the transaction.
///
/// # Errors
/// [`DbError::NotFound`] when the gym is not in scope.
pub async fn embedding_model_for_share(tx: &mut ScopedTx, gym: GymId) -> Result<EmbeddingModel, DbError> {
    let model = sqlx::query_as!(
        EmbeddingModel,
        "select embedding_model as name, external_models as external from public.gyms where id = $1 for share",
        gym.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    model.ok_or(DbError::NotFound)
}

/// The gyms in scope, by name.
pub async fn list(tx: &mut ScopedTx) -> Result<Vec<Gym>, DbError> {
    let rows = sqlx::query!(
        "select id, name, slug as \"slug!\", timezone, locale, embedding_model, external_models from public.gyms order by name, id"
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| Gym {
            id: r.id.into(),
            name: r.name,
            slug: r.slug,
            timezone: r.timezone,
            locale: r.locale,
            embedding_model: r.embedding_model,
            external_models: r.external_models,
        })
        .collect())
}
