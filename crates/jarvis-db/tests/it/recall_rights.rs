//! Who finds what by the search of the contract.

use crate::recall_sql::{LOCAL, literal, search, store, vector};
use crate::world::{
    ANONYMOUS, INACTIVE_A, MANAGER_A, MANAGER_AB, NO_CLAIMS, SERVER_A, SERVER_B, SERVER_NOWHERE, SERVICE,
    STAFF_A, SUPER, SYSTEM, World, become_, lines, one, refusal_code, run,
};

#[tokio::test]
async fn another_member_and_another_gym_are_never_found() {
    let world = World::new().await;
    let query = vector(7, 384);
    let mut tx = world.act_as(SERVER_A).await;
    store(&mut tx, "{a9}", "mine", LOCAL, &vector(8, 384)).await;
    run(
        &mut tx,
        "delete from public.conversation_summaries where member_id = {a1}",
    )
    .await;
    store(&mut tx, "{a1}", "neighbour", LOCAL, &query).await;
    run(
        &mut tx,
        "update public.conversation_summaries set tells_health = false",
    )
    .await;
    become_(&mut tx, SERVER_B).await;
    store(&mut tx, "{b9}", "stranger", LOCAL, &query).await;
    for persona in [SERVER_A, MANAGER_A, STAFF_A] {
        become_(&mut tx, persona).await;
        assert_eq!(search(&mut tx, &query, "{a9}", ", 0, 100").await, ["mine"]);
        assert_eq!(
            search(&mut tx, &query, "{b9}", ", 0, 100").await,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn what_a_summary_tells_about_health_never_reaches_staff_by_any_road() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let query = vector(7, 384);
    for (session, tells_health) in [("pain", true), ("plain", false)] {
        store(&mut tx, "{a9}", session, LOCAL, &query).await;
        run(
            &mut tx,
            &format!(
                "update public.conversation_summaries set summary_text = 'Genou {session}', tells_health = {tells_health}
                  where session_id = '{session}'"
            ),
        )
        .await;
    }
    let roads = [
        "select session_id from public.conversation_summaries where member_id = {a9} order by 1",
        "select session_id from jarvis.recall_text({A}, {a9}, 'genou') order by 1",
        "select c.session_id from jarvis.summary_vectors v join public.conversation_summaries c on c.id = v.summary_id
          where v.member_id = {a9} order by 1",
    ];
    let vectors = "select count(*) from jarvis.summary_vectors where member_id = {a9}";
    for (persona, seen) in [
        (SERVER_A, &["pain", "plain"][..]),
        (MANAGER_A, &["pain", "plain"]),
        (SUPER, &["pain", "plain"]),
        (STAFF_A, &["plain"]),
    ] {
        become_(&mut tx, persona).await;
        for road in roads {
            assert_eq!(lines(&mut tx, road).await, seen, "{persona:?}: {road}");
        }
        let mut near = search(&mut tx, &query, "{a9}", ", 0, 100").await;
        near.sort();
        assert_eq!(near, seen, "{persona:?}");
        assert_eq!(
            one::<i64>(&mut tx, vectors).await,
            i64::try_from(seen.len()).unwrap()
        );
    }
}

/// The search looks rights up itself: whoever asks, it finds what the policies of its tables let them read, no more and no less.
#[tokio::test]
async fn everybody_finds_exactly_the_vectors_they_may_read() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let query = vector(7, 384);
    for session in ["plain", "pain"] {
        store(&mut tx, "{a9}", session, LOCAL, &query).await;
    }
    run(
        &mut tx,
        "update public.conversation_summaries set tells_health = session_id = 'pain' where member_id = {a9}",
    )
    .await;
    become_(&mut tx, SERVER_B).await;
    store(&mut tx, "{b9}", "stranger", LOCAL, &query).await;
    let mut found_by = Vec::new();
    for persona in [
        STAFF_A,
        MANAGER_A,
        MANAGER_AB,
        INACTIVE_A,
        SUPER,
        NO_CLAIMS,
        SERVER_A,
        SERVER_B,
        SERVER_NOWHERE,
    ] {
        become_(&mut tx, persona).await;
        let mut of_all = 0;
        for member in ["{a9}", "{b9}"] {
            let readable = format!(
                "select summary_id::text from jarvis.summary_vectors where member_id = {member} order by 1"
            );
            let query = literal(&query);
            let found = format!(
                "select id::text from public.match_conversation_summaries({query}, {member}, 0, 100) order by 1"
            );
            let found = lines(&mut tx, &found).await;
            assert_eq!(found, lines(&mut tx, &readable).await, "{persona:?} {member}");
            of_all += found.len();
        }
        found_by.push(of_all);
    }
    assert_eq!(found_by, [1, 2, 3, 0, 3, 0, 2, 1, 0]);
    let any = format!(
        "select count(*) from public.match_conversation_summaries({}, {{a9}}, 0, 100)",
        literal(&query)
    );
    become_(&mut tx, SERVICE).await;
    assert_eq!(one::<i64>(&mut tx, &any).await, 2, "above policies");
    for persona in [ANONYMOUS, SYSTEM] {
        become_(&mut tx, persona).await;
        assert_eq!(refusal_code(&mut tx, &any).await, "42501", "{persona:?}");
    }
}
