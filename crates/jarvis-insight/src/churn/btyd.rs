//! Buy-till-you-die: the textbook model of customers without contracts, as a rival for ours.
//!
//! BG/NBD: visits come at a gamma-distributed rate, and after each one a beta-distributed share leaves for good. Source:
//! Fader, Hardie and Lee, "Counting your customers the easy way", Marketing Science 2005. MBG/NBD lets a customer leave
//! right after the first purchase too. Source: Batislam, Denizel and Filiztekin, Int. J. Research in Marketing 2007.

use serde::{Deserialize, Serialize};

/// A customer: repeat transactions, when the last one was, and how long they have been watched, both since the first one
/// and in one unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Repeat transactions x.
    pub repeats: f64,
    /// Time of the last one, t_x; 0 without a repeat.
    pub last: f64,
    /// Time watched, T.
    pub watched: f64,
}

/// Why a text is no list of customers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {problem}; wanted is CSV with the columns frequency, recency and T, in one unit of time"
)]
pub struct NoCustomers {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads customers from a summary as the package Lifetimes writes it: CSV of plain numbers with the columns `frequency`
/// (x), `recency` (t_x) and `T`.
pub fn read_summary(text: &str) -> Result<Vec<Customer>, NoCustomers> {
    let no = |line: usize, problem: String| NoCustomers {
        line: line + 1,
        problem,
    };
    let mut lines = text.lines().enumerate();
    let (_, head) = lines.next().ok_or_else(|| no(0, "nothing is there".to_owned()))?;
    let column = |name: &str| {
        head.split(',')
            .position(|c| c.trim().trim_matches('"') == name)
            .ok_or_else(|| no(0, format!("there is no column {name}")))
    };
    let places = [column("frequency")?, column("recency")?, column("T")?];
    let mut customers = Vec::new();
    for (n, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let mut values = [0.0; 3];
        for (value, place) in values.iter_mut().zip(places) {
            let cell = cells.get(place).map_or("", |c| c.trim());
            *value = cell
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite() && *v >= 0.0)
                .ok_or_else(|| no(n, format!("\u{ab} {cell} \u{bb} is no number of 0 or more")))?;
        }
        let [repeats, last, watched] = values;
        if last > watched {
            return Err(no(n, "the last transaction is after the end".to_owned()));
        }
        customers.push(Customer {
            repeats,
            last,
            watched,
        });
    }
    Ok(customers)
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nobody leaves before a first repeat.
    BgNbd,
    /// One may leave at once.
    MbgNbd,
}

/// Fitted parameters, all above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Btyd {
    /// Which model.
    pub kind: Kind,
    /// Shape of the rates.
    pub r: f64,
    /// Inverse scale of the rates, in the unit of time.
    pub alpha: f64,
    /// First parameter of the shares that leave.
    pub a: f64,
    /// Second parameter of the shares that leave.
    pub b: f64,
    /// Natural log of the likelihood.
    pub log_likelihood: f64,
}

impl Btyd {
    /// The most likely parameters. Null without customers.
    pub fn fit(kind: Kind, customers: &[Customer]) -> Option<Self> {
        if customers.is_empty() {
            return None;
        }
        let at = |logs: &[f64; 4]| -> f64 {
            let [r, alpha, a, b] = logs.map(f64::exp);
            let model = Self {
                kind,
                r,
                alpha,
                a,
                b,
                log_likelihood: 0.0,
            };
            let sum: f64 = customers.iter().map(|c| model.log_likelihood_of(c)).sum();
            if sum.is_finite() { -sum } else { f64::MAX }
        };
        let mut start = [0.0, mean_watched(customers).ln() - 2.0, 0.0, 0.5];
        // A simplex can stall; from where it did, a fresh one goes on.
        for _ in 0..4 {
            start = minimise(&at, start);
        }
        let [r, alpha, a, b] = start.map(f64::exp);
        Some(Self {
            kind,
            r,
            alpha,
            a,
            b,
            log_likelihood: -at(&start),
        })
    }

    /// Equation 6 of Fader, Hardie and Lee, and its like of Batislam, Denizel and Filiztekin.
    fn log_likelihood_of(&self, c: &Customer) -> f64 {
        let Self {
            kind, r, alpha, a, b, ..
        } = *self;
        let x = c.repeats;
        // A customer of MBG/NBD has survived one coin more: the first purchase's.
        let coins = if kind == Kind::MbgNbd { x + 1.0 } else { x };
        let rate = ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln();
        let survival = ln_gamma(a + b) + ln_gamma(b + coins) - ln_gamma(b) - ln_gamma(a + b + coins);
        let alive = -(r + x) * (alpha + c.watched).ln();
        if coins == 0.0 {
            return rate + survival + alive;
        }
        let gone = a.ln() - (b + coins - 1.0).ln() - (r + x) * (alpha + c.last).ln();
        let more = alive.max(gone);
        rate + survival + more + ((alive - more).exp() + (gone - more).exp()).ln()
    }

