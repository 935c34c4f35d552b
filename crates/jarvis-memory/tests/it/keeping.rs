//! Nothing drops silently, and what was forgotten does not come back: conversations whose words are past their time,
//! models that read again, members whose data is restricted.

use crate::reading::{allow, answer, breaker, fake, reader};
use crate::stage::{EVERYTHING, Gym, Stage};
use chrono::TimeDelta;
use jarvis_core::{Actor, ErrorCode, Fact, FactId, MemberId, Purpose, Scope, SessionId, SessionState};
use jarvis_db::queries::fact::{self, FactFilter, proposal};
use jarvis_memory::facts::{self, Change, Decision, StateFact};
use jarvis_memory::{privacy, process, sessions};
use jarvis_testkit::{Answer, Fault};
use serde_json::json;
use std::time::Duration;

const KNEE: &str = "J'ai mal au genou droit depuis janvier";
const GOAL: &str = "Mon objectif c'est de perdre cinq kilos avant l'été";
/// A conversation whose ends are so far from each other that no stored turn holds words of both.
const LONG: &[&str] = &[
    KNEE,
    "JARVIS: D'accord, on fait attention.",
    "Il fait beau aujourd'hui",
    "JARVIS: Oui, un grand soleil.",
    "Bon, on commence",
    "JARVIS: Par quoi veux-tu commencer ?",
    GOAL,
];

struct Scene {
    stage: Stage,
    gym: Gym,
    member: MemberId,
}

impl Scene {
    async fn new(consents: &[Purpose]) -> Self {
        let stage = Stage::new().await;
        let gym = stage.gym("lyon").await;
        let member = stage.member(&gym, "BADGE_001", consents).await;
        Self { stage, gym, member }
    }

    fn scope(&self) -> Scope {
        Scope::gym(self.gym.id, Actor::Operator)
    }

    async fn talk(&self, turns: &[&str]) -> SessionId {
        self.stage.talk(&self.gym, "BADGE_001", turns).await
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql)
            .execute(self.stage.test.admin_pool())
            .await
            .unwrap();
    }

    async fn all(&self) -> Vec<Fact> {
        let mut tx = self.stage.memory.db.begin(&self.scope()).await.unwrap();
        let filter = FactFilter {
            include_inactive: true,
            most_others: None,
        };
        let now = self.stage.memory.clock.now();
        fact::list(&mut tx, self.gym.id, self.member, filter, now)
            .await
            .unwrap()
    }

    async fn keys(&self) -> Vec<(String, bool)> {
        let all = self.all().await;
        all.into_iter().map(|f| (f.fact_key, f.is_active)).collect()
    }

    async fn again(&self, session: &SessionId) {
        sessions::reprocess(&self.stage.memory, self.gym.id, &self.scope(), session)
            .await
            .unwrap();
        self.work_off(session).await;
    }

    async fn work_off(&self, session: &SessionId) {
        process::process_session(&self.stage.memory, self.gym.id, session)
            .await
            .unwrap();
    }

    async fn forget(&self, id: FactId) -> facts::Forgotten {
        facts::forget(&self.stage.memory, &self.scope(), self.gym.id, id)
            .await
            .unwrap()
    }

    async fn state(&self, session: &SessionId) -> SessionState {
        let detail = sessions::get(&self.stage.memory, &self.scope(), session)
            .await
            .unwrap();
        detail.session.state
    }

    /// Summaries, and stored turns with what they are found by, in which the knee still is; and those with the goal.
    async fn remembered(&self) -> (i64, i64) {
        let knee = "select count(*) from (select s::text from public.conversation_summaries s
                      union all select w::text from jarvis.memory_windows w) as t (line) where line ~* 'genou'";
        let goal = "select count(*) from (select s::text from public.conversation_summaries s
                      union all select w.said from jarvis.memory_windows w) as t (line) where line ~* 'cinq kilos'";
        (self.stage.count(knee).await, self.stage.count(goal).await)
    }
}

const PAST_THEIR_TIME: &str = "delete from public.conversation_events";

#[tokio::test]
async fn a_conversation_whose_words_are_gone_is_not_processed_again() {
    let scene = Scene::new(EVERYTHING).await;
    let session = scene.talk(LONG).await;
    let before = (scene.remembered().await, scene.keys().await);
    scene.sql(PAST_THEIR_TIME).await;
    let refused = sessions::reprocess(&scene.stage.memory, scene.gym.id, &scene.scope(), &session).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::TranscriptGone);
    scene.work_off(&session).await;
    assert_eq!((scene.remembered().await, scene.keys().await), before);
    assert_eq!(scene.state(&session).await, SessionState::Processed);
}

