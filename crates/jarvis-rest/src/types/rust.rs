//! The catalogue as Rust: a module for each schema, table, view and function, with what the data API sends and takes.

use super::calls::{self, Call};
use super::order::Names;
use super::read::{Argument, Catalogue, Column, Relation, Type};
use super::rust_names::{Case, assign, literal};

/// What stands at the head of the file.
const HEADER: &str = include_str!("header.rs.txt");

const READ: &str = "#[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]";
const WRITTEN: &str = "#[derive(Debug, Clone, PartialEq, ::serde::Serialize)]";
const LEFT_OUT: &str = "#[serde(skip_serializing_if = \"Option::is_none\")]";
const VALUE: &str = "::serde_json::Value";

/// The whole file.
pub fn write(catalogue: &Catalogue) -> String {
    let mut file = File {
        catalogue,
        schemas: assign(catalogue.schemas.iter().map(String::as_str), Case::Snake),
        text: HEADER.to_owned(),
        depth: 0,
    };
    for (at, schema) in catalogue.schemas.iter().enumerate() {
        file.schema(schema, at);
    }
    file.text
}

struct File<'a> {
    catalogue: &'a Catalogue,
    schemas: Vec<String>,
    text: String,
    depth: usize,
}

/// A field of a struct: its name in the database, its type, whether it goes unsent when it is `None`.
struct Field<'a> {
    name: &'a str,
    of: String,
    left_out: bool,
    comment: Option<&'a str>,
}

