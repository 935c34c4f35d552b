//! Reading the catalogue. Each question is asked once and answered as JSON, with an empty search path, so that PostgreSQL
//! spells every name of its own with its schema.

use super::media::Handler;
use super::relationship::{ForeignKey, Kind, Relationship, View, all};
use super::views::{self, Origins};
use super::{Argument, Column, Name, Returns, Routine, SchemaCache, Table};
use crate::request::media::MediaType;
use crate::run::bound;
use crate::settings::Settings;
use crate::sql::{Spelled, Sql};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was read: the cache, and the settings with those of the login role on top.
#[derive(Debug)]
pub struct Loaded {
    /// What the database holds.
    pub cache: SchemaCache,
    /// How the data API behaves.
    pub settings: Settings,
}

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the catalogue")]
struct TableRow {
    oid: i64,
    schema: String,
    name: String,
    is_view: bool,
    insertable: bool,
    updatable: bool,
    deletable: bool,
    description: Option<String>,
    /// Numbers and names of the primary key's columns.
    primary_key: Vec<(i64, String)>,
    /// Numbers and names of all columns.
    numbers: Vec<(i64, String)>,
    columns: Vec<ColumnRow>,
}

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    description: Option<String>,
    nullable: bool,
    max_length: Option<i64>,
    labels: Vec<String>,
    shown: String,
    declared: String,
    base: String,
    default: Option<String>,
}

#[derive(Deserialize)]
struct RoutineRow {
    oid: i64,
    description: Option<String>,
    schema: String,
    name: String,
    arguments: Vec<ArgumentRow>,
    returns_schema: String,
    returns_name: String,
    set: bool,
    composite: bool,
    volatile: bool,
    columns: Vec<(String, String)>,
    settings: Vec<String>,
}

#[derive(Deserialize)]
struct ArgumentRow {
    name: String,
    as_type: String,
    shown: String,
    required: bool,
    variadic: bool,
}

#[derive(Deserialize)]
struct ComputedRow {
    schema: String,
    name: String,
    relation: Name,
    base: String,
    to: Option<Name>,
    single: bool,
}

#[derive(Deserialize)]
struct HandlerRow {
    schema: String,
    name: String,
    of_schema: String,
    of_name: String,
    media: String,
    makes: String,
}

/// Reads what these schemas hold. In a transaction of its own, which changes nothing.
pub async fn load(connection: &mut PgConnection, settings: &Settings) -> Result<Loaded, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let settings = effective(&mut tx, settings).await?;
    sqlx::query("select set_config('search_path', '', true)")
        .execute(&mut *tx)
        .await?;
    let schemas = settings.schemas.clone();
    let types_from: Vec<String> = schemas
        .iter()
        .chain(&settings.extra_search_path)
        .cloned()
        .collect();
    let tables: Vec<TableRow> = ask(&mut tx, include_str!("sql/tables.sql"), &schemas).await?;
    let keys: Vec<ForeignKey> = ask(&mut tx, include_str!("sql/foreign_keys.sql"), &[]).await?;
    let trees: Vec<(i64, String)> = ask(&mut tx, include_str!("sql/views.sql"), &[]).await?;
    let routines: Vec<RoutineRow> = ask(&mut tx, include_str!("sql/routines.sql"), &schemas).await?;
    let computed: Vec<ComputedRow> = ask(&mut tx, include_str!("sql/computed.sql"), &[]).await?;
    let types: Vec<(String, String)> = ask(&mut tx, include_str!("sql/types.sql"), &types_from).await?;
    let casts: Vec<(String, String, String)> = ask(&mut tx, include_str!("sql/casts.sql"), &[]).await?;
    let handlers: Vec<HandlerRow> = ask(&mut tx, include_str!("sql/handlers.sql"), &schemas).await?;
    let roles: Vec<(String, String, String)> =
        ask(&mut tx, include_str!("sql/role_settings.sql"), &[]).await?;
    let descriptions: Vec<(String, String)> =
        ask(&mut tx, include_str!("sql/descriptions.sql"), &schemas).await?;
    tx.rollback().await?;
    let mut cache = SchemaCache {
        types: named_types(types),
        handlers: handlers.iter().map(handler).collect(),
        descriptions: descriptions.into_iter().collect(),
        ..SchemaCache::default()
    };
    let trees: Origins = trees
        .iter()
        .map(|(oid, tree)| (*oid, views::columns(tree)))
        .collect();
    add_relationships(
        &mut cache,
        &tables,
        &keys,
        &views::to_tables(&trees),
        &computed,
        &schemas,
    );
    add_tables(&mut cache, tables, &views::to_tables(&trees), &schemas);
    for row in routines {
        let routine = routine(row);
        cache
            .routines
            .entry(routine.name.clone())
            .or_default()
            .push(routine);
    }
    for overloads in cache.routines.values_mut() {
        overloads.sort_by_cached_key(|routine| {
            let shown = routine
                .arguments
                .iter()
                .map(|argument| (argument.name.clone(), argument.shown.clone()));
            (routine.arguments.len(), shown.collect::<Vec<_>>())
        });
    }
    for row in computed {
        cache
            .computed
            .insert((row.relation, row.name), Spelled::from_catalogue(row.base));
    }
    for (from, to, function) in casts {
        cache
            .representations
            .insert((from, to), Spelled::from_catalogue(function));
    }
    for (role, name, value) in roles {
        cache.role_settings.entry(role).or_default().push((name, value));
    }
    Ok(Loaded { cache, settings })
}

