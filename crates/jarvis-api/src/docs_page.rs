//! The OpenAPI document as one page of HTML: no script, no font, nothing from elsewhere.

use jarvis_core::{ErrorCode, Language};
use serde_json::Value;
use std::fmt::Write as _;

/// What the page may load: its own style, and nothing else.
pub(crate) const STYLE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;\
color:#1a1a1a;background:#fff}h1,h2,h3{line-height:1.2}h2{border-bottom:1px solid #ccc;margin-top:2.5rem}\
code,pre{font-family:ui-monospace,monospace;font-size:.9em;background:#f3f3f3;border-radius:3px;padding:.1em .3em}\
table{border-collapse:collapse;width:100%;margin:.5rem 0}th,td{text-align:left;vertical-align:top;\
padding:.3rem .6rem;border-bottom:1px solid #ddd}details{margin:.5rem 0;padding:.5rem;border:1px solid #ccc;\
border-radius:4px}summary{cursor:pointer;font-weight:600}.m{display:inline-block;min-width:3.5em;color:#00529b}\
@media (prefers-color-scheme:dark){body{color:#eee;background:#181818}code,pre{background:#2a2a2a}\
th,td,details,h2{border-color:#444}a,.m{color:#8ec5ff}}";

/// Words of the page itself.
struct Words {
    errors: &'static str,
    schemas: &'static str,
    parameters: &'static str,
    body: &'static str,
    answers: &'static str,
    fields: [&'static str; 3],
    error_columns: [&'static str; 4],
    required: &'static str,
    machine: &'static str,
    callers: &'static str,
}

const FR: Words = Words {
    errors: "Erreurs",
    schemas: "Schémas",
    parameters: "Paramètres",
    body: "Corps de la requête",
    answers: "Réponses",
    fields: ["Champ", "Type", "Description"],
    error_columns: ["Code", "Statut", "Signification", "Que faire"],
    required: "obligatoire",
    machine: "Le document lisible par une machine :",
    callers: "Jeton requis :",
};

const EN: Words = Words {
    errors: "Errors",
    schemas: "Schemas",
    parameters: "Parameters",
    body: "Request body",
    answers: "Responses",
    fields: ["Field", "Type", "Description"],
    error_columns: ["Code", "Status", "Meaning", "What to do"],
    required: "required",
    machine: "The document for machines:",
    callers: "Token needed:",
};

/// Renders the page.
pub(crate) fn render(document: &Value, language: Language) -> String {
    let words = if language == Language::Fr { &FR } else { &EN };
    let title = text(&document["info"]["title"]);
    let version = text(&document["info"]["version"]);
    let mut page = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} API</title><style>{STYLE}</style></head><body>\
         <h1>{title} API {version}</h1>{}<p>{} <a href=\"/api/v1/openapi.json\"><code>/api/v1/openapi.json</code></a></p>",
        prose(&document["info"]["description"]),
        words.machine,
    );
    for tag in list(&document["tags"]) {
        push(&mut page, format_args!("<h2>{}</h2>", text(&tag["description"])));
        for (path, method, operation) in operations(document) {
            if list(&operation["tags"]).contains(&tag["name"]) {
                operation_section(&mut page, path, method, operation, words);
            }
        }
    }
    errors_section(&mut page, language, words);
    schemas_section(&mut page, document, words);
    page.push_str("</body></html>");
    page
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let item = item.as_object().into_iter().flatten();
        item.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn operation_section(page: &mut String, path: &str, method: &str, operation: &Value, words: &Words) {
    push(
        page,
        format_args!(
            "<details id=\"{}\"><summary><span class=\"m\">{}</span> <code>{}</code> {}</summary>{}",
            text(&operation["operationId"]),
            method.to_uppercase(),
            escape(path),
            text(&operation["summary"]),
            prose(&operation["description"]),
        ),
    );
    let callers: Vec<&str> = list(&operation["security"])
        .iter()
        .filter_map(|s| s.as_object()?.keys().next().map(String::as_str))
        .collect();
    if !callers.is_empty() {
        push(
            page,
            format_args!(
                "<p>{} <code>{}</code></p>",
                words.callers,
                callers.join("</code>, <code>")
            ),
        );
    }
    if !list(&operation["parameters"]).is_empty() {
        push(page, format_args!("<h4>{}</h4>", words.parameters));
        let rows = list(&operation["parameters"]).iter().map(|p| {
            let required = p["required"].as_bool().unwrap_or(false);
            (
                text(&p["name"]),
                kind_of(&p["schema"]),
                required,
                prose(&p["description"]),
            )
        });
        fields_table(page, rows, words);
    }
    if operation["requestBody"].is_object() {
        push(page, format_args!("<h4>{}</h4>", words.body));
        contents(page, &operation["requestBody"]["content"]);
    }
    push(page, format_args!("<h4>{}</h4>", words.answers));
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        push(
            page,
            format_args!(
                "<p><b>{}</b></p>{}",
                escape(status),
                prose(&response["description"])
            ),
        );
        contents(page, &response["content"]);
    }
    page.push_str("</details>");
}

fn contents(page: &mut String, content: &Value) {
    for (media, body) in content.as_object().into_iter().flatten() {
        push(
            page,
            format_args!(
                "<p><code>{}</code> {}</p>",
                escape(media),
                kind_of(&body["schema"])
            ),
        );
    }
}

fn fields_table(
    page: &mut String,
    rows: impl Iterator<Item = (String, String, bool, String)>,
    words: &Words,
) {
    let [name, kind, what] = words.fields;
    push(
        page,
        format_args!("<table><tr><th>{name}</th><th>{kind}</th><th>{what}</th></tr>"),
    );
    for (name, kind, required, what) in rows {
        let mark = if required {
            format!(" <i>{}</i>", words.required)
        } else {
            String::new()
        };
        push(
            page,
            format_args!("<tr><td><code>{name}</code>{mark}</td><td>{kind}</td><td>{what}</td></tr>"),
        );
    }
    page.push_str("</table>");
}

fn errors_section(page: &mut String, language: Language, words: &Words) {
    let [code, status, meaning, hint] = words.error_columns;
    push(
        page,
        format_args!(
            "<h2>{}</h2><table><tr><th>{code}</th><th>{status}</th><th>{meaning}</th><th>{hint}</th></tr>",
            words.errors
        ),
    );
    for error in ErrorCode::ALL {
        push(
            page,
            format_args!(
                "<tr id=\"{0}\"><td><code>{0}</code></td><td>{1}</td><td>{2}</td><td>{3}</td></tr>",
                error.as_str(),
                error.status(),
                escape(error.title(language)),
                escape(error.hint(language)),
            ),
        );
    }
    page.push_str("</table>");
}

fn schemas_section(page: &mut String, document: &Value, words: &Words) {
    push(page, format_args!("<h2>{}</h2>", words.schemas));
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
    {
        push(
            page,
            format_args!(
                "<h3 id=\"schema-{0}\">{0}</h3>{1}",
                escape(name),
                prose(&schema["description"])
            ),
        );
        let Some(properties) = schema["properties"].as_object() else {
            push(page, format_args!("<p>{}</p>", kind_of(schema)));
            continue;
        };
        let required = list(&schema["required"]);
        let rows = properties.iter().map(|(field, property)| {
            let must = required.iter().any(|r| r == field.as_str());
            (
                escape(field),
                kind_of(property),
                must,
                prose(description_of(property)),
            )
        });
        fields_table(page, rows, words);
    }
}

/// The description of a field; an optional word carries it beside its reference.
fn description_of(property: &Value) -> &Value {
    let own = &property["description"];
    let variants = list(&property["oneOf"])
        .iter()
        .map(|variant| &variant["description"]);
    std::iter::once(own)
        .chain(variants)
        .find(|text| text.is_string())
        .unwrap_or(own)
}

/// The type of a schema in a few words, with links.
fn kind_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf"] {
        let kinds: Vec<String> = list(&schema[several]).iter().map(kind_of).collect();
        if !kinds.is_empty() {
            return kinds.join(" | ");
        }
    }
    if schema["items"].is_object() {
        return format!("[{}]", kind_of(&schema["items"]));
    }
    if !list(&schema["enum"]).is_empty() {
        let values: Vec<String> = list(&schema["enum"])
            .iter()
            .map(|v| format!("<code>{}</code>", text(v)))
            .collect();
        return values.join(" ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" | "),
        one => text(one),
    };
    match schema["format"].as_str() {
        Some(format) => format!("{kind} ({})", escape(format)),
        None => kind,
    }
}

/// Paragraphs and `code` of a description.
fn prose(description: &Value) -> String {
    let Some(description) = description.as_str() else {
        return String::new();
    };
    let mut html = String::new();
    for paragraph in description.split("\n\n") {
        html.push_str("<p>");
        for (index, part) in paragraph.split('`').enumerate() {
            let part = escape(part);
            if index % 2 == 1 {
                push(&mut html, format_args!("<code>{part}</code>"));
            } else {
                html.push_str(&part);
            }
        }
        html.push_str("</p>");
    }
    html
}

fn push(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    page.write_fmt(arguments)
        .expect("writing to a String cannot fail");
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_operation_every_schema_and_every_error_in_both_languages() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        for (language, word) in [(Language::Fr, "Que faire"), (Language::En, "What to do")] {
            let page = render(&document, language);
            assert!(page.contains(word));
            for (_, _, operation) in operations(&document) {
                assert!(page.contains(&format!(
                    "<details id=\"{}\"",
                    operation["operationId"].as_str().unwrap()
                )));
            }
            for code in ErrorCode::ALL {
                assert!(page.contains(&format!("<tr id=\"{}\"", code.as_str())));
            }
            for link in page.split("href=\"#").skip(1) {
                let anchor = link.split('"').next().unwrap();
                assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
            }
            assert!(
                !page.contains("<script") && !page.contains("src="),
                "nothing is loaded"
            );
        }
    }

    #[test]
    fn what_comes_from_the_document_cannot_leave_its_place() {
        assert_eq!(
            prose(&Value::from("a <b> & `c<d`")),
            "<p>a &lt;b&gt; &amp; <code>c&lt;d</code></p>"
        );
    }
}
