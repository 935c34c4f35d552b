//! Gyms, members, kiosks and people, made by the commands an operator uses.

use crate::device::Device;
use crate::program::{Program, text};
use crate::server::Server;

/// Everything a member can agree to.
pub const EVERYTHING: &str = "voice,memory,health_memory,profiling,share_with_staff";

/// What a member says of their knee; the exact words must be found again.
pub const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";
/// What a member says of their goal.
pub const GOAL: &str = "mon objectif c'est de perdre cinq kilos avant l'été";

/// A gym, by slug; its id.
pub async fn gym(program: &Program, slug: &str) -> String {
    text(
        &program
            .json(&["gym", "add", &format!("Salle {slug}"), "--slug", slug])
            .await,
        "/id",
    )
}

/// An adult member who agreed to `grant`; their id.
pub async fn member(program: &Program, gym: &str, badge: &str, name: &str, grant: &str) -> String {
    let born = ["--born", "1990-05-17", "--gym", gym];
    let added = program
        .json(&[&["member", "add", badge, name, "Martin"], &born[..]].concat())
        .await;
    if !grant.is_empty() {
        program
            .json(&["consent", "record", badge, "--grant", grant, "--gym", gym])
            .await;
    }
    text(&added, "/id")
}

/// A kiosk of a gym, paired with a device.
pub async fn kiosk(program: &Program, server: &Server, gym: &str, slug: &str) -> Device {
    let added = program
        .json(&[
            "kiosk",
            "add",
            &format!("Borne {slug}"),
            "--slug",
            slug,
            "--gym",
            gym,
        ])
        .await;
    let device = Device::pair(&server.address, &text(&added, "/pairing_code")).await;
    assert_eq!(device.kiosk_id, text(&added, "/kiosk_id"));
    device
}

/// A person with an account; their password.
pub async fn person(program: &Program, email: &str, role: &str, gyms: &[&str]) -> String {
    let mut arguments = vec!["user", "add", email, "--role", role];
    for gym in gyms {
        arguments.extend(["--gym", gym]);
    }
    text(&program.json(&arguments).await, "/password")
}