    /// The probability that the customer has not left yet. Source: Fader, Hardie and Lee, "Computing P(alive) using the
    /// BG/NBD model", 2008.
    pub fn alive(&self, c: &Customer) -> f64 {
        let coins = if self.kind == Kind::MbgNbd {
            c.repeats + 1.0
        } else {
            c.repeats
        };
        if coins == 0.0 {
            return 1.0;
        }
        let odds = (self.a / (self.b + coins - 1.0)).ln()
            + (self.r + c.repeats) * ((self.alpha + c.watched) / (self.alpha + c.last)).ln();
        1.0 / (1.0 + odds.exp())
    }
}

fn mean_watched(customers: &[Customer]) -> f64 {
    (customers.iter().map(|c| c.watched).sum::<f64>() / super::metrics::number(customers.len())).max(1e-9)
}

/// ln Γ(x) for x > 0, to about 1e-14. Source: Lanczos, SIAM Journal on Numerical Analysis 1964, with Godfrey's coefficients for g = 7.
pub fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = COEFFICIENTS[0];
    let mut place = 0.0;
    for c in &COEFFICIENTS[1..] {
        place += 1.0;
        sum += c / (x + place);
    }
    let t = x + G + 0.5;
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Minimises without derivatives. Source: Nelder and Mead, Computer Journal 1965, with the usual coefficients.
fn minimise(f: &impl Fn(&[f64; 4]) -> f64, start: [f64; 4]) -> [f64; 4] {
    let mut corners: Vec<([f64; 4], f64)> = vec![(start, f(&start))];
    for j in 0..4 {
        let mut corner = start;
        corner[j] += 0.5;
        corners.push((corner, f(&corner)));
    }
    for _ in 0..600 {
        corners.sort_by(|a, b| a.1.total_cmp(&b.1));
        if corners[4].1 - corners[0].1 < 1e-9 {
            break;
        }
        let worst = corners[4];
        let centre: [f64; 4] =
            std::array::from_fn(|j| corners[..4].iter().map(|c| c.0[j]).sum::<f64>() / 4.0);
        let along = |by: f64| {
            let point: [f64; 4] = std::array::from_fn(|j| centre[j] + by * (worst.0[j] - centre[j]));
            (point, f(&point))
        };
        let reflected = along(-1.0);
        let better = if reflected.1 < corners[0].1 {
            let expanded = along(-2.0);
            Some(if expanded.1 < reflected.1 {
                expanded
            } else {
                reflected
            })
        } else if reflected.1 < corners[3].1 {
            Some(reflected)
        } else {
            let contracted = along(if reflected.1 < worst.1 { -0.5 } else { 0.5 });
            (contracted.1 < worst.1.min(reflected.1)).then_some(contracted)
        };
        if let Some(better) = better {
            corners[4] = better;
        } else {
            let best = corners[0].0;
            for corner in &mut corners[1..] {
                corner.0 = std::array::from_fn(|j| f64::midpoint(best[j], corner.0[j]));
                corner.1 = f(&corner.0);
            }
        }
    }
    corners.sort_by(|a, b| a.1.total_cmp(&b.1));
    corners[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_gamma_is_that_of_factorials_and_of_one_half() {
        let mut factorial = 1.0_f64;
        for n in 1..30_u32 {
            factorial *= f64::from(n);
            assert!(
                (ln_gamma(f64::from(n) + 1.0) - factorial.ln()).abs() < 1e-11,
                "{n}!"
            );
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-13);
        assert!((ln_gamma(0.1) - 2.252_712_651_734_206).abs() < 1e-12);
    }

    #[test]
    fn a_summary_is_read_or_refused_with_its_line() {
        let read = read_summary("ID,frequency,recency,T\n1,2,30.43,38.86\n\n2,0,0,38.86\n").unwrap();
        assert_eq!((read.len(), read[0].repeats, read[1].watched), (2, 2.0, 38.86));
        for (text, line) in [
            ("", 1),
            ("frequency,T\n", 1),
            ("frequency,recency,T\n1,2,x\n", 2),
            ("frequency,recency,T\n1,2,3\n1,5,3\n", 3),
        ] {
            assert_eq!(read_summary(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn the_longer_the_silence_the_less_alive() {
        let model = Btyd {
            kind: Kind::BgNbd,
            r: 0.2426,
            alpha: 4.4136,
            a: 0.7929,
            b: 2.4259,
            log_likelihood: 0.0,
        };
        // The published example: x = 2, t_x = 30.43, T = 38.86 gives P(alive) = .7266.
        let example = Customer {
            repeats: 2.0,
            last: 30.43,
            watched: 38.86,
        };
        assert!(
            (model.alive(&example) - 0.7266).abs() < 5e-4,
            "{}",
            model.alive(&example)
        );
        let later = Customer {
            watched: 60.0,
            ..example
        };
        assert!(model.alive(&later) < model.alive(&example));
        assert!(
            (model.alive(&Customer {
                repeats: 0.0,
                last: 0.0,
                watched: 9.0
            }) - 1.0)
                .abs()
                < 1e-12
        );
    }
}
