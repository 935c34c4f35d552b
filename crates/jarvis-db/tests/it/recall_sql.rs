//! The search function of the contract: exact, calibrated, one member's rows only.

use crate::world::{MANAGER_A, SERVER_A, STAFF_A, World, become_, lines, one, refusal_code, run};
use sqlx::PgConnection;

/// Vectors of 1536 numbers from a fixed seed, of which the first `spread` dimensions differ from zero.
pub(crate) fn vector(seed: u64, spread: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut numbers: Vec<f32> = (0..spread)
        .map(|_| {
            // xorshift64, Marsaglia 2003
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f32::from(u16::try_from(state >> 48).expect("16 bits are left")) / 65_536.0 - 0.5
        })
        .collect();
    let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    for number in &mut numbers {
        *number /= length;
    }
    numbers.resize(1536, 0.0);
    numbers
}

pub(crate) fn literal(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(ToString::to_string).collect();
    format!("'[{}]'::extensions.vector", numbers.join(","))
}

pub(crate) async fn store(
    connection: &mut PgConnection,
    member: &str,
    session: &str,
    model: &str,
    vector: &[f32],
) {
    let vector = literal(vector);
    run(
        connection,
        &format!(
            "insert into public.conversation_summaries (session_id, member_id, summary_text, embedding, embedding_model)
             values ('{session}', {member}, '{session}', {vector}, '{model}')"
        ),
    )
    .await;
}

pub(crate) async fn search(
    connection: &mut PgConnection,
    query: &[f32],
    member: &str,
    rest: &str,
) -> Vec<String> {
    let query = literal(query);
    lines(
        connection,
        &format!("select session_id from public.match_conversation_summaries({query}, {member}{rest})"),
    )
    .await
}

pub(crate) const LOCAL: &str = "e5-use-multilingual";

#[tokio::test]
async fn the_order_is_that_of_brute_force() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let stored: Vec<Vec<f32>> = (0..200).map(|n| vector(n + 1, 384)).collect();
    for (n, v) in stored.iter().enumerate() {
        store(&mut tx, "{a9}", &format!("n{n}"), LOCAL, v).await;
    }
    for seed in 1000..1010 {
        let query = vector(seed, 384);
        let mut expected: Vec<(f32, String)> = stored
            .iter()
            .enumerate()
            .map(|(n, v)| (v.iter().zip(&query).map(|(a, b)| a * b).sum(), format!("n{n}")))
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = search(&mut tx, &query, "{a9}", ", 0, 200").await;
        assert_eq!(found.len(), 200);
        for (rank, session) in found.iter().enumerate() {
            let similarity = expected
                .iter()
                .find(|(_, s)| s == session)
                .map(|(c, _)| *c)
                .expect("stored");
            // Half precision may swap neighbours that differ by less than 1e-3.
            assert!((similarity - expected[rank].0).abs() < 1e-3, "rank {rank}");
        }
    }
}

