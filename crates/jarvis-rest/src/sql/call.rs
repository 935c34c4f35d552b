//! Calling a function.

use super::change::rows;
use super::read::plain;
use super::text::{Param, Sql, array_literal};
use crate::cache::{Argument, Name};
use crate::plan::call::{Arguments, Call};
use crate::plan::change::Written;

/// The statement that calls a function.
pub fn call(call: &Call) -> Sql {
    let values = call.routine.scalar() || call.routine.scalar_set();
    let mut sql = Sql::of("SELECT ");
    if values {
        sql.raw("pgrst_call.pgrst_scalar");
    } else if call.returning.is_empty() {
        sql.raw("*");
    } else {
        let of = Name::alias("pgrst_call");
        sql.join(", ", call.returning.iter().map(|name| plain(&of, name)));
    }
    match &call.arguments {
        Arguments::Named(given) => {
            let arguments = given.iter().map(|(argument, values)| named(argument, values));
            let mut list = Sql::new();
            list.join(", ", arguments);
            sql.raw(" FROM ").append(invoked(call, list, values));
        }
        Arguments::Only(argument, bytes) => {
            sql.raw(" FROM ")
                .append(invoked(call, only(argument, bytes), values));
        }
        Arguments::Json(arguments, _) if arguments.is_empty() => {
            sql.raw(" FROM ").append(invoked(call, Sql::new(), values));
        }
        Arguments::Json(arguments, body) => {
            let columns: Vec<Written> = arguments.iter().map(column).collect();
            let list = arguments.iter().map(|argument| {
                let mut sql = Sql::of(if argument.variadic { "VARIADIC " } else { "" });
                sql.ident(&argument.name)
                    .raw(" := pgrst_body.")
                    .ident(&argument.name);
                sql
            });
            let mut joined = Sql::new();
            joined.join(", ", list);
            sql.append(rows(Some(body), &columns, false, true))
                .raw(", LATERAL ")
                .append(invoked(call, joined, values));
        }
    }
    sql
}

fn column(argument: &Argument) -> Written {
    Written {
        name: argument.name.clone(),
        read_as: argument.as_type.clone(),
        transform: None,
        default: None,
    }
}

fn invoked(call: &Call, list: Sql, values: bool) -> Sql {
    let name = &call.routine.name;
    let mut sql = Sql::of(if values { "(SELECT " } else { "" });
    sql.name(&name.schema, &name.name).raw("(").append(list).raw(")");
    sql.raw(if values {
        " AS pgrst_scalar) pgrst_call"
    } else {
        " pgrst_call"
    });
    sql
}

fn named(argument: &Argument, values: &[String]) -> Sql {
    let mut sql = Sql::of(if argument.variadic { "VARIADIC " } else { "" });
    sql.ident(&argument.name).raw(" := ");
    if argument.variadic {
        sql.typed(&array_literal(values), &argument.as_type);
    } else if let Some(value) = values.last() {
        sql.typed(value, &argument.as_type);
    }
    sql
}

fn only(argument: &Argument, bytes: &[u8]) -> Sql {
    let mut sql = Sql::new();
    if argument.shown == "bytea" {
        sql.bind(Param::Bytes(bytes.to_vec()));
    } else {
        sql.bind(Param::Text(Some(String::from_utf8_lossy(bytes).into_owned())))
            .raw("::")
            .spelled(&argument.as_type);
    }
    sql
}
