//! A gym whose members have come for months: conversations, summaries, turns and facts, as processing leaves them.

use super::ground::{self, Place};
use super::synthetic::{Chance, Gym, member_id, summary_id};
use crate::DbError;
use pgvector::Vector;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Uuid;

/// The gym, and what is in it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Size {
    /// Members.
    pub members: usize,
    /// Conversations of all of them; each has a summary.
    pub conversations: usize,
    /// Turns of each conversation.
    pub turns: usize,
    /// The same seed makes the same gym.
    pub seed: u64,
}

/// Facts of each member.
pub const FACTS: usize = 8;
/// Conversations of one insert.
const BATCH: usize = 250;
/// Words of a turn.
const LENGTH: usize = 12;

/// What members and their assistant talk of. Made up for this bench.
const WORDS: [&str; 64] = [
    "genou",
    "épaule",
    "dos",
    "cheville",
    "squat",
    "tirage",
    "développé",
    "rameur",
    "tapis",
    "vélo",
    "haltères",
    "banc",
    "lundi",
    "mardi",
    "jeudi",
    "samedi",
    "matin",
    "midi",
    "soir",
    "vestiaire",
    "douche",
    "musique",
    "cours",
    "yoga",
    "pilates",
    "boxe",
    "natation",
    "course",
    "marathon",
    "semi",
    "kilos",
    "poids",
    "régime",
    "protéines",
    "sommeil",
    "fatigue",
    "stress",
    "travail",
    "vacances",
    "enfants",
    "voisin",
    "coach",
    "abonnement",
    "tarif",
    "parking",
    "étirements",
    "échauffement",
    "gainage",
    "fentes",
    "soulevé",
    "pompes",
    "tractions",
    "corde",
    "mollet",
    "poignet",
    "coude",
    "hanche",
    "nuque",
    "respiration",
    "cardio",
    "séance",
    "programme",
    "record",
    "objectif",
];

/// Fills gym number `number` with what was said in it, and gives it `kiosks` paired kiosks.
///
/// # Errors
/// When it is there already, or the role may not load without triggers.
pub async fn fill(
    admin: &mut PgConnection,
    number: u32,
    kiosks: u32,
    size: Size,
    tell: &dyn Fn(String),
) -> Result<(Vec<Place>, Gym), DbError> {
    let places = ground::settle(admin, number, 1, kiosks).await?;
    let gym_id = places.first().map(|p| p.gym.as_uuid()).ok_or(DbError::NotFound)?;
    let gym = Gym::new(size.seed, size.members, size.conversations);
    let members: Vec<Uuid> = (0..gym.sizes.len()).map(member_id).collect();
    sqlx::query(
        "insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name)
         select m, $2, 'MEMBER_' || (n - 1), 'Prénom', 'Nom' from unnest($1::uuid[]) with ordinality as t (m, n)",
    )
    .bind(&members)
    .bind(gym_id)
    .execute(&mut *admin)
    .await?;
    ground::consent(admin, gym_id, &members).await?;
    // Triggers and keys would check every made-up row: what is measured is reading.
    // The type of the vectors stands in one of these schemas.
    sqlx::raw_sql("set session_replication_role = replica; set search_path = public, extensions")
        .execute(&mut *admin)
        .await?;
    facts(admin, gym_id, &members).await?;
    let mut chance = Chance::new(size.seed, 3);
    for (index, batch) in gym.arrivals.chunks(BATCH).enumerate() {
        let done = index * BATCH;
        conversations(admin, gym_id, &gym, size.turns, (done, batch), &mut chance).await?;
        if index % 10 == 0 {
            tell(format!("{done} of {} conversations", gym.arrivals.len()));
        }
    }
    tell("vacuum".to_owned());
    for statement in [
        "set session_replication_role = default",
        "vacuum (analyze)",
        "checkpoint",
    ] {
        sqlx::raw_sql(statement).execute(&mut *admin).await?;
    }
    Ok((places, gym))
}

/// The badge of a member of the gym that was filled.
pub fn badge(member: usize) -> String {
    format!("MEMBER_{member}")
}

/// A question that a member may ask: `number` words of what is talked of there.
pub fn question(chance: &mut Chance, number: usize) -> String {
    let words = said(chance, number);
    format!("Qu'est-ce que je t'avais dit de {words} ?")
}

fn said(chance: &mut Chance, number: usize) -> String {
    let words: Vec<_> = (0..number).map(|_| WORDS[chance.below(WORDS.len())]).collect();
    words.join(" ")
}

