//! The catalogue as TypeScript. What it says, and the helper types at its end, follow the types that `supabase gen types`
//! prints (MIT, see NOTICE), because programs written against those must compile against these.

use super::calls::{self, Call, Called};
use super::order::{Names, as_json};
use super::read::{Argument, Attribute, Catalogue, Column, Relation, Type};
use super::relationships::Relationship;

/// The helper types; `$DEFAULT` stands for the schema that they mean when none is named.
const HELPERS: &str = include_str!("helpers.ts");

/// The whole file.
pub fn write(catalogue: &Catalogue) -> String {
    let names = Names::new();
    let mut file = File {
        catalogue,
        calls: calls::all(catalogue, &names),
        text: String::new(),
        depth: 0,
    };
    file.line(
        "export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]",
    );
    file.line("");
    file.open("export type Database = {");
    for schema in &catalogue.schemas {
        file.schema(schema);
    }
    file.close("}");
    file.line("");
    let public = catalogue.schemas.iter().find(|schema| *schema == "public");
    let default = public
        .or(catalogue.schemas.first())
        .map_or("public", String::as_str);
    file.text.push_str(&HELPERS.replace("$DEFAULT", &quoted(default)));
    file.line("");
    file.constants();
    file.text
}

struct File<'a> {
    catalogue: &'a Catalogue,
    calls: Vec<Called<'a>>,
    text: String,
    depth: usize,
}