#[tokio::test]
async fn similarity_is_calibrated_and_the_threshold_cuts_it() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let (near, far) = (vector(1, 2), vector(2, 2));
    store(&mut tx, "{a9}", "near", LOCAL, &near).await;
    store(&mut tx, "{a9}", "far", LOCAL, &far).await;
    let query = literal(&near);
    let same: f64 = one(
        &mut tx,
        &format!("select similarity from public.match_conversation_summaries({query}, {{a9}}) limit 1"),
    )
    .await;
    run(&mut tx, "reset role").await;
    let (a, c): (f64, f64) = sqlx::query_as("select a, c from jarvis.embedding_models where model = $1")
        .bind(LOCAL)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert!(
        (same - 1.0 / (1.0 + (-a * (1.0 - c)).exp())).abs() < 1e-6,
        "{same}"
    );

    become_(&mut tx, SERVER_A).await;
    let cosine: f32 = near.iter().zip(&far).map(|(x, y)| x * y).sum();
    let far_similarity = 1.0 / (1.0 + (-a * (f64::from(cosine) - c)).exp());
    for (threshold, expected) in [(far_similarity - 1e-3, 2), (far_similarity + 1e-3, 1)] {
        if (0.0..=1.0).contains(&threshold) {
            assert_eq!(
                search(&mut tx, &near, "{a9}", &format!(", {threshold}"))
                    .await
                    .len(),
                expected
            );
        }
    }
    assert_eq!(
        search(&mut tx, &near, "{a9}", ", 1.01").await,
        Vec::<String>::new()
    );
    assert_eq!(search(&mut tx, &near, "{a9}", ", -1, 1").await, ["near"]);
    assert_eq!(
        search(&mut tx, &near, "{a9}", ", -1, 0").await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_guides_defaults_hold() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for n in 0..8 {
        store(&mut tx, "{a9}", &format!("n{n}"), LOCAL, &vector(1, 2)).await;
    }
    assert_eq!(
        search(&mut tx, &vector(1, 2), "{a9}", "").await.len(),
        5,
        "match_count is 5 by default"
    );
    let signature: String = one(
        &mut tx,
        "select pg_get_function_arguments('public.match_conversation_summaries'::regproc)",
    )
    .await;
    assert!(
        signature.contains("query_embedding") && signature.contains("filter_member_id uuid"),
        "{signature}"
    );
    assert!(
        signature.contains("match_threshold double precision DEFAULT 0.7"),
        "{signature}"
    );
    assert!(signature.contains("match_count integer DEFAULT 5"), "{signature}");
}

#[tokio::test]
async fn only_vectors_of_the_gyms_own_model_are_compared() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let query = vector(3, 384);
    store(&mut tx, "{a9}", "e5", LOCAL, &query).await;
    store(&mut tx, "{a9}", "openai", "text-embedding-3-small", &query).await;
    store(&mut tx, "{a9}", "somebody", "unknown", &query).await;
    assert_eq!(search(&mut tx, &query, "{a9}", "").await, ["e5"]);
    run(
        &mut tx,
        "update public.gyms set embedding_model = 'text-embedding-3-small'",
    )
    .await;
    assert_eq!(search(&mut tx, &query, "{a9}", "").await, ["openai"]);
    run(
        &mut tx,
        "update public.gyms set embedding_model = 'never heard of'",
    )
    .await;
    assert_eq!(search(&mut tx, &query, "{a9}", "").await, Vec::<String>::new());
}

#[tokio::test]
async fn the_side_table_follows_its_summaries() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let held = "select count(*) from jarvis.summary_vectors where member_id = {a9}";
    store(&mut tx, "{a9}", "one", "unknown", &vector(1, 2)).await;
    assert_eq!(one::<i64>(&mut tx, held).await, 0);
    let reembed = format!(
        "update public.conversation_summaries set embedding = {}, embedding_model = '{LOCAL}' where session_id = 'one'",
        literal(&vector(2, 384))
    );
    run(&mut tx, &reembed).await;
    assert_eq!(search(&mut tx, &vector(2, 384), "{a9}", "").await, ["one"]);
    run(
        &mut tx,
        "update public.conversation_summaries set embedding = null where session_id = 'one'",
    )
    .await;
    assert_eq!(one::<i64>(&mut tx, held).await, 0);
    run(&mut tx, &reembed).await;
    run(
        &mut tx,
        "delete from public.conversation_summaries where session_id = 'one'",
    )
    .await;
    assert_eq!(one::<i64>(&mut tx, held).await, 0);
}

