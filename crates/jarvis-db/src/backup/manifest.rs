//! What a backup says of itself: what was in the database, in the very snapshot that was dumped.

use super::archive::hash;
use super::contents;
use super::error::BackupError;
use crate::error::DbError;
use crate::migrations::{Catalogue, Object};
use crate::queries::erasure::{self, Erasure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use uuid::Uuid;

/// The form of the file that this program writes. A later one may be unreadable here.
pub const FORMAT: u32 = 1;

/// A setting of the database, as `alter database … set` makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The role it is for; all when none.
    pub role: Option<String>,
    /// `name=value`.
    pub setting: String,
}

/// Somebody's rights on the database itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// The role; everybody when none.
    pub role: Option<String>,
    /// Such as `CONNECT`.
    pub privilege: String,
}

/// An object that belongs to somebody else than the database's owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Such as `function`.
    pub kind: String,
    /// Its schema, when it stands in one.
    pub schema: Option<String>,
    /// Its name, quoted, with its schema.
    pub identity: String,
    /// Whose it is.
    pub owner: String,
    /// What the database's owner may do with it, such as `EXECUTE`. Loaded, it is the owner's for a while, and these
    /// rights are lost when it is given away.
    pub rights: Vec<String>,
}

/// A table's content in one number: rows, and the sum of their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableContent {
    /// Schema and name, quoted where PostgreSQL needs it.
    pub table: String,
    /// Rows.
    pub rows: i64,
    /// The sum of the first 64 bits of each row's SHA-256; independent of the order of rows.
    pub sum: String,
}

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceValue {
    /// Schema and name, quoted where PostgreSQL needs it.
    pub sequence: String,
    /// Its last value. Sequences know no snapshots: the dump may hold a later one.
    pub last_value: i64,
}

/// An extension of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The schema it was made in.
    pub schema: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the file, see [`FORMAT`].
    pub format: u32,
    /// The version of JARVIS that made it.
    pub made_by: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// The database's name.
    pub database: String,
    /// The server's version, as `18.6`.
    pub server_version: String,
    /// The server's major version.
    pub server_major: u32,
    /// The major version of the `pg_dump` that wrote it; `pg_restore` must not be older.
    pub dump_major: u32,
    /// The role that made it; what belongs to it belongs to whoever restores.
    pub owner: String,
    /// Roles that own something, or hold rights on something, besides the owner.
    pub roles: Vec<String>,
    /// What belongs to somebody else than the owner.
    pub owned: Vec<Owned>,
    /// Settings of the database.
    pub settings: Vec<Setting>,
    /// Rights on the database; none when they are PostgreSQL's own.
    pub rights: Option<Vec<Right>>,
    /// Extensions.
    pub extensions: Vec<Extension>,
    /// Schemas that belong to a platform and not to us; they are not in the dump.
    pub left_out: Vec<String>,
    /// The versions of the migrations that are applied.
    pub migrations: Vec<String>,
    /// The gyms, by which a database is recognised as one of the same past.
    pub gyms: Vec<Uuid>,
    /// What each table holds.
    pub tables: Vec<TableContent>,
    /// Where each sequence stands.
    pub sequences: Vec<SequenceValue>,
    /// The structure: every column, constraint, policy, function and right with the hash of its definition.
    pub catalogue: BTreeMap<String, String>,
    /// The ledger of erasures up to here.
    pub erasures: Vec<Erasure>,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
    made_by: String,
}

impl Manifest {
    /// Whether a database with these gyms and this ledger of erasures went on from where the backup was made: a gym in
    /// common, and every erasure that was known then.
    pub(super) fn is_continued_by(&self, gyms: &[Uuid], erasures: &[Erasure]) -> bool {
        let there: BTreeSet<Uuid> = erasures.iter().map(|e| e.id).collect();
        let shares = self.gyms.is_empty() || self.gyms.iter().any(|gym| gyms.contains(gym));
        shares && self.erasures.iter().all(|e| there.contains(&e.id))
    }

    pub(super) fn parse(path: &Path, json: &[u8]) -> Result<Self, BackupError> {
        let not_a_backup = |_| BackupError::NotABackup {
            path: path.to_owned(),
        };
        // What a later form says of itself is all that is known of it.
        let head: Head = serde_json::from_slice(json).map_err(not_a_backup)?;
        if head.format > FORMAT {
            return Err(BackupError::Newer {
                path: path.to_owned(),
                made_by: head.made_by,
                reason: format!(
                    "its form is {}, and {FORMAT} is the newest known here",
                    head.format
                ),
            });
        }
        serde_json::from_slice(json).map_err(not_a_backup)
    }

