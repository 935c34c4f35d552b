//! `jarvis bench open`: how long a member waits for the assistant to know them, and to remember.

use super::house::{CACHE_MIB, House, in_a_house};
use super::kiosk::Kiosk;
use super::machine::{Machine, load, median};
use super::page::{self, Words};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use crate::serving::Serving;
use anyhow::{Context as _, ensure};
use jarvis_core::Channel;
use jarvis_db::bench::ground::Place;
use jarvis_db::bench::synthetic::{Chance, Gym};
use jarvis_db::bench::visits::{self, FACTS, Size};
use jarvis_db::bench::{Times, settings_of};
use jarvis_db::queries::gym::EmbeddingModel;
use jarvis_embed::{Kind, LocalModel};
use jarvis_memory::Embedder;
use jarvis_memory::recall::{self, RecallQuery};
use jarvis_memory::sessions::{self, KioskIdentity, OpenSession};
use jarvis_observe::cost::Bill;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Our bar for 95 of 100 openings, in milliseconds.
const BAR_MS: f64 = 150.0;
/// Memories that are asked for.
const MEMORIES: u16 = 5;
/// Words of a question.
const WORDS: usize = 3;

/// Fills a gym with months of conversations, reads badges at its kiosks over HTTP, and asks a question in each session.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A kiosk opens a session as soon as it had the answer to its question: the next badge ends the session before.
Examples:
  jarvis bench open
  jarvis bench open --conversations 100000 --json
  jarvis bench open --page docs")]
pub struct Arguments {
    /// Members of the gym; some come far more often than others
    #[arg(long, default_value = "2000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    members: u32,
    /// Conversations of all of them, at most 300 000; each has a summary
    #[arg(long, default_value = "20000", value_parser = clap::value_parser!(u32).range(1..=300_000))]
    conversations: u32,
    /// Turns of each conversation
    #[arg(long, default_value = "6")]
    turns: NonZeroU8,
    /// Kiosks that are used at the same time
    #[arg(long, default_value = "2")]
    clients: NonZeroU8,
    /// Badges that are read, at most 1 400: a gym's kiosks may send 3 000 requests a minute
    #[arg(long, default_value = "400", value_parser = clap::value_parser!(u16).range(1..=1400))]
    badges: u16,
    /// The same seed makes the same gym and visits
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Write the figures into bench.md and bench.fr.md of this folder
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Exit code 3 unless 95 of 100 sessions open within 150 ms with their full context
    #[arg(long)]
    check: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    postgresql: BTreeMap<String, String>,
    gym: Size,
    /// Conversations of the member who has most, and those that a visit met on average.
    heaviest: usize,
    met: f64,
    clients: u8,
    /// Whether the local model was on this machine; without it questions go by words.
    with_model: bool,
    /// Badge to context, over HTTP.
    open: Step,
    /// A question to its memories, over HTTP.
    ask: Step,
    /// Openings whose context held every fact, injuries and a past conversation.
    full_contexts: usize,
    load: f64,
}

/// One kind of request.
#[derive(Debug, Clone, Copy, Serialize)]
struct Step {
    times: Times,
    share: Share,
}

/// Where the middle request spends its time, in milliseconds, measured one by one inside the program.
#[derive(Debug, Clone, Copy, Serialize)]
struct Share {
    model: f64,
    sql: f64,
    program: f64,
    /// What the same request takes longer over HTTP, one after the other.
    http: f64,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: &Arguments) -> anyhow::Result<Done> {
    page::check(a.page.as_deref())?;
    let bar = spinner("starting");
    let tell = |line: String| bar.set_message(line);
    let report = in_a_house(global, CACHE_MIB, async |house| measure(house, a, &tell).await).await;
    bar.finish_and_clear();
    let report = report?;
    page::write(a.page.as_deref(), "open", |words| section(&report, words))?;
    out.data(&report, human)?;
    let full = report.full_contexts == report.open.times.calls;
    if a.check && !(full && report.with_model && report.open.times.p95_ms < BAR_MS) {
        talk(&format!(
            "the bar is {BAR_MS} ms for 95 of 100 openings, each with its full context, and the local model on this machine"
        ));
        return Ok(Done::Findings);
    }
    Ok(Done::Ok)
}

