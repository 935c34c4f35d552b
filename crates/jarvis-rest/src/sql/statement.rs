//! The one statement of a request: what is done, what is read of it, and the body made of that.

use super::text::Sql;
use super::{SOURCE, call, change, read};
use crate::cache::Routine;
use crate::plan::change::Changing;
use crate::plan::negotiate::Shape;
use crate::plan::{Doing, Plan};
use crate::request::media::MediaType;
use crate::request::preferences::{Count, Resolution, Returned};
use crate::request::span::Span;
use crate::request::{ApiRequest, Change};
use crate::settings::Settings;

const ROWS: &str = "pgrst_rows";
const SETTINGS: &str = "nullif(current_setting('response.headers', true), '') AS response_headers, \
                        nullif(current_setting('response.status', true), '') AS response_status";

/// Columns: `total`, `page`, `location`, `body`, `response_headers`, `response_status`, `inserted`.
pub fn main(plan: &Plan, request: &ApiRequest, settings: &Settings) -> Sql {
    let statement = match &plan.doing {
        Doing::Reading => reading(plan, request, settings),
        Doing::Changing(changing) => changed(plan, request, changing),
        Doing::Calling(called) => {
            let mut sql = with_source(call::call(called));
            let (counting, total) = total(plan, request, settings, Some(&called.routine));
            sql.append(counting)
                .raw(" SELECT ")
                .append(total)
                .raw(" AS total, ");
            sql.append(page(Some(&called.routine)))
                .raw(" AS page, NULL::text[] AS location, ");
            sql.append(body(&plan.shape, Some(&called.routine)))
                .raw(" AS body, ")
                .raw(SETTINGS);
            sql.raw(", NULL::int8 AS inserted FROM (")
                .append(read::read(&plan.read))
                .raw(") ")
                .raw(ROWS);
            sql
        }
    };
    match &plan.media {
        MediaType::Plan(wanted) => {
            let mut sql = Sql::of(if wanted.json {
                "EXPLAIN (FORMAT JSON"
            } else {
                "EXPLAIN (FORMAT TEXT"
            });
            for option in &wanted.options {
                sql.raw(", ").raw(option);
            }
            sql.raw(") ").append(statement);
            sql
        }
        _ => statement,
    }
}

/// The planner's guess of the number of rows.
pub fn guess(plan: &Plan) -> Sql {
    let mut sql = Sql::of("EXPLAIN (FORMAT JSON) ");
    sql.append(read::counting(&plan.read));
    sql
}

fn with_source(inner: Sql) -> Sql {
    let mut sql = Sql::of("WITH ");
    sql.raw(SOURCE).raw(" AS (").append(inner).raw(")");
    sql
}

fn reading(plan: &Plan, request: &ApiRequest, settings: &Settings) -> Sql {
    let mut sql = with_source(read::read(&plan.read));
    let (counting, total) = total(plan, request, settings, None);
    sql.append(counting)
        .raw(" SELECT ")
        .append(total)
        .raw(" AS total, ")
        .append(page(None));
    sql.raw(" AS page, NULL::text[] AS location, ")
        .append(body(&plan.shape, None))
        .raw(" AS body, ")
        .raw(SETTINGS);
    sql.raw(", NULL::int8 AS inserted FROM (SELECT * FROM ")
        .raw(SOURCE)
        .raw(") ")
        .raw(ROWS);
    sql
}

fn changed(plan: &Plan, request: &ApiRequest, changing: &Changing) -> Sql {
    let mut sql = with_source(change::change(changing));
    sql.raw(" SELECT NULL::int8 AS total, ")
        .append(page(None))
        .raw(" AS page, ");
    let inserts = matches!(changing.change, Change::Insert | Change::Put);
    if inserts
        && request.preferences.returned == Some(Returned::HeadersOnly)
        && !changing.primary_key.is_empty()
    {
        sql.append(location(&changing.primary_key));
    } else {
        sql.raw("NULL::text[]");
    }
    sql.raw(" AS location, ")
        .append(body(&plan.shape, None))
        .raw(" AS body, ")
        .raw(SETTINGS)
        .raw(", ");
    let counts = changing.change == Change::Put || matches!(&changing.conflict, Some((Resolution::Merge, _)));
    if counts && inserts {
        sql.raw("nullif(current_setting('pgrst.inserted', true), '')::int8");
    } else {
        sql.raw("NULL::int8");
    }
    sql.raw(" AS inserted FROM (");
    if plan.shape == Shape::Nothing {
        // Nothing of the selection may be asked for: a caller may be allowed to write and not to read.
        sql.raw("SELECT * FROM ").raw(SOURCE);
    } else {
        sql.append(read::read(&plan.read));
    }
    sql.raw(") ").raw(ROWS);
    sql
}