    /// All rows together.
    pub fn rows(&self) -> i64 {
        self.tables.iter().map(|t| t.rows).sum()
    }
}

/// Makes every text that PostgreSQL returns independent of who asks, and refuses to see less than everything.
pub(super) async fn see_everything(conn: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql(
        "set local search_path = ''; set local row_security = off; set local statement_timeout = 0;
         set local idle_in_transaction_session_timeout = 0; set local lock_timeout = '60s';
         set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'iso_8601';
         set local extra_float_digits = 1; set local bytea_output = 'hex'; set local lc_monetary = 'C';
         set local xmlbinary = 'base64'",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What the database of this connection holds, in the transaction's snapshot.
pub(super) async fn of_database(
    conn: &mut PgConnection,
    made_by: &str,
    now: DateTime<Utc>,
    dump_major: u32,
) -> Result<Manifest, BackupError> {
    let head = sqlx::query(
        "select current_database()::text, current_setting('server_version'),
                current_setting('server_version_num')::int / 10000, current_user::text",
    )
    .fetch_one(&mut *conn)
    .await?;
    let major: i32 = head.get(2);
    let owner: String = head.get(3);
    let left_out = left_out(conn).await?;
    let tables = match contents::tables(conn, &left_out).await {
        Err(DbError::Denied { reason }) if reason.contains("row-level security") => {
            return Err(BackupError::HiddenRows { role: owner });
        }
        tables => tables?,
    };
    Ok(Manifest {
        format: FORMAT,
        made_by: made_by.to_owned(),
        created_at: now,
        database: head.get(0),
        server_version: head.get(1),
        server_major: major.unsigned_abs(),
        dump_major,
        roles: roles(conn, &owner).await?,
        owned: owned(conn, &owner, &left_out).await?,
        settings: settings(conn).await?,
        rights: rights(conn, &owner).await?,
        extensions: extensions(conn).await?,
        migrations: migrations(conn).await?,
        gyms: gyms(conn).await?,
        sequences: contents::sequences(conn, &left_out).await?,
        catalogue: structure(conn, &left_out).await?,
        erasures: erasure::list(conn, None).await?,
        tables,
        left_out,
        owner,
    })
}

/// Schemas of others: a hosted platform keeps its own beside ours, and neither lets them be read nor be made again.
async fn left_out(conn: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar(
        "select n.nspname::text from pg_catalog.pg_namespace n
          where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
            and not pg_catalog.pg_has_role(n.nspowner, 'USAGE')
          order by 1",
    )
    .fetch_all(conn)
    .await?)
}

async fn roles(conn: &mut PgConnection, owner: &str) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar(
        "select distinct r.rolname::text
           from pg_catalog.pg_shdepend d join pg_catalog.pg_roles r on r.oid = d.refobjid
          where d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
            and (d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
                 or d.classid = 'pg_catalog.pg_database'::pg_catalog.regclass
                    and d.objid = (select oid from pg_catalog.pg_database where datname = current_database()))
            and d.deptype in ('o', 'a', 'r') and r.rolname <> $1
          order by 1",
    )
    .bind(owner)
    .fetch_all(conn)
    .await?)
}

/// Kinds of objects whose owner can be said by `alter … owner to`.
const KINDS: [&str; 13] = [
    "table",
    "view",
    "materialized view",
    "foreign table",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "type",
    "schema",
    "text search configuration",
    "text search dictionary",
    "collation",
];

async fn owned(conn: &mut PgConnection, owner: &str, left_out: &[String]) -> Result<Vec<Owned>, DbError> {
    let rows = sqlx::query(
        "select o.type, o.schema, o.identity, r.rolname::text,
                array(select a.privilege_type from pg_catalog.aclexplode(case
                         when o.type in ('function', 'procedure', 'aggregate')
                           then (select f.proacl from pg_catalog.pg_proc f where f.oid = d.objid)
                         when o.type = 'schema' then (select n.nspacl from pg_catalog.pg_namespace n where n.oid = d.objid)
                         when o.type = 'type' then (select t.typacl from pg_catalog.pg_type t where t.oid = d.objid)
                         when o.type in ('table', 'view', 'materialized view', 'foreign table', 'sequence')
                           then (select c.relacl from pg_catalog.pg_class c where c.oid = d.objid) end) as a
                       where a.grantee = (select oid from pg_catalog.pg_roles where rolname = $1) order by 1)
           from pg_catalog.pg_shdepend d
           join pg_catalog.pg_roles r on r.oid = d.refobjid
           cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) as o
          where d.deptype = 'o' and d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
            and d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
            and r.rolname <> $1 and o.type = any ($2) and not coalesce(o.schema, o.name, '') = any ($3)
            and not (o.type = 'schema' and (o.name = 'public' or o.name = any ($3)))
            and not exists (select from pg_catalog.pg_depend e
                             where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e')
          order by 1, 3",
    )
    .bind(owner)
    .bind(&KINDS[..])
    .bind(left_out)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Owned {
            kind: row.get(0),
            schema: row.get(1),
            identity: row.get(2),
            owner: row.get(3),
            rights: row.get(4),
        })
        .collect())
}