impl<'a> File<'a> {
    fn line(&mut self, text: &str) {
        self.text.push_str(&"    ".repeat(self.depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn open(&mut self, text: &str) {
        self.line(&format!("{text} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// A comment of the database, without signs that no comment of Rust may hold.
    fn comment(&mut self, text: Option<&str>) {
        for line in text.iter().flat_map(|text| text.split(['\n', '\r'])) {
            let kept =
                |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let line: String = line.chars().filter(kept).collect();
            self.line(format!("/// {line}").trim_end());
        }
    }

    fn schema(&mut self, schema: &'a str, at: usize) {
        let catalogue = self.catalogue;
        self.line(&format!("/// Schema {}.", literal(schema)));
        self.line("#[allow(dead_code, non_camel_case_types, non_snake_case)]");
        self.open(&format!("pub mod {}", self.schemas[at]));
        self.open("pub mod enums");
        for (of, name) in named(self.enums(schema), Case::Pascal) {
            self.enumeration(of, &name);
        }
        self.close();
        self.open("pub mod composites");
        for (of, name) in named(self.composites(schema), Case::Pascal) {
            let fields = of.attributes.iter().map(|attribute| Field {
                name: &attribute.name,
                of: maybe(&self.by_oid(attribute.of), true),
                left_out: false,
                comment: None,
            });
            let fields = fields.collect();
            self.comment(of.comment.as_deref());
            self.structure(READ, &name, fields);
        }
        self.close();
        for (module, views) in [("tables", false), ("views", true)] {
            self.open(&format!("pub mod {module}"));
            for (relation, name) in named(self.relations(schema, views), Case::Snake) {
                self.comment(relation.comment.as_deref());
                self.open(&format!("pub mod {name}"));
                self.relation(relation);
                self.close();
            }
            self.close();
        }
        self.open("pub mod functions");
        let called = calls::all(catalogue, &Names::new());
        let of_schema = called.iter().filter(|called| called.schema == schema);
        let calls: Vec<&Call> = of_schema
            .flat_map(|called| &called.overloads)
            .filter(|call| call.error.is_none())
            .collect();
        let names = assign(calls.iter().map(|call| call.function.name.as_str()), Case::Snake);
        for (call, name) in calls.into_iter().zip(names) {
            self.comment(call.function.comment.as_deref());
            self.line(&format!("/// `{}`", literal(&call.function.name)));
            self.open(&format!("pub mod {name}"));
            self.function(call);
            self.close();
        }
        self.close();
        self.close();
    }

    fn enums(&self, schema: &str) -> Vec<&'a Type> {
        let types = self.catalogue.types.iter();
        types
            .filter(|of| of.schema == schema && !of.labels.is_empty())
            .collect()
    }

    fn composites(&self, schema: &str) -> Vec<&'a Type> {
        let types = self.catalogue.types.iter();
        types
            .filter(|of| of.schema == schema && !of.attributes.is_empty())
            .collect()
    }

    fn relations(&self, schema: &str, views: bool) -> Vec<&'a Relation> {
        let relations = self.catalogue.relations.iter();
        relations
            .filter(|of| of.schema == schema && of.is_view() == views)
            .collect()
    }

    fn enumeration(&mut self, of: &Type, name: &str) {
        self.comment(of.comment.as_deref());
        self.line(
            "#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]",
        );
        self.open(&format!("pub enum {name}"));
        let labels = assign(of.labels.iter().map(String::as_str), Case::Pascal);
        for (label, variant) in of.labels.iter().zip(labels) {
            self.line(&format!("#[serde(rename = {})]", literal(label)));
            self.line(&format!("{variant},"));
        }
        self.close();
    }

    fn structure(&mut self, derived: &str, name: &str, fields: Vec<Field>) {
        self.line(derived);
        self.open(&format!("pub struct {name}"));
        let names = assign(fields.iter().map(|field| field.name), Case::Snake);
        for (field, name) in fields.into_iter().zip(names) {
            self.comment(field.comment);
            if name != field.name {
                self.line(&format!("#[serde(rename = {})]", literal(field.name)));
            }
            if field.left_out {
                self.line(LEFT_OUT);
            }
            self.line(&format!("pub {name}: {},", field.of));
        }
        self.close();
    }

    fn relation(&mut self, relation: &Relation) {
        let of = |column: &Column| self.of(&column.type_schema, &column.type_name);
        // Vectors are sent by name only: a row that was read whole lacks them.
        let row = relation.columns.iter().map(|column| Field {
            name: &column.name,
            of: maybe(&of(column), !column.not_null || column.type_name == "vector"),
            left_out: false,
            comment: column.comment.as_deref(),
        });
        let view = relation.is_view();
        let written = |insert: bool| -> Vec<Field> {
            let columns = relation.columns.iter();
            let columns = columns.filter(|column| {
                if view {
                    column.writable
                } else {
                    !column.never_written()
                }
            });
            columns
                .map(|column| {
                    let left_out = view || !insert || column.may_be_left_out();
                    // What is left out of an insert is null where there is no other value: one `None` says both.
                    let null = view || !column.not_null && (!insert || column.has_default);
                    let value = maybe(&of(column), null);
                    Field {
                        name: &column.name,
                        of: if left_out {
                            format!("Option<{value}>")
                        } else {
                            value
                        },
                        left_out,
                        comment: None,
                    }
                })
                .collect()
        };
        let (row, insert, update) = (row.collect(), written(true), written(false));
        self.line("/// What a read sends.");
        self.structure(READ, "Row", row);
        if !view || relation.insertable {
            self.line("/// What an insert takes.");
            let all_optional = insert.iter().all(|field| field.left_out);
            self.structure(&written_as(all_optional), "Insert", insert);
        }
        if !view || relation.updatable {
            self.line(
                "/// What an update takes: `None` leaves a column as it is, `Some(None)` makes it null.",
            );
            self.structure(&written_as(true), "Update", update);
        }
    }

    fn function(&mut self, call: &Call) {
        match call.arguments.as_slice() {
            [only] if only.name.is_empty() => {
                let of = self.by_oid(only.of);
                self.line("/// The body of the request.");
                self.line(&format!("pub type Args = {of};"));
            }
            all => {
                let named = all.iter().filter(|argument| !argument.name.is_empty());
                let fields: Vec<Field> = named.map(|argument| self.argument(argument)).collect();
                let all_optional = fields.iter().all(|field| field.left_out);
                self.structure(&written_as(all_optional), "Args", fields);
            }
        }
        let of = if call.columns.is_empty() {
            self.by_oid(call.function.returns)
        } else {
            let fields = call.columns.iter().map(|column| Field {
                name: &column.name,
                of: maybe(&self.by_oid(column.of), true),
                left_out: false,
                comment: None,
            });
            let fields = fields.collect();
            self.structure(READ, "Returned", fields);
            "Returned".to_owned()
        };
        let row = !call.columns.is_empty() || call.rows.is_some();
        let of = match (call.function.set, of.as_str()) {
            (false, "()") => of,
            (false, _) => maybe(&of, true),
            (true, _) => format!("Vec<{}>", maybe(&of, !row)),
        };
        self.line(&format!("pub type Returns = {of};"));
    }

    fn argument<'b>(&self, argument: &'b Argument) -> Field<'b> {
        let of = self.by_oid(argument.of);
        Field {
            name: &argument.name,
            of: if argument.has_default {
                format!("Option<{of}>")
            } else {
                of
            },
            left_out: argument.has_default,
            comment: None,
        }
    }

    fn by_oid(&self, oid: i64) -> String {
        let of = self.catalogue.type_of(oid);
        of.map_or(VALUE.to_owned(), |of| self.of(&of.schema, &of.name))
    }

    /// The type of this name in this schema.
    fn of(&self, schema: &str, name: &str) -> String {
        if let Some(made) = self.made(schema, name) {
            return made;
        }
        if let Some(element) = name.strip_prefix('_') {
            return format!("Vec<{}>", maybe(&self.of(schema, element), true));
        }
        let plain = match name {
            "bool" => "bool",
            "int2" => "i16",
            "int4" => "i32",
            "int8" => "i64",
            "float4" => "f32",
            "float8" => "f64",
            "numeric" => "::serde_json::Number",
            "bytea" | "bpchar" | "varchar" | "text" | "citext" | "name" | "uuid" | "vector" | "date"
            | "time" | "timetz" | "timestamp" | "timestamptz" | "interval" | "inet" | "cidr" | "macaddr"
            | "int4range" | "int8range" | "numrange" | "daterange" | "tsrange" | "tstzrange" | "tsvector"
            | "money" => "String",
            "void" => "()",
            _ => VALUE,
        };
        plain.to_owned()
    }

    /// Where the enum, composite type or relation stands in the file, from the module that is being written.
    fn made(&self, schema: &str, name: &str) -> Option<String> {
        let at = self.catalogue.schemas.iter().position(|shown| shown == schema);
        let Some(at) = at else {
            let labels = |of: &&Type| of.schema == schema && of.name == name && !of.labels.is_empty();
            return self
                .catalogue
                .types
                .iter()
                .any(|of| labels(&of))
                .then(|| "String".to_owned());
        };
        let up = "super::".repeat(self.depth);
        let place = |kind: &str, name: &str| Some(format!("{up}{}::{kind}::{name}", self.schemas[at]));
        for (kind, all) in [
            ("enums", self.enums(schema)),
            ("composites", self.composites(schema)),
        ] {
            if let Some((_, found)) = named(all, Case::Pascal)
                .into_iter()
                .find(|(of, _)| of.name == name)
            {
                return place(kind, &found);
            }
        }
        for (kind, views) in [("tables", false), ("views", true)] {
            let all = named(self.relations(schema, views), Case::Snake);
            if let Some((_, found)) = all.into_iter().find(|(of, _)| of.name == name) {
                return place(kind, &format!("{found}::Row"));
            }
        }
        None
    }
}

/// What has a name in the database.
trait Named {
    fn name(&self) -> &str;
}

impl Named for Type {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Relation {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Each with its name in Rust.
fn named<T: Named>(all: Vec<&T>, case: Case) -> Vec<(&T, String)> {
    let names = assign(all.iter().map(|of| of.name()), case);
    all.into_iter().zip(names).collect()
}

fn written_as(all_optional: bool) -> String {
    let mut derived = WRITTEN.to_owned();
    if all_optional {
        derived = derived.replace("PartialEq", "PartialEq, Default");
    }
    derived
}

/// JSON knows null itself, so what is read needs no `Option` around it.
fn maybe(of: &str, null: bool) -> String {
    if null && of != VALUE {
        format!("Option<{of}>")
    } else {
        of.to_owned()
    }
}