#[tokio::test]
async fn questions_without_a_sense_get_no_answer_or_a_clear_one() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    store(&mut tx, "{a9}", "zero", LOCAL, &vec![0.0; 1536]).await;
    store(&mut tx, "{a9}", "real", LOCAL, &vector(1, 2)).await;
    assert_eq!(
        search(&mut tx, &vector(1, 2), "{a9}", ", 0").await,
        ["real"],
        "a null vector is near nothing"
    );
    assert_eq!(
        search(&mut tx, &vec![0.0; 1536], "{a9}", ", 0").await,
        Vec::<String>::new()
    );
    let nothing = "select count(*) from public.match_conversation_summaries(null, {a9}, 0)";
    assert_eq!(one::<i64>(&mut tx, nothing).await, 0);
    let short = "select * from public.match_conversation_summaries('[1,2,3]'::extensions.vector, {a9}, 0)";
    assert_eq!(refusal_code(&mut tx, short).await, "22000");
}

#[tokio::test]
async fn words_find_summaries_without_accents_and_best_first() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (session, text, language) in [
        (
            "fr1",
            "Il s''entraîne le matin pour préparer un marathon, marathon en avril.",
            "fr",
        ),
        ("fr2", "Un marathon un jour, peut-être.", "fr"),
        ("fr3", "Elle préfère les machines.", "fr"),
        ("en1", "She trains for a marathon.", "en"),
        ("de1", "Er trainiert für den Marathon.", "de"),
    ] {
        run(
            &mut tx,
            &format!(
                "insert into public.conversation_summaries (session_id, member_id, summary_text, language)
                 values ('{session}', {{a9}}, '{text}', '{language}')"
            ),
        )
        .await;
    }
    let recall = |query: &str, language: &str| {
        format!("select session_id from jarvis.recall_text({{A}}, {{a9}}, '{query}', '{language}', 3)")
    };
    assert_eq!(lines(&mut tx, &recall("entrainement", "fr")).await, ["fr1"]);
    assert_eq!(lines(&mut tx, &recall("PREFERE", "fr")).await, ["fr3"]);
    let marathons = lines(&mut tx, &recall("un marathon", "fr")).await;
    assert_eq!(marathons.len(), 3);
    assert_eq!(marathons[0], "fr1");
    assert_eq!(
        lines(&mut tx, &recall("| & ! :* <->", "fr")).await,
        Vec::<String>::new()
    );
    assert_eq!(lines(&mut tx, &recall("", "fr")).await, Vec::<String>::new());
    let best = "select similarity from jarvis.recall_text({A}, {a9}, 'marathon') limit 1";
    assert!((one::<f64>(&mut tx, best).await - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_members_search_reads_no_other_members_vectors() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name)
           select {A}, 'X' || n, 'x', 'x' from generate_series(1, 300) n;
         insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
           select gym_id, id, 'memory', true, 'import' from public.gym_members_v2 where badge_id like 'X%';
         insert into public.conversation_summaries (gym_id, member_id, session_id, summary_text, embedding, embedding_model)
           select gym_id, id, 'x' || badge_id, 'x', s.embedding, 'e5-use-multilingual'
             from public.gym_members_v2,
                  (select embedding from public.conversation_summaries where session_id = 'session-a1') s
            where badge_id like 'X%';
         analyze jarvis.summary_vectors; analyze public.conversation_summaries",
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    let plan = lines(
        &mut tx,
        "explain (costs off) select v.summary_id from jarvis.summary_vectors v
          where v.member_id = {a1} and v.gym_id = {A} and v.model = 'e5-use-multilingual'",
    )
    .await
    .join("\n");
    assert!(
        plan.contains("summary_vectors_member") && !plan.contains("Seq Scan"),
        "{plan}"
    );
}

/// Kind, words or session of what the fused function finds for a question without a vector.
fn fused(member: &str, question: &str) -> String {
    format!(
        "select concat_ws(': ', kind, coalesce(said, session_id))
           from jarvis.recall_memory({{A}}, {member}, '{question}', '{{}}', null, true, true, 1, 0.02, 0.2, 4, 5) where words > 0"
    )
}