pub(super) async fn settings(conn: &mut PgConnection) -> Result<Vec<Setting>, DbError> {
    let rows = sqlx::query(
        "select (select r.rolname::text from pg_catalog.pg_roles r where r.oid = s.setrole), one.setting
           from pg_catalog.pg_db_role_setting s cross join lateral unnest(s.setconfig) as one(setting)
          where s.setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
          order by 1 nulls first, 2",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Setting {
            role: row.get(0),
            setting: row.get(1),
        })
        .collect())
}

async fn rights(conn: &mut PgConnection, owner: &str) -> Result<Option<Vec<Right>>, DbError> {
    let rows = sqlx::query(
        "select (select r.rolname::text from pg_catalog.pg_roles r where r.oid = a.grantee), a.privilege_type
           from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) as a
          where d.datname = current_database() and d.datacl is not null and a.grantee <> d.datdba
            and a.grantee <> coalesce((select oid from pg_catalog.pg_roles where rolname = $1), 0)
          order by 1 nulls first, 2",
    )
    .bind(owner)
    .fetch_all(&mut *conn)
    .await?;
    let own: bool = sqlx::query_scalar(
        "select datacl is not null from pg_catalog.pg_database where datname = current_database()",
    )
    .fetch_one(conn)
    .await?;
    Ok(own.then(|| {
        rows.into_iter()
            .map(|row| Right {
                role: row.get(0),
                privilege: row.get(1),
            })
            .collect()
    }))
}

async fn extensions(conn: &mut PgConnection) -> Result<Vec<Extension>, DbError> {
    let rows = sqlx::query(
        "select e.extname::text, n.nspname::text from pg_catalog.pg_extension e
           join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname <> 'plpgsql' order by 1",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Extension {
            name: row.get(0),
            schema: row.get(1),
        })
        .collect())
}

/// The gyms of a database of ours; none of any other.
pub(super) async fn gyms(conn: &mut PgConnection) -> Result<Vec<Uuid>, DbError> {
    let present: bool = sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_attribute where attname = 'id' and not attisdropped
                         and attrelid = pg_catalog.to_regclass('public.gyms')
                         and atttypid = 'pg_catalog.uuid'::pg_catalog.regtype)",
    )
    .fetch_one(&mut *conn)
    .await?;
    if !present {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar("select id from public.gyms order by id")
        .fetch_all(conn)
        .await?)
}

async fn structure(
    conn: &mut PgConnection,
    left_out: &[String],
) -> Result<BTreeMap<String, String>, DbError> {
    let catalogue = Catalogue::read(conn).await?;
    let ours = catalogue
        .objects()
        .filter(|(object, _)| !left_out.contains(&object.schema));
    Ok(ours
        .map(|(object, definition)| (object.to_string(), hash(settled(object, definition).as_bytes())))
        .collect())
}

/// PostgreSQL reads `a between 1 and 2 and b` as one list of conditions from its own text and as two from ours, and
/// then sets other parentheses: a check is compared without them.
fn settled<'a>(object: &Object, definition: &'a str) -> Cow<'a, str> {
    if object.kind == "constraint" {
        definition.replace(['(', ')', ' ', '\n'], "").into()
    } else {
        definition.into()
    }
}

async fn migrations(conn: &mut PgConnection) -> Result<Vec<String>, DbError> {
    let present: bool = sqlx::query_scalar(
        "select pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null",
    )
    .fetch_one(&mut *conn)
    .await?;
    if !present {
        return Ok(Vec::new());
    }
    Ok(
        sqlx::query_scalar("select version from supabase_migrations.schema_migrations order by 1")
            .fetch_all(conn)
            .await?,
    )
}
