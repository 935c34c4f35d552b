//! Who may do what: every persona, every table, every verb, measured and compared with the committed table.

use crate::world::World;

async fn matrix() -> Vec<String> {
    let world = World::with_matrix().await;
    sqlx::query_scalar("select line from world.matrix()")
        .fetch_all(world.db.admin_pool())
        .await
        .unwrap()
}

fn lines_of<'a>(matrix: &'a [String], persona: &str) -> Vec<&'a str> {
    let lines: Vec<&str> = matrix
        .iter()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.split("  ").next() == Some(persona))
        .collect();
    assert!(lines.len() >= 24, "{persona} is asked about every table");
    lines
}

#[tokio::test]
async fn what_each_persona_may_do_on_each_table_is_what_we_committed() {
    insta::assert_snapshot!("matrix", matrix().await.join("\n"));
}

#[tokio::test]
async fn nobody_without_an_identity_sees_or_changes_anything() {
    let matrix = matrix().await;
    for line in lines_of(&matrix, "anonymous") {
        assert_eq!(line.matches("denied").count(), 5, "{line}");
    }
    for persona in ["no claims", "stranger", "inactive manager", "no claims, gym A"] {
        for line in lines_of(&matrix, persona) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let rows = words
                .iter()
                .filter(|word| word.parse::<u32>().is_ok_and(|n| n > 0))
                .count();
            assert_eq!(rows, 0, "{persona} reached rows: {line}");
            assert!(!line.contains("insert A 1"), "{line}");
        }
    }
}

#[tokio::test]
async fn every_table_of_ours_is_in_the_matrix() {
    let world = World::with_matrix().await;
    let missing: Vec<String> = sqlx::query_scalar(
        "select format('%s.%s', n.nspname, c.relname)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'v', 'm') and n.nspname in ('public', 'jarvis', 'auth')
            and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
         except select tab from world.probes",
    )
    .fetch_all(world.db.admin_pool())
    .await
    .unwrap();
    assert_eq!(missing, Vec::<String>::new());
}
