//! `GET /api/v1/me`

use crate::caller::Caller;
use crate::views::KioskView;
use axum::Json;
use jarvis_core::ErrorCode;
use jarvis_db::queries::account::Account;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// Who calls: exactly one of the two.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Me {
    /// A kiosk.
    Kiosk(KioskView),
    /// A person.
    Account(AccountView),
}

/// A person with rights.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    /// Their id.
    id: Uuid,
    /// E-mail address.
    email: String,
    /// Full name.
    full_name: Option<String>,
    /// `super_admin`, `gym_manager` or `gym_staff`.
    role: String,
    /// The gyms they work for.
    gym_access: Vec<Uuid>,
}

impl From<Account> for AccountView {
    fn from(a: Account) -> Self {
        Self {
            id: a.id.into(),
            email: a.email,
            full_name: a.full_name,
            role: a.role,
            gym_access: a.gym_access.into_iter().map(Uuid::from).collect(),
        }
    }
}

/// Who the token stands for.
#[utoipa::path(get, path = "/me", tag = "both", security(("kiosk" = []), ("person" = [])),
    responses((status = 200, description = "Who calls.", body = Me)))]
pub(crate) async fn me(caller: Caller) -> Json<Me> {
    Json(match caller {
        Caller::Kiosk(kiosk) => Me::Kiosk(kiosk.row.into()),
        Caller::Person(person) => Me::Account(person.account.into()),
    })
}
