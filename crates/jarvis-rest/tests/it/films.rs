//! Reading, changing and calling.

use crate::library::Library;
use axum::http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_read_selects_filters_orders_cuts_and_embeds() {
    let library = Library::open().await;
    let answer = library
        .get("/films?select=title,by:people!director(name),minutes:facts->length->minutes::int&year=gte.1960&order=year.desc&limit=2")
        .await;
    assert_eq!(
        answer.json(),
        json!([
            {"title": "Sans toit ni loi", "by": {"name": "Agnès"}, "minutes": null},
            {"title": "Playtime", "by": {"name": "Jacques"}, "minutes": 124}
        ])
    );
    assert_eq!(answer.header("content-range"), Some("0-1/*"));
    let many = library
        .get("/people?select=name,films!director(title)&films.year=lt.1970&order=id&films.order=title")
        .await;
    assert_eq!(
        many.json(),
        json!([
            {"name": "Agnès", "films": [{"title": "Cléo de 5 à 7"}]},
            {"name": "Jacques", "films": [{"title": "Playtime"}]},
            {"name": "Corinne", "films": []}
        ])
    );
    let cast = library
        .get("/films?select=title,cast:people!roles(name)&id=eq.1")
        .await;
    assert_eq!(
        cast.json(),
        json!([{"title": "Cléo de 5 à 7", "cast": [{"name": "Corinne"}]}])
    );
}

#[tokio::test]
async fn a_view_has_the_relationships_of_its_table() {
    let library = Library::open().await;
    let answer = library
        .get("/old_films?select=title,people!director(name)&order=id")
        .await;
    assert_eq!(
        answer.json()[0],
        json!({"title": "Cléo de 5 à 7", "people": {"name": "Agnès"}})
    );
}

#[tokio::test]
async fn computed_fields_aggregates_and_logic_work_together() {
    let library = Library::open().await;
    let answer = library
        .get("/films?select=initial&or=(initial.eq.P,and(year.gt.1980,tags.eq.{}))&order=id")
        .await;
    assert_eq!(answer.json(), json!([{"initial": "P"}, {"initial": "S"}]));
    let counted = library
        .get("/films?select=director,count(),year.max()&order=director")
        .await;
    assert_eq!(
        counted.json(),
        json!([{"director": 1, "count": 2, "max": 1985}, {"director": 2, "count": 1, "max": 1967}])
    );
    let tagged = library.get("/films?select=id&tags=cs.{\"time, real\"}").await;
    assert_eq!(tagged.json(), json!([{"id": 1}]));
}

#[tokio::test]
async fn vectors_leave_only_by_name() {
    let library = Library::open().await;
    let star = library.get("/films?id=eq.1").await.json();
    assert_eq!(star[0].get("likeness"), None, "{star}");
    assert!(star[0].get("facts").is_some());
    let embedded = library
        .get("/people?select=films!director(*)&id=eq.1")
        .await
        .json();
    assert_eq!(embedded[0]["films"][0].get("likeness"), None, "{embedded}");
    let called = library.get("/rpc/films_since?since=1960").await.json();
    assert_eq!(called[0].get("likeness"), None, "{called}");
    let written = library
        .send(
            "PATCH",
            "/films?id=eq.1",
            &[("prefer", "return=representation")],
            r#"{"year": 1962}"#,
        )
        .await
        .json();
    assert_eq!(written[0].get("likeness"), None, "{written}");
    let named = library.get("/films?select=likeness&id=eq.1").await.json();
    assert_eq!(named, json!([{"likeness": "[1,0,0]"}]));
}

#[tokio::test]
async fn rows_are_inserted_updated_merged_and_deleted() {
    let library = Library::open().await;
    let rows = [("prefer", "return=representation")];
    let made = library
        .send(
            "POST",
            "/films?select=id,title,people!director(name)",
            &rows,
            r#"[{"title": "Jour de fête", "director": 2, "year": 1949}]"#,
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        made.json(),
        json!([{"id": 4, "title": "Jour de fête", "people": {"name": "Jacques"}}])
    );
    let merge = [("prefer", "resolution=merge-duplicates,return=representation")];
    let merged = library
        .send(
            "POST",
            "/people?select=name",
            &merge,
            r#"{"id": 3, "name": "Corinne M."}"#,
        )
        .await;
    assert_eq!(
        (merged.status, merged.json()),
        (StatusCode::OK, json!([{"name": "Corinne M."}]))
    );
    let none = library
        .send("PATCH", "/films?id=eq.99", &[], r#"{"title": "x"}"#)
        .await;
    assert_eq!(
        (none.status, none.header("content-range")),
        (StatusCode::NO_CONTENT, Some("*/*"))
    );
    let gone = library
        .send("DELETE", "/films?id=eq.4&select=id", &rows, "")
        .await;
    assert_eq!((gone.status, gone.json()), (StatusCode::OK, json!([{"id": 4}])));
    let vector = library
        .send(
            "POST",
            "/films?select=likeness",
            &rows,
            r#"{"title": "n", "likeness": [0.5, 0, 1]}"#,
        )
        .await;
    assert_eq!(
        vector.json(),
        json!([{"likeness": "[0.5,0,1]"}]),
        "a JavaScript array becomes a vector"
    );
}

#[tokio::test]
async fn a_refused_row_says_why_in_postgres_words_and_changes_nothing() {
    let library = Library::open().await;
    let answer = library
        .send(
            "POST",
            "/films",
            &[],
            r#"[{"title": "a", "year": 1990}, {"title": "b", "year": 12}]"#,
        )
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::BAD_REQUEST, "23514")
    );
    let unknown = library.send("POST", "/films", &[], r#"{"titel": "a"}"#).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (StatusCode::BAD_REQUEST, "PGRST204")
    );
    assert_eq!(
        library.get("/films?select=count()").await.json(),
        json!([{"count": 3}])
    );
}