async fn measure(house: &House<'_>, a: &Arguments, tell: &dyn Fn(String)) -> anyhow::Result<Report> {
    let mut admin = connection::admin(house.urls).await?;
    let size = Size {
        members: usize::try_from(a.members.min(a.conversations))?,
        conversations: usize::try_from(a.conversations)?,
        turns: a.turns.get().into(),
        seed: a.seed,
    };
    let kiosks = u32::from(a.clients.get()) + 1;
    let (mut places, gym) = visits::fill(&mut admin, 0, kiosks, size, tell).await?;
    let serving = house.serve().await?;
    let alone = places.pop().context("there is a kiosk for the look inside")?;
    tell("badges and questions".to_owned());
    let worked = async {
        let visits = visits_of(&gym, a);
        let seen = all_visit(&serving, &places, &visits).await?;
        let (open, ask) = Box::pin(look_inside(&serving, &alone, &visits)).await?;
        anyhow::Ok((seen, open, ask))
    }
    .await;
    let with_model = embedded(&serving.memory.embedder, "genou").await?;
    serving.stop().await?;
    let (seen, open, ask) = worked?;
    Ok(Report {
        machine: Machine::this(),
        postgresql: settings_of(&mut admin).await?,
        gym: size,
        heaviest: gym.sizes.iter().copied().max().unwrap_or_default(),
        met: gym.rows_met(),
        clients: a.clients.get(),
        with_model,
        full_contexts: seen.iter().filter(|visit| visit.full).count(),
        open: Step {
            times: Times::of(seen.iter().map(|visit| visit.opened).collect()),
            share: open,
        },
        ask: Step {
            times: Times::of(seen.iter().map(|visit| visit.answered).collect()),
            share: ask,
        },
        load: load(),
    })
}

/// A member who comes, and what they ask.
#[derive(Debug, Clone)]
struct Visit {
    badge: String,
    question: String,
}

/// Who comes more often has more conversations.
fn visits_of(gym: &Gym, a: &Arguments) -> Vec<Visit> {
    let mut chance = Chance::new(a.seed, 4);
    (0..a.badges)
        .map(|_| {
            let (member, _) = gym.arrivals[chance.below(gym.arrivals.len())];
            Visit {
                badge: visits::badge(member),
                question: visits::question(&mut chance, WORDS),
            }
        })
        .collect()
}

/// What a visit took.
struct Seen {
    opened: Duration,
    answered: Duration,
    full: bool,
}

/// Every kiosk reads its share of the badges, one after the other.
async fn all_visit(serving: &Serving, places: &[Place], visits: &[Visit]) -> anyhow::Result<Vec<Seen>> {
    let mut kiosks = JoinSet::new();
    for (number, place) in places.iter().enumerate() {
        let kiosk = Kiosk::at(serving, place)?;
        let own: Vec<Visit> = visits
            .iter()
            .skip(number)
            .step_by(places.len())
            .cloned()
            .collect();
        kiosks.spawn(async move {
            // Not counted: the connections and their prepared statements.
            visit(&kiosk, own.first().context("more kiosks than badges")?).await?;
            let mut seen = Vec::new();
            for one in &own {
                seen.push(visit(&kiosk, one).await?);
            }
            anyhow::Ok(seen)
        });
    }
    let mut seen = Vec::new();
    while let Some(kiosk) = kiosks.join_next().await {
        seen.extend(kiosk.context("a kiosk of the bench panicked")??);
    }
    Ok(seen)
}

async fn visit(kiosk: &Kiosk, visit: &Visit) -> anyhow::Result<Seen> {
    let started = Instant::now();
    let (session, answer) = kiosk.open(&visit.badge).await?;
    let opened = started.elapsed();
    let context = &answer.value()?["context"];
    let count = |list: &str| context[list].as_array().map_or(0, Vec::len);
    let started = Instant::now();
    let answer = kiosk.recall(&session, &visit.question, MEMORIES).await?;
    let answered = started.elapsed();
    ensure!(answer.value()?["complete"] == true, "recall ran out of time");
    Ok(Seen {
        opened,
        answered,
        full: count("facts") == FACTS && count("memories") > 0,
    })
}

