//! `jarvis cost`: what models of a provider cost, and the prices that say so.

use crate::arguments;
use crate::connection;
use crate::failure::{Done, WrongUse, or_taken};
use crate::global::Global;
use crate::output::{Output, table, talk};
use chrono::{DateTime, NaiveDate, Utc};
use jarvis_core::{Clock as _, Scope, SystemClock};
use jarvis_db::queries::price::{self, Price, Spending, UNITS};
use serde::Serialize;

/// What models of a provider cost: prices are US dollars for a million tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What a gym's calls cost in a month, by model
    #[command(
        after_help = "A call whose model had no price at that moment has no known cost, and is counted apart: it was not free."
    )]
    Show {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// The month, such as 2026-11, in the gym's time zone [default: the present one]
        #[arg(long, value_parser = month)]
        month: Option<NaiveDate>,
    },
    /// Set and list prices
    #[command(subcommand)]
    Price(PriceCommand),
}

/// The book of prices. The program brings none: a price is what your provider charges you.
#[derive(Debug, clap::Subcommand)]
pub enum PriceCommand {
    /// Add prices of a model; those of before stay in the book
    #[command(after_help = "\
What is counted: input-token, cached-input-token, output-token, audio-input-token,
cached-audio-input-token, audio-output-token, audio-second. Cached tokens have a price of their own:
without it, the cost of calls that read some is unknown. A model that costs nothing, such as one of
your own machine, has the price 0.

Example:
  jarvis cost price set gpt-6-luna input-token=0.15 cached-input-token=0.075 output-token=0.6 \\
    --source 'price list of 2026-11-20'")]
    Set {
        /// The model, as it is asked for
        #[arg(value_parser = model)]
        model: String,
        /// What is counted, and US dollars for a million of it, as output-token=0.6
        #[arg(required = true, value_name = "UNIT=USD", value_parser = unit_price)]
        prices: Vec<(String, String)>,
        /// Where the prices were read
        #[arg(long, value_parser = arguments::filled)]
        source: String,
        /// From when they hold: a day (UTC) or a moment, such as 2026-12-01 or 2026-12-01T08:00:00+01:00 [default: now]
        #[arg(long, value_parser = moment)]
        from: Option<DateTime<Utc>>,
    },
    /// The prices that hold and those to come
    List {
        /// Of this model alone
        #[arg(long)]
        model: Option<String>,
        /// Those that hold no longer, too
        #[arg(long)]
        past: bool,
    },
}

impl Command {
    /// Whether it acts as the owner of the database.
    pub fn needs_owner(&self) -> bool {
        matches!(self, Self::Price(PriceCommand::Set { .. }))
    }
}

fn model(text: &str) -> Result<String, String> {
    let model = arguments::filled(text)?;
    if model.chars().count() > 200 || model.chars().any(char::is_control) {
        return Err("a model's name has at most 200 characters, on one line".to_owned());
    }
    Ok(model)
}

/// `output-token=0.6`, exactly: never through a binary fraction.
fn unit_price(text: &str) -> Result<(String, String), String> {
    let (unit, usd) = text
        .split_once('=')
        .ok_or_else(|| "write it as output-token=0.6".to_owned())?;
    let named = unit.trim().replace('-', "_");
    if !UNITS.contains(&named.as_str()) {
        let known: Vec<String> = UNITS.iter().map(|unit| unit.replace('_', "-")).collect();
        return Err(format!(
            "nothing is counted as `{unit}`; there are {}",
            known.join(", ")
        ));
    }
    let usd = usd.trim();
    let (whole, part) = usd.split_once('.').unwrap_or((usd, "0"));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 8) || !digits(part, 6) {
        return Err(format!(
            "`{usd}` is no price: US dollars from 0 to 99999999.999999, with a point, as 0.075"
        ));
    }
    Ok((named, usd.to_owned()))
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || {
        text.parse::<NaiveDate>()
            .ok()?
            .and_hms_opt(0, 0, 0)
            .map(|day| day.and_utc())
    };
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    day().or_else(exact).ok_or_else(|| {
        "write a day such as 2026-12-01, or a moment such as 2026-12-01T08:00:00+01:00".to_owned()
    })
}

fn month(text: &str) -> Result<NaiveDate, String> {
    format!("{text}-01")
        .parse()
        .map_err(|_| "write it as 2026-11".to_owned())
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Show { gym, month } => show(global, out, gym.as_deref(), month).await?,
        Command::Price(PriceCommand::Set {
            model,
            prices,
            source,
            from,
        }) => set(global, out, &model, prices, &source, from).await?,
        Command::Price(PriceCommand::List { model, past }) => {
            let db = connection::db(&connection::urls(global)?).await?;
            let mut tx = db.begin(&Scope::System).await?;
            let prices = price::list(&mut tx, model.as_deref(), SystemClock.now(), past).await?;
            if prices.is_empty() {
                talk("there is no price: `jarvis cost price set` adds one; until then costs are unknown");
            }
            out.data(&prices, |prices| listed(prices))?;
        }
    }
    Ok(Done::Ok)
}

