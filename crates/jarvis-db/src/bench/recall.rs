//! Recall of one member's summaries: ours, the guide's, and the floor that nothing goes below.

use super::synthetic::{Chance, Gym, distance, member_id, summary_id};
use super::{Times, guide, settings_of};
use crate::DbError;
use pgvector::Vector;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sqlx::types::Uuid;
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The model that the made-up vectors are said to come from: it uses all 1536 dimensions.
const MODEL: &str = "text-embedding-3-small";
/// Rows of one insert.
const BATCH: usize = 500;
/// Results asked for.
const TOP: usize = 5;
/// Distances this near count as equal: halves round.
const TIE: f64 = 1e-3;
const GYM: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
const PERSON: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001);

const OURS: &str = "select id from public.match_conversation_summaries($1, $2, 0.0, 5)";
const GUIDE: &str = "select id from guide.match_conversation_summaries($1, $2, -1.0, 5)";

/// What to measure.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Summaries in all.
    pub summaries: usize,
    /// Members that share them.
    pub members: usize,
    /// Connections that ask at the same time.
    pub clients: usize,
    /// Questions, each compared with the exact answer.
    pub questions: usize,
    /// How long each design is asked for its speed in a round, in seconds.
    pub seconds: u64,
    /// Rounds, at least one; the designs take turns in each.
    pub rounds: usize,
    /// The same seed makes the same rows and questions.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// As asked for.
    pub settings: Settings,
    /// Of PostgreSQL.
    pub postgresql: BTreeMap<String, String>,
    /// Processors of this machine.
    pub processors: usize,
    /// Summaries stored.
    pub rows: usize,
    /// Of the heaviest member.
    pub heaviest: usize,
    /// Rows that a question met on average.
    pub rows_met: f64,
    /// `public.match_conversation_summaries`.
    pub ours: Design,
    /// The guide's.
    pub guide: Design,
    /// Dot products in memory.
    pub dot_products: Times,
    /// `select 1`.
    pub round_trip: Times,
    /// Both designs' answers a second, round by round.
    pub rounds: Vec<Round>,
    /// Our answers a second over the guide's: the middle of the rounds' ratios.
    pub qps_ratio: f64,
    /// Our median over the floor: dot products and a round trip.
    pub floor_ratio: f64,
}

/// Answers a second, one design after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Ours.
    pub ours: f64,
    /// The guide's.
    pub guide: f64,
    /// Ours over the guide's.
    pub ratio: f64,
}

/// One design's figures.
#[derive(Debug, Clone, Serialize)]
pub struct Design {
    /// Waiting times with all clients asking.
    pub times: Times,
    /// Answers a second of all clients together.
    pub qps: f64,
    /// The share of the five nearest that was found, mean over the questions.
    pub recall_at_5: f64,
    /// Questions that found nothing, as a share.
    pub empty: f64,
    /// By the member's summaries.
    pub buckets: BTreeMap<&'static str, Bucket>,
}

/// Questions about members of some size.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Bucket {
    /// How many.
    pub questions: usize,
    /// Mean share of the five nearest that was found.
    pub recall_at_5: f64,
}

struct Question {
    member: usize,
    vector: Vec<f32>,
    /// All of the member's distances, by summary.
    distances: Vec<f64>,
    /// The fifth smallest, or the largest there is.
    fifth: f64,
}