/// The same visits once more, one after the other: over HTTP, and by the functions that HTTP calls.
async fn look_inside(serving: &Serving, place: &Place, visits: &[Visit]) -> anyhow::Result<(Share, Share)> {
    let kiosk = Kiosk::at(serving, place)?;
    let identity = KioskIdentity {
        kiosk: place.kiosk,
        gym: place.gym,
    };
    let memory = &serving.memory;
    let [mut open, mut ask] = [Looked::default(), Looked::default()];
    for one in visits.iter().take(INSIDE) {
        let over_http = visit(&kiosk, one).await?;
        open.http.push(over_http.opened);
        ask.http.push(over_http.answered);
        let badge = OpenSession {
            badge_id: one.badge.clone(),
            language: None,
            channel: Channel::Voice,
        };
        let opened = open.inside(sessions::open(memory, &identity, &badge)).await?;
        let query = RecallQuery {
            text: one.question.clone(),
            k: MEMORIES.into(),
            threshold: recall::DEFAULT_THRESHOLD,
        };
        let asked = recall::recall_in_session(memory, &identity, &opened.session_id, &query);
        ask.inside(Box::pin(asked)).await?;
        let started = Instant::now();
        embedded(&memory.embedder, &one.question).await?;
        ask.model.push(started.elapsed());
    }
    Ok((open.share(), ask.share()))
}

/// Embeds a question with the model of this machine; false when that is not here.
async fn embedded(embedder: &Embedder, question: &str) -> anyhow::Result<bool> {
    let model = EmbeddingModel {
        name: LocalModel::DEFAULT.name().to_owned(),
        external: false,
    };
    let asked = embedder
        .embed(&model, Kind::Query, &[question.to_owned()], None)
        .await;
    Ok(asked.outcome?.is_ok())
}

/// Visits that are looked into.
const INSIDE: usize = 100;

/// The same request over HTTP and inside.
#[derive(Default)]
struct Looked {
    http: Vec<Duration>,
    whole: Vec<Duration>,
    sql: Vec<Duration>,
    model: Vec<Duration>,
}

impl Looked {
    async fn inside<T, E>(&mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let bill = Bill::default();
        let started = Instant::now();
        let done = bill.charge(work).await;
        self.whole.push(started.elapsed());
        self.sql.push(bill.so_far().database);
        done
    }

    fn share(&self) -> Share {
        let middle =
            |durations: &[Duration]| median(durations.iter().map(|d| d.as_secs_f64() * 1_000.0).collect());
        let (whole, sql, model) = (middle(&self.whole), middle(&self.sql), middle(&self.model));
        Share {
            model,
            sql,
            program: (whole - sql - model).max(0.0),
            http: (middle(&self.http) - whole).max(0.0),
        }
    }
}

fn human(report: &Report) -> String {
    let row = |name: &str, step: &Step| {
        let (t, s) = (&step.times, &step.share);
        [
            name.to_owned(),
            format!("{:.1}", t.p50_ms),
            format!("{:.1}", t.p95_ms),
            format!("{:.1}", t.p99_ms),
            format!("{:.1}", s.model),
            format!("{:.1}", s.sql),
            format!("{:.1}", s.program),
            format!("{:.1}", s.http),
        ]
    };
    let rows = table(
        [
            "", "p50 ms", "p95 ms", "p99 ms", "model", "SQL", "program", "HTTP",
        ],
        [row("open", &report.open), row("ask", &report.ask)],
    );
    let model = if report.with_model {
        "local model"
    } else {
        "no model on this machine: questions go by words"
    };
    format!(
        "{rows}\n\n{} of {} openings had their full context; {} members, {} conversations of {} turns, heaviest {}, a visit \
         meets {:.0}; {} kiosks, {model}, load {:.1}\n\n{}\n{}",
        report.full_contexts,
        report.open.times.calls,
        report.gym.members,
        report.gym.conversations,
        report.gym.turns,
        report.heaviest,
        report.met,
        report.clients,
        report.load,
        report.machine.describe(),
        page::settings(&report.postgresql)
    )
}

fn section(report: &Report, words: &Words) -> String {
    let row = |name: &str, step: &Step| {
        let (t, s) = (&step.times, &step.share);
        format!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |\n",
            t.p50_ms, t.p95_ms, t.p99_ms, s.model, s.sql, s.program, s.http
        )
    };
    format!(
        "{}\n|---|---|---|---|---|---|---|---|\n{}{}\n{}: {}, {}, {}, {}, {:.0}, {}, {:.1}.\n\n{}",
        words.open_head,
        row(words.open, &report.open),
        row(words.ask, &report.ask),
        words.open_gym,
        report.gym.members,
        report.gym.conversations,
        report.gym.turns,
        report.heaviest,
        report.met,
        report.clients,
        report.load,
        page::measured_on(words, &report.machine, &report.postgresql)
    )
}
