//! Inserting, updating and deleting.

use super::condition::{condition, joined};
use super::read::plain;
use super::text::{Param, Spelled, Sql};
use crate::cache::Name;
use crate::plan::change::{Changing, Written};
use crate::plan::tree::Condition;
use crate::request::Change;
use crate::request::preferences::Resolution;

const BODY: &str = "pgrst_body";

/// Counts what is inserted; an update of a row that was there counts it back. Both are true.
const COUNT_INSERTED: &str = "set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0'";
const COUNT_BACK: &str = "set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1'";

/// The statement that changes rows.
pub fn change(changing: &Changing) -> Sql {
    match changing.change {
        Change::Insert | Change::Put => insert(changing),
        Change::Update => update(changing),
        Change::Delete => {
            let mut sql = Sql::of("DELETE FROM ");
            sql.name(&changing.target.schema, &changing.target.name);
            sql.append(matching(&changing.target, &changing.filters))
                .append(returning(changing));
            sql
        }
    }
}

fn insert(changing: &Changing) -> Sql {
    let mut sql = Sql::of("INSERT INTO ");
    sql.name(&changing.target.schema, &changing.target.name);
    if !changing.columns.is_empty() {
        sql.raw("(")
            .join(", ", changing.columns.iter().map(|column| ident(&column.name)))
            .raw(")");
    }
    sql.raw(" SELECT ").join(
        ", ",
        changing.columns.iter().map(|column| body_column(&column.name)),
    );
    sql.append(rows(
        changing.body.as_deref(),
        &changing.columns,
        changing.defaults,
        false,
    ));
    let put = changing.change == Change::Put;
    let merges = matches!(&changing.conflict, Some((Resolution::Merge, _)));
    if put {
        let body = Name::alias(BODY);
        let conditions = changing.filters.iter().map(|one| condition(&body, one, &joined));
        sql.raw(" WHERE ")
            .raw(COUNT_INSERTED)
            .raw(" AND ")
            .join(" AND ", conditions);
    } else if merges {
        sql.raw(" WHERE ").raw(COUNT_INSERTED);
    }
    if let Some((resolution, decides)) = changing
        .conflict
        .as_ref()
        .filter(|(_, decides)| !decides.is_empty())
    {
        sql.raw(" ON CONFLICT (")
            .join(", ", decides.iter().map(|name| ident(name)))
            .raw(")");
        if *resolution == Resolution::Ignore || changing.columns.is_empty() {
            sql.raw(" DO NOTHING");
        } else {
            let set = changing.columns.iter().map(|column| {
                let mut sql = ident(&column.name);
                sql.raw(" = EXCLUDED.").ident(&column.name);
                sql
            });
            sql.raw(" DO UPDATE SET ")
                .join(", ", set)
                .raw(" WHERE ")
                .raw(COUNT_BACK);
        }
    }
    sql.append(returning(changing));
    sql
}

fn update(changing: &Changing) -> Sql {
    let target = &changing.target;
    if changing.columns.is_empty() {
        // Nothing to set: no row is touched, and none comes back.
        let mut sql = Sql::of("SELECT ");
        let own = Name::alias(&target.name);
        if changing.returning.is_empty() {
            sql.raw("NULL");
        } else {
            sql.join(", ", changing.returning.iter().map(|name| plain(&own, name)));
        }
        sql.raw(" FROM ")
            .name(&target.schema, &target.name)
            .raw(" WHERE false");
        return sql;
    }
    let mut sql = Sql::of("UPDATE ");
    let set = changing.columns.iter().map(|column| {
        let mut sql = ident(&column.name);
        sql.raw(" = ").append(body_column(&column.name));
        sql
    });
    sql.name(&target.schema, &target.name)
        .raw(" SET ")
        .join(", ", set);
    sql.append(rows(
        changing.body.as_deref(),
        &changing.columns,
        changing.defaults,
        false,
    ));
    sql.append(matching(target, &changing.filters))
        .append(returning(changing));
    sql
}

