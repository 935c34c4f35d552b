//! Where a member is: in rows of their own, and in words of rows that are nobody's.

use super::{Fate, Touched};
use crate::error::DbError;
use jarvis_core::{GymId, MemberId};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A table of the database, and how its rows may be about a member.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, as the catalogue tells them"
)]
struct Table {
    /// Quoted, with its schema.
    name: String,
    /// Columns that name the member, quoted.
    member: Vec<String>,
    /// Whether every column that names the member cascades: then their row may go first, and takes these along.
    cascades: bool,
    /// Whether its rows outlive the member without naming them: those of the import alone, which say not to import
    /// again.
    lets_go: bool,
    has_gym: bool,
    /// The one column of the primary key, quoted, when it holds identifiers.
    key: Option<String>,
    /// Single-column keys and session ids: what others may refer to its rows by.
    identifiers: Vec<String>,
    /// Columns that may hold words or identifiers, quoted, each with its type.
    words: Vec<(String, String)>,
    mapped: bool,
}

/// Every table of ours and of the operator's, with the columns that matter here. The migrations' history, the ledger
/// of erasures and what belongs to extensions are left out.
const TABLES: &str = "
  select format('%I.%I', n.nspname, c.relname) as name,
         array(select format('%I', a.attname) from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and (a.attname = 'member_id'
                       or c.oid = 'public.gym_members_v2'::regclass and a.attname = 'id'
                       or exists (select from pg_constraint k, unnest(k.conkey, k.confkey) as pair (mine, theirs)
                                   where k.contype = 'f' and k.conrelid = c.oid
                                     and k.confrelid = 'public.gym_members_v2'::regclass and pair.mine = a.attnum
                                     and pair.theirs = (select attnum from pg_attribute
                                                         where attrelid = k.confrelid and attname = 'id')))) as member,
         c.oid = 'jarvis.legacy_rows'::regclass as lets_go,
         -- Of the columns above those whose key cascades. A key that only lets go would leave the row's other words.
         c.oid = 'public.gym_members_v2'::regclass
           or not exists (select from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and (a.attname = 'member_id'
                       or exists (select from pg_constraint k, unnest(k.conkey, k.confkey) as pair (mine, theirs)
                                   where k.contype = 'f' and k.conrelid = c.oid
                                     and k.confrelid = 'public.gym_members_v2'::regclass and pair.mine = a.attnum
                                     and pair.theirs = (select attnum from pg_attribute
                                                         where attrelid = k.confrelid and attname = 'id')))
                  and not exists (select from pg_constraint k, unnest(k.conkey, k.confkey) as pair (mine, theirs)
                                   where k.contype = 'f' and k.conrelid = c.oid and k.confdeltype = 'c'
                                     and k.confrelid = 'public.gym_members_v2'::regclass and pair.mine = a.attnum
                                     and pair.theirs = (select attnum from pg_attribute
                                                         where attrelid = k.confrelid and attname = 'id'))) as cascades,
         exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'gym_id' and not a.attisdropped
                     and a.atttypid = 'uuid'::regtype) as has_gym,
         (select format('%I', a.attname) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
           where i.indrelid = c.oid and i.indisprimary and i.indnatts = 1
             and a.atttypid in ('uuid'::regtype, 'text'::regtype)) as key,
         array(select format('%I', a.attname) from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and a.atttypid in ('uuid'::regtype, 'text'::regtype)
                  and (a.attname in ('session_id', 'source_id')
                       or exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary
                                     and i.indnatts = 1 and i.indkey[0] = a.attnum))) as identifiers,
         array(select format('%I', a.attname) from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                  and a.atttypid = any ($1::regtype[]) order by a.attnum) as words,
         array(select a.atttypid::regtype::text from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                  and a.atttypid = any ($1::regtype[]) order by a.attnum) as types,
         not exists (select from pg_attribute a
                      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                        and not exists (select from jarvis.data_map m
                                         where (m.schema_name, m.table_name, m.column_name) = (n.nspname, c.relname, a.attname))) as mapped
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relpersistence <> 't'
     and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'supabase_migrations')
     and pg_has_role(n.nspowner, 'USAGE')
     and c.oid is distinct from to_regclass('jarvis.erasures')
     and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
   order by 1";