#[tokio::test]
async fn a_transaction_is_undone_when_the_caller_says_so() {
    let library = Library::open().await;
    let headers = [("prefer", "tx=rollback, return=representation")];
    let answer = library.send("DELETE", "/roles?film=eq.1", &headers, "").await;
    assert_eq!(
        answer.header("preference-applied"),
        Some("return=representation, tx=rollback")
    );
    assert_eq!(
        library.get("/roles?select=film&film=eq.1").await.json(),
        json!([{"film": 1}])
    );
}

#[tokio::test]
async fn functions_are_called_by_name_and_read_only_by_get() {
    let library = Library::open().await;
    assert_eq!(library.get("/rpc/add?a=1&b=2").await.text, "3");
    assert_eq!(
        library
            .send("POST", "/rpc/add", &[], r#"{"a": 1, "b": 41}"#)
            .await
            .text,
        "42"
    );
    let rows = library
        .get("/rpc/films_since?since=1960&select=title,people!director(name)&year=lt.1965")
        .await;
    assert_eq!(
        rows.json(),
        json!([{"title": "Cléo de 5 à 7", "people": {"name": "Agnès"}}])
    );
    let written = library.get("/rpc/rename?film=1&title=x").await;
    assert_eq!(
        (written.status, written.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "25006")
    );
    let posted = library
        .send("POST", "/rpc/rename", &[], r#"{"film": 1, "title": "Cléo"}"#)
        .await;
    assert_eq!(posted.status, StatusCode::NO_CONTENT);
    let missing = library.send("POST", "/rpc/add", &[], r#"{"a": 1, "c": 2}"#).await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (StatusCode::NOT_FOUND, "PGRST202")
    );
    assert_eq!(
        missing.json()["hint"],
        "Perhaps you meant to call the function library.add(a, b)"
    );
}

#[tokio::test]
async fn counts_ranges_and_single_objects_are_told_in_status_and_headers() {
    let library = Library::open().await;
    let ranged = library
        .send(
            "GET",
            "/films?select=id",
            &[("prefer", "count=exact"), ("range", "1-1")],
            "",
        )
        .await;
    assert_eq!(
        (ranged.status, ranged.header("content-range")),
        (StatusCode::PARTIAL_CONTENT, Some("1-1/3"))
    );
    let past = library
        .send("GET", "/films?offset=9", &[("prefer", "count=exact")], "")
        .await;
    assert_eq!(
        (past.status, past.code().as_str()),
        (StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103")
    );
    let single = [("accept", "application/vnd.pgrst.object+json")];
    let several = library.send("GET", "/films?select=id", &single, "").await;
    assert_eq!(
        (several.status, several.code().as_str()),
        (StatusCode::NOT_ACCEPTABLE, "PGRST116")
    );
    let one = library.send("GET", "/films?select=id&id=eq.2", &single, "").await;
    assert_eq!(one.json(), json!({"id": 2}));
    let csv = library
        .send(
            "GET",
            "/people?select=id,name&order=id&limit=2",
            &[("accept", "text/csv")],
            "",
        )
        .await;
    assert_eq!(csv.text, "id,name\n1,Agnès\n2,Jacques");
}

#[tokio::test]
async fn a_changed_schema_is_known_after_a_notification() {
    let library = Library::open().await;
    let following = tokio::spawn(library.rest.clone().follow());
    assert_eq!(library.get("/posters").await.code(), "PGRST205");
    library
        .sql("create table library.posters (id int); grant select on library.posters to anon")
        .await;
    let mut known = false;
    for _ in 0..100 {
        // Repeated, because the listener may not listen yet.
        library.sql("notify pgrst, 'reload schema'").await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        known = library.get("/posters").await.status == StatusCode::OK;
        if known {
            break;
        }
    }
    following.abort();
    // A connection that it was half-way through making would hold up the drop of the database for a minute.
    assert!(following.await.is_err_and(|ended| ended.is_cancelled()));
    assert!(known, "the notification was not heard");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_met_with_the_nearest() {
    let library = Library::open().await;
    let table = library.get("/film").await;
    assert_eq!(
        (table.status, table.code().as_str()),
        (StatusCode::NOT_FOUND, "PGRST205")
    );
    assert_eq!(
        table.json()["hint"],
        "Perhaps you meant the table 'library.films'"
    );
    let embed = library.get("/films?select=person(*)").await;
    assert_eq!(
        (embed.status, embed.code().as_str()),
        (StatusCode::BAD_REQUEST, "PGRST200")
    );
    let twice = library.get("/films?select=people(*),people(*)").await;
    assert_eq!(twice.status, StatusCode::MULTIPLE_CHOICES, "{twice:?}");
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let library = Library::open().await;
    let deep = library.get("/a/b/c").await;
    assert_eq!(
        (deep.status, deep.code().as_str()),
        (StatusCode::NOT_FOUND, "PGRST125")
    );
    let media = library
        .send("GET", "/films", &[("accept", "image/webp")], "")
        .await;
    assert_eq!(
        (media.status, media.code().as_str()),
        (StatusCode::NOT_ACCEPTABLE, "PGRST107")
    );
}
