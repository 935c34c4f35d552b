//! Who computes embeddings: this machine, or a provider, as the environment says.

use crate::failure::WrongUse;
use anyhow::Context as _;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_llm::{
    Api, Breaker, BreakerSettings, Guarded, ModelEntry, ModelRegistry, OpenAi, OpenAiConfig, Role,
};
use jarvis_memory::{Provider, standing};
use jarvis_observe::provider::note_breaker;
use secrecy::SecretString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// `local` (also when absent) or `openai`.
const CHOICE: &str = "JARVIS_EMBEDDINGS";
const BASE_URL: &str = "JARVIS_OPENAI_BASE_URL";
const KEY: &str = "JARVIS_OPENAI_API_KEY";
const KEY_FILE: &str = "JARVIS_OPENAI_API_KEY_FILE";
const MODEL: &str = "JARVIS_EMBEDDING_MODEL";
/// Seconds for one request.
const TIMEOUT: &str = "JARVIS_OPENAI_TIMEOUT_SECONDS";

const OPENAI: &str = "https://api.openai.com/v1";
/// One request, its repetition and the wait between them stay far below the time of a job.
const USUAL_TIMEOUT: Duration = Duration::from_secs(15);
/// The job queue waits longer, and survives a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A provider, as the environment describes it.
pub struct ProviderSettings {
    /// The model.
    pub model: String,
    base_url: String,
    key: Option<SecretString>,
    timeout: Duration,
}

impl ProviderSettings {
    /// What the environment says; `None` when this machine computes embeddings itself.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        match word(CHOICE)?.as_deref() {
            None | Some("local") => return Ok(None),
            Some("openai") => {}
            Some(_) => return Err(WrongUse(format!("{CHOICE} is `local` or `openai`")).into()),
        }
        let base_url = word(BASE_URL)?.unwrap_or_else(|| OPENAI.to_owned());
        let key = key()?;
        if key.is_none() && base_url == OPENAI {
            return Err(WrongUse(format!("{CHOICE}=openai needs {KEY_FILE} or {KEY}")).into());
        }
        let timeout = match word(TIMEOUT)? {
            None => USUAL_TIMEOUT,
            Some(seconds) => {
                let seconds = seconds.parse().ok().filter(|seconds| (1..=40).contains(seconds));
                Duration::from_secs(seconds.ok_or_else(|| WrongUse(format!("{TIMEOUT} is 1 to 40")))?)
            }
        };
        let model = match word(MODEL)? {
            Some(model) => model,
            None => ModelRegistry::defaults()
                .find_model(Role::Embedding)
                .context("no embedding model is known")?
                .id
                .clone(),
        };
        Ok(Some(Self {
            model,
            base_url,
            key,
            timeout,
        }))
    }

    /// The provider; nothing is sent yet.
    pub fn connect(self) -> anyhow::Result<Provider> {
        let mut registry = ModelRegistry::defaults();
        if registry.find_entry(&self.model).is_none() {
            registry.insert(ModelEntry::new(&self.model, Api::Embeddings));
        }
        registry
            .assign(Role::Embedding, &self.model)
            .map_err(|error| WrongUse(format!("{MODEL}: {error}")))?;
        let config = OpenAiConfig {
            api_key: self.key,
            timeout: self.timeout,
            max_retries: 1,
            longest_wait: LONGEST_WAIT,
            most_dimensions: DIMENSIONS,
            ..OpenAiConfig::new(self.base_url)
        };
        let client = OpenAi::new(config, Arc::new(registry))
            .map_err(|error| WrongUse(format!("{BASE_URL}, {KEY}: {error}")))?;
        let breaker = Breaker::watched(BreakerSettings::default(), |state| note_breaker(standing(state)));
        Ok(Provider {
            name: "openai".to_owned(),
            model: self.model,
            client: Box::new(Guarded::new(client, breaker.clone())),
            breaker,
            local: None,
        })
    }
}

/// A variable; empty is as good as absent.
fn word(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(WrongUse(format!("{name} is not UTF-8")).into()),
    }
}

/// The key: of the file where one is named, else of the variable.
fn key() -> anyhow::Result<Option<SecretString>> {
    let Some(path) = word(KEY_FILE)? else {
        return Ok(word(KEY)?.map(SecretString::from));
    };
    let text = std::fs::read_to_string(Path::new(&path))
        .map_err(|error| WrongUse(format!("{KEY_FILE}: {path}: {error}")))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(WrongUse(format!("{KEY_FILE}: {path} is empty")).into());
    }
    Ok(Some(SecretString::from(key.to_owned())))
}
