//! Every column is accounted for: what it is, how long it is kept, whether it is exported, how it is erased.

use crate::world::{World, lines, run};

const UNMAPPED: &str = "select format('%s.%s.%s', n.nspname, c.relname, a.attname)
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'jarvis', 'auth') and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
      and not exists (select from jarvis.data_map m
                       where (m.schema_name, m.table_name, m.column_name) = (n.nspname, c.relname, a.attname))
    order by 1";

#[tokio::test]
async fn every_column_is_on_the_data_map() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    assert_eq!(lines(&mut tx, UNMAPPED).await, Vec::<String>::new());
    run(
        &mut tx,
        "alter table public.gyms add column surprise text; create table jarvis.surprise (id int)",
    )
    .await;
    assert_eq!(
        lines(&mut tx, UNMAPPED).await,
        ["jarvis.surprise.id", "public.gyms.surprise"]
    );
}

#[tokio::test]
async fn the_data_map_names_nothing_that_does_not_exist() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let ghosts = lines(
        &mut tx,
        "select format('%s.%s.%s', schema_name, table_name, column_name) from jarvis.data_map
          where not exists (select from information_schema.columns c
                             where (c.table_schema, c.table_name, c.column_name) = (data_map.schema_name, data_map.table_name, data_map.column_name))",
    )
    .await;
    assert_eq!(ghosts, Vec::<String>::new());
}

#[tokio::test]
async fn what_belongs_to_a_member_is_erased_with_them_and_is_not_called_public() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let careless = lines(
        &mut tx,
        "select distinct format('%s.%s', m.schema_name, m.table_name) from jarvis.data_map m
          where exists (select from jarvis.data_map k
                         where (k.schema_name, k.table_name) = (m.schema_name, m.table_name) and k.column_name = 'member_id')
            and (m.class = 'public' or m.erased_how not like '%membre%')",
    )
    .await;
    assert_eq!(careless, Vec::<String>::new());
    let words = lines(
        &mut tx,
        "select format('%s.%s', table_name, column_name) from jarvis.data_map
          where column_name in ('transcript', 'source_quote', 'fact_value', 'summary_text', 'embedding', 'emb')
            and class <> 'health'",
    )
    .await;
    assert_eq!(words, Vec::<String>::new());
}

#[tokio::test]
async fn every_table_and_column_says_what_it_is() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let silent = lines(
        &mut tx,
        "select format('%s.%s%s', n.nspname, c.relname, '.' || a.attname)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          where n.nspname in ('public', 'jarvis', 'auth') and c.relkind in ('r', 'p', 'v')
            and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
            and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)",
    )
    .await;
    assert_eq!(silent, Vec::<String>::new());
    let silent = lines(
        &mut tx,
        "select f.oid::regprocedure::text from pg_proc f
          where f.pronamespace in ('public'::regnamespace, 'jarvis'::regnamespace)
            and not exists (select from pg_depend d where d.objid = f.oid and d.deptype = 'e')
            and obj_description(f.oid, 'pg_proc') is null",
    )
    .await;
    assert_eq!(silent, Vec::<String>::new());
}
