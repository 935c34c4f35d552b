//! Who computes embeddings and reads conversations: this machine, or a provider, as the environment says.

use crate::failure::WrongUse;
use anyhow::Context as _;
use chrono::NaiveDate;
use jarvis_core::embedding::DIMENSIONS;
use jarvis_llm::{
    Api, Breaker, BreakerSettings, Guarded, ModelEntry, ModelRegistry, OpenAi, OpenAiConfig, Role,
    ShutdownWarning,
};
use jarvis_memory::{Provider, Reader, standing};
use jarvis_observe::provider::note_breaker;
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// `local` (also when absent) or `openai`.
const CHOICE: &str = "JARVIS_EMBEDDINGS";
const BASE_URL: &str = "JARVIS_OPENAI_BASE_URL";
const KEY: &str = "JARVIS_OPENAI_API_KEY";
const KEY_FILE: &str = "JARVIS_OPENAI_API_KEY_FILE";
const MODEL: &str = "JARVIS_EMBEDDING_MODEL";
/// `none` (also when absent) or `openai`: who reads the conversations of gyms that allow it.
const CHAT: &str = "JARVIS_CHAT";
const CHAT_MODEL: &str = "JARVIS_CHAT_MODEL";
/// `chat_completions` (also when absent) or `responses`.
const CHAT_API: &str = "JARVIS_CHAT_API";
/// Tokens that the model takes, question and answer together.
const CHAT_WINDOW: &str = "JARVIS_CHAT_CONTEXT_TOKENS";
/// What the models that the program knows take at least.
const USUAL_WINDOW: usize = 128_000;
/// `true`: a provider whose address is not known to be in the European Union is refused at start.
const EU_ONLY: &str = "JARVIS_MODELS_EU_ONLY";
/// Hosts, separated by commas, that the operator knows to be in the European Union.
const EU_HOSTS: &str = "JARVIS_MODELS_EU_HOSTS";
/// OpenAI's address for data that stays in the European Union.
const OPENAI_EU: &str = "eu.api.openai.com";
/// Seconds for one request.
const TIMEOUT: &str = "JARVIS_OPENAI_TIMEOUT_SECONDS";

const OPENAI: &str = "https://api.openai.com/v1";
/// One request, its repetition and the wait between them stay far below the time of a job.
const USUAL_TIMEOUT: Duration = Duration::from_secs(15);
/// The job queue waits longer, and survives a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where a provider is and how to ask it, whatever for.
struct Address {
    base_url: String,
    key: Option<SecretString>,
    timeout: Duration,
}

impl Address {
    /// What the environment says; `what_for` is the variable that chose a provider.
    fn from_environment(what_for: &str) -> anyhow::Result<Self> {
        let base_url = word(BASE_URL)?.unwrap_or_else(|| OPENAI.to_owned());
        stays_in_europe(&base_url)?;
        let key = key()?;
        if key.is_none() && base_url == OPENAI {
            return Err(WrongUse(format!("{what_for}=openai needs {KEY_FILE} or {KEY}")).into());
        }
        let timeout = match word(TIMEOUT)? {
            None => USUAL_TIMEOUT,
            Some(seconds) => {
                let seconds = seconds.parse().ok().filter(|seconds| (1..=40).contains(seconds));
                Duration::from_secs(seconds.ok_or_else(|| WrongUse(format!("{TIMEOUT} is 1 to 40")))?)
            }
        };
        Ok(Self {
            base_url,
            key,
            timeout,
        })
    }

    fn client(self, registry: ModelRegistry, max_retries: u32) -> anyhow::Result<OpenAi> {
        let config = OpenAiConfig {
            api_key: self.key,
            timeout: self.timeout,
            max_retries,
            longest_wait: LONGEST_WAIT,
            most_dimensions: DIMENSIONS,
            ..OpenAiConfig::new(self.base_url)
        };
        OpenAi::new(config, Arc::new(registry))
            .map_err(|error| WrongUse(format!("{BASE_URL}, {KEY}: {error}")).into())
    }
}

/// Whether `JARVIS_MODELS_EU_ONLY` lets this address be used.
fn stays_in_europe(base_url: &str) -> anyhow::Result<()> {
    match word(EU_ONLY)?.as_deref() {
        None | Some("false") => return Ok(()),
        Some("true") => {}
        Some(_) => return Err(WrongUse(format!("{EU_ONLY} is `true` or `false`")).into()),
    }
    let url = reqwest::Url::parse(base_url).map_err(|_| WrongUse(format!("{BASE_URL} is not a URL")))?;
    let host = url.host_str().unwrap_or_default();
    let stated = word(EU_HOSTS)?.unwrap_or_default();
    if is_known_european(host, &stated) {
        return Ok(());
    }
    Err(WrongUse(format!(
        "{EU_ONLY}=true and {host} is not known to be in the European Union: set {BASE_URL} to \
         https://{OPENAI_EU}/v1, or name the host in {EU_HOSTS}"
    ))
    .into())
}

