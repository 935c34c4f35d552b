//! A discrete-time hazard: the log-odds that a member at risk leaves within 30 days, linear in the features.
//!
//! The coefficients are the mode of the posterior under Gaussian priors: the built-in ones before any data, the
//! network's for a gym. Source: Singer and Willett, "It's about time", J. Educ. Stat. 1993, for the hazard; Gelman,
//! Jakulin, Pittau and Su, Ann. Appl. Stat. 2008, for priors on logistic coefficients.

use super::counts::Counts;
use super::features::{FEATURES, Feature, Scale, Vector, raw};
use super::linear::{Column, Matrix, SIZE, cholesky, inverse, solve};
use super::{logit, sigmoid};
use serde::{Deserialize, Serialize};

/// One member on one day, and whether they left within the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which member; rows of one member are not independent.
    pub member: usize,
    /// Raw features.
    pub features: Vector,
    /// Whether the member left in the 30 days from then.
    pub left: bool,
}

/// Whose exits a model has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nobody's.
    BuiltIn,
    /// Those of several gyms.
    Network,
    /// Those of one gym.
    Gym,
}

impl Level {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Network => "network",
            Self::Gym => "gym",
        }
    }
}

/// What is believed of the coefficients before the rows are seen, in raw units.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// The share of members who leave in a horizon.
    pub base_rate: f64,
    mean: Vector,
    sd: Vector,
}

/// How far a gym's raw coefficient may lie from the built-in one.
const BUILT_IN_SD: f64 = 0.7;
/// How far gyms of one network differ.
const GYM_SD: f64 = 0.25;
/// How far the intercept may lie from the base rate's log-odds.
const INTERCEPT_SD: f64 = 1.0;

impl Prior {
    /// The built-in coefficients.
    pub fn built_in(base_rate: f64) -> Self {
        Self {
            base_rate,
            mean: Feature::ALL.map(Feature::built_in),
            sd: [BUILT_IN_SD; FEATURES],
        }
    }

    /// What a network's model teaches about one of its gyms: its coefficients, its doubt about them, and that gyms differ.
    pub fn of_network(network: &Model, base_rate: f64) -> Self {
        Self {
            base_rate,
            mean: std::array::from_fn(|j| network.coefficients[j] / network.scale.sd[j]),
            sd: std::array::from_fn(|j| {
                let own = network.covariance[j + 1][j + 1] / network.scale.sd[j].powi(2);
                (own + GYM_SD * GYM_SD).sqrt()
            }),
        }
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Whose exits it has seen.
    pub level: Level,
    /// The share of members who leave in a horizon; bands are its multiples.
    pub base_rate: f64,
    /// The log-odds of a member whose features all lie at their mean.
    pub intercept: f64,
    /// Change of the log-odds per standard deviation of each feature.
    pub coefficients: Vector,
    /// Where the features lay.
    pub scale: Scale,
    /// Of intercept and coefficients, by Laplace's approximation.
    covariance: Matrix,
    /// Rows it was fitted on.
    pub rows: usize,
    /// Exits among them.
    pub exits: usize,
}

/// What a model says of one member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Probability of leaving within 30 days.
    pub p: f64,
    /// Lower end of the 95 % interval of `p`.
    pub p_lo: f64,
    /// Its upper end.
    pub p_hi: f64,
    /// The part of the log-odds that all members share.
    pub baseline: f64,
    /// The part each feature adds. With the baseline they sum to the log-odds of `p`.
    pub contributions: Vector,
    /// How `p` stands to the base rate.
    pub band: Band,
}

/// A multiple of the base rate b: low < b, medium 1–2 b, high 2–4 b, critical ≥ 4 b.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Under b.
    Low,
    /// b to 2 b.
    Medium,
    /// 2 b to 4 b.
    High,
    /// 4 b and more.
    Critical,
}