/// Fills the database and measures. The database is the run's own: made-up rows belong beside nobody's.
///
/// # Errors
/// When a run was there before, or the database fails.
pub async fn run(
    admin_url: &SecretString,
    settings: &Settings,
    tell: &dyn Fn(String),
) -> Result<Report, DbError> {
    let mut admin = PgConnection::connect(admin_url.expose_secret()).await?;
    let gym = Arc::new(Gym::new(settings.seed, settings.members, settings.summaries));
    load(&mut admin, &gym, tell).await?;
    tell("exact answers".to_owned());
    let (questions, dots) = questions(&gym, settings);
    let questions = Arc::new(questions);
    let round_trip = round_trip(admin_url).await?;
    tell("comparing answers".to_owned());
    let found = (
        found(admin_url, &gym, &questions, OURS).await?,
        found(admin_url, &gym, &questions, GUIDE).await?,
    );
    let mut rounds = Vec::new();
    let (mut of_ours, mut of_guide) = (Vec::new(), Vec::new());
    for number in 1..=settings.rounds.max(1) {
        tell(format!("round {number} of {}", settings.rounds));
        let ours = hammer(admin_url, settings, &questions, OURS, &mut of_ours).await?;
        let guide = hammer(admin_url, settings, &questions, GUIDE, &mut of_guide).await?;
        rounds.push(Round {
            ours,
            guide,
            ratio: ours / guide,
        });
    }
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let ours = found.0.with_speed(of_ours, of(|r| r.ours));
    let guide = found.1.with_speed(of_guide, of(|r| r.guide));
    let floor = dots.p50_ms + round_trip.p50_ms;
    Ok(Report {
        settings: settings.clone(),
        postgresql: settings_of(&mut admin).await?,
        processors: std::thread::available_parallelism().map_or(1, Into::into),
        rows: gym.arrivals.len(),
        heaviest: gym.sizes.iter().copied().max().unwrap_or_default(),
        rows_met: gym.rows_met(),
        qps_ratio: of(|r| r.ratio),
        floor_ratio: ours.times.p50_ms / floor,
        rounds,
        ours,
        guide,
        dot_products: dots,
        round_trip,
    })
}

async fn load(admin: &mut PgConnection, gym: &Gym, tell: &dyn Fn(String)) -> Result<(), DbError> {
    guide::build(admin).await?;
    // Triggers and keys would check every made-up row: what is measured is reading.
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut *admin)
        .await?;
    sqlx::query(
        "insert into public.gyms (id, name, slug, embedding_model) values ($1, 'Bench', 'bench', $2)",
    )
    .bind(GYM)
    .bind(MODEL)
    .execute(&mut *admin)
    .await?;
    sqlx::query(
        "insert into public.users (id, email, role, gym_access) values ($1, 'bench@demo.invalid', 'gym_manager', array[$2])",
    )
    .bind(PERSON)
    .bind(GYM)
    .execute(&mut *admin)
    .await?;
    sqlx::query("insert into guide.users (id, gym_access) values ($1, array[$2])")
        .bind(PERSON)
        .bind(GYM)
        .execute(&mut *admin)
        .await?;
    let members: Vec<Uuid> = (0..gym.sizes.len()).map(member_id).collect();
    sqlx::query(
        "insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name)
         select m, $2, 'BADGE_' || m, 'Prénom', 'Nom' from unnest($1::uuid[]) as m",
    )
    .bind(&members)
    .bind(GYM)
    .execute(&mut *admin)
    .await?;
    sqlx::query("insert into guide.gym_members_v2 (id, gym_id) select m, $2 from unnest($1::uuid[]) as m")
        .bind(&members)
        .bind(GYM)
        .execute(&mut *admin)
        .await?;
    for (index, batch) in gym.arrivals.chunks(BATCH).enumerate() {
        store(admin, gym, batch).await?;
        if index % 20 == 0 {
            tell(format!("{} of {} summaries", index * BATCH, gym.arrivals.len()));
        }
    }
    tell("vacuum".to_owned());
    for statement in [
        "set session_replication_role = default",
        "vacuum (analyze) public.conversation_summaries",
        "vacuum (analyze) jarvis.summary_vectors",
        "vacuum (analyze) guide.conversation_summaries",
        "vacuum (analyze) public.gym_members_v2",
        "checkpoint",
    ] {
        sqlx::raw_sql(statement).execute(&mut *admin).await?;
    }
    Ok(())
}

