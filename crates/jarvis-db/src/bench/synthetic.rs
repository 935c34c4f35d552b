//! Made-up members and vectors, the same for the same seed.
//!
//! A summary's vector is a topic of 64, plus half of its member's own direction, plus noise as long as the topic, made
//! unit length: summaries of a topic are near each other whoever said them, and a member's somewhat more so. Members
//! are skewed by a power law whose exponent is found by bisection, so that a query, which meets a member as often as
//! the member has summaries, sees 154 rows on average where there are ten a member.

use sqlx::types::Uuid;

/// Numbers of a vector.
pub const DIMENSIONS: usize = 1536;
const TOPICS: usize = 64;
/// Rows that a query meets on average, a member having ten: the skew of the published comparison.
const ROWS_MET: f64 = 15.4;

/// A small generator of numbers that look random (splitmix64, public domain, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The generator of a seed and a place.
    pub fn new(seed: u64, place: u64) -> Self {
        Self(seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A place below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// Four bytes' sum, about normally distributed, mean 0, variance 1.
    fn normal(&mut self) -> f32 {
        let bytes = self.draw().to_le_bytes();
        let sum: u16 = bytes.iter().map(|b| u16::from(*b)).sum();
        (f32::from(sum) - 1020.0) / 209.0
    }

    fn direction(&mut self) -> Vec<f32> {
        unit((0..DIMENSIONS).map(|_| self.normal()).collect())
    }
}

/// The made-up gym.
#[derive(Debug)]
pub struct Gym {
    seed: u64,
    topics: Vec<Vec<f32>>,
    /// Summaries of each member, the heaviest first.
    pub sizes: Vec<usize>,
    /// Member and number within the member of every summary, in the order of their arrival.
    pub arrivals: Vec<(usize, usize)>,
}

impl Gym {
    /// A gym of `members` with `summaries` in all.
    pub fn new(seed: u64, members: usize, summaries: usize) -> Self {
        let sizes = sizes(members, summaries);
        let mut arrivals: Vec<_> = sizes
            .iter()
            .enumerate()
            .flat_map(|(member, size)| (0..*size).map(move |k| (member, k)))
            .collect();
        let mut chance = Chance::new(seed, 1);
        for at in (1..arrivals.len()).rev() {
            arrivals.swap(at, chance.below(at + 1));
        }
        Self {
            seed,
            topics: (0..TOPICS).map(|_| chance.direction()).collect(),
            sizes,
            arrivals,
        }
    }

    /// The vector of a member's summary.
    pub fn vector(&self, member: usize, number: usize) -> Vec<f32> {
        let own = Chance::new(self.seed, 1_000_000 + member as u64).direction();
        self.vector_near(&own, member, number)
    }

    /// The vectors of all summaries of a member.
    pub fn vectors(&self, member: usize) -> Vec<Vec<f32>> {
        let own = Chance::new(self.seed, 1_000_000 + member as u64).direction();
        let all = 0..self.sizes.get(member).copied().unwrap_or_default();
        all.map(|k| self.vector_near(&own, member, k)).collect()
    }

    fn vector_near(&self, own: &[f32], member: usize, number: usize) -> Vec<f32> {
        let place = (member as u64) << 24 | number as u64;
        let mut chance = Chance::new(self.seed ^ 0xA5A5_5A5A, place);
        let topic = &self.topics[chance.below(TOPICS)];
        let noise = chance.direction();
        let sum = topic.iter().zip(own).zip(&noise);
        unit(sum.map(|((t, o), n)| t + 0.5 * o + n).collect())
    }

    /// A question about one of the summaries, chosen evenly: its member and its vector.
    pub fn question(&self, chance: &mut Chance) -> (usize, Vec<f32>) {
        let (member, number) = self.arrivals[chance.below(self.arrivals.len())];
        let noise = chance.direction();
        let vector = self.vector(member, number);
        (
            member,
            unit(vector.iter().zip(&noise).map(|(v, n)| v + 0.7 * n).collect()),
        )
    }

    /// Rows that a question meets on average.
    pub fn rows_met(&self) -> f64 {
        let sum = |power: i32| self.sizes.iter().map(|s| as_f64(*s).powi(power)).sum::<f64>();
        sum(2) / sum(1).max(1.0)
    }
}

/// The id of the member at a place.
pub fn member_id(member: usize) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + member as u128)
}

/// The id of a member's summary.
pub fn summary_id(member: usize, number: usize) -> Uuid {
    Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + ((member as u128) << 24) + number as u128)
}

/// The cosine distance of unit vectors.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    1.0 - f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>())
}

fn sizes(members: usize, summaries: usize) -> Vec<usize> {
    let wanted = as_f64(summaries) / as_f64(members.max(1)) * ROWS_MET;
    let (mut low, mut high) = (0.0, 2.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        let sizes = power_law(members, summaries, middle);
        let met = sizes.iter().map(|s| s * s).sum::<f64>() / sizes.iter().sum::<f64>();
        if met < wanted { low = middle } else { high = middle }
    }
    let mut sizes: Vec<usize> = power_law(members, summaries, low)
        .into_iter()
        .map(|size| whole(size).max(1))
        .collect();
    let mut missing = summaries.saturating_sub(sizes.iter().sum());
    let count = sizes.len().max(1);
    for place in 0.. {
        if missing == 0 || sizes.is_empty() {
            break;
        }
        sizes[place % count] += 1;
        missing -= 1;
    }
    sizes
}

fn power_law(members: usize, summaries: usize, exponent: f64) -> Vec<f64> {
    let raw: Vec<f64> = (0..members).map(|i| (as_f64(i) + 10.0).powf(-exponent)).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|x| x / sum * as_f64(summaries)).collect()
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    for x in &mut vector {
        *x /= norm;
    }
    vector
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of at most four thousand million summaries"
)]
fn whole(x: f64) -> usize {
    x as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gym_is_skewed_as_the_published_comparison_was() {
        let gym = Gym::new(1, 10_000, 100_000);
        assert!(
            (100_000..=103_000).contains(&gym.arrivals.len()),
            "{}",
            gym.arrivals.len()
        );
        assert!((140.0..170.0).contains(&gym.rows_met()), "{}", gym.rows_met());
    }

    #[test]
    fn the_same_seed_makes_the_same_vectors_and_another_does_not() {
        let (a, b, c) = (Gym::new(1, 10, 50), Gym::new(1, 10, 50), Gym::new(2, 10, 50));
        assert_eq!(a.vector(3, 1), b.vector(3, 1));
        assert_eq!(a.vectors(3)[1], a.vector(3, 1));
        assert_eq!(a.arrivals, b.arrivals);
        assert_ne!(a.vector(3, 1), c.vector(3, 1));
        assert!(distance(&a.vector(3, 1), &a.vector(3, 1)).abs() < 1e-5);
    }
}