/// The settings, with those of the login role and of the function for settings on top.
async fn effective(connection: &mut PgConnection, settings: &Settings) -> Result<Settings, sqlx::Error> {
    let mut settings = settings.clone();
    let configured = match &settings.pre_config {
        Some(function) => preconfigured(&mut *connection, function).await?,
        None => Vec::new(),
    };
    let own: Vec<(String, String)> = ask(&mut *connection, include_str!("sql/own_settings.sql"), &[]).await?;
    for (name, value) in own.into_iter().chain(configured) {
        settings.overlay(&name, &value);
    }
    Ok(settings)
}

/// What the function for settings set, as the login role. One that fails sets nothing, as in PostgREST, and is logged.
async fn preconfigured(
    connection: &mut PgConnection,
    (schema, name): &(String, String),
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut sql = Sql::of("SELECT ");
    sql.name(schema, name).raw("()");
    let (text, params) = sql.finish();
    let mut inner = connection.begin().await?;
    match bound(text, params).execute(&mut *inner).await {
        Ok(_) => inner.commit().await?,
        Err(sqlx::Error::Database(error)) => {
            tracing::error!(function = %format_args!("{schema}.{name}"), %error, "the function for settings failed");
            inner.rollback().await?;
        }
        Err(error) => return Err(error),
    }
    ask(connection, include_str!("sql/preconfigured.sql"), &[]).await
}