#[tokio::test]
async fn turns_and_summaries_are_found_by_their_words_in_one_call() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let found = lines(&mut tx, &fused("{a1}", "genou")).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(|f| f.starts_with("turn: J'ai mal au genou")),
        "{found:?}"
    );
    assert!(found.iter().any(|f| f == "summary: session-a1"), "{found:?}");
    for nothing in ["parapluie", "", "| & ! :* <->", "le la les"] {
        assert_eq!(
            lines(&mut tx, &fused("{a1}", nothing)).await,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn turns_are_a_managers_to_read_and_nobodys_of_another_gym() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    assert_eq!(lines(&mut tx, &fused("{a1}", "genou")).await.len(), 2);
    become_(&mut tx, STAFF_A).await;
    assert_eq!(
        lines(&mut tx, &fused("{a1}", "genou")).await,
        Vec::<String>::new()
    );
    become_(&mut tx, crate::world::SERVER_B).await;
    assert_eq!(
        lines(&mut tx, &fused("{a1}", "genou")).await,
        Vec::<String>::new()
    );
    // The member of one gym under the name of another.
    become_(&mut tx, SERVER_A).await;
    assert_eq!(
        lines(&mut tx, &fused("{b1}", "genou")).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn without_consent_to_health_no_turn_that_tells_of_it_is_found() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let turns =
        "select count(*) from jarvis.recall_memory({A}, {a1}, 'genou', '{}', null, true, false, 1, 0.02, 0.2, 4, 5)
                  where kind = 'turn'";
    assert_eq!(one::<i64>(&mut tx, turns).await, 0);
    run(
        &mut tx,
        "update jarvis.memory_windows set tells_health = false where member_id = {a1}",
    )
    .await;
    assert_eq!(one::<i64>(&mut tx, turns).await, 1);
}

/// Summaries of one member: two with vectors of the gym's model, one with another's.
async fn near_and_far(tx: &mut PgConnection) -> String {
    let (near, far) = (vector(1, 2), vector(2, 2));
    store(tx, "{a9}", "near", LOCAL, &near).await;
    store(tx, "{a9}", "far", LOCAL, &far).await;
    store(tx, "{a9}", "foreign", "text-embedding-3-small", &near).await;
    run(
        tx,
        "update public.conversation_summaries set language = 'fr', summary_text = case session_id
           when 'far' then 'Elle est enceinte de quatre mois.' else 'Elle aime la musique.' end",
    )
    .await;
    literal(&near).replace("::extensions.vector", "::extensions.halfvec")
}

#[tokio::test]
async fn a_summary_that_speaks_of_what_is_asked_goes_before_one_that_is_only_near() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let question = near_and_far(&mut tx).await;
    let order = |concepts: &str, weight: &str| {
        format!(
            "select session_id || ' ' || shared_concepts from jarvis.recall_memory({{A}}, {{a9}}, 'bébé', {concepts}, {question},
               true, true, 1, 0.02, {weight}, 4, 5)"
        )
    };
    let pregnant = "array['enceinte,bebe,pregnan*,sage femme']";
    assert_eq!(lines(&mut tx, &order(pregnant, "3")).await[0], "far 1");
    assert_eq!(lines(&mut tx, &order(pregnant, "0")).await[0], "near 0");
    assert_eq!(lines(&mut tx, &order("'{}'", "3")).await[0], "near 0");
    // A form of stop words alone, an empty one and a beginning with a quote in it are looked for in vain, not an error.
    let odd = "array['le,,d''*', 'encein*']";
    let shared = &lines(&mut tx, &order(odd, "3")).await[0];
    assert!(
        shared.starts_with("far 0."),
        "the second of two concepts: {shared}"
    );
}

