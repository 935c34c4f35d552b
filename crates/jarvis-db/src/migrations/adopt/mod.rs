//! Taking over a database that runs an earlier schema under the guide's versions.
//!
//! All in one transaction: the old tables step aside into a schema of this transaction's own, our migrations run
//! unchanged, the rows are put into the new shape and copied, what the operator built around them is made again, every
//! cell is compared, and the old tables go. So the result is a fresh schema by construction, and a plan is a rehearsal
//! that is rolled back: what it says is what would happen.

mod paper;
mod report;

pub use report::{Adopted, Finding, Severity, TableAccount, Verdict};

use super::error::MigrationError;
use super::history;
use super::run;
use super::source::Source;
use crate::error::DbError;
use crate::pool;
use jarvis_core::{Clock as _, Purpose, SystemClock};
use secrecy::SecretString;
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is done with members of one gym whose badges differ in case or spaces alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Badges {
    /// Nothing: the operator gives them other badges first.
    #[default]
    Refuse,
    /// All but one get a suffix, and a new badge later.
    Suffix,
}

/// What only the operator can know.
#[derive(Debug, Clone)]
pub struct AdoptionSettings {
    /// The model that made the embeddings found.
    pub embedding_model: String,
    /// What the members agreed to before, as the operator states it. An answer on record is never overridden.
    pub consents: Vec<Purpose>,
    /// How shared badges are settled.
    pub badges: Badges,
}

impl Default for AdoptionSettings {
    fn default() -> Self {
        Self {
            embedding_model: "text-embedding-3-small".to_owned(),
            consents: Vec::new(),
            badges: Badges::Refuse,
        }
    }
}

/// A piece of the work: what it does, for the one who waits, and its statements.
type Step = (&'static str, &'static str);

const CAPTURE: Step = ("looks at what is there", include_str!("capture.sql"));
const MOVE: Step = ("takes the tables out of the way", include_str!("move.sql"));
const REVEAL: Step = (
    "brings the former system's tables back",
    include_str!("reveal.sql"),
);
const SETTLE: [Step; 4] = [
    ("reads the rows", include_str!("stage.sql")),
    ("settles what the rules refuse", include_str!("settle.sql")),
    (
        "gives each conversation its session",
        include_str!("conversations.sql"),
    ),
    ("checks facts, summaries and events", include_str!("children.sql")),
];
const COPY: Step = ("copies gyms, people and members", include_str!("copy.sql"));
const FINISH: [Step; 3] = [
    ("copies the memory", include_str!("memory.sql")),
    (
        "makes the operator's own objects again",
        include_str!("restore.sql"),
    ),
    ("compares every cell", include_str!("reconcile.sql")),
];
const CLEAR: Step = ("removes the old tables", include_str!("clear.sql"));

/// Any of these in schema `public` is an earlier schema, as long as ours is not there.
const TABLES: [&str; 11] = [
    "gyms",
    "users",
    "gym_members_v2",
    "member_fitness_profile",
    "member_preferences",
    "member_facts",
    "conversation_summaries",
    "conversation_events",
    "member_analytics",
    "manager_alerts",
    "insights_reports",
];