pub(crate) async fn ask<T: DeserializeOwned>(
    connection: &mut PgConnection,
    sql: &'static str,
    schemas: &[String],
) -> Result<Vec<T>, sqlx::Error> {
    let query = sqlx::query_scalar::<_, String>(sql);
    let query = if sql.contains("$1") {
        query.bind(schemas.to_vec())
    } else {
        query
    };
    let text = query.persistent(false).fetch_one(connection).await?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn named_types(rows: Vec<(String, String)>) -> HashMap<String, Spelled> {
    let mut types = HashMap::new();
    for (name, spelled) in rows {
        types
            .entry(name.to_lowercase())
            .or_insert_with(|| Spelled::from_catalogue(spelled));
    }
    // What SQL's own grammar knows beside the catalogue's names.
    let also = [
        ("int", "integer"),
        ("dec", "numeric"),
        ("decimal", "numeric"),
        ("float", "double precision"),
    ];
    for (alias, name) in also {
        types.insert(alias.to_owned(), Spelled::from_catalogue(name.to_owned()));
    }
    types
}

fn handler(row: &HandlerRow) -> Handler {
    let of = Name::new(&row.of_schema, &row.of_name);
    Handler {
        function: Name::new(&row.schema, &row.name),
        of: (of != Name::new("pg_catalog", "anyelement")).then_some(of),
        accepts: MediaType::parse(&row.media),
        makes: MediaType::parse(&row.makes),
    }
}

fn routine(row: RoutineRow) -> Routine {
    let (mut settings, mut isolation) = (Vec::new(), None);
    for setting in row.settings {
        match setting.split_once('=') {
            Some(("default_transaction_isolation", level)) => isolation = Some(level.to_owned()),
            Some((name @ ("statement_timeout" | "plan_filter.statement_cost_limit"), value)) => {
                settings.push((name.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
    let argument = |row: ArgumentRow| Argument {
        name: row.name,
        as_type: Spelled::from_catalogue(row.as_type),
        shown: row.shown,
        required: row.required,
        variadic: row.variadic,
    };
    Routine {
        oid: row.oid,
        name: Name::new(&row.schema, &row.name),
        description: row.description,
        arguments: row.arguments.into_iter().map(argument).collect(),
        returns: Returns {
            set: row.set,
            composite: row.composite,
            name: Name::new(&row.returns_schema, &row.returns_name),
        },
        volatile: row.volatile,
        columns: row
            .columns
            .into_iter()
            .map(|(name, base)| (name, Spelled::from_catalogue(base)))
            .collect(),
        isolation,
        settings,
    }
}

/// The primary key of a relation: a view's is that of the table whose key it shows.
fn primary_key(row: &TableRow, tables: &HashMap<i64, &TableRow>, origins: &Origins) -> Vec<String> {
    if !row.is_view {
        return row.primary_key.iter().map(|(_, name)| name.clone()).collect();
    }
    let Some(shown) = origins.get(&row.oid) else {
        return Vec::new();
    };
    let bases: BTreeSet<i64> = shown.iter().map(|(_, (table, _))| *table).collect();
    let mut key = Vec::new();
    for base in bases
        .into_iter()
        .filter_map(|oid| tables.get(&oid))
        .filter(|base| !base.is_view)
    {
        let own = base.primary_key.iter().map(|(number, _)| {
            let column = shown
                .iter()
                .find(|(_, origin)| *origin == (base.oid, *number))
                .map(|(column, _)| *column)?;
            row.numbers
                .iter()
                .find(|(number, _)| *number == column)
                .map(|(_, name)| name.clone())
        });
        if let Some(names) = own.collect::<Option<Vec<String>>>() {
            key.extend(names);
        }
    }
    key
}

fn add_tables(cache: &mut SchemaCache, rows: Vec<TableRow>, origins: &Origins, schemas: &[String]) {
    let keys: HashMap<i64, Vec<String>> = {
        let by_oid: HashMap<i64, &TableRow> = rows.iter().map(|row| (row.oid, row)).collect();
        rows.iter()
            .map(|row| (row.oid, primary_key(row, &by_oid, origins)))
            .collect()
    };
    for row in rows.into_iter().filter(|row| schemas.contains(&row.schema)) {
        let column = |column: ColumnRow| Column {
            name: column.name,
            description: column.description,
            nullable: column.nullable,
            max_length: column.max_length,
            labels: column.labels,
            shown: column.shown,
            declared: Spelled::from_catalogue(column.declared),
            base: Spelled::from_catalogue(column.base),
            default: column.default.map(Spelled::from_catalogue),
        };
        let name = Name::new(&row.schema, &row.name);
        let table = Table {
            oid: row.oid,
            name: name.clone(),
            description: row.description,
            is_view: row.is_view,
            insertable: row.insertable,
            updatable: row.updatable,
            deletable: row.deletable,
            primary_key: keys.get(&row.oid).cloned().unwrap_or_default(),
            columns: row.columns.into_iter().map(column).collect(),
        };
        cache.tables.insert(name, table);
    }
}

fn add_relationships(
    cache: &mut SchemaCache,
    tables: &[TableRow],
    keys: &[ForeignKey],
    origins: &Origins,
    computed: &[ComputedRow],
    schemas: &[String],
) {
    let by_oid: HashMap<i64, &TableRow> = tables.iter().map(|row| (row.oid, row)).collect();
    let views: HashMap<i64, View> = tables
        .iter()
        .filter(|row| row.is_view)
        .map(|row| {
            let name = Name::new(&row.schema, &row.name);
            let columns = row.numbers.iter().cloned().collect();
            (row.oid, View { name, columns })
        })
        .collect();
    let primary: HashMap<Name, BTreeSet<String>> = tables
        .iter()
        .map(|row| {
            (
                Name::new(&row.schema, &row.name),
                primary_key(row, &by_oid, origins).into_iter().collect(),
            )
        })
        .collect();
    let mut found: BTreeMap<(Name, Name), Vec<Relationship>> = BTreeMap::new();
    for relationship in all(keys, &views, origins, &primary) {
        let place = (relationship.from.clone(), relationship.to.clone());
        found.entry(place).or_default().push(relationship);
    }
    // A computed relationship takes the place of those with the name of its function.
    for row in computed {
        let Some(to) = &row.to else { continue };
        let function = Name::new(&row.schema, &row.name);
        let relationship = Relationship {
            from: row.relation.clone(),
            to: to.clone(),
            is_self: row.relation == *to,
            kind: Kind::Computed {
                function: function.clone(),
                single: row.single,
            },
            from_view: false,
            to_view: false,
        };
        found.insert((row.relation.clone(), function), vec![relationship]);
    }
    let exposed = |name: &Name| schemas.contains(&name.schema);
    for ((from, towards), relationships) in found {
        let seen = relationships.into_iter().filter(|relationship| {
            exposed(&relationship.from)
                && exposed(&relationship.to)
                && !matches!(&relationship.kind, Kind::ManyToMany(junction) if !exposed(&junction.table))
        });
        cache
            .relationships
            .entry((from, towards.schema))
            .or_default()
            .extend(seen);
    }
    cache.relationships.retain(|_, all| !all.is_empty());
    for all in cache.relationships.values_mut() {
        all.sort();
    }
}