#[tokio::test]
async fn a_concept_makes_a_memory_more_similar_and_one_without_it_less() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let question = near_and_far(&mut tx).await;
    let similarity = |concepts: &str, question: &str, session: &str| {
        format!(
            "select similarity from jarvis.recall_memory({{A}}, {{a9}}, 'xyz', {concepts}, {question}, true, true, 1, 0.02,
               0.2, 4, 5) where session_id = '{session}'"
        )
    };
    let (with, without) = ("array['enceinte,bebe']", "'{}'");
    let of = async |tx: &mut PgConnection, concepts, question: &str, session| {
        one::<f64>(tx, &similarity(concepts, question, session)).await
    };
    let far = of(&mut tx, with, &question, "far").await;
    assert!(far > of(&mut tx, without, &question, "far").await, "{far}");
    let near = of(&mut tx, with, &question, "near").await;
    assert!(near <= of(&mut tx, without, &question, "near").await, "{near}");
    // Without a vector the shares alone tell: most of 1 for the concept, nothing for no word at all.
    let by_words = of(&mut tx, with, "null", "far").await;
    assert!((by_words - 0.7).abs() < 1e-9, "{by_words}");
    assert_eq!(
        of(&mut tx, without, "null", "far").await.to_bits(),
        0.0_f64.to_bits()
    );
    assert!(
        (of(&mut tx, with, &question, "foreign").await).abs() < 1e-9,
        "compared by words alone"
    );
}

/// The function that a program of the release before calls, until no such program is left.
#[tokio::test]
async fn the_order_is_the_sum_of_the_z_scores_and_only_the_gyms_model_is_compared() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let (near, far) = (vector(1, 2), vector(2, 2));
    store(&mut tx, "{a9}", "near", LOCAL, &near).await;
    store(&mut tx, "{a9}", "far", LOCAL, &far).await;
    store(&mut tx, "{a9}", "foreign", "text-embedding-3-small", &near).await;
    run(
        &mut tx,
        "update public.conversation_summaries set summary_text = 'Marathon en avril.', language = 'fr'
          where session_id = 'far'",
    )
    .await;
    let question = literal(&near).replace("::extensions.vector", "::extensions.halfvec");
    let order = |weight: &str| {
        format!(
            "select session_id from jarvis.recall_memory({{A}}, {{a9}}, 'marathon', {question}, true, true, 1, {weight}, 4, 5)"
        )
    };
    // Two vectors: z-scores 1 and -1; three rows, one with the word: 1.41 and twice -0.71.
    assert_eq!(lines(&mut tx, &order("0.1")).await[0], "near");
    assert_eq!(lines(&mut tx, &order("3")).await[0], "far");
    let compared = format!(
        "select session_id from jarvis.recall_memory({{A}}, {{a9}}, 'x', {question}, true, true, 1, 1, 4, 5)
          where by_meaning order by 1"
    );
    assert_eq!(lines(&mut tx, &compared).await, ["far", "near"]);
}

#[tokio::test]
async fn a_recall_reads_the_rows_of_its_member_by_index() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name)
           select {A}, 'X' || n, 'x', 'x' from generate_series(1, 300) n;
         insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
           select gym_id, id, 'memory', true, 'import' from public.gym_members_v2 where badge_id like 'X%';
         insert into public.conversation_sessions (gym_id, member_id, session_id)
           select gym_id, id, 'x' || badge_id from public.gym_members_v2 where badge_id like 'X%';
         insert into jarvis.memory_windows (event_id, gym_id, member_id, session_id, speaker, said, said_at, search)
           select gen_random_uuid(), s.gym_id, s.member_id, s.session_id, 'member', 'x', now(), 'x:1A'
             from public.conversation_sessions s where s.session_id like 'xX%';
         analyze jarvis.memory_windows",
    )
    .await;
    let plan = lines(
        &mut tx,
        "explain (costs off) select event_id from jarvis.memory_windows w where w.gym_id = {A} and w.member_id = {a1}",
    )
    .await
    .join("\n");
    assert!(
        plan.contains("memory_windows_member") && !plan.contains("Seq Scan"),
        "{plan}"
    );
}