/// OpenAI's European address, this machine, or a host that the operator states.
fn is_known_european(host: &str, stated: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let mut stated = stated.split(',').map(str::trim);
    host == OPENAI_EU || here || stated.any(|name| !name.is_empty() && name.eq_ignore_ascii_case(host))
}

/// A provider of embeddings, as the environment describes it.
pub struct ProviderSettings {
    /// The model.
    pub model: String,
    address: Address,
}

impl ProviderSettings {
    /// What the environment says; `None` when this machine computes embeddings itself.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        match word(CHOICE)?.as_deref() {
            None | Some("local") => return Ok(None),
            Some("openai") => {}
            Some(_) => return Err(WrongUse(format!("{CHOICE} is `local` or `openai`")).into()),
        }
        let address = Address::from_environment(CHOICE)?;
        let model = match word(MODEL)? {
            Some(model) => model,
            None => usual_model(Role::Embedding)?,
        };
        Ok(Some(Self { model, address }))
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
        let client = self.address.client(registry, 1)?;
        let breaker = Breaker::watched(BreakerSettings::default(), |state| {
            note_breaker("embedding", standing(state));
        });
        Ok(Provider {
            name: "openai".to_owned(),
            model: self.model,
            client: Box::new(Guarded::new(client, breaker.clone())),
            breaker,
            local: None,
        })
    }
}

/// The model that reads conversations, as the environment describes it; `None` when only rules do.
pub fn reader_from_environment() -> anyhow::Result<Option<Reader>> {
    match word(CHAT)?.as_deref() {
        None | Some("none") => return Ok(None),
        Some("openai") => {}
        Some(_) => return Err(WrongUse(format!("{CHAT} is `none` or `openai`")).into()),
    }
    let address = Address::from_environment(CHAT)?;
    let api = match word(CHAT_API)?.as_deref() {
        None | Some("chat_completions") => Api::ChatCompletions,
        Some("responses") => Api::Responses,
        Some(_) => return Err(WrongUse(format!("{CHAT_API} is `chat_completions` or `responses`")).into()),
    };
    let model = match word(CHAT_MODEL)? {
        Some(model) => model,
        None => usual_model(Role::Extraction)?,
    };
    let window = match word(CHAT_WINDOW)? {
        None => USUAL_WINDOW,
        Some(tokens) => tokens
            .parse()
            .ok()
            .filter(|tokens| (8_192..=10_000_000).contains(tokens))
            .ok_or_else(|| WrongUse(format!("{CHAT_WINDOW} is 8192 to 10000000 tokens")))?,
    };
    let mut registry = ModelRegistry::defaults();
    let entry = match registry.find_entry(&model).cloned() {
        Some(known) if !Role::Extraction.accepts(known.api) => known,
        Some(known) => ModelEntry { api, ..known },
        None => ModelEntry::new(&model, api),
    };
    registry.insert(entry);
    registry
        .assign(Role::Extraction, &model)
        .map_err(|error| WrongUse(format!("{CHAT_MODEL}: {error}")))?;
    let client = address.client(registry, 1)?;
    let breaker = Breaker::watched(BreakerSettings::default(), |state| {
        note_breaker("extraction", standing(state));
    });
    Ok(Some(Reader {
        provider: "openai".to_owned(),
        model,
        window,
        client: Box::new(Guarded::new(client, breaker.clone())),
        breaker,
    }))
}

fn usual_model(role: Role) -> anyhow::Result<String> {
    let registry = ModelRegistry::defaults();
    let model = registry
        .find_model(role)
        .context("no model is known for this role")?;
    Ok(model.id.clone())
}

/// The models of a provider that this machine's settings use and that end within 90 days of `today`, or have ended.
pub fn ending_models(today: NaiveDate) -> anyhow::Result<Vec<ShutdownWarning>> {
    let mut registry = ModelRegistry::defaults();
    let mut used = Vec::new();
    if let Some(provider) = ProviderSettings::from_environment()? {
        used.push((Role::Embedding, provider.model));
    }
    if let Some(reader) = reader_from_environment()? {
        used.push((Role::Extraction, reader.model));
    }
    // A model that only the provider knows has no last day here.
    used.retain(|(role, model)| registry.assign(*role, model).is_ok());
    let roles: Vec<Role> = used.into_iter().map(|(role, _)| role).collect();
    let mut ending = registry.list_shutdowns(today, ModelRegistry::WARNING_DAYS);
    ending.retain(|warning| roles.contains(&warning.role));
    Ok(ending)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_is_known_to_be_in_europe_is_european() {
        for host in [
            "eu.api.openai.com",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "llm.salle.example",
        ] {
            assert!(
                is_known_european(host, " llm.salle.example , other.example"),
                "{host}"
            );
        }
        for host in [
            "api.openai.com",
            "eu.api.openai.com.example",
            "10.0.0.1",
            "salle.example",
            "",
        ] {
            assert!(!is_known_european(host, "llm.salle.example,,"), "{host}");
        }
    }
}