/// Takes over the earlier schema at `url`, or, without `for_good`, rehearses that and rolls it back. `progress` hears
/// what is being done. The tables are locked for others meanwhile.
///
/// # Errors
/// Before anything is changed when there is nothing to take over; later the step that failed, rolled back. What the operator has to mend is no error: it is a finding.
pub async fn adopt(
    url: &SecretString,
    source: &Source,
    settings: &AdoptionSettings,
    for_good: bool,
    progress: &(dyn Fn(&'static str) + Sync),
) -> Result<Adopted, MigrationError> {
    let mut connection = run::connect(url).await?;
    pool::check_version(&mut connection).await?;
    run::lock(&mut connection).await?;
    if history::table_exists(&mut connection, "jarvis.consent_ledger").await? {
        return paper::again(&mut connection, settings, for_good).await;
    }
    let recorded = history::recorded(&mut connection).await?;
    refuse_nothing(&mut connection).await?;
    run::check_extensions(&mut connection, source).await?;
    if for_good {
        history::ensure(&mut connection).await?;
    }
    let work = Work {
        source,
        settings,
        recorded,
        for_good,
        progress,
    };
    let mut attempt = 1;
    loop {
        let begun = Instant::now();
        let mut tx = connection.begin().await.map_err(DbError::from)?;
        match work.carry_out(&mut tx, begun).await {
            Ok(adopted) => {
                if adopted.verdict == Verdict::Adopted {
                    tx.commit().await.map_err(DbError::from)?;
                } else {
                    tx.rollback().await.map_err(DbError::from)?;
                }
                connection.close().await.map_err(DbError::from)?;
                return Ok(adopted);
            }
            Err(Failure::Sql(_, error)) if attempt < run::ATTEMPTS && run::is_role_race(&error) => {
                tx.rollback().await.map_err(DbError::from)?;
                let jitter = rand::random_range(0..100);
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 40 + jitter)).await;
                attempt += 1;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// Why a try ended; kept apart until it is known whether it is worth another one.
enum Failure {
    Sql(&'static str, sqlx::Error),
    Told(MigrationError),
}

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Self {
        Self::Told(error)
    }
}

impl From<Failure> for MigrationError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Told(error) => error,
            Failure::Sql(step, error) => adoption_error(step, error),
        }
    }
}

fn adoption_error(step: &'static str, error: sqlx::Error) -> MigrationError {
    let Some(pg) = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
    else {
        return MigrationError::Database(error.into());
    };
    // The messages of conversion errors quote the value.
    let message = if pg.code().starts_with("22") {
        "a value cannot be converted"
    } else {
        pg.message()
    };
    MigrationError::Adoption {
        step,
        message: format!("{message} (SQLSTATE {})", pg.code()),
    }
}

struct Work<'a> {
    source: &'a Source,
    settings: &'a AdoptionSettings,
    recorded: Vec<(String, String)>,
    for_good: bool,
    progress: &'a (dyn Fn(&'static str) + Sync),
}