/// Types of columns that may hold words or identifiers.
const WORDS: [&str; 8] = [
    "text",
    "character varying",
    "character",
    "uuid",
    "json",
    "jsonb",
    "text[]",
    "uuid[]",
];

/// The pieces of a text that may be identifiers.
const PIECES: &str = "regexp_split_to_table($words::text, '[^A-Za-z0-9_.:@-]+')";

/// A search for one member, with their identifiers in a temporary table of the transaction.
pub(super) struct Search {
    gym: Uuid,
    member: Uuid,
    tables: Vec<Table>,
    /// Matches a name, the badge, the address or the telephone number, as whole words; none when the row is gone.
    names: Option<String>,
}

impl Search {
    pub(super) async fn begin(
        conn: &mut PgConnection,
        gym: GymId,
        member: MemberId,
        may_be_gone: bool,
    ) -> Result<Self, DbError> {
        let (gym, member) = (gym.as_uuid(), member.as_uuid());
        let who = sqlx::query(
            "select badge_id, first_name, last_name, email, phone from public.gym_members_v2
              where gym_id = $1 and id = $2",
        )
        .bind(gym)
        .bind(member)
        .fetch_optional(&mut *conn)
        .await?;
        if who.is_none() && !may_be_gone {
            return Err(DbError::NotFound);
        }
        let names = who.as_ref().and_then(names);
        let search = Self {
            gym,
            member,
            tables: tables(conn).await?,
            names,
        };
        search.collect_identifiers(conn).await?;
        Ok(search)
    }

    /// Whose rows, in SQL; `$1` is the member, `$2` the gym.
    fn of_member(table: &Table) -> String {
        let named: Vec<String> = table
            .member
            .iter()
            .map(|column| format!("t.{column}::text = $1::text"))
            .collect();
        let gym = if table.has_gym {
            "t.gym_id = $2"
        } else {
            "$2::uuid is not null"
        };
        format!("({}) and {gym}", named.join(" or "))
    }

    async fn collect_identifiers(&self, conn: &mut PgConnection) -> Result<(), DbError> {
        sqlx::raw_sql("create temp table erased_ids (id text primary key) on commit drop")
            .execute(&mut *conn)
            .await?;
        for table in self.tables.iter().filter(|t| !t.member.is_empty()) {
            for column in &table.identifiers {
                let statement = format!(
                    "insert into pg_temp.erased_ids select distinct t.{column}::text from {} t where {} and t.{column} is not null
                     on conflict do nothing",
                    table.name,
                    Self::of_member(table)
                );
                self.execute(conn, &statement).await?;
            }
        }
        sqlx::query("insert into pg_temp.erased_ids values ($1::text) on conflict do nothing")
            .bind(self.member)
            .execute(&mut *conn)
            .await?;
        sqlx::raw_sql("analyze pg_temp.erased_ids").execute(conn).await?;
        Ok(())
    }

    /// Names come quoted out of the catalogue.
    async fn execute(&self, conn: &mut PgConnection, statement: &str) -> Result<u64, DbError> {
        let done = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .bind(self.member)
            .bind(self.gym)
            .execute(conn)
            .await?;
        Ok(done.rows_affected())
    }

    /// Everything that is the member's or speaks of them.
    pub(super) async fn everything(&self, conn: &mut PgConnection) -> Result<Vec<Touched>, DbError> {
        let mut found = Vec::new();
        for table in &self.tables {
            if !table.member.is_empty() {
                let statement = format!(
                    "select count(*) from {} t where {}",
                    table.name,
                    Self::of_member(table)
                );
                let rows: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
                    .bind(self.member)
                    .bind(self.gym)
                    .fetch_one(&mut *conn)
                    .await?;
                let fate = if table.lets_go {
                    Fate::Cleaned
                } else {
                    Fate::Deleted
                };
                found.extend(touched(table, fate, rows));
            }
            let speaking = self.speaking(conn, table).await?;
            let rows = i64::try_from(speaking.len()).unwrap_or(i64::MAX);
            found.extend(touched(table, Fate::Cleaned, rows));
        }
        Ok(found)
    }