/// Two injuries and goals, and four other facts of each member, verified.
async fn facts(admin: &mut PgConnection, gym: Uuid, members: &[Uuid]) -> Result<(), DbError> {
    sqlx::query(
        "insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, confidence, source_quote, verified)
         select $1, m, f.category, f.fact_key, f.fact_value, 0.9, f.quote, true
           from unnest($2::uuid[]) as m,
                (values ('injury', 'knee_right_pain', '{\"location\": \"knee\", \"side\": \"right\"}'::jsonb, 'mal au genou droit depuis lundi'),
                        ('injury', 'back_pain', '{\"location\": \"back\"}', 'mon dos me lance quand je me penche'),
                        ('goal', 'lose_weight', '{\"kind\": \"weight_loss\", \"target\": 5, \"unit\": \"kg\"}', 'perdre cinq kilos avant cet été'),
                        ('goal', 'run_half_marathon', '{\"kind\": \"event\"}', 'courir le semi au printemps'),
                        ('preference', 'likes_morning', '{\"subject\": \"morning\", \"stance\": \"likes\"}', 'je préfère venir le matin'),
                        ('preference', 'dislikes_music', '{\"subject\": \"music\", \"stance\": \"dislikes\"}', 'la musique est trop forte'),
                        ('progress', 'bench_press', '{\"metric\": \"bench_press\", \"value\": 60, \"unit\": \"kg\"}', 'soixante au développé'),
                        ('concern', 'parking', '{\"subject\": \"parking\"}', 'le parking est toujours plein')
                ) as f (category, fact_key, fact_value, quote)",
    )
    .bind(gym)
    .bind(members)
    .execute(admin)
    .await?;
    Ok(())
}

/// One batch of processed conversations. A turn has the direction of its conversation: to compare it costs the same.
async fn conversations(
    admin: &mut PgConnection,
    gym_id: Uuid,
    gym: &Gym,
    turns: usize,
    (first, batch): (usize, &[(usize, usize)]),
    chance: &mut Chance,
) -> Result<(), DbError> {
    let ids: Vec<Uuid> = batch.iter().map(|(m, k)| summary_id(*m, *k)).collect();
    let members: Vec<Uuid> = batch.iter().map(|(m, _)| member_id(*m)).collect();
    let vectors: Vec<Vector> = batch.iter().map(|(m, k)| gym.vector(*m, *k).into()).collect();
    let texts: Vec<String> = batch.iter().map(|_| said(chance, 3 * LENGTH)).collect();
    let spoken: Vec<String> = (0..batch.len() * turns).map(|_| said(chance, LENGTH)).collect();
    sqlx::query(
        "with came as materialized (
                select t.*, g.embedding_model as model, now() - interval '1 hour' * ($7 - t.n) as at
                  from unnest($2::uuid[], $3::uuid[], $4::vector[], $5::text[]) with ordinality
                         as t (id, member_id, embedding, summary, n)
                  join public.gyms g on g.id = $1),
              s as (insert into public.conversation_sessions
                      (session_id, gym_id, member_id, channel, state, started_at, ended_at, processed_at)
                    select id::text, $1, member_id, 'voice', 'processed', at, at, at from came),
              v as (insert into jarvis.summary_vectors (summary_id, gym_id, member_id, model, created_at, emb)
                    select id, $1, member_id, model, at, embedding::halfvec from came),
              w as (insert into jarvis.memory_windows
                      (event_id, gym_id, member_id, session_id, speaker, said, said_at, tells_health, search, embedding,
                       embedding_model)
                    select gen_random_uuid(), $1, c.member_id, c.id::text,
                           case x.turn % 2 when 1 then 'member' else 'assistant' end, x.words, c.at, false,
                           setweight(to_tsvector('public.fr', x.words), 'A'), c.embedding::halfvec, c.model
                      from came c
                      cross join lateral (select turn, ($6::text[])[(c.n - 1) * $8 + turn] as words
                                            from generate_series(1, $8) as turn) as x)
         insert into public.conversation_summaries
           (id, session_id, member_id, gym_id, summary_text, embedding, embedding_model, written_by, created_at)
         select id, id::text, member_id, $1, summary, embedding, model, 'jarvis', at from came",
    )
    .bind(gym_id)
    .bind(&ids)
    .bind(&members)
    .bind(&vectors)
    .bind(&texts)
    .bind(&spoken)
    // So that the newest conversation ended an hour ago.
    .bind(i64::try_from(gym.arrivals.len() - first).unwrap_or(i64::MAX))
    .bind(i64::try_from(turns).unwrap_or(i64::MAX))
    .execute(admin)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_asks_of_what_is_talked_of() {
        let question = question(&mut Chance::new(1, 1), 3);
        assert!(WORDS.iter().any(|word| question.contains(word)), "{question}");
    }
}
