//! Events of many requests that are stored together: each keeps its own answer.

use crate::stage::{EVERYTHING, Gym, Stage, said};
use jarvis_core::{ErrorCode, NewEvent, Purpose, SessionId};
use jarvis_memory::MemoryError;
use jarvis_memory::sessions::{self, KioskIdentity, Recorded};

const STORED: &str = "select count(*) from public.conversation_events";
/// Every transaction has a number of its own, which its rows keep.
const TRANSACTIONS: &str = "select count(distinct e.xmin::text) from public.conversation_events e";

async fn send(
    stage: &Stage,
    kiosk: &KioskIdentity,
    session: &SessionId,
    event: NewEvent,
) -> Result<Recorded, MemoryError> {
    sessions::record(&stage.memory, kiosk, session, vec![Ok(event)]).await
}

/// A second kiosk of the gym, with a member of its own who talks there.
async fn neighbour(stage: &Stage, gym: &Gym, consents: &[Purpose]) -> (Gym, SessionId) {
    let gym = Gym {
        id: gym.id,
        kiosk: stage.kiosk(gym.id, "etage").await,
    };
    stage.member(&gym, "BADGE_002", consents).await;
    let session = stage.open(&gym, "BADGE_002").await.session_id;
    (gym, session)
}

fn code(result: Result<Recorded, MemoryError>) -> ErrorCode {
    result.unwrap_err().code()
}

fn is_new(result: Result<Recorded, MemoryError>) -> bool {
    let recorded = result.unwrap();
    recorded.accepted.len() == 1 && recorded.accepted[0].id.is_some() && !recorded.accepted[0].duplicate
}

#[tokio::test]
async fn events_that_arrive_together_are_stored_in_one_transaction() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let here = stage.open(&gym, "BADGE_001").await.session_id;
    let (other, there) = neighbour(&stage, &gym, EVERYTHING).await;
    let (one, two, three) = tokio::join!(
        send(&stage, &gym.kiosk, &here, said("Bonjour", 0)),
        send(&stage, &other.kiosk, &there, said("Salut", 0)),
        send(&stage, &gym.kiosk, &here, said("Je voudrais courir", 1)),
    );
    assert!(is_new(one) && is_new(two) && is_new(three));
    assert_eq!(
        (stage.count(STORED).await, stage.count(TRANSACTIONS).await),
        (3, 1)
    );
    let of_each = "select count(*) from public.conversation_events e
                    where (select count(*) from public.conversation_sessions s
                            where s.session_id = e.session_id and s.member_id = e.member_id
                              and s.last_event_at = e.received_at) = 1";
    assert_eq!(
        stage.count(of_each).await,
        3,
        "each in its own session, which heard of it"
    );
}

#[tokio::test]
async fn each_of_those_that_arrive_together_has_its_own_answer() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let here = stage.open(&gym, "BADGE_001").await.session_id;
    let (revoked, there) = neighbour(&stage, &gym, EVERYTHING).await;
    sqlx::query("update public.kiosks set status = 'revoked' where id = $1")
        .bind(revoked.kiosk.kiosk.as_uuid())
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    let nantes = stage.gym("nantes").await;
    stage.member(&nantes, "BADGE_001", EVERYTHING).await;
    let foreign = stage.open(&nantes, "BADGE_001").await.session_id;
    let unpaired = KioskIdentity {
        kiosk: nantes.kiosk.kiosk,
        gym: gym.id,
    };
    let mut impossible = said("Un", 2);
    impossible.turn_number = Some(-1);
    let (good, again, of_another_gym, of_revoked, of_no_kiosk, bad) = tokio::join!(
        send(&stage, &gym.kiosk, &here, said("Bonjour", 0)),
        send(&stage, &gym.kiosk, &here, said("Bonjour", 0)),
        send(&stage, &gym.kiosk, &foreign, said("Je suis ailleurs", 0)),
        send(&stage, &revoked.kiosk, &there, said("Encore là ?", 0)),
        send(&stage, &unpaired, &here, said("Qui suis-je ?", 0)),
        send(&stage, &gym.kiosk, &here, impossible),
    );
    assert!(is_new(good));
    assert!(again.unwrap().accepted[0].duplicate);
    assert_eq!(code(of_another_gym), ErrorCode::SessionNotFound);
    assert_eq!(code(of_revoked), ErrorCode::KioskRevoked);
    assert_eq!(code(of_no_kiosk), ErrorCode::Unauthenticated);
    let bad = bad.unwrap();
    assert_eq!((bad.accepted.len(), bad.rejected.len()), (0, 1));
    assert_eq!(stage.count(STORED).await, 1);
    let open = "select count(*) from public.conversation_sessions where state = 'open'";
    assert_eq!(stage.count(open).await, 2, "the revoked kiosk's session ended");
}