impl Work<'_> {
    async fn carry_out(&self, tx: &mut PgConnection, begun: Instant) -> Result<Adopted, Failure> {
        let id = jarvis_core::ids::uuid_v7(SystemClock.now());
        let consents = self.rebuild(tx, id).await?;
        let findings = findings(tx).await?;
        let blocked = findings.iter().any(|f| f.severity == Severity::Blocking);
        let tables = if consents.is_some() {
            accounts(tx, id).await?
        } else {
            found(tx).await?
        };
        let verdict = match (blocked, self.for_good) {
            (true, _) => Verdict::Blocked,
            (false, false) => Verdict::Planned,
            (false, true) => Verdict::Adopted,
        };
        if verdict == Verdict::Adopted {
            (self.progress)("writes the history");
            self.conclude(tx, id, &findings).await?;
        }
        Ok(Adopted {
            id: (verdict == Verdict::Adopted).then_some(id),
            verdict,
            tables,
            findings,
            consents: consents.unwrap_or(0),
            locked_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Everything up to the removal of the old tables; stops early, with nothing, where something blocks.
    async fn rebuild(&self, tx: &mut PgConnection, id: Uuid) -> Result<Option<i64>, Failure> {
        self.prepare(tx, id).await?;
        self.step(tx, CAPTURE).await?;
        self.tell_own_migrations(tx).await?;
        if blocked(tx).await? {
            return Ok(None);
        }
        self.step(tx, MOVE).await?;
        if blocked(tx).await? {
            return Ok(None);
        }
        self.migrate(tx).await?;
        self.step(tx, REVEAL).await?;
        refuse_unknown_model(tx, &self.settings.embedding_model).await?;
        for step in SETTLE {
            self.step(tx, step).await?;
        }
        if blocked(tx).await? {
            return Ok(None);
        }
        self.step(tx, COPY).await?;
        let consents = paper::state_consents(tx, &self.settings.consents)
            .await
            .map_err(|e| Failure::Sql("records the consents", e))?;
        for step in FINISH {
            self.step(tx, step).await?;
        }
        self.step(tx, CLEAR).await?;
        restricted(tx).await?;
        Ok(Some(consents))
    }

    async fn prepare(&self, tx: &mut PgConnection, id: Uuid) -> Result<(), Failure> {
        let versions: Vec<_> = self
            .recorded
            .iter()
            .map(|(version, name)| serde_json::json!({"version": version, "name": name}))
            .collect();
        let badges = match self.settings.badges {
            Badges::Refuse => "refuse",
            Badges::Suffix => "suffix",
        };
        sqlx::query(
            "select set_config('jarvis_adoption.id', $1, true), set_config('jarvis_adoption.model', $2, true),
                    set_config('jarvis_adoption.versions', $3, true), set_config('jarvis_adoption.badges', $4, true),
                    set_config('app.actor', 'adoption', true)",
        )
        .bind(id.to_string())
        .bind(&self.settings.embedding_model)
        .bind(serde_json::Value::from(versions).to_string())
        .bind(badges)
        .execute(tx)
        .await
        .map(drop)
        .map_err(|e| Failure::Sql("begins", e))
    }

    async fn step(&self, tx: &mut PgConnection, (what, sql): Step) -> Result<(), Failure> {
        (self.progress)(what);
        sqlx::raw_sql(sql)
            .execute(tx)
            .await
            .map(drop)
            .map_err(|e| Failure::Sql(what, e))
    }

    /// The guide's versions are replaced by ours; what the operator added since stays on record.
    async fn tell_own_migrations(&self, tx: &mut PgConnection) -> Result<(), Failure> {
        for (version, name) in &self.recorded {
            if history::GUIDE_VERSIONS.contains(&version.as_str()) || self.source.find(version).is_some() {
                continue;
            }
            sqlx::query(
                "select jarvis_adoption.say('own_migration', 'note', $1, null, 'a migration that JARVIS does not know',
                   'stays on record; from now on name your folder: jarvis migration up --dir DIR')",
            )
            .bind(format!("{version}_{name}"))
            .execute(&mut *tx)
            .await
            .map_err(|e| Failure::Sql("reads the history", e))?;
        }
        Ok(())
    }

    async fn migrate(&self, tx: &mut PgConnection) -> Result<(), Failure> {
        (self.progress)("runs the migrations");
        for migration in self.source.migrations() {
            if let Err(error) = sqlx::raw_sql(AssertSqlSafe(migration.up.clone()))
                .execute(&mut *tx)
                .await
            {
                let race = run::is_role_race(&error);
                return Err(if race {
                    Failure::Sql("runs the migrations", error)
                } else {
                    Failure::Told(run::failed(migration, &migration.up, error))
                });
            }
        }
        Ok(())
    }

    async fn conclude(&self, tx: &mut PgConnection, id: Uuid, findings: &[Finding]) -> Result<(), Failure> {
        let sql = |e| Failure::Sql("writes the history", e);
        // Badges and keys of members are for the eyes of who adopts, not for the paper.
        let paper: Vec<_> = findings
            .iter()
            .map(|f| {
                serde_json::json!({"code": f.code, "severity": f.severity, "place": f.place, "rows": f.rows,
                                   "settlement": f.settlement})
            })
            .collect();
        sqlx::query("update jarvis.adoptions set findings = $2 where id = $1")
            .bind(id)
            .bind(serde_json::Value::from(paper))
            .execute(&mut *tx)
            .await
            .map_err(sql)?;
        sqlx::raw_sql("drop schema jarvis_adoption cascade")
            .execute(&mut *tx)
            .await
            .map_err(sql)?;
        let replaced =
            |version: &str| history::GUIDE_VERSIONS.contains(&version) || self.source.find(version).is_some();
        for (version, _) in self.recorded.iter().filter(|(v, _)| replaced(v)) {
            history::remove(tx, version).await.map_err(MigrationError::from)?;
        }
        for migration in self.source.migrations() {
            history::insert(tx, migration).await.map_err(sql)?;
        }
        history::share(tx).await.map_err(MigrationError::from)?;
        for table in TABLES {
            sqlx::raw_sql(AssertSqlSafe(format!("analyze public.{table}")))
                .execute(&mut *tx)
                .await
                .map_err(sql)?;
        }
        Ok(())
    }
}

async fn refuse_nothing(connection: &mut PgConnection) -> Result<(), MigrationError> {
    for table in TABLES {
        if history::table_exists(connection, &format!("public.{table}")).await? {
            return Ok(());
        }
    }
    Err(MigrationError::NothingToAdopt {
        found: "none of its tables is there",
    })
}

async fn refuse_unknown_model(tx: &mut PgConnection, model: &str) -> Result<(), Failure> {
    let known: Vec<String> = sqlx::query_scalar("select model from jarvis.embedding_models order by model")
        .fetch_all(tx)
        .await
        .map_err(|e| Failure::Sql("looks for the embedding model", e))?;
    if known.iter().any(|k| k == model) {
        return Ok(());
    }
    Err(Failure::Told(MigrationError::UnknownModel {
        model: model.to_owned(),
        known,
    }))
}

async fn blocked(tx: &mut PgConnection) -> Result<bool, Failure> {
    sqlx::query_scalar("select exists (select from jarvis_adoption.findings where severity = 'blocking')")
        .fetch_one(tx)
        .await
        .map_err(|e| Failure::Sql("looks for obstacles", e))
}

/// What nobody may use until its member agrees.
async fn restricted(tx: &mut PgConnection) -> Result<(), Failure> {
    sqlx::raw_sql(
        "select jarvis_adoption.say('restricted_without_consent', 'note', t.place, t.rows,
                  'their members have no consent to memory on record',
                  'kept, and used nowhere; state what they agreed to by --consent imported:memory,…')
           from (select 'member_facts' as place, count(*) as rows from public.member_facts f
                  where not exists (select from jarvis.consent_ledger l where l.gym_id = f.gym_id and l.member_id = f.member_id
                                       and l.purpose = 'memory' and l.granted)
                 union all
                 select 'conversation_summaries', count(*) from public.conversation_summaries s
                  where not exists (select from jarvis.consent_ledger l where l.gym_id = s.gym_id and l.member_id = s.member_id
                                       and l.purpose = 'memory' and l.granted)) as t where t.rows > 0",
    )
    .execute(tx)
    .await
    .map(drop)
    .map_err(|e| Failure::Sql("counts what is restricted", e))
}