    /// Rows that are nobody's and speak of the member: where they are, and which words.
    async fn speaking(
        &self,
        conn: &mut PgConnection,
        table: &Table,
    ) -> Result<BTreeMap<String, Vec<String>>, DbError> {
        if table.words.is_empty() || table.lets_go {
            return Ok(BTreeMap::new());
        }
        let nobody: Vec<String> = table
            .member
            .iter()
            .map(|column| format!("t.{column} is null"))
            .collect();
        let nobody = if nobody.is_empty() {
            "true".to_owned()
        } else {
            nobody.join(" and ")
        };
        // Another gym's rows are not ours to look into; a table without gyms is searched by identifiers alone.
        let gym = if table.has_gym {
            "(t.gym_id = $2 or t.gym_id is null)"
        } else {
            "$2::uuid is not null"
        };
        let names = if table.has_gym && self.names.is_some() {
            "$1"
        } else {
            "null::text"
        };
        // A conversation may be called "1" by an application, and another table may hold a 1.
        let shortest = if table.has_gym { 1 } else { 12 };
        let columns: Vec<String> = table
            .words
            .iter()
            .map(|(column, _)| {
                let pieces = PIECES.replace("$words", &format!("t.{column}"));
                format!(
                    "select e.id from pg_temp.erased_ids e where e.id = t.{column}::text and length(e.id) >= {shortest}
                     union select e.id from {pieces} as piece join pg_temp.erased_ids e on e.id = piece and length(piece) >= 12
                     union select m[1] from regexp_matches(t.{column}::text, {names}, 'gi') as m"
                )
            })
            .collect();
        let statement = format!(
            "select t.ctid::text, hit.words from {} t
               cross join lateral (select array_agg(w.word) as words from ({}) as w (word)) as hit
              where {nobody} and {gym} and $1::text is distinct from '' and hit.words is not null",
            table.name,
            columns.join(" union ")
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(self.names.as_deref())
            .bind(self.gym)
            .fetch_all(conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    pub(super) async fn delete(&self, conn: &mut PgConnection) -> Result<(), DbError> {
        // A key that does not cascade would hold the member back, so those rows go first; tables that only grow let
        // go of a row once its member is gone, so theirs go last.
        let kept = |t: &&Table| !t.member.is_empty() && !t.cascades && !t.lets_go;
        for table in self.tables.iter().filter(kept) {
            let statement = format!("delete from {} t where {}", table.name, Self::of_member(table));
            let mut savepoint = conn.begin().await?;
            match self.execute(&mut savepoint, &statement).await {
                Ok(_) => savepoint.commit().await?,
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => savepoint.rollback().await?,
            }
        }
        self.execute(
            conn,
            "delete from public.gym_members_v2 t where t.id = $1 and t.gym_id = $2",
        )
        .await?;
        for table in self.tables.iter().filter(|t| !t.member.is_empty()) {
            let statement = format!("delete from {} t where {}", table.name, Self::of_member(table));
            self.execute(conn, &statement).await?;
        }
        Ok(())
    }

    /// Takes the member's words out of rows that are nobody's. What may not be changed goes whole.
    pub(super) async fn clean(&self, conn: &mut PgConnection) -> Result<(), DbError> {
        for table in &self.tables {
            for (place, words) in self.speaking(conn, table).await? {
                let theirs = self.is_of_erased(conn, table, &place).await?;
                if !theirs && self.take_out(conn, table, &place, &words).await? {
                    continue;
                }
                let statement = format!("delete from {} where ctid = $1::tid", table.name);
                sqlx::query(AssertSqlSafe(statement))
                    .bind(&place)
                    .execute(&mut *conn)
                    .await?;
            }
        }
        Ok(())
    }

    /// A job only exists for what it names; a row whose own key is one of the member's was imported as theirs.
    async fn is_of_erased(
        &self,
        conn: &mut PgConnection,
        table: &Table,
        place: &str,
    ) -> Result<bool, DbError> {
        if table.name == "jarvis.jobs" {
            return Ok(true);
        }
        let Some(key) = &table.key else { return Ok(false) };
        let statement = format!(
            "select exists (select from {} t join pg_temp.erased_ids e on e.id = t.{key}::text where t.ctid = $1::tid)",
            table.name
        );
        Ok(sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(place)
            .fetch_one(conn)
            .await?)
    }

    /// Returns false, and changes nothing, when the database refuses to change this row.
    async fn take_out(
        &self,
        conn: &mut PgConnection,
        table: &Table,
        place: &str,
        words: &[String],
    ) -> Result<bool, DbError> {
        let pattern = words_of(&words.iter().cloned().map(Some).collect::<Vec<_>>()).unwrap_or_default();
        let changes: Vec<String> = table
            .words
            .iter()
            .map(|(column, kind)| match kind.as_str() {
                "uuid" => {
                    format!("{column} = case when {column}::text = any ($3) then null else {column} end")
                }
                "uuid[]" => {
                    format!("{column} = array(select u from unnest({column}) as u where u::text <> all ($3))")
                }
                _ => format!("{column} = regexp_replace({column}::text, $2, 'erased', 'gi')::{kind}"),
            })
            .collect();
        let statement = format!(
            "update {} set {} where ctid = $1::tid",
            table.name,
            changes.join(", ")
        );
        let mut savepoint = conn.begin().await?;
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(place)
            .bind(pattern)
            .bind(words)
            .execute(&mut *savepoint)
            .await;
        match done.map_err(DbError::from) {
            Ok(_) => {
                savepoint.commit().await?;
                Ok(true)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(_) => {
                savepoint.rollback().await?;
                Ok(false)
            }
        }
    }
}

fn touched(table: &Table, fate: Fate, rows: i64) -> Option<Touched> {
    (rows > 0).then(|| Touched {
        table: table.name.clone(),
        fate,
        rows,
        mapped: table.mapped,
    })
}

async fn tables(conn: &mut PgConnection) -> Result<Vec<Table>, DbError> {
    let rows = sqlx::query(TABLES).bind(&WORDS[..]).fetch_all(conn).await?;
    Ok(rows
        .into_iter()
        .map(|row| Table {
            name: row.get("name"),
            member: row.get("member"),
            cascades: row.get("cascades"),
            lets_go: row.get("lets_go"),
            key: row.get("key"),
            has_gym: row.get("has_gym"),
            identifiers: row.get("identifiers"),
            words: std::iter::zip(
                row.get::<Vec<String>, _>("words"),
                row.get::<Vec<String>, _>("types"),
            )
            .collect(),
            mapped: row.get("mapped"),
        })
        .collect())
}

/// What names a member in a text.
fn names(member: &PgRow) -> Option<String> {
    let (first, last): (String, String) = (member.get(1), member.get(2));
    words_of(&[
        Some(member.get::<String, _>(0)).filter(|badge| is_telling(badge)),
        both(&first, &last),
        both(&last, &first),
        member.get::<Option<String>, _>(3),
        member
            .get::<Option<String>, _>(4)
            .filter(|phone| phone.len() >= 8),
    ])
}

/// A badge that cannot be taken for a number or an everyday word.
fn is_telling(badge: &str) -> bool {
    let badge = badge.trim();
    badge.chars().count() >= 6
        && badge.chars().any(|c| c.is_ascii_digit())
        && badge.chars().any(char::is_alphabetic)
}

fn both(one: &str, other: &str) -> Option<String> {
    let (one, other) = (one.trim(), other.trim());
    (!one.is_empty() && !other.is_empty()).then(|| format!("{one} {other}"))
}

/// A regular expression of PostgreSQL that matches any of these as whole words, also where JSON escapes them.
fn words_of(words: &[Option<String>]) -> Option<String> {
    let words: Vec<String> = words
        .iter()
        .flatten()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty())
        .flat_map(|word| {
            let json = serde_json::to_string(word).expect("text is JSON");
            [word.to_owned(), json[1..json.len() - 1].to_owned()]
        })
        .map(|word| escape(&word))
        .collect();
    (!words.is_empty()).then(|| format!("(?<![[:alnum:]_])({})(?![[:alnum:]_])", words.join("|")))
}

fn escape(word: &str) -> String {
    word.chars()
        .flat_map(|c| {
            let plain = c.is_alphanumeric() || c.is_whitespace() || matches!(c, '_' | '-' | '@' | '\'' | '"');
            (!plain).then_some('\\').into_iter().chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_that_is_a_mere_number_is_not_searched_in_texts() {
        assert!(
            is_telling("BADGE_001") && !is_telling("123456") && !is_telling("B1") && !is_telling("accueil")
        );
    }

    #[test]
    fn words_are_matched_as_they_are_and_as_json_writes_them() {
        assert_eq!(words_of(&[None, Some(" ".into())]), None);
        let pattern = words_of(&[Some("a.b\"c".into())]).unwrap();
        assert!(pattern.contains(r#"a\.b"c|a\.b\\"c"#), "{pattern}");
    }
}
