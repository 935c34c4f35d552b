//! How good scores were, once it is known who left.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A score and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Which member; outcomes of one member are not independent.
    pub member: usize,
    /// Higher means likelier to leave. A probability for those measures that need one.
    pub score: f64,
    /// Whether the member left within the horizon.
    pub left: bool,
}

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WithInterval {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

/// Area under the ROC curve: the chance that a leaver scores above a stayer, ties counting half. Null without both.
///
/// The interval is the normal one on placement values summed by member. Sources: DeLong, DeLong and Clarke-Pearson,
/// Biometrics 1988; for clusters Obuchowski, Biometrics 1997.
pub fn auc(outcomes: &[Outcome]) -> Option<WithInterval> {
    let ranks = midranks(outcomes);
    let leavers = number(outcomes.iter().filter(|o| o.left).count());
    let stayers = number(outcomes.len()) - leavers;
    if leavers == 0.0 || stayers == 0.0 {
        return None;
    }
    let sum: f64 = ranks
        .iter()
        .zip(outcomes)
        .filter(|(_, o)| o.left)
        .map(|(r, _)| r.all)
        .sum();
    let value = (sum - leavers * (leavers + 1.0) / 2.0) / (leavers * stayers);
    // In order, so that the same outcomes give the same bits.
    let mut by_member: BTreeMap<usize, f64> = BTreeMap::new();
    for (rank, outcome) in ranks.iter().zip(outcomes) {
        let influence = if outcome.left {
            ((rank.all - rank.within) / stayers - value) / leavers
        } else {
            (1.0 - (rank.all - rank.within) / leavers - value) / stayers
        };
        *by_member.entry(outcome.member).or_default() += influence;
    }
    let clusters = number(by_member.len());
    let variance = by_member.values().map(|i| i * i).sum::<f64>() * clusters / (clusters - 1.0).max(1.0);
    let reach = 1.959_963_985 * variance.sqrt();
    Some(WithInterval {
        value,
        lo: (value - reach).max(0.0),
        hi: (value + reach).min(1.0),
    })
}

/// The rank of an outcome among all and among those of its own kind, ties at their mean.
#[derive(Clone, Copy, Default)]
struct Rank {
    all: f64,
    within: f64,
}

fn midranks(outcomes: &[Outcome]) -> Vec<Rank> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|a, b| outcomes[*a].score.total_cmp(&outcomes[*b].score));
    let mut ranks = vec![Rank::default(); outcomes.len()];
    let (mut start, mut before) = (0, [0.0, 0.0]);
    while start < order.len() {
        let tied = order[start..]
            .iter()
            .take_while(|i| {
                outcomes[**i]
                    .score
                    .total_cmp(&outcomes[order[start]].score)
                    .is_eq()
            })
            .count();
        let group = &order[start..start + tied];
        let mut own = [0.0, 0.0];
        for i in group {
            own[usize::from(outcomes[*i].left)] += 1.0;
        }
        for i in group {
            let kind = usize::from(outcomes[*i].left);
            ranks[*i] = Rank {
                all: number(start) + f64::midpoint(number(tied), 1.0),
                within: before[kind] + f64::midpoint(own[kind], 1.0),
            };
        }
        before = [before[0] + own[0], before[1] + own[1]];
        start += tied;
    }
    ranks
}

/// Area under the precision-recall curve, as average precision: Σ precision · gain in recall, tied scores taken together.
/// Source: Davis and Goadrich, ICML 2006. Null without a leaver.
pub fn pr_auc(outcomes: &[Outcome]) -> Option<f64> {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let leavers = sorted.iter().filter(|o| o.left).count();
    if leavers == 0 {
        return None;
    }
    let (mut seen, mut found, mut area) = (0_usize, 0_usize, 0.0);
    for tied in sorted.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let gain = tied.iter().filter(|o| o.left).count();
        seen += tied.len();
        found += gain;
        area += number(found) / number(seen) * number(gain) / number(leavers);
    }
    Some(area)
}

/// Mean of −ln of the probability given to what happened; probabilities are kept off 0 and 1 by 1e-12.
pub fn log_loss(outcomes: &[Outcome]) -> f64 {
    mean(outcomes, |o| loss(o.score, o.left))
}

/// The log-loss of one probability.
pub fn loss(p: f64, left: bool) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    -(if left { p } else { 1.0 - p }).ln()
}

/// Brier skill: 1 − Brier score ÷ that of always saying `base_rate`; above 0 is better than that. Sources: Brier 1950;
/// Murphy 1973.
pub fn brier_skill(outcomes: &[Outcome], base_rate: f64) -> f64 {
    let square = |p: f64, left: bool| (p - f64::from(u8::from(left))).powi(2);
    let own = mean(outcomes, |o| square(o.score, o.left));
    let reference = mean(outcomes, |o| square(base_rate, o.left));
    if reference > 0.0 {
        1.0 - own / reference
    } else {
        0.0
    }
}

/// Expected calibration error over ten bins of equal size: mean of |observed − expected|. Source: Naeini, Cooper and
/// Hauskrecht, AAAI 2015.
pub fn calibration_error(outcomes: &[Outcome]) -> f64 {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let n = sorted.len();
    (0..10)
        .map(|bin| {
            let bin = &sorted[bin * n / 10..(bin + 1) * n / 10];
            let observed: f64 = bin.iter().map(|o| f64::from(u8::from(o.left))).sum();
            let expected: f64 = bin.iter().map(|o| o.score).sum();
            (observed - expected).abs()
        })
        .sum::<f64>()
        / number(n).max(1.0)
}