async fn set(
    global: &Global,
    out: Output,
    model: &str,
    prices: Vec<(String, String)>,
    source: &str,
    from: Option<DateTime<Utc>>,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let valid_from = from.unwrap_or(now);
    let mut units: Vec<&str> = prices.iter().map(|(unit, _)| unit.as_str()).collect();
    units.sort_unstable();
    if let Some(twice) = units.windows(2).find(|pair| pair[0] == pair[1]) {
        let unit = twice[0].replace('_', "-");
        return Err(WrongUse(format!("`{unit}` has two prices; say which one")).into());
    }
    let prices: Vec<Price> = prices
        .into_iter()
        .map(|(unit, usd_per_million)| Price {
            model: model.to_owned(),
            unit,
            usd_per_million,
            valid_from,
            source: source.to_owned(),
        })
        .collect();
    let mut admin = connection::admin(&connection::urls(global)?).await?;
    price::insert(&mut admin, &prices).await.map_err(|error| {
        or_taken(error, || {
            format!("the book has a price of {model} from that very moment, and prices are never changed: take a later --from")
        })
    })?;
    if valid_from < now - chrono::TimeDelta::minutes(1) {
        talk("calls that were written down before now keep the cost they have, known or not");
    }
    let has = |unit: &str| prices.iter().any(|price| price.unit == unit);
    if has("input_token") && !has("cached_input_token") {
        talk(
            "without a price of cached-input-token, the cost of calls that read from the provider's cache is unknown",
        );
    }
    out.data(&prices, |prices| listed(prices))
}

fn listed(prices: &[Price]) -> String {
    let rows = prices.iter().map(|price| {
        [
            price.model.clone(),
            price.unit.replace('_', "-"),
            price.usd_per_million.clone(),
            price.valid_from.format("%Y-%m-%d %H:%M UTC").to_string(),
            price.source.clone(),
        ]
    });
    table(["model", "unit", "USD per million", "from", "source"], rows)
}

/// What `jarvis cost show` tells.
#[derive(Debug, Serialize)]
struct Month {
    /// The month, such as `2026-11`.
    month: String,
    models: Vec<Spending>,
}

async fn show(
    global: &Global,
    out: Output,
    gym: Option<&str>,
    month: Option<NaiveDate>,
) -> anyhow::Result<()> {
    let desk = connection::desk(global, gym).await?;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let day = month.unwrap_or_else(|| SystemClock.now().date_naive());
    let models = price::spending(&mut tx, desk.gym, day).await?;
    tx.commit().await?;
    if models.is_empty() {
        talk("no call of a provider's model was written down in that month");
    }
    if models.iter().any(|model| model.calls_without_price > 0) {
        talk(
            "some calls have no known cost, since their model had no price then: see `jarvis cost price set --help`",
        );
    }
    let month = Month {
        month: day.format("%Y-%m").to_string(),
        models,
    };
    out.data(&month, |month| {
        let rows = month.models.iter().map(|model| {
            [
                model.provider.clone(),
                model.model.clone(),
                model.calls.to_string(),
                model.input_tokens.to_string(),
                model.cached_input_tokens.to_string(),
                model.output_tokens.to_string(),
                model.usd.clone().unwrap_or_else(|| "unknown".to_owned()),
                model.calls_without_price.to_string(),
            ]
        });
        let header = [
            "provider",
            "model",
            "calls",
            "input",
            "cached",
            "output",
            "USD",
            "without price",
        ];
        table(header, rows)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_taken_to_the_last_digit_and_nothing_else_is_one() {
        for (text, unit, usd) in [
            ("input-token=0.15", "input_token", "0.15"),
            ("cached_input_token=0", "cached_input_token", "0"),
            ("output-token=99999999.999999", "output_token", "99999999.999999"),
        ] {
            assert_eq!(unit_price(text), Ok((unit.to_owned(), usd.to_owned())));
        }
        for text in [
            "output-token",
            "output-token=",
            "output-token=-1",
            "output-token=+1",
            "output-token=1e3",
            "output-token=.5",
            "output-token=5.",
            "output-token=0,5",
            "output-token=NaN",
            "output-token=100000000",
            "output-token=0.0000001",
            "token=1",
            "=1",
        ] {
            assert!(unit_price(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_price_begins_on_a_day_or_at_a_moment() {
        let at = |text: &str| moment(text).unwrap().to_rfc3339();
        assert_eq!(at("2026-12-01"), "2026-12-01T00:00:00+00:00");
        assert_eq!(at("2026-12-01T08:00:00+01:00"), "2026-12-01T07:00:00+00:00");
        for text in ["", "tomorrow", "2026-13-01", "2026-12-01 08:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert!(month("2026-11").is_ok());
        assert!(month("2026-11-05").is_err() && month("11").is_err());
    }
}
