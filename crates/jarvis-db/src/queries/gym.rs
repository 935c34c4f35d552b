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

/// The model whose vectors the gym compares.
///
/// # Errors
/// [`DbError::NotFound`] when the gym is not in scope.
pub async fn embedding_model(tx: &mut ScopedTx, gym: GymId) -> Result<String, DbError> {
    let model = sqlx::query_scalar!(
        "select embedding_model from public.gyms where id = $1",
        gym.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    model.ok_or(DbError::NotFound)
}

/// Whether the gym lets models of a provider read its conversations.
///
/// # Errors
/// [`DbError::NotFound`] when the gym is not in scope.
pub async fn allows_external_models(tx: &mut ScopedTx, gym: GymId) -> Result<bool, DbError> {
    let allows = sqlx::query_scalar!(
        "select external_models from public.gyms where id = $1",
        gym.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    allows.ok_or(DbError::NotFound)
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