impl<'a> File<'a> {
    fn line(&mut self, text: &str) {
        for line in text.split('\n') {
            if !line.is_empty() {
                self.text.push_str(&"  ".repeat(self.depth));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    fn open(&mut self, text: &str) {
        self.line(text);
        self.depth += 1;
    }

    fn close(&mut self, text: &str) {
        self.depth -= 1;
        self.line(text);
    }

    fn block(&mut self, name: &str, lines: &[String]) {
        self.open(&format!("{name}: {{"));
        for line in lines {
            self.line(line);
        }
        self.close("}");
    }

    /// A block that says when there is nothing in it.
    fn block_or_none(&mut self, name: &str, lines: &[String]) {
        let none = ["[_ in never]: never".to_owned()];
        self.block(name, if lines.is_empty() { &none } else { lines });
    }

    fn schema(&mut self, schema: &str) {
        self.open(&format!("{}: {{", key(schema)));
        for (name, views) in [("Tables", false), ("Views", true)] {
            let mut of: Vec<&Relation> = self.catalogue.relations.iter().collect();
            of.retain(|relation| relation.schema == schema && relation.is_view() == views);
            if of.is_empty() {
                self.block_or_none(name, &[]);
                continue;
            }
            self.open(&format!("{name}: {{"));
            for relation in of {
                self.relation(relation);
            }
            self.close("}");
        }
        let functions: Vec<String> = self
            .calls
            .iter()
            .filter(|called| called.schema == schema)
            .map(|called| self.function(called))
            .collect();
        self.block_or_none("Functions", &functions);
        let enums: Vec<String> = self
            .enums(schema)
            .map(|of| format!("{}: {}", key(&of.name), union(&of.labels)))
            .collect();
        self.block_or_none("Enums", &enums);
        let types = self.catalogue.types.iter();
        let composites: Vec<String> = types
            .filter(|of| of.schema == schema && !of.attributes.is_empty())
            .map(|of| self.composite(of))
            .collect();
        self.block_or_none("CompositeTypes", &composites);
        self.close("}");
    }

    fn enums(&self, schema: &str) -> impl Iterator<Item = &'a Type> {
        let types = self.catalogue.types.iter();
        types.filter(move |of| of.schema == schema && !of.labels.is_empty())
    }

    fn composite(&self, of: &Type) -> String {
        let part = |attribute: &Attribute| {
            let of = self.catalogue.type_of(attribute.of);
            let of = of.map_or("unknown".to_owned(), |of| {
                nullable(&self.named(&of.schema, &of.name), true)
            });
            format!("{}: {of}", key(&attribute.name))
        };
        let parts: Vec<String> = of.attributes.iter().map(part).collect();
        format!("{}: {{\n{}\n}}", key(&of.name), parts.join("\n"))
    }

    fn relation(&mut self, relation: &Relation) {
        let fields: Vec<(&str, String)> = self
            .calls
            .iter()
            .filter(|called| called.schema == relation.schema)
            .filter_map(|called| {
                let call = called
                    .overloads
                    .iter()
                    .find(|call| call.field_of == Some(relation.oid))?;
                Some((
                    called.name,
                    nullable(&self.returns(relation.schema.as_str(), call), true),
                ))
            })
            .collect();
        let mut row: Vec<String> = relation
            .columns
            .iter()
            .map(|column| self.column(column))
            .collect();
        row.extend(fields.iter().map(|(name, of)| format!("{}: {of}", key(name))));
        let computed: Vec<String> = fields.iter().map(|(name, _)| quoted(name)).collect();
        self.open(&format!("{}: {{", key(&relation.name)));
        self.block("Row", &row);
        let computed = if computed.is_empty() {
            "never".to_owned()
        } else {
            computed.join(" | ")
        };
        self.line(&format!("ComputedFields: {computed}"));
        let view = relation.is_view();
        if !view || relation.insertable {
            let insert: Vec<String> = relation
                .columns
                .iter()
                .map(|c| self.written(c, view, c.may_be_left_out()))
                .collect();
            self.block("Insert", &insert);
        }
        if !view || relation.updatable {
            let update: Vec<String> = relation
                .columns
                .iter()
                .map(|c| self.written(c, view, true))
                .collect();
            self.block("Update", &update);
        }
        self.open("Relationships: [");
        for relationship in &self.catalogue.relationships {
            let from = &relationship.from;
            if (&from.schema, &from.name) == (&relation.schema, &relation.name)
                && relationship.to.schema == relation.schema
            {
                self.relationship(relationship);
            }
        }
        self.close("]");
        self.close("}");
    }

    fn relationship(&mut self, relationship: &Relationship) {
        self.open("{");
        self.line(&format!("foreignKeyName: {}", quoted(&relationship.key)));
        self.line(&format!("columns: {}", as_json(&relationship.columns)));
        self.line(&format!("isOneToOne: {}", relationship.one_to_one));
        self.line(&format!("referencedRelation: {}", quoted(&relationship.to.name)));
        self.line(&format!(
            "referencedColumns: {}",
            as_json(&relationship.to_columns)
        ));
        self.close("},");
    }

    fn column(&self, column: &Column) -> String {
        let of = self.named(&column.type_schema, &column.type_name);
        format!("{}: {}", key(&column.name), nullable(&of, !column.not_null))
    }

    /// A column as it is inserted or updated.
    fn written(&self, column: &Column, view: bool, optional: bool) -> String {
        let never = if view {
            !column.writable
        } else {
            column.never_written()
        };
        if never {
            return format!("{}?: never", key(&column.name));
        }
        let of = self.named(&column.type_schema, &column.type_name);
        let optional = if optional || view { "?" } else { "" };
        format!(
            "{}{optional}: {}",
            key(&column.name),
            nullable(&of, view || !column.not_null)
        )
    }

    fn function(&self, called: &Called) -> String {
        let overloads: Vec<String> = called
            .overloads
            .iter()
            .map(|call| self.overload(called.schema, call))
            .collect();
        format!("{}:\n  | {}", key(called.name), overloads.join("\n  | "))
    }

    fn overload(&self, schema: &str, call: &Call) -> String {
        let arguments: Vec<String> = call
            .arguments
            .iter()
            .map(|argument| self.argument(argument))
            .collect();
        let arguments = match arguments.as_slice() {
            [] => "Record<PropertyKey, never>".to_owned(),
            some => format!("{{ {} }}", some.join("; ")),
        };
        let mut returns = match &call.error {
            Some(error) => format!("{{ error: true }} & {}", quoted(error)),
            None => self.returns(schema, call),
        };
        let single = call.rows.as_ref().is_some_and(|rows| rows.single);
        if call.error.is_none() && call.function.set && !single {
            returns.push_str("[]");
        }
        let options = call.rows.as_ref().map_or_else(String::new, |rows| {
            format!(
                "\nSetofOptions: {{\nfrom: {}\nto: {}\nisOneToOne: {}\nisSetofReturn: {}\n}}",
                quoted(&rows.from),
                quoted(&rows.to),
                rows.single,
                call.function.set
            )
        });
        format!("{{ Args: {arguments}; Returns: {returns}{options} }}")
    }

    fn argument(&self, argument: &Argument) -> String {
        let of = self.by_oid(argument.of);
        let of = match self
            .catalogue
            .type_of(argument.of)
            .map(|of| self.row_of(&of.schema, &of.name))
        {
            Some(Some(row)) if !argument.name.is_empty() && of == format!("{row}['Row']") => {
                format!("Omit<{of}, {row}['ComputedFields']>")
            }
            _ => of,
        };
        format!(
            "{}{}: {of}",
            key(&argument.name),
            if argument.has_default { "?" } else { "" }
        )
    }

    /// What a function gives back, or one of it.
    fn returns(&self, schema: &str, call: &Call) -> String {
        let object = |lines: Vec<String>| format!("{{\n{}\n}}", lines.join("\n"));
        if !call.columns.is_empty() {
            let column = |column: &&Argument| format!("{}: {}", key(&column.name), self.by_oid(column.of));
            return object(call.columns.iter().map(column).collect());
        }
        let of = self.catalogue.type_of(call.function.returns);
        let relation = of.and_then(|of| self.catalogue.relation(of.relation?));
        match relation.filter(|relation| relation.schema == schema) {
            Some(relation) => object(
                relation
                    .columns
                    .iter()
                    .map(|column| self.column(column))
                    .collect(),
            ),
            None => self.by_oid(call.function.returns),
        }
    }

    fn by_oid(&self, oid: i64) -> String {
        let of = self.catalogue.type_of(oid);
        of.map_or("unknown".to_owned(), |of| self.named(&of.schema, &of.name))
    }

    /// A type by its name, as it is meant within a schema.
    fn named(&self, schema: &str, name: &str) -> String {
        let plain = match name {
            "bool" => "boolean",
            "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" => "number",
            "bytea" | "bpchar" | "varchar" | "date" | "text" | "citext" | "time" | "timetz" | "timestamp"
            | "timestamptz" | "uuid" | "vector" | "interval" => "string",
            "json" | "jsonb" => "Json",
            "void" => "undefined",
            "record" => "Record<string, unknown>",
            _ => return self.made(schema, name),
        };
        plain.to_owned()
    }

    fn made(&self, schema: &str, name: &str) -> String {
        if let Some(element) = name.strip_prefix('_') {
            return format!("({})[]", self.named(schema, element));
        }
        let place = |of: &Type, kind: &str| {
            format!("Database[{}]['{kind}'][{}]", quoted(&of.schema), quoted(&of.name))
        };
        if let Some(of) = self.catalogue.enum_named(schema, name) {
            return if self.catalogue.shows(&of.schema) {
                place(of, "Enums")
            } else {
                union(&of.labels)
            };
        }
        if let Some(of) = self.catalogue.composite_named(schema, name) {
            let shown = self.catalogue.shows(&of.schema);
            return if shown {
                place(of, "CompositeTypes")
            } else {
                "unknown".to_owned()
            };
        }
        let row = self.row_of(schema, name);
        row.map_or("unknown".to_owned(), |row| format!("{row}['Row']"))
    }

    /// Where the relation of this name stands in the file.
    fn row_of(&self, schema: &str, name: &str) -> Option<String> {
        let relation = self.catalogue.relation_named(schema, name)?;
        let kind = if relation.is_view() { "Views" } else { "Tables" };
        Some(format!(
            "Database[{}]['{kind}'][{}]",
            quoted(&relation.schema),
            quoted(&relation.name)
        ))
    }

    fn constants(&mut self) {
        self.open("export const Constants = {");
        for schema in &self.catalogue.schemas {
            self.open(&format!("{}: {{", key(schema)));
            self.open("Enums: {");
            let enums: Vec<&Type> = self.enums(schema).collect();
            for of in enums {
                self.line(&format!("{}: {},", key(&of.name), as_json(&of.labels)));
            }
            self.close("},");
            self.close("},");
        }
        self.close("} as const");
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text can always be written as JSON")
}

/// The name of a property, in quotes where it needs them.
fn key(name: &str) -> String {
    let mut signs = name.chars();
    let first = signs
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '$'));
    if first && signs.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$')) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn union(labels: &[String]) -> String {
    labels
        .iter()
        .map(|label| quoted(label))
        .collect::<Vec<_>>()
        .join(" | ")
}

fn nullable(of: &str, nullable: bool) -> String {
    match of {
        "Json" if !nullable => "NonNullable<Json>".to_owned(),
        "unknown" => of.to_owned(),
        _ if nullable => format!("{of} | null"),
        _ => of.to_owned(),
    }
}