#[tokio::test]
async fn an_event_that_the_database_refuses_does_not_lose_its_neighbours() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    sqlx::raw_sql(
        "create function public.refuse() returns trigger language plpgsql as
           $$ begin if new.transcript = 'Non' then raise exception 'no'; end if; return new; end $$;
         create trigger z99_refuse before insert on public.conversation_events
           for each row execute function public.refuse()",
    )
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    let (before, refused, after) = tokio::join!(
        send(&stage, &gym.kiosk, &session, said("Bonjour", 0)),
        send(&stage, &gym.kiosk, &session, said("Non", 1)),
        send(&stage, &gym.kiosk, &session, said("Si", 2)),
    );
    assert!(is_new(before) && is_new(after));
    assert_eq!(code(refused), ErrorCode::Internal);
    assert_eq!(stage.count(STORED).await, 2);
}

#[tokio::test]
async fn each_members_own_consents_count_among_those_stored_together() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let here = stage.open(&gym, "BADGE_001").await.session_id;
    let (other, there) = neighbour(&stage, &gym, &[Purpose::Memory]).await;
    let words = "J'ai mal au genou depuis lundi";
    let (kept, masked) = tokio::join!(
        send(&stage, &gym.kiosk, &here, said(words, 0)),
        send(&stage, &other.kiosk, &there, said(words, 0)),
    );
    assert_eq!(kept.unwrap().withheld_health_spans, 0);
    assert_eq!(masked.unwrap().withheld_health_spans, 1);
    assert_eq!(stage.count(TRANSACTIONS).await, 1);
    let with_health = "select count(*) from public.conversation_events where transcript like '%genou%'";
    assert_eq!(
        (stage.count(STORED).await, stage.count(with_health).await),
        (2, 1)
    );
    let withheld = "select sum(withheld_health_spans) from public.conversation_sessions";
    assert_eq!(stage.count(withheld).await, 1);
}

#[tokio::test]
async fn a_session_that_somebody_holds_keeps_only_its_own_events_waiting() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let held = stage.open(&gym, "BADGE_001").await.session_id;
    let (other, free) = neighbour(&stage, &gym, EVERYTHING).await;
    let mut holder = stage.test.admin_pool().begin().await.unwrap();
    sqlx::query("select from public.conversation_sessions where session_id = $1 for update")
        .bind(held.as_str())
        .execute(&mut *holder)
        .await
        .unwrap();
    let (waited, ()) = tokio::join!(send(&stage, &gym.kiosk, &held, said("Bonjour", 0)), async {
        assert!(is_new(send(&stage, &other.kiosk, &free, said("Salut", 0)).await));
        assert!(is_new(
            send(&stage, &other.kiosk, &free, said("Ça va ?", 1)).await
        ));
        assert_eq!(stage.count(STORED).await, 2);
        holder.rollback().await.unwrap();
    });
    assert!(is_new(waited));
    assert_eq!(stage.count(STORED).await, 3);
}

#[tokio::test]
async fn who_leaves_before_being_stored_loses_nobodys_event() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    for number in [0, 10] {
        // Asked once and dropped: on this one thread nothing of it was written yet.
        tokio::select! {
            biased;
            _ = send(&stage, &gym.kiosk, &session, said("Je pars", number)) => unreachable!("it was not waited for"),
            () = std::future::ready(()) => {}
        }
        assert!(is_new(
            send(&stage, &gym.kiosk, &session, said("Je reste", number + 1)).await
        ));
    }
    let left = "select count(*) from public.conversation_events where transcript = 'Je pars'";
    assert_eq!((stage.count(STORED).await, stage.count(left).await), (2, 0));
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_to_everybody_who_waits() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.memory.db.close().await;
    let (one, two) = tokio::join!(
        send(&stage, &gym.kiosk, &session, said("Bonjour", 0)),
        send(&stage, &gym.kiosk, &session, said("Bonsoir", 1)),
    );
    assert_eq!(
        (code(one), code(two)),
        (ErrorCode::DatabaseUnavailable, ErrorCode::DatabaseUnavailable)
    );
}

#[tokio::test]
async fn a_large_batch_that_repeats_something_in_its_middle_stores_the_rest() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let batch = |numbers: std::ops::Range<usize>| numbers.map(|n| Ok(said("Bonjour", n))).collect();
    let record = async |events| {
        let recorded = sessions::record(&stage.memory, &gym.kiosk, &session, events)
            .await
            .unwrap();
        let repeated: Vec<_> = recorded
            .accepted
            .iter()
            .filter(|a| a.duplicate)
            .map(|a| a.index)
            .collect();
        (recorded.accepted.len(), repeated)
    };
    assert_eq!(record(batch(50..51)).await, (1, vec![]));
    assert_eq!(
        record(batch(0..100)).await,
        (100, vec![50]),
        "found by the unique key"
    );
    assert_eq!(record(batch(99..200)).await, (101, vec![0]), "found by the first");
    assert_eq!(
        record(batch(0..100)).await,
        (100, (0..100).collect()),
        "sent again"
    );
    let mut twice: Vec<_> = batch(200..300);
    twice.extend(batch(250..251));
    assert_eq!(record(twice).await, (101, vec![100]), "twice in one batch");
    assert_eq!(stage.count(STORED).await, 300);
}
