//! The schema described as OpenAPI 2.0 (Swagger), as PostgREST 16 does at its root.

mod functions;
mod relations;
mod swagger;

use crate::cache::{Loaded, Routine, Table};
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

/// What a role may use, by the numbers of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Tables and views.
    pub relations: HashSet<i64>,
    /// Functions.
    pub functions: HashSet<i64>,
}

/// What relations and functions answer with, and may be sent.
const KINDS: [&str; 4] = [
    "application/json",
    "application/vnd.pgrst.object+json;nulls=stripped",
    "application/vnd.pgrst.object+json",
    "text/csv",
];

/// Describes a schema: what is within reach, or everything that is exposed. `asked` is the path the caller used.
///
/// Host and scheme stand in it only where the settings name them: without them a client takes those it asked.
pub fn document(loaded: &Loaded, schema: &str, reach: Option<&Reach>, asked: &str) -> Value {
    let (cache, settings) = (&loaded.cache, &loaded.settings);
    let tables: BTreeMap<&str, &Table> = cache
        .tables
        .values()
        .filter(|table| table.name.schema == schema)
        .filter(|table| reach.is_none_or(|reach| reach.relations.contains(&table.oid)))
        .map(|table| (table.name.name.as_str(), table))
        .collect();
    let routines = cache
        .routines
        .values()
        .flatten()
        .filter(|routine| routine.name.schema == schema)
        .filter(|routine| reach.is_none_or(|reach| reach.functions.contains(&routine.oid)));
    // A path stands for all functions of a name; it shows the one with the most arguments.
    let routines: BTreeMap<&str, &Routine> = routines
        .map(|routine| (routine.name.name.as_str(), routine))
        .collect();

    let mut paths = Map::new();
    paths.insert("/".to_owned(), root());
    let mut definitions = Map::new();
    let mut parameters = relations::shared_parameters();
    for (name, table) in &tables {
        paths.insert(format!("/{name}"), relations::path(table));
        definitions.insert((*name).to_owned(), relations::definition(table, cache, settings));
        parameters.extend(relations::parameters(table));
    }
    for (name, routine) in &routines {
        paths.insert(format!("/rpc/{name}"), functions::path(routine));
    }

    let comment = cache.descriptions.get(schema).map(String::as_str);
    let (title, about) = comment.map_or((None, None), swagger::headline);
    let mut document = json!({
        "swagger": "2.0",
        "info": {
            "version": env!("CARGO_PKG_VERSION"),
            "title": title.unwrap_or("PostgREST API"),
            "description": about.unwrap_or("What this schema holds, in the language of PostgREST"),
        },
        "basePath": if asked.len() > 1 { asked.trim_end_matches('/') } else { "/" },
        "consumes": KINDS,
        "produces": KINDS,
        "paths": paths,
        "definitions": definitions,
        "parameters": parameters,
        "externalDocs": {
            "description": "PostgREST Documentation",
            "url": "https://postgrest.org/en/v16/references/api.html",
        },
    });
    add_place(&mut document, settings);
    if settings.openapi_security {
        document["securityDefinitions"] = json!({"JWT": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "Add the token prepending \"Bearer \" (without quotes) to it",
        }});
        document["security"] = json!([{"JWT": []}]);
    }
    document
}

fn add_place(document: &mut Value, settings: &Settings) {
    let Some(proxy) = &settings.openapi_proxy else {
        return;
    };
    let scheme = proxy.scheme_str().unwrap_or("http");
    let port = proxy
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    document["schemes"] = json!([scheme]);
    document["host"] = json!(format!("{}:{port}", proxy.host().unwrap_or_default()));
    document["basePath"] = json!(proxy.path());
}

fn root() -> Value {
    json!({"get": {
        "tags": ["Introspection"],
        "summary": "OpenAPI description (this document)",
        "produces": ["application/openapi+json", "application/json"],
        "responses": {"200": {"description": "OK"}},
    }})
}
