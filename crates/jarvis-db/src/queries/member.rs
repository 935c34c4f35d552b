//! Members and what is known of them outside of conversations.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, NaiveDate, Utc};
use jarvis_core::{GymId, Language, MemberId};
use uuid::Uuid;

/// A member as the server needs it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Member {
    /// Their id.
    pub id: MemberId,
    /// Their gym.
    pub gym_id: GymId,
    /// Their badge, as printed.
    pub badge_id: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Preferred language.
    pub language: Language,
    /// Preferred tone of the assistant.
    pub communication_style: Option<String>,
    /// Preferred kind of feedback.
    pub feedback_style: Option<String>,
    /// Fitness level, when stated.
    pub fitness_level: Option<String>,
    /// Stated goals of the profile.
    pub primary_goals: Vec<String>,
    /// Membership, such as `standard`.
    pub membership_type: Option<String>,
    /// Since when.
    pub member_since: NaiveDate,
    /// Last physical presence.
    pub last_visit: Option<DateTime<Utc>>,
    /// How many physical presences.
    pub total_visits: i32,
    /// IANA time zone of their gym.
    pub timezone: String,
    /// Whether the membership is in force.
    pub is_active: bool,
    /// Whether the member may talk to the assistant.
    pub can_use_jarvis: bool,
}

impl Member {
    /// The day of an instant in the time zone of their gym.
    pub fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        let zone: chrono_tz::Tz = self.timezone.parse().unwrap_or(chrono_tz::Europe::Paris);
        at.with_timezone(&zone).date_naive()
    }

    /// The instant at which a day begins in the time zone of their gym; none where the calendar has no such instant.
    pub fn begin_of(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let zone: chrono_tz::Tz = self.timezone.parse().unwrap_or(chrono_tz::Europe::Paris);
        // Where summer time begins at midnight the day begins an hour later.
        (0..=3)
            .filter_map(|hour| day.and_hms_opt(hour, 0, 0)?.and_local_timezone(zone).earliest())
            .map(|begin| begin.with_timezone(&Utc))
            .next()
    }
}

struct Row {
    id: Uuid,
    gym_id: Uuid,
    badge_id: String,
    first_name: String,
    last_name: String,
    language: Option<String>,
    communication_style: Option<String>,
    feedback_style: Option<String>,
    fitness_level: Option<String>,
    primary_goals: Option<Vec<String>>,
    membership_type: Option<String>,
    member_since: NaiveDate,
    last_visit: Option<DateTime<Utc>>,
    total_visits: i32,
    timezone: Option<String>,
    is_active: Option<bool>,
    can_use_jarvis: bool,
}

impl From<Row> for Member {
    fn from(r: Row) -> Self {
        Self {
            id: r.id.into(),
            gym_id: r.gym_id.into(),
            badge_id: r.badge_id,
            first_name: r.first_name,
            last_name: r.last_name,
            language: r.language.and_then(|l| l.parse().ok()).unwrap_or_default(),
            communication_style: r.communication_style,
            feedback_style: r.feedback_style,
            fitness_level: r.fitness_level,
            primary_goals: r.primary_goals.unwrap_or_default(),
            membership_type: r.membership_type,
            member_since: r.member_since,
            last_visit: r.last_visit,
            total_visits: r.total_visits,
            timezone: r.timezone.unwrap_or_else(|| "Europe/Paris".to_owned()),
            is_active: r.is_active.unwrap_or(false),
            can_use_jarvis: r.can_use_jarvis,
        }
    }
}

/// The member of `gym` with this badge, compared trimmed and without case.
pub async fn find_by_badge(tx: &mut ScopedTx, gym: GymId, badge: &str) -> Result<Option<Member>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select m.id, m.gym_id, m.badge_id, m.first_name, m.last_name, p.language as "language?",
                  p.communication_style as "communication_style?", p.feedback_style as "feedback_style?",
                  f.fitness_level as "fitness_level?", f.primary_goals as "primary_goals?",
                  m.membership_type, m.member_since, m.last_visit, m.total_visits,
                  g.timezone as "timezone?", m.is_active, m.can_use_jarvis
             from public.gym_members_v2 m
             left join public.member_preferences p on p.gym_id = m.gym_id and p.member_id = m.id
             left join public.member_fitness_profile f on f.gym_id = m.gym_id and f.member_id = m.id
             left join public.gyms g on g.id = m.gym_id
            where m.gym_id = $1 and lower(btrim(m.badge_id)) = lower(btrim($2))"#,
        gym.as_uuid(),
        badge,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Member::from))
}