#[tokio::test]
async fn withdrawing_health_reaches_what_outlives_the_words_and_leaves_the_rest() {
    let scene = Scene::new(EVERYTHING).await;
    let session = scene.talk(LONG).await;
    scene.sql(PAST_THEIR_TIME).await;
    let (knee, goal) = scene.remembered().await;
    assert!(knee >= 2 && goal == 2, "{knee} {goal}");
    scene
        .stage
        .test
        .seed_consent(scene.gym.id, scene.member, Purpose::HealthMemory, false)
        .await;
    let withdraw = async || {
        privacy::withdraw(
            &scene.stage.memory,
            scene.gym.id,
            scene.member,
            Purpose::HealthMemory,
        )
        .await
        .unwrap();
        scene.work_off(&session).await;
    };
    withdraw().await;
    assert_eq!(scene.remembered().await, (0, 2));
    assert_eq!(scene.state(&session).await, SessionState::Processed);
    assert_eq!(scene.keys().await, [("lose_weight".to_owned(), true)]);
    withdraw().await;
    assert_eq!(scene.remembered().await, (0, 2), "again, it changes nothing");
    // A turn alone, when the summary went before it.
    scene
        .sql(
            "delete from public.conversation_summaries;
             insert into jarvis.memory_windows (event_id, gym_id, member_id, session_id, speaker, said, said_at, search)
             select gen_random_uuid(), gym_id, member_id, session_id, 'member', 'mal au genou', now() + interval '1 day', 'genou'
               from jarvis.memory_windows limit 1",
        )
        .await;
    withdraw().await;
    assert_eq!(
        scene.remembered().await,
        (0, 0),
        "the turns beside it were stored with its words"
    );
}

#[tokio::test]
async fn forgetting_reaches_what_outlives_the_words_and_leaves_the_rest() {
    let scene = Scene::new(EVERYTHING).await;
    let session = scene.talk(LONG).await;
    scene.sql(PAST_THEIR_TIME).await;
    let knee = scene.all().await.remove(0);
    let forgotten = scene.forget(knee.id).await;
    assert_eq!(
        forgotten.sessions,
        [],
        "there is nothing to make it again from: {forgotten:?}"
    );
    scene.work_off(&session).await;
    assert_eq!(scene.remembered().await, (0, 2));
    assert_eq!(scene.state(&session).await, SessionState::Processed);
}

#[tokio::test]
async fn forgetting_follows_other_words_for_it_into_conversations_that_were_not_read_yet() {
    let scene = Scene::new(EVERYTHING).await;
    let other = "Et franchement mon genou droit me fait souffrir quand je cours";
    let waiting = scene.stage.open(&scene.gym, "BADGE_001").await.session_id;
    scene.stage.say(&scene.gym, &waiting, &[other]).await;
    scene.talk(&[KNEE, other]).await;
    let knee = scene.all().await.remove(0);
    scene.forget(knee.id).await;
    let said = "select count(*) from public.conversation_events where transcript ~* 'genou'";
    assert_eq!(scene.stage.count(said).await, 0);
}

#[tokio::test]
async fn a_model_that_reads_again_brings_nothing_back_that_was_forgotten_until_it_is_said_anew() {
    let fake = fake().await;
    let mut scene = Scene::new(EVERYTHING).await;
    scene.stage.memory.reader = Some(reader(&fake, breaker(1_000)));
    allow(&scene.stage, &scene.gym).await;
    let said = "Je veux perdre cinq kilos avant juin";
    let hint = "Ma balance et moi, on va se réconcilier";
    let read = |quote: &str, turn: i32| {
        let mut read = answer("Le membre parle.", quote);
        read["facts"][0]["turn"] = json!(turn);
        // A key of the model's own: the slot is the same.
        read["facts"][0]["fact_key"] = json!(format!("weight_loss_{turn}"));
        Answer::Json(read)
    };
    fake.answer("session_memory", read(said, 0));
    let session = scene.talk(&[said, hint]).await;
    let goal = scene.all().await.remove(0);
    scene.stage.clock.advance(TimeDelta::minutes(1));
    scene.forget(goal.id).await;
    fake.answer("session_memory", read(hint, 1));
    scene.work_off(&session).await;
    assert_eq!(scene.keys().await, []);
    for _ in 0..2 {
        fake.answer("session_memory", read(hint, 1));
        scene.again(&session).await;
    }
    assert_eq!(scene.keys().await, []);
    scene.stage.clock.advance(TimeDelta::minutes(1));
    fake.answer("session_memory", read(said, 0));
    scene.talk(&[said]).await;
    assert_eq!(scene.keys().await, [("weight_loss_0".to_owned(), true)]);
    let told = "select count(*) from jarvis.forgotten_facts t where t::text ~* 'weight|kilo|goal|balance'";
    assert_eq!(scene.stage.count(told).await, 0, "no word tells what it was");
}

