//! Loads the gyms with their members, consents, kiosks and logins; what is there already stays.

use super::script::{self, DemoGym, DemoMember};
use super::words::Words;
use crate::commands::consent::{self, Answer};
use crate::commands::user;
use crate::connection::{self, Urls};
use crate::output::{Output, talk};
use crate::private_file;
use anyhow::Context as _;
use jarvis_core::{Actor, Clock as _, GymId, KioskId, MemberId, Scope, SystemClock, UserId};
use jarvis_db::queries::account::Account;
use jarvis_db::queries::gym::{self, Gym};
use jarvis_db::queries::kiosk::{self, Kiosk};
use jarvis_db::queries::member::{self, NewFitnessProfile, NewMember};
use jarvis_db::{Db, ScopedTx, provision};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A login of the demo. Its password was made on this machine and is kept beside the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    pub email: String,
    pub password: String,
    pub role: String,
}

/// Loads what is missing; returns the logins.
pub async fn load(urls: &Urls, data_dir: &Path, out: Output, words: &Words) -> anyhow::Result<Vec<Login>> {
    let db = connection::db(urls).await?;
    for demo in script::gyms()? {
        let mut admin = connection::admin(urls).await?;
        let known = provision::find_gym(&mut admin, &demo.slug).await?;
        let id = if let Some(id) = known {
            id
        } else {
            let gym = new_gym(&demo);
            provision::insert_gym(&mut admin, &gym).await?;
            gym.id
        };
        fill(&db, id, &demo)
            .await
            .with_context(|| format!("cannot load the gym {}", demo.slug))?;
    }
    let logins = logins(urls, &db, data_dir).await?;
    db.close().await;
    if !out.is_json() {
        talk(words.gyms_are_there);
    }
    Ok(logins)
}

fn new_gym(demo: &DemoGym) -> Gym {
    Gym {
        id: GymId::new(SystemClock.now()),
        name: demo.name.clone(),
        slug: demo.slug.clone(),
        timezone: demo.timezone.clone(),
        locale: demo.locale.clone(),
        embedding_model: jarvis_embed::LocalModel::DEFAULT.name().to_owned(),
        external_models: false,
    }
}

/// Everything of one gym in one transaction, so that a demo that is killed while loading can be started again.
async fn fill(db: &Db, gym: GymId, demo: &DemoGym) -> anyhow::Result<()> {
    let mut tx = db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    if kiosk::list(&mut tx, gym)
        .await?
        .iter()
        .all(|k| k.slug != demo.kiosk.slug)
    {
        let id = KioskId::new(SystemClock.now());
        kiosk::insert(&mut tx, gym, id, &demo.kiosk.name, &demo.kiosk.slug, &demo.locale).await?;
    }
    for person in &demo.members {
        if member::find_by_badge(&mut tx, gym, &person.badge)
            .await?
            .is_none()
        {
            enrol(&mut tx, gym, person).await?;
        }
    }
    Ok(tx.commit().await?)
}

async fn enrol(tx: &mut ScopedTx, gym: GymId, person: &DemoMember) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let new = NewMember {
        id: MemberId::new(now),
        badge_id: &person.badge,
        first_name: &person.first_name,
        last_name: &person.last_name,
        language: person.language,
        date_of_birth: None,
    };
    member::insert(tx, gym, &new).await?;
    let fitness = NewFitnessProfile {
        fitness_level: &person.fitness.level,
        primary_goals: &person.fitness.goals,
        workout_frequency_per_week: person.fitness.sessions_per_week,
    };
    member::insert_fitness_profile(tx, gym, new.id, fitness).await?;
    let (grant, refuse) = (person.grant.clone(), person.refuse.clone());
    let answer = Answer {
        grant,
        refuse,
        by_guardian: false,
        statement: "consent-1",
        source: "reception",
    };
    Ok(consent::record(tx, gym, new.id, &answer).await?)
}

/// The kiosk of a gym.
pub async fn kiosk(db: &Db, slug: &str) -> anyhow::Result<Kiosk> {
    let mut tx = db.begin(&Scope::System).await?;
    let gym = gym::list(&mut tx).await?.into_iter().find(|g| g.slug == slug);
    let gym = gym.with_context(|| format!("the demo's gym {slug} is missing"))?;
    let kiosk = kiosk::list(&mut tx, gym.id).await?.into_iter().next();
    kiosk.with_context(|| format!("the kiosk of {slug} is missing"))
}

async fn logins(urls: &Urls, db: &Db, data_dir: &Path) -> anyhow::Result<Vec<Login>> {
    let path = data_dir.join("demo-logins.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()));
    }
    let gyms = gym::list(&mut db.begin(&Scope::System).await?).await?;
    let of = |slug: &str| {
        gyms.iter()
            .filter(|g| g.slug == slug)
            .map(|g| g.id)
            .collect::<Vec<_>>()
    };
    let people = [
        ("admin@demo.invalid", "super_admin", vec![]),
        ("manager.lyon@demo.invalid", "gym_manager", of("lyon")),
        ("staff.lyon@demo.invalid", "gym_staff", of("lyon")),
        ("manager.nantes@demo.invalid", "gym_manager", of("nantes")),
    ];
    let mut logins = Vec::new();
    for (email, role, gym_access) in people {
        let password = user::new_password();
        let account = Account {
            id: UserId::new(SystemClock.now()),
            email: email.to_owned(),
            full_name: None,
            role: role.to_owned(),
            gym_access,
            is_active: true,
        };
        user::store(urls, &account, &password).await?;
        let password = password.expose_secret().to_owned();
        logins.push(Login {
            email: email.to_owned(),
            password,
            role: role.to_owned(),
        });
    }
    private_file::place(&path, &serde_json::to_string_pretty(&logins)?)?;
    Ok(logins)
}