fn ident(name: &str) -> Sql {
    let mut sql = Sql::new();
    sql.ident(name);
    sql
}

fn body_column(name: &str) -> Sql {
    let mut sql = Sql::of("pgrst_body.");
    sql.ident(name);
    sql
}

fn matching(target: &Name, filters: &[Condition]) -> Sql {
    let mut sql = Sql::new();
    if !filters.is_empty() {
        sql.raw(" WHERE ")
            .join(" AND ", filters.iter().map(|one| condition(target, one, &joined)));
    }
    sql
}

fn returning(changing: &Changing) -> Sql {
    let mut sql = Sql::of(" RETURNING ");
    if changing.returning.is_empty() {
        sql.raw("1");
    } else {
        sql.join(
            ", ",
            changing
                .returning
                .iter()
                .map(|name| plain(&changing.target, name)),
        );
    }
    sql
}

/// ` FROM …` the rows of a JSON body with the types of their columns; `only_first` takes one row.
pub fn rows(body: Option<&str>, columns: &[Written], defaults: bool, only_first: bool) -> Sql {
    let is_object = body.is_some_and(|body| body.trim_start().starts_with('{'));
    let mut sql = Sql::of(" FROM (SELECT ");
    sql.bind(Param::Text(body.map(str::to_owned)));
    sql.raw(if defaults {
        "::jsonb AS json_data) pgrst_payload, "
    } else {
        "::json AS json_data) pgrst_payload, "
    });
    if defaults {
        let with_defaults = default_values(columns);
        if is_object {
            sql.raw("LATERAL (SELECT ")
                .append(with_defaults)
                .raw(" || pgrst_payload.json_data AS val) pgrst_json_defs, ");
        } else {
            sql.raw("LATERAL (SELECT jsonb_agg(").append(with_defaults);
            sql.raw(
                " || elem) AS val FROM jsonb_array_elements(pgrst_payload.json_data) elem) pgrst_json_defs, ",
            );
        }
    }
    sql.raw("LATERAL (SELECT ")
        .join(", ", columns.iter().map(parsed))
        .raw(" FROM ");
    let source = if defaults {
        "pgrst_json_defs.val"
    } else {
        "pgrst_payload.json_data"
    };
    match (columns.is_empty(), is_object) {
        (true, true) => sql.raw("(VALUES (1)) AS pgrst_one"),
        (true, false) if defaults => sql
            .raw("jsonb_array_elements(")
            .raw(source)
            .raw(") AS pgrst_each"),
        (true, false) => sql.raw("json_array_elements(").raw(source).raw(") AS pgrst_each"),
        (false, _) => {
            sql.raw(match (defaults, is_object) {
                (true, true) => "jsonb_to_record(",
                (true, false) => "jsonb_to_recordset(",
                (false, true) => "json_to_record(",
                (false, false) => "json_to_recordset(",
            });
            let typed = columns.iter().map(|column| {
                let mut sql = ident(&column.name);
                sql.raw(" ").spelled(&column.read_as);
                sql
            });
            sql.raw(source).raw(") AS pgrst_each(").join(", ", typed).raw(")")
        }
    };
    if only_first {
        sql.raw(" LIMIT 1");
    }
    sql.raw(") pgrst_body");
    sql
}

fn parsed(column: &Written) -> Sql {
    let mut sql = Sql::new();
    match &column.transform {
        Some(function) => sql
            .spelled(function)
            .raw("(")
            .ident(&column.name)
            .raw(") AS ")
            .ident(&column.name),
        None => sql.ident(&column.name),
    };
    sql
}

fn default_values(columns: &[Written]) -> Sql {
    let pairs = columns.iter().filter_map(|column| {
        let default: &Spelled = column.default.as_ref()?;
        let mut sql = Sql::new();
        sql.param(&column.name).raw("::text, ").spelled(default);
        Some(sql)
    });
    let mut sql = Sql::of("jsonb_build_object(");
    sql.join(", ", pairs).raw(")");
    sql
}