/// Exits observed ÷ expected. Null where none is expected.
pub fn observed_over_expected(outcomes: &[Outcome]) -> Option<f64> {
    let observed = number(outcomes.iter().filter(|o| o.left).count());
    let expected: f64 = outcomes.iter().map(|o| o.score).sum();
    (expected > 0.0).then(|| observed / expected)
}

/// The share of leavers among the `k` highest scores; of scores tied at the edge, their share. Null when `k` is 0.
pub fn precision_at(outcomes: &[Outcome], k: usize) -> Option<f64> {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let k = k.min(sorted.len());
    if k == 0 {
        return None;
    }
    let (mut taken, mut found) = (0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let share = number((k - taken).min(tied.len())) / number(tied.len());
        found += share * number(tied.iter().filter(|o| o.left).count());
        taken = (taken + tied.len()).min(k);
        if taken == k {
            break;
        }
    }
    Some(found / number(k))
}

fn mean(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / number(outcomes.len()).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "a number of outcomes")]
pub(super) fn number(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn outcomes(pairs: &[(f64, bool)]) -> Vec<Outcome> {
        pairs
            .iter()
            .enumerate()
            .map(|(member, (score, left))| Outcome {
                member,
                score: *score,
                left: *left,
            })
            .collect()
    }

    /// Four outcomes whose ROC and PR areas stand in many a textbook.
    fn known() -> Vec<Outcome> {
        outcomes(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)])
    }

    #[test]
    fn areas_are_the_textbooks() {
        assert!((auc(&known()).unwrap().value - 0.75).abs() < 1e-12);
        assert!((pr_auc(&known()).unwrap() - 0.833_333_333).abs() < 1e-8);
        let tied = outcomes(&[(0.5, false), (0.5, true), (0.5, false), (0.5, true)]);
        assert!((auc(&tied).unwrap().value - 0.5).abs() < 1e-12);
        assert!((pr_auc(&tied).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(auc(&outcomes(&[(0.5, false)])), None);
        assert_eq!(pr_auc(&outcomes(&[(0.5, false)])), None);
    }

    #[test]
    fn losses_are_those_of_the_formulas() {
        let o = outcomes(&[(0.25, false), (0.5, true)]);
        assert!((log_loss(&o) - f64::midpoint(-(0.75_f64.ln()), -(0.5_f64.ln()))).abs() < 1e-12);
        // Brier (.0625 + .25) / 2 against (.25 + .25) / 2.
        assert!((brier_skill(&o, 0.5) - 0.375).abs() < 1e-12);
        assert!((observed_over_expected(&o).unwrap() - 1.0 / 0.75).abs() < 1e-12);
        assert!(log_loss(&outcomes(&[(0.0, true)])).is_finite());
        assert_eq!(observed_over_expected(&[]), None);
    }

    #[test]
    fn precision_among_the_first_shares_ties() {
        let o = outcomes(&[(0.9, true), (0.5, true), (0.5, false), (0.1, true)]);
        assert_eq!(precision_at(&o, 1), Some(1.0));
        assert_eq!(precision_at(&o, 2), Some(0.75));
        assert_eq!(precision_at(&o, 9), Some(0.75));
        assert_eq!(precision_at(&o, 0), None);
    }

    #[test]
    fn true_probabilities_are_calibrated_and_doubled_ones_are_not() {
        let mut random = Random::new(3);
        let fair: Vec<Outcome> = (0..20_000)
            .map(|member| {
                let score = random.unit() * 0.4;
                Outcome {
                    member,
                    score,
                    left: random.happens(score),
                }
            })
            .collect();
        let doubled: Vec<Outcome> = fair
            .iter()
            .map(|o| Outcome {
                score: o.score * 2.0,
                ..*o
            })
            .collect();
        assert!(calibration_error(&fair) < 0.012, "{}", calibration_error(&fair));
        assert!(calibration_error(&doubled) > 0.15);
        assert!((observed_over_expected(&doubled).unwrap() - 0.5).abs() < 0.03);
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says_and_widens_with_clusters() {
        // Normal scores shifted by 1: the area is Φ(1/√2) = 0.760.
        let mut covered = 0;
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let sample: Vec<Outcome> = (0..300)
                .map(|member| {
                    let left = member % 5 == 0;
                    Outcome {
                        member,
                        score: random.normal() + f64::from(u8::from(left)),
                        left,
                    }
                })
                .collect();
            let found = auc(&sample).unwrap();
            covered += usize::from(found.lo <= 0.760 && 0.760 <= found.hi);
        }
        assert!((182..=198).contains(&covered), "{covered} of 200");
        let once = known();
        let four: Vec<Outcome> = (0..4).flat_map(|_| once.clone()).collect();
        let apart: Vec<Outcome> = four
            .iter()
            .enumerate()
            .map(|(member, o)| Outcome { member, ..*o })
            .collect();
        let width = |o: &[Outcome]| auc(o).map(|i| i.hi - i.lo).unwrap();
        assert!(width(&four) > width(&apart));
    }
}