#[tokio::test]
async fn that_the_rules_read_less_than_a_model_did_retires_nothing() {
    let fake = fake().await;
    let mut scene = Scene::new(EVERYTHING).await;
    scene.stage.memory.reader = Some(reader(&fake, breaker(1_000)));
    allow(&scene.stage, &scene.gym).await;
    let hint = "Ma balance et moi, on va se réconcilier";
    fake.answer("session_memory", Answer::Json(answer("Le membre parle.", hint)));
    let session = scene.talk(&[hint]).await;
    let read = [("weight_loss".to_owned(), true)];
    assert_eq!(scene.keys().await, read);
    fake.fault(Fault::status(500));
    scene.again(&session).await;
    assert_eq!(scene.keys().await, read, "the provider was ill");
    scene.stage.memory.reader = None;
    scene.again(&session).await;
    assert_eq!(scene.keys().await, read, "the rules read it for good");
}

#[tokio::test]
async fn facts_of_a_restricted_member_are_kept_whatever_their_age() {
    let scene = Scene::new(EVERYTHING).await;
    scene.talk(&[KNEE, GOAL]).await;
    assert_eq!(scene.all().await.len(), 2);
    privacy::restrict(
        &scene.stage.memory,
        &scene.scope(),
        scene.gym.id,
        scene.member,
        None,
    )
    .await
    .unwrap();
    scene.stage.clock.advance(TimeDelta::days(3_000));
    let done = facts::tend(&scene.stage.memory).await.unwrap();
    assert_eq!(done, facts::Tended::default());
    privacy::expire(&scene.stage.memory, privacy::Retention::Asked)
        .await
        .unwrap();
    assert_eq!(scene.all().await.len(), 2);
    assert_eq!(scene.remembered().await.1, 2);
    privacy::lift(&scene.stage.memory, &scene.scope(), scene.gym.id, scene.member)
        .await
        .unwrap();
    let done = facts::tend(&scene.stage.memory).await.unwrap();
    assert_eq!(done.purged, 2, "nobody asked, and twice their time is over");
}

#[tokio::test]
async fn accepting_a_merge_of_which_a_fact_has_ended_ends_nothing() {
    let scene = Scene::new(EVERYTHING).await;
    scene.talk(&[KNEE]).await;
    let ours = scene.all().await.remove(0);
    let theirs = StateFact {
        category: ours.category,
        fact_key: "genou_droit".to_owned(),
        fact_value: json!({}),
        confidence: 1.0,
    };
    let scope = scene.scope();
    facts::state(&scene.stage.memory, &scope, scene.member, &theirs)
        .await
        .unwrap();
    let pending = async || {
        let mut tx = scene.stage.memory.db.begin(&scope).await.unwrap();
        proposal::list_pending(&mut tx, scene.gym.id, None, 10)
            .await
            .unwrap()
    };
    let proposed = pending().await.remove(0);
    facts::change(&scene.stage.memory, &scope, ours.id, &Change::Retire)
        .await
        .unwrap();
    let accept = async |keep| {
        facts::decide(
            &scene.stage.memory,
            &scope,
            scene.gym.id,
            proposed.id,
            Decision::Accept { keep },
        )
        .await
    };
    for keep in [None, Some(ours.id)] {
        assert_eq!(accept(keep).await.unwrap_err().code(), ErrorCode::ProposalStale);
    }
    let active = scene.all().await.into_iter().filter(|f| f.is_active).count();
    assert_eq!(active, 1, "the other one stays");

    // Both are there again, and are decided; then somebody brings the ended one back.
    facts::change(&scene.stage.memory, &scope, ours.id, &Change::Confirm)
        .await
        .unwrap();
    accept(Some(ours.id)).await.unwrap();
    assert_eq!(pending().await.len(), 0);
    let ended = scene.all().await.into_iter().find(|f| !f.is_active).unwrap();
    facts::change(&scene.stage.memory, &scope, ended.id, &Change::Confirm)
        .await
        .unwrap();
    let again = pending().await;
    assert_eq!((again.len(), again[0].id), (1, proposed.id), "it is asked again");
}

#[tokio::test]
async fn a_night_ends_when_the_clocks_disagree() {
    let mut consents = EVERYTHING.to_vec();
    consents.push(Purpose::ShareWithStaff);
    let scene = Scene::new(&consents).await;
    scene.talk(&[KNEE]).await;
    // Said after the night by the database's clock, and over before it by the program's.
    scene
        .sql("set session_replication_role = replica;
              update public.member_facts set updated_at = '2100-01-01', expires_at = '2000-01-01'; reset session_replication_role")
        .await;
    for alerted in [1, 0] {
        let night = tokio::time::timeout(Duration::from_secs(20), facts::tend(&scene.stage.memory));
        assert_eq!(night.await.expect("it ends").unwrap().alerted, alerted);
    }
}
