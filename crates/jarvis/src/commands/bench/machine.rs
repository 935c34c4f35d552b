//! On what was measured, and what else it was doing.

use jarvis_db::embedded::memory_mib;
use serde::Serialize;

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// What the processor calls itself; empty where that cannot be read.
    pub processor: String,
    /// Processors.
    pub processors: usize,
    /// Memory in GiB; 0 where that cannot be read.
    pub memory_gib: u64,
    /// The system and its version.
    pub system: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default();
            line.split_once(':')
                .map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gib: memory_mib().map_or(0, |mib| mib.div_ceil(1024).into()),
            system: format!(
                "{} {}",
                std::env::consts::OS,
                read("/proc/sys/kernel/osrelease").trim()
            ),
        }
    }

    /// In one line.
    pub fn describe(&self) -> String {
        format!(
            "{} × {}, {} GiB, {}",
            self.processors, self.processor, self.memory_gib, self.system
        )
    }
}

/// Programs that wanted a processor during the last minute, on average; 0 where that cannot be read.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or_default()
}

/// The middle of some figures; 0 of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_odd_number_of_figures_is_one_of_them() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let machine = Machine::this();
        assert!(machine.processors > 0 && !machine.system.is_empty());
        assert!(load() >= 0.0);
    }
}
