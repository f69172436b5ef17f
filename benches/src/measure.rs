//! Rounds in which contestants take turns, and what is made of them.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// What each contestant came to in each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// By contestant, then by round.
    samples: Vec<Vec<f64>>,
}

impl Rounds {
    /// Lets everybody have one turn a round. Another one begins each round, so that nobody always
    /// comes after the same neighbour's dirt.
    pub(crate) fn alternate(
        what: &str,
        contestants: usize,
        rounds: usize,
        mut turn: impl FnMut(usize) -> f64,
    ) -> Rounds {
        let mut samples = vec![Vec::with_capacity(rounds); contestants];
        for round in 0..rounds {
            for nth in 0..contestants {
                let contestant = (nth + round) % contestants;
                samples[contestant].push(turn(contestant));
                progress(what, round * contestants + nth + 1, rounds * contestants);
            }
        }
        Rounds { samples }
    }

    /// What was measured already, by contestant, then by round.
    pub(crate) fn of(samples: Vec<Vec<f64>>) -> Rounds {
        Rounds { samples }
    }

    pub(crate) fn median(&self, contestant: usize) -> f64 {
        median(self.samples[contestant].clone())
    }

    /// The median of the ratios of each round.
    pub(crate) fn ratio(&self, of: usize, to: usize) -> f64 {
        let pairs = self.samples[of].iter().zip(&self.samples[to]);
        median(pairs.map(|(of, to)| of / to).collect())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Times in order, from the shortest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut times: Vec<Duration>) -> Latencies {
        times.sort_unstable();
        Latencies(times)
    }

    /// The time that so many of a million did not exceed, in microseconds.
    pub(crate) fn percentile(&self, per_million: usize) -> f64 {
        let rank = (self.0.len() * per_million).div_ceil(1_000_000);
        let time = self.0.get(rank.saturating_sub(1));
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

/// Shows how far a part has come.
pub(crate) fn progress(what: &str, done: usize, of: usize) {
    let mut screen = io::stderr();
    if screen.is_terminal() {
        let end = if done == of { "\n" } else { "" };
        let _ = write!(screen, "\r{what}: {done} of {of}{end}");
        let _ = screen.flush();
    } else if done == of || done * 4 / of != (done - 1) * 4 / of {
        let _ = writeln!(screen, "{what}: {done} of {of}");
    }
}
