//! The bars of the model on ten simulated gyms.

use chrono::NaiveDate;
use jarvis_insight::churn::BASE_RATE;
use jarvis_insight::churn::backtest::{ABOVE_RECENCY, Rival, backtest, median};
use jarvis_insight::churn::trust::FAIR;
use jarvis_insight::simulate::Gym;

#[test]
fn the_model_beats_days_of_absence_and_is_fair_in_the_median_of_ten_gyms() {
    let end = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    let (mut above, mut fair) = (Vec::new(), Vec::new());
    for seed in 1..=10 {
        let gym = Gym {
            members: 600,
            days: 730,
            end,
            seed,
        };
        let report = backtest(&gym.simulate(), end, BASE_RATE);
        let auc = |rival| report.of(rival).unwrap().auc.unwrap().value;
        println!(
            "{seed}: exits {} recency {:.3} mbg {:.3} prior {:.3} map {:.3} O/E {:.2}",
            report.exits,
            auc(Rival::Recency),
            auc(Rival::MbgNbd),
            auc(Rival::Prior),
            auc(Rival::Map),
            report.observed_over_expected().unwrap()
        );
        above.push(report.above_recency().unwrap());
        fair.push(report.observed_over_expected().unwrap());
    }
    let (above, fair) = (median(&mut above).unwrap(), median(&mut fair).unwrap());
    assert!(above >= ABOVE_RECENCY, "{above} above recency");
    assert!(FAIR.contains(&fair), "observed ÷ expected {fair}");
}