/// How all rows are counted: a further part of the statement, and what is asked of it.
fn total(plan: &Plan, request: &ApiRequest, settings: &Settings, routine: Option<&Routine>) -> (Sql, Sql) {
    if !request.preferences.counts() {
        return (Sql::new(), Sql::of("NULL::int8"));
    }
    if settings.max_rows.is_none() && request.span == Span::ALL {
        return (Sql::new(), page(routine));
    }
    let mut sql = Sql::of(", pgrst_source_count AS (");
    sql.append(read::counting(&plan.read));
    if let (Some(Count::Estimated), Some(rows)) = (request.preferences.count, settings.max_rows)
        && routine.is_none()
    {
        sql.raw(" LIMIT ").number(rows.saturating_add(1));
    }
    sql.raw(")");
    (sql, Sql::of("(SELECT count(*) FROM pgrst_source_count)"))
}

fn page(routine: Option<&Routine>) -> Sql {
    if routine.is_some_and(Routine::single) {
        Sql::of("1::int8")
    } else {
        Sql::of("count(pgrst_rows)")
    }
}

/// Where the one row is that was inserted.
fn location(primary_key: &[String]) -> Sql {
    let mut sql = Sql::of(
        "CASE WHEN count(pgrst_rows) = 1 THEN (SELECT array_agg(key || '=' || coalesce('eq.' || value, 'is.null')) FROM (SELECT row_to_json(pgrst_first) AS row FROM pgrst_source AS pgrst_first LIMIT 1) AS pgrst_first, json_each_text(pgrst_first.row) WHERE key = ANY (",
    );
    sql.param(&super::array_literal(primary_key))
        .raw("::text[])) END");
    sql
}

fn body(shape: &Shape, routine: Option<&Routine>) -> Sql {
    let scalar = routine.is_some_and(Routine::scalar);
    let scalars = routine.is_some_and(Routine::scalar_set);
    let one_row = routine.is_some_and(|routine| routine.single() && !routine.scalar());
    let (element, first, empty) = match shape {
        Shape::Nothing => return Sql::of("NULL::text"),
        Shape::Csv => return csv(),
        Shape::GeoJson => {
            return Sql::of(
                "json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(ST_AsGeoJSON(pgrst_rows)::json), '[]'))",
            );
        }
        Shape::Custom { function, of } => {
            let mut sql = Sql::new();
            sql.name(&function.schema, &function.name).raw("(").raw(ROWS);
            if scalar {
                sql.raw(".pgrst_scalar");
            } else if let Some(of) = of {
                sql.raw("::").name(&of.schema, &of.name);
            }
            sql.raw(")");
            return sql;
        }
        Shape::Single { .. } => (
            if scalar { "pgrst_rows.pgrst_scalar" } else { ROWS },
            true,
            "'null'",
        ),
        Shape::Json { .. } if scalar => ("pgrst_rows.pgrst_scalar", true, "'null'"),
        Shape::Json { .. } if scalars => ("pgrst_rows.pgrst_scalar", false, "'[]'"),
        Shape::Json { .. } if one_row => (ROWS, true, "'null'"),
        Shape::Json { .. } => (ROWS, false, "'[]'"),
    };
    let stripped = matches!(
        shape,
        Shape::Json { stripped: true } | Shape::Single { stripped: true }
    );
    let mut sql = Sql::of("coalesce(");
    sql.raw(if stripped { "json_strip_nulls(" } else { "" })
        .raw("json_agg(")
        .raw(element)
        .raw(")");
    sql.raw(if first { "->0" } else { "" })
        .raw(if stripped { ")" } else { "" })
        .raw(", ")
        .raw(empty)
        .raw(")");
    sql
}

fn csv() -> Sql {
    Sql::of(
        "(SELECT coalesce(string_agg(k, ','), '') FROM (SELECT json_object_keys(r) AS k FROM (SELECT row_to_json(h) AS r FROM pgrst_source AS h LIMIT 1) AS one) AS names) \
         || E'\\n' || coalesce(string_agg(substring(pgrst_rows::text, 2, length(pgrst_rows::text) - 2), E'\\n'), '')",
    )
}