/// One batch into our table, its side table and the guide's, as they would arrive.
async fn store(admin: &mut PgConnection, gym: &Gym, batch: &[(usize, usize)]) -> Result<(), DbError> {
    let ids: Vec<Uuid> = batch.iter().map(|(m, k)| summary_id(*m, *k)).collect();
    let members: Vec<Uuid> = batch.iter().map(|(m, _)| member_id(*m)).collect();
    let vectors: Vec<Vector> = batch.iter().map(|(m, k)| gym.vector(*m, *k).into()).collect();
    sqlx::query(
        "with came as (select * from unnest($1::uuid[], $2::uuid[], $3::vector[]) as t (id, member_id, embedding)),
              ours as (insert into public.conversation_summaries
                         (id, session_id, member_id, gym_id, summary_text, embedding, embedding_model)
                       select id, id::text, member_id, $4, repeat('Une séance et ce qui y fut dit. ', 6), embedding, $5
                         from came returning id),
              beside as (insert into jarvis.summary_vectors (summary_id, gym_id, member_id, model, created_at, emb)
                         select id, $4, member_id, $5, now(), embedding::halfvec from came returning summary_id)
         insert into guide.conversation_summaries (id, session_id, member_id, gym_id, summary_text, embedding)
         select id, id::text, member_id, $4, repeat('Une séance et ce qui y fut dit. ', 6), embedding from came",
    )
    .bind(&ids)
    .bind(&members)
    .bind(&vectors)
    .bind(GYM)
    .bind(MODEL)
    .execute(admin)
    .await?;
    Ok(())
}

fn questions(gym: &Gym, settings: &Settings) -> (Vec<Question>, Times) {
    let mut chance = Chance::new(settings.seed, 2);
    let mut durations = Vec::new();
    let questions = (0..settings.questions).map(|_| {
        let (member, vector) = gym.question(&mut chance);
        let rows = gym.vectors(member);
        let started = Instant::now();
        let distances: Vec<f64> = rows.iter().map(|row| distance(row, &vector)).collect();
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        let fifth = sorted[TOP.min(sorted.len()) - 1];
        durations.push(started.elapsed());
        Question {
            member,
            vector,
            distances,
            fifth,
        }
    });
    let questions = questions.collect();
    (questions, Times::of(durations))
}

