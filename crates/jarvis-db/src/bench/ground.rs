//! The made-up gyms that the program is called for over HTTP.

use crate::DbError;
use crate::bench::synthetic::member_id;
use jarvis_core::{GymId, KioskId, MemberId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

/// A gym with one paired kiosk for every member that talks at the same time.
#[derive(Debug, Clone)]
pub struct Place {
    /// The gym.
    pub gym: GymId,
    /// A paired kiosk of it.
    pub kiosk: KioskId,
    /// The member who talks there, who agreed to everything.
    pub member: MemberId,
    /// The member's badge.
    pub badge: String,
}

/// Whether the database holds no gym, so that made-up ones come beside nobody's.
///
/// # Errors
/// When the database does not answer.
pub async fn is_empty(admin: &mut PgConnection) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(
        "select not exists (select from public.gyms) and to_regnamespace('guide') is null
                                   and to_regnamespace('bench') is null",
    )
    .fetch_one(admin)
    .await?)
}

/// Makes `gyms` gyms that begin at number `first`, with `kiosks` kiosks each and a member at each kiosk.
///
/// # Errors
/// When they are there already, or the role may not create them.
pub async fn settle(
    admin: &mut PgConnection,
    first: u32,
    gyms: u32,
    kiosks: u32,
) -> Result<Vec<Place>, DbError> {
    let mut places = Vec::new();
    for number in first..first + gyms {
        let gym = Uuid::from_u128(0x0192_0000_0000_7000_8000_0001_0000_0000 + u128::from(number));
        sqlx::query("insert into public.gyms (id, name, slug) values ($1, 'Bench ' || $2, 'bench-' || $2)")
            .bind(gym)
            .bind(i64::from(number))
            .execute(&mut *admin)
            .await?;
        for place in 0..kiosks {
            let serial = usize::try_from(number * 1_000 + place).unwrap_or(usize::MAX);
            places.push(equip(admin, gym, serial).await?);
        }
    }
    Ok(places)
}

/// A kiosk and a member who agreed to everything.
async fn equip(admin: &mut PgConnection, gym: Uuid, serial: usize) -> Result<Place, DbError> {
    let kiosk = Uuid::from_u128(0x0194_0000_0000_7000_8000_0000_0000_0000 + serial as u128);
    let member = member_id(0x1000_0000 + serial);
    let badge = format!("BADGE_{serial}");
    sqlx::query(
        "with k as (insert into public.kiosks (id, gym_id, name, slug, status, public_key, paired_at)
                    values ($1, $2, 'Borne', 'borne-' || $4, 'active', '{\"kty\": \"EC\"}', now())),
              m as (insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name)
                    values ($3, $2, $5, 'Prénom', 'Nom'))
         select",
    )
    .bind(kiosk)
    .bind(gym)
    .bind(member)
    .bind(i64::try_from(serial).unwrap_or(i64::MAX))
    .bind(&badge)
    .execute(&mut *admin)
    .await?;
    consent(admin, gym, &[member]).await?;
    Ok(Place {
        gym: gym.into(),
        kiosk: kiosk.into(),
        member: member.into(),
        badge,
    })
}

/// Members who agree to everything.
pub(super) async fn consent(admin: &mut PgConnection, gym: Uuid, members: &[Uuid]) -> Result<(), DbError> {
    sqlx::query(
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source, actor)
         select $1, m, p, true, 'reception', 'bench'
           from unnest($2::uuid[]) as m, unnest(array['voice', 'memory', 'health_memory']) as p",
    )
    .bind(gym)
    .bind(members)
    .execute(admin)
    .await?;
    Ok(())
}
