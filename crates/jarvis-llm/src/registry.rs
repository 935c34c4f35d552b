//! Which model serves which role, and until when. The only place of the code that names a model.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Facts out of a transcript.
    Extraction,
    /// The summary of a conversation.
    Summary,
    /// Vectors for recall.
    Embedding,
    /// The voice at the kiosk.
    Realtime,
    /// Speech to text.
    Transcription,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Extraction,
        Self::Summary,
        Self::Embedding,
        Self::Realtime,
        Self::Transcription,
    ];

    /// The name used in configuration and in error messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extraction => "extraction",
            Self::Summary => "summary",
            Self::Embedding => "embedding",
            Self::Realtime => "realtime",
            Self::Transcription => "transcription",
        }
    }

    /// Whether a model with this API can serve the role.
    pub fn accepts(self, api: Api) -> bool {
        match self {
            Self::Extraction | Self::Summary => matches!(api, Api::ChatCompletions | Api::Responses),
            Self::Embedding => api == Api::Embeddings,
            Self::Realtime => api == Api::Realtime,
            Self::Transcription => api == Api::Transcription,
        }
    }
}

/// The API a model is reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `POST /chat/completions`.
    ChatCompletions,
    /// `POST /responses`.
    Responses,
    /// `POST /embeddings`.
    Embeddings,
    /// `POST /realtime/calls`.
    Realtime,
    /// `POST /audio/transcriptions`, or the transcription of a realtime session.
    Transcription,
}

/// The name of the field that limits the length of an answer. Servers differ, and some ignore the other name
/// without a word, so it is data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// `max_completion_tokens`: OpenAI, vLLM.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`: Ollama, LM Studio, older servers.
    MaxTokens,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The id the provider knows.
    pub id: String,
    /// The API it is reached by.
    pub api: Api,
    /// The last day on which it answers, where the provider announced one.
    #[serde(default)]
    pub shutdown: Option<NaiveDate>,
    /// The model the provider names as its replacement.
    #[serde(default)]
    pub successor: Option<String>,
    /// For an embedding model: numbers per vector. Another dimension is an error.
    #[serde(default)]
    pub dimensions: Option<usize>,
    /// For a chat model: how the length of an answer is limited.
    #[serde(default)]
    pub output_limit: OutputLimitField,
}

impl ModelEntry {
    /// A model without an announced end.
    pub fn new(id: impl Into<String>, api: Api) -> Self {
        Self {
            id: id.into(),
            api,
            shutdown: None,
            successor: None,
            dimensions: None,
            output_limit: OutputLimitField::default(),
        }
    }

    /// Says how many numbers its vectors have.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Says which field limits the length of its answers.
    #[must_use]
    pub fn with_output_limit(mut self, field: OutputLimitField) -> Self {
        self.output_limit = field;
        self
    }

    fn ending(mut self, shutdown: Option<NaiveDate>, successor: &str) -> Self {
        self.shutdown = shutdown;
        self.successor = Some(successor.to_owned());
        self
    }
}

/// The models JARVIS knows, and the one each role uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRegistry {
    models: BTreeMap<String, ModelEntry>,
    roles: BTreeMap<Role, String>,
}

/// A role that was given a model it cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// The model was never registered.
    #[error("the model {model} is not in the registry")]
    UnknownModel {
        /// The id that was asked for.
        model: String,
    },
    /// The model has another API than the role needs.
    #[error("the model {model} cannot serve the role {role}: it has another API")]
    WrongApi {
        /// The id that was asked for.
        model: String,
        /// The role.
        role: &'static str,
    },
}

/// A model in use that will stop, or has stopped, answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShutdownWarning {
    /// The role that uses it.
    pub role: Role,
    /// The model.
    pub model: String,
    /// Its last day.
    pub shutdown: NaiveDate,
    /// What to use instead.
    pub successor: Option<String>,
}

impl ModelRegistry {
    /// Days before a shutdown from which `doctor` warns.
    pub const WARNING_DAYS: u64 = 90;