impl Band {
    /// The band of a probability.
    pub fn of(p: f64, base_rate: f64) -> Self {
        match p / base_rate {
            r if r < 1.0 => Self::Low,
            r if r < 2.0 => Self::Medium,
            r if r < 4.0 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl Model {
    /// The prior applied as it stands to these members: the intercept is set so that their mean is the base rate.
    pub fn unfitted(prior: &Prior, population: &[Vector]) -> Self {
        let scale = Scale::of(population);
        let coefficients: Vector = std::array::from_fn(|j| prior.mean[j] * scale.sd[j]);
        let mut covariance = [[0.0; SIZE]; SIZE];
        covariance[0][0] = INTERCEPT_SD * INTERCEPT_SD;
        for j in 0..FEATURES {
            covariance[j + 1][j + 1] = (prior.sd[j] * scale.sd[j]).powi(2);
        }
        let mut model = Self {
            level: Level::BuiltIn,
            base_rate: prior.base_rate,
            intercept: logit(prior.base_rate),
            coefficients,
            scale,
            covariance,
            rows: 0,
            exits: 0,
        };
        model.centre(population);
        model
    }

    /// Bisects the intercept until the mean probability is the base rate.
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    fn centre(&mut self, population: &[Vector]) {
        if population.is_empty() {
            return;
        }
        let parts: Vec<f64> = population
            .iter()
            .map(|row| self.contributions(row).iter().sum())
            .collect();
        let (mut low, mut high) = (self.intercept - 12.0, self.intercept + 12.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let mean = parts.iter().map(|part| sigmoid(middle + part)).sum::<f64>() / parts.len() as f64;
            if mean < self.base_rate {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.intercept = f64::midpoint(low, high);
    }

    /// The mode of the posterior, by iteratively reweighted least squares with step halving. Source: McCullagh and
    /// Nelder, "Generalized linear models", 2.5; the interval is Laplace's approximation at the mode.
    ///
    /// Coefficients that may only raise a score and would come out negative are held at 0 and the rest is fitted again.
    pub fn fit(rows: &[Row], prior: &Prior, level: Level) -> Self {
        let raw: Vec<Vector> = rows.iter().map(|row| row.features).collect();
        let scale = Scale::of(&raw);
        let design = Design::new(rows, prior, &scale);
        let mut held = [false; SIZE];
        let (beta, covariance) = loop {
            let (beta, covariance) = design.mode(&held);
            let wrong = |j: &usize| Feature::ALL[*j].only_raises() && beta[j + 1] < 0.0;
            let Some(j) = (0..FEATURES).find(wrong) else {
                break (beta, covariance);
            };
            held[j + 1] = true;
        };
        Self {
            level,
            base_rate: prior.base_rate,
            intercept: beta[0],
            coefficients: std::array::from_fn(|j| beta[j + 1]),
            scale,
            covariance,
            rows: rows.len(),
            exits: rows.iter().filter(|row| row.left).count(),
        }
    }

    fn contributions(&self, features: &Vector) -> Vector {
        std::array::from_fn(|j| self.coefficients[j] * (features[j] - self.scale.mean[j]) / self.scale.sd[j])
    }

    /// Probability alone, for raw features.
    pub fn probability(&self, features: &Vector) -> f64 {
        sigmoid(self.intercept + self.contributions(features).iter().sum::<f64>())
    }

    /// All that is said of one member.
    pub fn score(&self, counts: &Counts) -> Score {
        let features = raw(counts);
        let contributions = self.contributions(&features);
        let log_odds = self.intercept + contributions.iter().sum::<f64>();
        let z = self.scale.standardise(&features);
        let mut x = [1.0; SIZE];
        x[1..].copy_from_slice(&z);
        let variance: f64 = (0..SIZE)
            .map(|i| x[i] * (0..SIZE).map(|j| self.covariance[i][j] * x[j]).sum::<f64>())
            .sum();
        let reach = 1.959_963_985 * variance.max(0.0).sqrt();
        let p = sigmoid(log_odds);
        Score {
            p,
            p_lo: sigmoid(log_odds - reach),
            p_hi: sigmoid(log_odds + reach),
            baseline: self.intercept,
            contributions,
            band: Band::of(p, self.base_rate),
        }
    }
}

/// Rows and prior on the standardised scale.
struct Design {
    x: Vec<Column>,
    y: Vec<f64>,
    mean: Column,
    precision: Column,
}

impl Design {
    fn new(rows: &[Row], prior: &Prior, scale: &Scale) -> Self {
        let mut mean = [logit(prior.base_rate); SIZE];
        let mut precision = [INTERCEPT_SD.powi(-2); SIZE];
        for j in 0..FEATURES {
            mean[j + 1] = prior.mean[j] * scale.sd[j];
            precision[j + 1] = (prior.sd[j] * scale.sd[j]).powi(-2);
        }
        let column = |row: &Row| {
            let mut x = [1.0; SIZE];
            x[1..].copy_from_slice(&scale.standardise(&row.features));
            x
        };
        Self {
            x: rows.iter().map(column).collect(),
            y: rows.iter().map(|row| f64::from(u8::from(row.left))).collect(),
            mean,
            precision,
        }
    }

    fn mode(&self, held: &[bool; SIZE]) -> (Column, Matrix) {
        let mut beta = self.mean;
        for j in 0..SIZE {
            if held[j] {
                beta[j] = 0.0;
            }
        }
        let mut reached = self.log_posterior(&beta, held);
        for _ in 0..100 {
            let (gradient, information) = self.derivatives(&beta, held);
            let Some(factor) = cholesky(&information) else {
                break;
            };
            let step = solve(&factor, &gradient);
            let mut share = 1.0;
            let next = loop {
                let next: Column = std::array::from_fn(|j| beta[j] + share * step[j]);
                let value = self.log_posterior(&next, held);
                if value >= reached - 1e-12 || share < 1e-6 {
                    reached = value;
                    break next;
                }
                share /= 2.0;
            };
            beta = next;
            if step.iter().all(|s| s.abs() < 1e-9) {
                break;
            }
        }
        let (_, information) = self.derivatives(&beta, held);
        let covariance = cholesky(&information).map_or([[0.0; SIZE]; SIZE], |factor| inverse(&factor));
        (beta, covariance)
    }

    fn log_posterior(&self, beta: &Column, held: &[bool; SIZE]) -> f64 {
        let likelihood: f64 = self
            .x
            .iter()
            .zip(&self.y)
            .map(|(x, y)| {
                let eta = dot(x, beta);
                y * eta - softplus(eta)
            })
            .sum();
        let prior: f64 = (0..SIZE)
            .filter(|j| !held[*j])
            .map(|j| 0.5 * self.precision[j] * (beta[j] - self.mean[j]).powi(2))
            .sum();
        likelihood - prior
    }

    /// Gradient and negative Hessian of the log posterior. A held coefficient neither moves nor varies.
    fn derivatives(&self, beta: &Column, held: &[bool; SIZE]) -> (Column, Matrix) {
        let mut gradient: Column = std::array::from_fn(|j| -self.precision[j] * (beta[j] - self.mean[j]));
        let mut information = [[0.0; SIZE]; SIZE];
        for (x, y) in self.x.iter().zip(&self.y) {
            let p = sigmoid(dot(x, beta));
            let weight = p * (1.0 - p);
            for i in 0..SIZE {
                gradient[i] += x[i] * (y - p);
                for j in 0..=i {
                    information[i][j] += weight * x[i] * x[j];
                }
            }
        }
        let half = information;
        let information: Matrix = std::array::from_fn(|i| {
            std::array::from_fn(|j| match (i == j, held[i] || held[j]) {
                // Next to no variance: the coefficient is fixed.
                (true, true) => 1e12,
                (true, false) => half[i][i] + self.precision[i],
                (false, true) => 0.0,
                (false, false) => half[i.max(j)][i.min(j)],
            })
        });
        for (slope, held) in gradient.iter_mut().zip(held) {
            if *held {
                *slope = 0.0;
            }
        }
        (gradient, information)
    }
}

fn dot(a: &Column, b: &Column) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `ln(1 + eˣ)` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    /// Rows whose log-odds are −2.5 plus these raw coefficients times normal features.
    fn rows(truth: &Vector, n: usize, seed: u64) -> Vec<Row> {
        let mut random = Random::new(seed);
        (0..n)
            .map(|member| {
                let features: Vector = std::array::from_fn(|_| random.normal());
                let eta = -2.5 + features.iter().zip(truth).map(|(x, b)| x * b).sum::<f64>();
                Row {
                    member,
                    features,
                    left: random.happens(sigmoid(eta)),
                }
            })
            .collect()
    }

    fn truth() -> Vector {
        let mut truth = Feature::ALL.map(Feature::built_in);
        truth[7] = 2.0;
        truth[8] = 0.6;
        truth
    }

    #[test]
    fn many_rows_overrule_the_prior_and_none_leave_it() {
        let prior = Prior::built_in(0.08);
        let model = Model::fit(&rows(&truth(), 30_000, 1), &prior, Level::Gym);
        for (j, wanted) in truth().iter().enumerate() {
            let found = model.coefficients[j] / model.scale.sd[j];
            let error = (model.covariance[j + 1][j + 1]).sqrt();
            assert!(
                (found - wanted).abs() < 4.0 * error + 0.02,
                "{:?}: {found} for {wanted}",
                Feature::ALL[j]
            );
        }
        let empty = Model::fit(&[], &prior, Level::Gym);
        for (found, wanted) in empty.coefficients.iter().zip(Feature::ALL) {
            assert!((found - wanted.built_in()).abs() < 1e-9);
        }
        assert!((empty.intercept - logit(0.08)).abs() < 1e-9);
    }

    #[test]
    fn the_mode_is_where_the_gradient_vanishes() {
        let rows = rows(&truth(), 800, 2);
        let prior = Prior::built_in(0.08);
        let model = Model::fit(&rows, &prior, Level::Gym);
        let design = Design::new(&rows, &prior, &model.scale);
        let mut beta = [model.intercept; SIZE];
        beta[1..].copy_from_slice(&model.coefficients);
        let (gradient, _) = design.derivatives(&beta, &[false; SIZE]);
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn a_gym_with_little_data_stays_near_its_network_and_doubts_more() {
        let prior = Prior::built_in(0.08);
        let network = Model::fit(&rows(&truth(), 20_000, 3), &prior, Level::Network);
        let few = rows(&truth(), 150, 4);
        let alone = Model::fit(&few, &prior, Level::Gym);
        let within = Model::fit(&few, &Prior::of_network(&network, 0.08), Level::Gym);
        let far = |m: &Model| -> f64 {
            truth()
                .iter()
                .enumerate()
                .map(|(j, b)| (m.coefficients[j] / m.scale.sd[j] - b).powi(2))
                .sum()
        };
        assert!(far(&within) < far(&alone), "{} {}", far(&within), far(&alone));
        assert!(within.covariance[8][8] > network.covariance[8][8]);
    }

    #[test]
    fn a_longer_absence_never_makes_a_score_better_whatever_the_data_say() {
        let mut perverse = truth();
        perverse[0] = -1.5;
        perverse[1] = -1.0;
        let model = Model::fit(&rows(&perverse, 4_000, 5), &Prior::built_in(0.08), Level::Gym);
        assert!(model.coefficients[0].abs() < 1e-9 && model.coefficients[1].abs() < 1e-9);
        assert!(
            model.coefficients[7] / model.scale.sd[7] > 1.2,
            "the rest is fitted"
        );
    }

    #[test]
    fn a_prior_alone_expects_the_base_rate() {
        let population: Vec<Vector> = rows(&truth(), 500, 6).into_iter().map(|r| r.features).collect();
        let model = Model::unfitted(&Prior::built_in(0.05), &population);
        let mean = population.iter().map(|f| model.probability(f)).sum::<f64>() / 500.0;
        assert!((mean - 0.05).abs() < 1e-9, "{mean}");
    }

    pub fn any_counts() -> impl Strategy<Value = Counts> {
        (
            (
                1_u16..400,
                any::<bool>(),
                proptest::option::of(1_u8..30),
                0_u32..28,
                proptest::option::of(0_u32..28),
            ),
            (
                1_u16..2000,
                proptest::option::of(-40_i16..400),
                any::<bool>(),
                0_u32..8,
                0_u32..20,
                0_u32..8,
                any::<bool>(),
            ),
        )
            .prop_map(
                |(
                    (absent, ever, gap, visits, before),
                    (tenure, end, committed, negative, talks, goals, class),
                )| Counts {
                    days_absent: f64::from(absent),
                    ever_visited: ever,
                    own_gap: gap.map(f64::from),
                    visits_28d: visits,
                    visits_before: before,
                    tenure_days: f64::from(tenure),
                    days_to_end: end.map(f64::from),
                    committed,
                    negative_30d: negative,
                    conversations_28d: talks,
                    goals_progressing: goals,
                    group_class: class,
                },
            )
    }

    proptest! {
        #[test]
        fn contributions_and_baseline_sum_to_the_log_odds(counts in any_counts()) {
            let model = Model::fit(&rows(&truth(), 300, 7), &Prior::built_in(0.08), Level::Gym);
            let score = model.score(&counts);
            let sum = score.baseline + score.contributions.iter().sum::<f64>();
            prop_assert!((sum - logit(score.p)).abs() < 1e-9 * (1.0 + sum.abs()) || score.p > 1.0 - 1e-6 || score.p < 1e-12);
            prop_assert!((sigmoid(sum) - score.p).abs() < 1e-12);
            prop_assert!(score.p_lo <= score.p && score.p <= score.p_hi && score.p_lo >= 0.0 && score.p_hi <= 1.0);
        }

        #[test]
        fn absence_is_monotone(counts in any_counts(), more in 1_u16..200) {
            let model = Model::fit(&rows(&truth(), 300, 8), &Prior::built_in(0.08), Level::Gym);
            let longer = Counts { days_absent: counts.days_absent + f64::from(more), ..counts };
            prop_assert!(model.score(&longer).p >= model.score(&counts).p);
        }
    }

    #[test]
    fn bands_are_multiples_of_the_base_rate() {
        let b = 0.03;
        for (p, band) in [
            (0.029, Band::Low),
            (0.03, Band::Medium),
            (0.059, Band::Medium),
            (0.061, Band::High),
            (0.119, Band::High),
            (0.12001, Band::Critical),
            (0.5, Band::Critical),
        ] {
            assert_eq!(Band::of(p, b), band, "{p}");
        }
        assert_eq!(Band::of(0.2, 0.3), Band::Low, "never a fixed bar");
    }
}
