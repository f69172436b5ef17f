//! Bursts in which contestants take turns, and what is made of them.

use std::time::Duration;

/// What each contestant came to in each burst that counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    samples: Vec<Vec<f64>>,
    bursts: usize,
}

impl Rounds {
    /// Gives every contestant one turn a round, each round starting with the next one, so that nobody always follows
    /// the same neighbour.
    pub(crate) fn alternate(
        what: &str,
        contestants: usize,
        rounds: usize,
        mut turn: impl FnMut(usize) -> f64,
    ) -> Rounds {
        Rounds::alternate_undisturbed(what, contestants, rounds, |nth| Some(turn(nth)))
    }

    /// The same, where a turn may turn out not to count: a thread was preempted in it.
    pub(crate) fn alternate_undisturbed(
        what: &str,
        contestants: usize,
        rounds: usize,
        mut turn: impl FnMut(usize) -> Option<f64>,
    ) -> Rounds {
        let mut samples = vec![Vec::with_capacity(rounds); contestants];
        for round in 0..rounds {
            for nth in 0..contestants {
                let contestant = (nth + round) % contestants;
                samples[contestant].extend(turn(contestant));
            }
            progress(what, round + 1, rounds);
        }
        Rounds { samples, bursts: rounds }
    }

    /// For one thread: whatever disturbs it only adds.
    pub(crate) fn minimum(&self, contestant: usize) -> f64 {
        self.samples[contestant].iter().copied().fold(f64::NAN, f64::min)
    }

    pub(crate) fn median(&self, contestant: usize) -> f64 {
        median(self.samples[contestant].clone())
    }

    /// How many bursts were dropped, for the reader.
    pub(crate) fn dropped(&self) -> String {
        let kept: usize = self.samples.iter().map(Vec::len).sum();
        let all = self.bursts * self.samples.len();
        let least = self.samples.iter().map(Vec::len).min().unwrap_or(0);
        format!(
            "{} of {all} bursts were dropped, in which threads waited for a core for more than a hundredth of the time; each \
             contestant has at least {least}",
            all - kept
        )
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

    /// The time in milliseconds that this many of a million did not exceed.
    pub(crate) fn percentile(&self, per_million: usize) -> f64 {
        let rank = (self.0.len() * per_million).div_ceil(1_000_000);
        let time = self.0.get(rank.saturating_sub(1));
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Nanoseconds for each of several.
pub(crate) fn ns_each(time: Duration, several: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(several)
}

/// Shows how far a part has come.
pub(crate) fn progress(what: &str, done: usize, of: usize) {
    if done == of {
        eprintln!("{what}: done");
    }
}
