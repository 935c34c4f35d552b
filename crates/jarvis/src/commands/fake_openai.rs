//! `jarvis fake-openai`: a provider of models that costs nothing and knows nothing.

use crate::failure::{Done, WithHint};
use crate::output::{Output, talk};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_llm::fake::{FakeOpenAi, FakeOptions};
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};

/// Serve made-up answers in the protocol of a provider of models, until it is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It answers /v1/chat/completions and /v1/responses with made-up values that fit the strict schema of the request, /v1/embeddings
with vectors that depend on the text alone (equal texts, equal vectors; nothing else means anything), and /v1/models with the
last day of each model.

What goes wrong is asked for by the header x-fake, or by the end of the model's name, as in gpt-6-luna@refusal:
  429, 503, 500, 401, …   this HTTP status         quota      no money is left
  slow, slow-SECONDS      a late answer            garbage    a success that is no JSON
  refusal                 the model declines       length     the answer is cut at its limit
  filter                  the content filter       not-json   the answer is no JSON
  nonsense                it breaks its schema     no-usage   it does not say what it cost
  too-long                the question is longer than the model's window

Examples:
  jarvis fake-openai --listen 127.0.0.1:8090
  JARVIS_CHAT=openai JARVIS_OPENAI_BASE_URL=http://127.0.0.1:8090/v1 jarvis serve")]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The key it wants; any, and none, when absent
    #[arg(long, env = "JARVIS_FAKE_OPENAI_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Runs the command.
pub async fn run(out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let options = FakeOptions {
        api_key: arguments.key.map(Into::into),
        unix_time: SystemClock.now().timestamp(),
        listen: arguments.listen,
        ..FakeOptions::default()
    };
    let fake = FakeOpenAi::start(options).await.map_err(|error| WithHint {
        problem: format!("cannot listen on {}: {error}", arguments.listen),
        hint: "choose another address: --listen 127.0.0.1:0".to_owned(),
    })?;
    let base_url = fake.base_url();
    out.data(&serde_json::json!({ "base_url": base_url }), |_| base_url.clone())?;
    talk("its answers are made up; interrupt to end");
    let (mut interrupted, mut told) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        ended = fake.serve() => ended?,
        _ = interrupted.recv() => {}
        _ = told.recv() => {}
    }
    Ok(Done::Ok)
}