/// Does `work` on a thread of its own, as a client of its own would: what is measured is the database, not how one
/// thread of this program wakes another.
async fn alone<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T, DbError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, DbError>>,
{
    let thread = tokio::task::spawn_blocking(move || {
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build();
        own.map_err(sqlx::Error::Io)?.block_on(work())
    });
    match thread.await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

async fn round_trip(url: &SecretString) -> Result<Times, DbError> {
    let url = url.clone();
    alone(async move || {
        let mut connection = visitor(&url).await?;
        let mut durations = Vec::new();
        for _ in 0..1_000 {
            let started = Instant::now();
            sqlx::query_scalar::<_, i32>("select 1")
                .fetch_one(&mut connection)
                .await?;
            durations.push(started.elapsed());
        }
        Ok(Times::of(durations))
    })
    .await
}

/// A connection that acts as a signed-in manager of the gym: row level security applies.
async fn visitor(url: &SecretString) -> Result<PgConnection, DbError> {
    let mut connection = PgConnection::connect(url.expose_secret()).await?;
    let claims = serde_json::json!({"sub": PERSON, "role": "authenticated"}).to_string();
    sqlx::query("select set_config('request.jwt.claims', $1, false), set_config('search_path', 'public, extensions', false)")
        .bind(claims)
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql("set role authenticated")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

async fn ask(
    connection: &mut PgConnection,
    sql: &'static str,
    question: &Question,
) -> Result<Vec<Uuid>, DbError> {
    let ids = sqlx::query_scalar::<_, Uuid>(sql)
        .bind(Vector::from(question.vector.clone()))
        .bind(member_id(question.member));
    Ok(ids.fetch_all(connection).await?)
}

/// What a design found of the exact answers.
struct Found {
    recall_at_5: f64,
    empty: f64,
    buckets: BTreeMap<&'static str, Bucket>,
}

impl Found {
    fn with_speed(self, durations: Vec<Duration>, qps: f64) -> Design {
        Design {
            times: Times::of(durations),
            qps,
            recall_at_5: self.recall_at_5,
            empty: self.empty,
            buckets: self.buckets,
        }
    }
}

async fn found(
    url: &SecretString,
    gym: &Gym,
    questions: &[Question],
    sql: &'static str,
) -> Result<Found, DbError> {
    let mut connection = visitor(url).await?;
    let mut buckets: BTreeMap<&'static str, Bucket> = BTreeMap::new();
    let (mut total, mut empty) = (0.0, 0_usize);
    for question in questions {
        let found = ask(&mut connection, sql, question).await?;
        empty += usize::from(found.is_empty());
        let share = share_found(question, &found);
        total += share;
        let bucket = buckets.entry(bucket_of(gym.sizes[question.member])).or_default();
        bucket.questions += 1;
        bucket.recall_at_5 += share;
    }
    for bucket in buckets.values_mut() {
        bucket.recall_at_5 /= as_f64(bucket.questions);
    }
    let count = as_f64(questions.len().max(1));
    Ok(Found {
        recall_at_5: total / count,
        empty: as_f64(empty) / count,
        buckets,
    })
}

/// All clients ask as fast as they are answered; the waiting times are added to `all`. Returns answers a second.
async fn hammer(
    url: &SecretString,
    settings: &Settings,
    questions: &Arc<Vec<Question>>,
    sql: &'static str,
    all: &mut Vec<Duration>,
) -> Result<f64, DbError> {
    let patience = Duration::from_secs(settings.seconds);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..settings.clients {
        let first = client * questions.len() / settings.clients.max(1);
        let (url, questions) = (url.clone(), Arc::clone(questions));
        clients.spawn(alone(async move || {
            let mut connection = visitor(&url).await?;
            let mut durations = Vec::new();
            let begun = Instant::now();
            for question in questions.iter().cycle().skip(first) {
                if begun.elapsed() >= patience {
                    break;
                }
                let asked = Instant::now();
                ask(&mut connection, sql, question).await?;
                durations.push(asked.elapsed());
            }
            Ok((begun, Instant::now(), durations))
        }));
    }
    let before = all.len();
    let mut spans = Vec::new();
    while let Some(client) = clients.join_next().await {
        match client {
            Ok(asked) => {
                let (begun, ended, durations) = asked?;
                spans.push((begun, ended));
                all.extend(durations);
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    // From the first client's first question to the last one's last answer.
    let begun = spans.iter().map(|span| span.0).min();
    let ended = spans.iter().map(|span| span.1).max();
    let took = begun
        .zip(ended)
        .map_or(0.0, |(begun, ended)| (ended - begun).as_secs_f64());
    Ok(as_f64(all.len() - before) / took)
}

/// The share of the five nearest that was found. A row as near as the fifth counts, whichever it is.
fn share_found(question: &Question, found: &[Uuid]) -> f64 {
    let wanted = TOP.min(question.distances.len());
    let near = |id: &&Uuid| {
        let number = (0..question.distances.len()).find(|k| summary_id(question.member, *k) == **id);
        number.is_some_and(|k| question.distances[k] <= question.fifth + TIE)
    };
    as_f64(found.iter().filter(near).count().min(wanted)) / as_f64(wanted)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn bucket_of(size: usize) -> &'static str {
    match size {
        0..=9 => "1 to 9",
        10..=99 => "10 to 99",
        100..=999 => "100 to 999",
        _ => "1000 and more",
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_row_that_is_missed_lowers_recall_and_an_equal_one_does_not() {
        let question = Question {
            member: 3,
            vector: Vec::new(),
            distances: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.500_5, 0.9],
            fifth: 0.5,
        };
        let share = |numbers: &[usize]| {
            let ids: Vec<_> = numbers.iter().map(|k| summary_id(3, *k)).collect();
            share_found(&question, &ids)
        };
        assert!((share(&[0, 1, 2, 3, 4]) - 1.0).abs() < 1e-9);
        assert!(
            (share(&[0, 1, 2, 3, 5]) - 1.0).abs() < 1e-9,
            "as near as the fifth"
        );
        assert!((share(&[0, 1, 2, 3, 6]) - 0.8).abs() < 1e-9);
        assert!(share(&[]).abs() < 1e-9);
        let of_another = [summary_id(4, 0)];
        assert!(share_found(&question, &of_another).abs() < 1e-9);
    }
}
