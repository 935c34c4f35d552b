//! The published fits on the 2 357 customers of CDNOW.

use jarvis_insight::churn::btyd::{Btyd, Customer, Kind, read_summary};
use std::path::PathBuf;

/// The customers; nothing where the package was not fetched, except where everything is tested.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
#[expect(
    clippy::unwrap_used,
    reason = "a fetched file that is not there or cannot be read fails the test"
)]
fn customers() -> Option<Vec<Customer>> {
    let Some(folder) = std::env::var_os("JARVIS_LIFETIMES").map(PathBuf::from) else {
        assert!(std::env::var_os("CI").is_none(), "JARVIS_LIFETIMES is not set");
        println!("skipped: JARVIS_LIFETIMES is not set; `make test` fetches it and sets it");
        return None;
    };
    let text =
        std::fs::read_to_string(folder.join("lifetimes/datasets/cdnow_customers_summary.csv")).unwrap();
    Some(read_summary(&text).unwrap())
}

#[test]
fn bg_nbd_finds_the_published_parameters_and_likelihood() {
    let Some(customers) = customers() else { return };
    assert_eq!(customers.len(), 2357);
    let fitted = Btyd::fit(Kind::BgNbd, &customers).unwrap();
    assert!((fitted.log_likelihood + 9582.43).abs() < 0.01, "{fitted:?}");
    for (found, published) in [
        (fitted.r, 0.2426),
        (fitted.alpha, 4.4136),
        (fitted.a, 0.7929),
        (fitted.b, 2.4259),
    ] {
        assert!((found / published - 1.0).abs() < 2e-3, "{fitted:?}");
    }
}

#[test]
fn mbg_nbd_finds_the_published_likelihood() {
    let Some(customers) = customers() else { return };
    let fitted = Btyd::fit(Kind::MbgNbd, &customers).unwrap();
    assert!((fitted.log_likelihood + 9582.13).abs() < 0.01, "{fitted:?}");
}
