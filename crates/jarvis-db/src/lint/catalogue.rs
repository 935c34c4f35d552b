//! The rules that the catalogue answers.

use super::rules::{RULES, Rule};
use super::{Finding, LintError, Seen, Settings};
use crate::DbError;
use crate::pool::MIN_SERVER_VERSION;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{PgConnection, Row as _};

/// Roles under which requests from outside run, as Supabase and PostgREST name them.
pub(super) const VISITORS: [&str; 2] = ["anon", "authenticated"];

/// Schemas that are not the application's: PostgreSQL's, the platform's, and those of extensions.
const FOREIGN: [&str; 20] = [
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "vault",
    "extensions",
    "graphql",
    "graphql_public",
    "pgbouncer",
    "pgsodium",
    "pgsodium_masks",
    "pgmq",
    "cron",
    "net",
    "supabase_functions",
    "supabase_migrations",
    "_analytics",
    "_supavisor",
    "information_schema",
    "topology",
];

/// Where the rules look.
pub(super) struct Place {
    pub schemas: Vec<String>,
    pub relations: i64,
    pub remarks: Vec<String>,
    tenant: Option<String>,
    exposed: Vec<String>,
    logins: Vec<String>,
    impersonal: Option<Vec<String>>,
    mapped: Option<Vec<String>>,
}

impl Place {
    /// Reads what all rules need.
    pub async fn find(conn: &mut PgConnection, settings: &Settings) -> Result<Self, LintError> {
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut *conn)
            .await?;
        if version < MIN_SERVER_VERSION {
            return Err(LintError::TooOld((version / 10_000).to_string()));
        }
        let schemas = schemas(conn, settings).await?;
        let (relations, with_tenant) = count(conn, &schemas, settings.tenant.as_deref()).await?;
        if let Some(tenant) = settings
            .tenant
            .as_ref()
            .filter(|_| relations > 0 && with_tenant == 0)
        {
            return Err(LintError::NoTenant(tenant.clone()));
        }
        let mut place = Self {
            schemas,
            relations,
            remarks: Vec::new(),
            tenant: settings.tenant.clone(),
            exposed: settings.exposed.clone(),
            logins: settings.logins.clone(),
            impersonal: None,
            mapped: None,
        };
        if relations == 0 {
            place
                .remarks
                .push("there is no table in these schemas".to_owned());
        }
        place.read_data_map(conn).await?;
        Ok(place)
    }

    async fn read_data_map(&mut self, conn: &mut PgConnection) -> Result<(), DbError> {
        let readable: Option<bool> = sqlx::query_scalar(
            "select has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage')
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where n.nspname = 'jarvis' and c.relname = 'data_map'",
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(readable) = readable else {
            self.remarks
                .push("there is no data map (jarvis.data_map): not_in_data_map does not apply".to_owned());
            return Ok(());
        };
        let mapped: Vec<(String, String)> = if readable {
            sqlx::query_as(
                "select format('%s.%s.%s', schema_name, table_name, column_name), class from jarvis.data_map",
            )
            .fetch_all(&mut *conn)
            .await?
        } else {
            Vec::new()
        };
        // An owner without BYPASSRLS reads no row of a table that forces row level security.
        if mapped.is_empty() {
            self.remarks
                .push("this login cannot read jarvis.data_map: not_in_data_map was not checked".to_owned());
            return Ok(());
        }
        let table = |column: &str| column.rsplit_once('.').map(|(table, _)| table.to_owned());
        let personal: Vec<_> = mapped
            .iter()
            .filter(|(_, class)| class != "public")
            .filter_map(|(c, _)| table(c))
            .collect();
        let mut impersonal: Vec<_> = mapped.iter().filter_map(|(c, _)| table(c)).collect();
        impersonal.dedup();
        impersonal.retain(|table| !personal.contains(table));
        self.impersonal = Some(impersonal);
        self.mapped = Some(mapped.into_iter().map(|(column, _)| column).collect());
        Ok(())
    }

    /// Whether this is the schema of JARVIS.
    pub fn is_ours(&self) -> bool {
        self.mapped.is_some()
    }

    /// A query that starts with `sql/prelude.sql`, with its parameters.
    pub fn query<'q>(&'q self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        let visitors = VISITORS.map(str::to_owned).to_vec();
        sqlx::query(sql)
            .bind(&self.schemas)
            .bind(self.tenant.as_deref())
            .bind(visitors)
            .bind(&self.logins)
            .bind(&self.exposed)
            .bind(self.impersonal.as_deref())
            .bind(self.mapped.as_deref())
    }
}

async fn schemas(conn: &mut PgConnection, settings: &Settings) -> Result<Vec<String>, LintError> {
    let all: Vec<String> =
        sqlx::query_scalar("select nspname::text from pg_namespace where nspname !~ '^pg_' order by nspname")
            .fetch_all(conn)
            .await?;
    if settings.schemas.is_empty() {
        return Ok(all
            .into_iter()
            .filter(|name| !FOREIGN.contains(&name.as_str()))
            .collect());
    }
    match settings.schemas.iter().find(|name| !all.contains(name)) {
        Some(missing) => Err(LintError::NoSchema(missing.clone())),
        None => Ok(settings.schemas.clone()),
    }
}

/// How many tables and views there are, and how many of the tables have the tenant column.
async fn count(
    conn: &mut PgConnection,
    schemas: &[String],
    tenant: Option<&str>,
) -> Result<(i64, i64), DbError> {
    Ok(sqlx::query_as(
        "select count(*), count(*) filter (where c.relkind in ('r', 'p') and exists (
                  select from pg_attribute a where a.attrelid = c.oid and a.attname = $2 and not a.attisdropped))
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                               and d.deptype = 'e')",
    )
    .bind(schemas)
    .bind(tenant)
    .fetch_one(conn)
    .await?)
}

/// Runs every rule that the catalogue answers.
pub(super) async fn look(conn: &mut PgConnection, place: &Place) -> Result<Vec<Seen>, DbError> {
    // Expressions are then written back with every name in full.
    sqlx::raw_sql("savepoint looking; set local search_path = ''")
        .execute(&mut *conn)
        .await?;
    let mut seen = Vec::new();
    for rule in &RULES {
        let Some(sql) = rule.sql.filter(|_| place.tenant.is_some() || !rule.tenancy) else {
            continue;
        };
        let rows = place.query(sql).fetch_all(&mut *conn).await?;
        for row in rows {
            seen.push(read(rule, &row)?);
        }
    }
    sqlx::raw_sql("rollback to savepoint looking")
        .execute(conn)
        .await?;
    Ok(seen)
}

fn read(rule: &Rule, row: &PgRow) -> Result<Seen, sqlx::Error> {
    Ok(Seen {
        finding: Finding {
            code: rule.code,
            severity: rule.severity,
            object: row.try_get("object")?,
            part: row.try_get("part")?,
            what: row.try_get("what")?,
            mend: row.try_get("mend")?,
        },
        comment: row.try_get("comment")?,
    })
}