    /// A registry without a model.
    pub fn empty() -> Self {
        Self {
            models: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }

    /// The models known today. Roles use those that stay; the ending ones can be chosen while they live.
    pub fn defaults() -> Self {
        let mut registry = Self::empty();
        for entry in known_models() {
            registry.insert(entry);
        }
        registry.roles = [
            (Role::Extraction, "gpt-6-luna"),
            (Role::Summary, "gpt-6-luna"),
            (Role::Embedding, "text-embedding-3-small"),
            (Role::Realtime, "gpt-realtime-2.1-mini"),
            (Role::Transcription, "gpt-transcribe"),
        ]
        .into_iter()
        .map(|(role, id)| (role, id.to_owned()))
        .collect();
        registry
    }

    /// Adds a model, or replaces what was known of it.
    pub fn insert(&mut self, entry: ModelEntry) {
        self.models.insert(entry.id.clone(), entry);
    }

    /// Gives a role a registered model.
    ///
    /// # Errors
    /// [`RegistryError`] when the model is unknown or has another API.
    pub fn assign(&mut self, role: Role, model: &str) -> Result<(), RegistryError> {
        let entry = self
            .models
            .get(model)
            .ok_or_else(|| RegistryError::UnknownModel {
                model: model.to_owned(),
            })?;
        if !role.accepts(entry.api) {
            return Err(RegistryError::WrongApi {
                model: model.to_owned(),
                role: role.name(),
            });
        }
        self.roles.insert(role, model.to_owned());
        Ok(())
    }

    /// The model that serves a role, if one does.
    pub fn find_model(&self, role: Role) -> Option<&ModelEntry> {
        // A model replaced after its assignment may have changed its API.
        self.roles
            .get(&role)
            .and_then(|id| self.models.get(id))
            .filter(|entry| role.accepts(entry.api))
    }

    /// Every model that is known, by id.
    pub fn models(&self) -> impl Iterator<Item = &ModelEntry> {
        self.models.values()
    }

    /// What is known of a model, by its id.
    pub fn find_entry(&self, id: &str) -> Option<&ModelEntry> {
        self.models.get(id)
    }

    /// The models in use whose last day is at most `days` after `today`, or past.
    pub fn list_shutdowns(&self, today: NaiveDate, days: u64) -> Vec<ShutdownWarning> {
        let horizon = today.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX);
        Role::ALL
            .into_iter()
            .filter_map(|role| {
                let entry = self.find_model(role)?;
                let shutdown = entry.shutdown.filter(|end| *end <= horizon)?;
                Some(ShutdownWarning {
                    role,
                    model: entry.id.clone(),
                    shutdown,
                    successor: entry.successor.clone(),
                })
            })
            .collect()
    }
}

impl Default for ModelRegistry {
    fn default() -> Self {
        Self::defaults()
    }
}

fn known_models() -> Vec<ModelEntry> {
    let day = NaiveDate::from_ymd_opt;
    vec![
        ModelEntry::new("gpt-6-luna", Api::ChatCompletions),
        ModelEntry::new("gpt-4o-mini", Api::ChatCompletions).ending(day(2027, 1, 14), "gpt-6-luna"),
        ModelEntry::new("text-embedding-3-small", Api::Embeddings).with_dimensions(1536),
        ModelEntry::new("gpt-realtime-2.1-mini", Api::Realtime),
        ModelEntry::new("gpt-realtime-mini", Api::Realtime).ending(day(2027, 1, 20), "gpt-realtime-2.1-mini"),
        ModelEntry::new("gpt-transcribe", Api::Transcription),
        ModelEntry::new("whisper-1", Api::Transcription).ending(day(2027, 2, 26), "gpt-transcribe"),
        ModelEntry::new("gpt-4o-transcribe", Api::Transcription).ending(day(2027, 2, 26), "gpt-transcribe"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(y: i32, m: u32, d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(y, m, d).unwrap()
    }

    #[test]
    fn every_role_has_a_model_that_stays() {
        let registry = ModelRegistry::defaults();
        for role in Role::ALL {
            let entry = registry
                .find_model(role)
                .unwrap_or_else(|| panic!("{role:?} has no model"));
            assert_eq!(entry.shutdown, None, "{} ends", entry.id);
        }
    }

    #[test]
    fn every_ending_model_names_a_successor_that_is_known_and_stays() {
        let registry = ModelRegistry::defaults();
        let ending: Vec<_> = known_models()
            .into_iter()
            .filter(|m| m.shutdown.is_some())
            .collect();
        assert_eq!(ending.len(), 4, "an invalid date would drop out silently");
        for entry in ending {
            let successor = registry.find_entry(entry.successor.as_deref().unwrap()).unwrap();
            assert_eq!((successor.api, successor.shutdown), (entry.api, None));
        }
    }

    #[test]
    fn a_model_in_use_is_announced_ninety_days_before_its_end_and_not_a_day_earlier() {
        let mut registry = ModelRegistry::defaults();
        registry.assign(Role::Summary, "gpt-4o-mini").unwrap();
        let days = ModelRegistry::WARNING_DAYS;
        assert_eq!(registry.list_shutdowns(day(2026, 10, 15), days), []);
        let warnings = registry.list_shutdowns(day(2026, 10, 16), days);
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].role, Role::Summary);
        assert_eq!(warnings[0].shutdown, day(2027, 1, 14));
        assert_eq!(warnings[0].successor.as_deref(), Some("gpt-6-luna"));
        assert_eq!(
            registry.list_shutdowns(day(2028, 1, 1), days).len(),
            1,
            "a past end is still a warning"
        );
    }

    #[test]
    fn a_role_refuses_an_unknown_model_and_one_of_another_api() {
        let mut registry = ModelRegistry::defaults();
        assert!(matches!(
            registry.assign(Role::Summary, "gpt-5000"),
            Err(RegistryError::UnknownModel { .. })
        ));
        assert!(matches!(
            registry.assign(Role::Summary, "text-embedding-3-small"),
            Err(RegistryError::WrongApi { .. })
        ));
        registry.insert(ModelEntry::new("llama", Api::ChatCompletions));
        registry.assign(Role::Summary, "llama").unwrap();
        assert_eq!(registry.find_model(Role::Summary).unwrap().id, "llama");
    }
}
