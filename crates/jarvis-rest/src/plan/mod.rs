//! What will be done: the request, checked against what the database holds.

pub mod call;
pub mod change;
pub mod fields;
pub mod negotiate;
pub mod read;
pub mod relate;
pub mod tree;

use crate::cache::similar::{NAME, nearest};
use crate::cache::{Name, SchemaCache, Table};
use crate::error::RestError;
use crate::request::media::MediaType;
use crate::request::{Action, ApiRequest, Invoke};
use crate::settings::Settings;
use axum::http::StatusCode;
use call::Call;
use change::Changing;
use negotiate::Shape;
use read::Root;
use tree::ReadNode;

/// What will be done.
#[derive(Debug)]
pub struct Plan {
    /// What is read, perhaps of what a change or a function returns.
    pub read: ReadNode,
    /// What is done besides.
    pub doing: Doing,
    /// How rows become a body.
    pub shape: Shape,
    /// What the body is.
    pub media: MediaType,
    /// Whether the body stays away.
    pub head: bool,
    /// What it is about.
    pub subject: Name,
}

/// What is done besides reading.
#[derive(Debug)]
pub enum Doing {
    /// Nothing.
    Reading,
    /// A change.
    Changing(Box<Changing>),
    /// A call.
    Calling(Box<Call>),
}

impl Plan {
    /// Plans reading, a change or a call; `None` for what needs no statement.
    pub fn of(
        request: &ApiRequest,
        cache: &SchemaCache,
        settings: &Settings,
    ) -> Result<Option<Self>, RestError> {
        let plan = match &request.action {
            Action::Read { relation, head } => {
                let table = table(cache, &request.schema, relation)?;
                let read = read::plan(request, cache, settings, &table.name, Root::Relation)?;
                Self::shaped(
                    request,
                    cache,
                    settings,
                    read,
                    Doing::Reading,
                    *head,
                    table.name.clone(),
                )?
            }
            Action::Write { relation, change } => {
                let table = table(cache, &request.schema, relation)?;
                let read = read::plan(request, cache, settings, &table.name, Root::Change)?;
                let changing = Changing::plan(request, cache, settings, table, *change, &read)?;
                let doing = Doing::Changing(Box::new(changing));
                Self::shaped(request, cache, settings, read, doing, false, table.name.clone())?
            }
            Action::Call { function, how } => {
                let routine = call::find(request, cache, function, *how)?;
                let relation = routine.relation().unwrap_or(function);
                let relation = Name::new(&routine.name.schema, relation);
                let read = read::plan(request, cache, settings, &relation, Root::Function(routine))?;
                let call = Call::plan(request, routine, *how, &read);
                let doing = Doing::Calling(Box::new(call));
                Self::shaped(
                    request,
                    cache,
                    settings,
                    read,
                    doing,
                    *how == Invoke::Head,
                    relation,
                )?
            }
            _ => return Ok(None),
        };
        if request.preferences.strict == Some(true) && !request.preferences.unknown.is_empty() {
            let details = format!("Invalid preferences: {}", request.preferences.unknown.join(", "));
            let message = "Invalid preferences given with handling=strict";
            return Err(RestError::bad("PGRST122", message).details(details));
        }
        plan.refuse_unlimited_call(request)?;
        Ok(Some(plan))
    }

    fn shaped(
        request: &ApiRequest,
        cache: &SchemaCache,
        settings: &Settings,
        read: ReadNode,
        doing: Doing,
        head: bool,
        subject: Name,
    ) -> Result<Self, RestError> {
        let (mut shape, media) = negotiate::choose(request, cache, settings, &subject, &read)?;
        if head || matches!(doing, Doing::Changing(_)) && !request.preferences.wants_rows() {
            shape = Shape::Nothing;
        }
        Ok(Self {
            read,
            doing,
            shape,
            media,
            head,
            subject,
        })
    }

    fn refuse_unlimited_call(&self, request: &ApiRequest) -> Result<(), RestError> {
        let wished = &request.preferences;
        match &self.doing {
            Doing::Calling(call)
                if call.routine.single() && wished.strict == Some(true) && wished.max_affected.is_some() =>
            {
                let message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict";
                Err(RestError::bad("PGRST128", message))
            }
            _ => Ok(()),
        }
    }
}

/// An exposed relation.
pub fn table<'a>(cache: &'a SchemaCache, schema: &str, name: &str) -> Result<&'a Table, RestError> {
    cache.tables.get(&Name::new(schema, name)).ok_or_else(|| {
        let names = cache
            .tables
            .keys()
            .filter(|known| known.schema == schema)
            .map(|known| known.name.as_str());
        let perhaps = nearest(names, name, NAME)
            .map(|(near, _)| format!("Perhaps you meant the table '{schema}.{near}'"));
        let message = format!("Could not find the table '{schema}.{name}' in the schema cache");
        RestError::new(StatusCode::NOT_FOUND, "PGRST205", message).perhaps(perhaps)
    })
}