/// The member with this id, if the scope sees them.
pub async fn find(tx: &mut ScopedTx, member: MemberId) -> Result<Option<Member>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select m.id, m.gym_id, m.badge_id, m.first_name, m.last_name, p.language as "language?",
                  p.communication_style as "communication_style?", p.feedback_style as "feedback_style?",
                  f.fitness_level as "fitness_level?", f.primary_goals as "primary_goals?",
                  m.membership_type, m.member_since, m.last_visit, m.total_visits,
                  g.timezone as "timezone?", m.is_active, m.can_use_jarvis
             from public.gym_members_v2 m
             left join public.member_preferences p on p.gym_id = m.gym_id and p.member_id = m.id
             left join public.member_fitness_profile f on f.gym_id = m.gym_id and f.member_id = m.id
             left join public.gyms g on g.id = m.gym_id
            where m.id = $1"#,
        member.as_uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Member::from))
}

/// One page of the members of `gym`, by last name, first name and id. `after` is the last id of the page before.
pub async fn list(
    tx: &mut ScopedTx,
    gym: GymId,
    after: Option<MemberId>,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select m.id, m.gym_id, m.badge_id, m.first_name, m.last_name, p.language as "language?",
                  p.communication_style as "communication_style?", p.feedback_style as "feedback_style?",
                  f.fitness_level as "fitness_level?", f.primary_goals as "primary_goals?",
                  m.membership_type, m.member_since, m.last_visit, m.total_visits,
                  g.timezone as "timezone?", m.is_active, m.can_use_jarvis
             from public.gym_members_v2 m
             left join public.member_preferences p on p.gym_id = m.gym_id and p.member_id = m.id
             left join public.member_fitness_profile f on f.gym_id = m.gym_id and f.member_id = m.id
             left join public.gyms g on g.id = m.gym_id
            where m.gym_id = $1
              and ($2::uuid is null or (m.last_name, m.first_name, m.id) >
                   (select a.last_name, a.first_name, a.id from public.gym_members_v2 a where a.gym_id = $1 and a.id = $2))
            order by m.last_name, m.first_name, m.id
            limit $3"#,
        gym.as_uuid(),
        after.map(MemberId::as_uuid),
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// A member to enrol.
#[derive(Debug, Clone)]
pub struct NewMember<'a> {
    /// Their id.
    pub id: MemberId,
    /// Badge, unique within the gym.
    pub badge_id: &'a str,
    /// First name.
    pub first_name: &'a str,
    /// Last name.
    pub last_name: &'a str,
    /// Preferred language.
    pub language: Language,
    /// Date of birth, when stated.
    pub date_of_birth: Option<NaiveDate>,
}

/// Enrols a member with their preferences. Fails with a conflict when the gym already uses the badge.
pub async fn insert(tx: &mut ScopedTx, gym: GymId, new: &NewMember<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name, date_of_birth)
         values ($1, $2, $3, $4, $5, $6)",
        new.id.as_uuid(),
        gym.as_uuid(),
        new.badge_id,
        new.first_name,
        new.last_name,
        new.date_of_birth,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into public.member_preferences (member_id, gym_id, language) values ($1, $2, $3)",
        new.id.as_uuid(),
        gym.as_uuid(),
        new.language.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a member wrote down about their training at enrolment.
#[derive(Debug, Clone, Copy)]
pub struct NewFitnessProfile<'a> {
    /// `beginner`, `intermediate`, `advanced` or `expert`.
    pub fitness_level: &'a str,
    /// In their own words.
    pub primary_goals: &'a [String],
    /// Sessions a week, 0 to 7.
    pub workout_frequency_per_week: i32,
}

/// Stores the fitness profile of a member who has none.
pub async fn insert_fitness_profile(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    new: NewFitnessProfile<'_>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into public.member_fitness_profile
           (member_id, gym_id, fitness_level, primary_goals, workout_frequency_per_week) values ($1, $2, $3, $4, $5)",
        member.as_uuid(),
        gym.as_uuid(),
        new.fitness_level,
        new.primary_goals,
        new.workout_frequency_per_week,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