type FindingRow = (
    String,
    String,
    String,
    Option<i64>,
    Option<String>,
    Option<String>,
);

async fn findings(tx: &mut PgConnection) -> Result<Vec<Finding>, Failure> {
    let rows: Vec<FindingRow> = sqlx::query_as(
        "select code, severity, place, rows, detail, settlement from jarvis_adoption.findings order by n",
    )
    .fetch_all(tx)
    .await
    .map_err(|e| Failure::Sql("reads the findings", e))?;
    Ok(rows
        .into_iter()
        .map(|(code, severity, place, rows, detail, settlement)| Finding {
            code,
            severity: Severity::parse(&severity),
            place,
            rows,
            detail,
            settlement: settlement.unwrap_or_default(),
        })
        .collect())
}

async fn found(tx: &mut PgConnection) -> Result<Vec<TableAccount>, Failure> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, found from jarvis_adoption.moved where old is not null order by n")
            .fetch_all(tx)
            .await
            .map_err(|e| Failure::Sql("counts the rows", e))?;
    Ok(rows
        .into_iter()
        .map(|(table, found)| TableAccount {
            table,
            found,
            kept: 0,
            held: 0,
            changed: 0,
        })
        .collect())
}

async fn accounts(tx: &mut PgConnection, id: Uuid) -> Result<Vec<TableAccount>, Failure> {
    paper::read_accounts(tx, id)
        .await
        .map_err(|e| Failure::Sql("reads the reconciliation", e))
}
