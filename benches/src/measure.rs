//! Bursts in which contestants take turns, and what is made of them.

use std::time::Duration;

/// What each contestant came to in each burst.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(Vec<Vec<Sample>>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) figure: f64,
    /// Nothing else had the cores for long.
    pub(crate) is_undisturbed: bool,
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
        let turn = |nth| Sample { figure: turn(nth), is_undisturbed: true };
        Rounds::alternate_undisturbed(what, contestants, rounds, turn)
    }

    /// The same, where a turn may turn out to be disturbed.
    pub(crate) fn alternate_undisturbed(
        what: &str,
        contestants: usize,
        rounds: usize,
        mut turn: impl FnMut(usize) -> Sample,
    ) -> Rounds {
        let mut samples = vec![Vec::with_capacity(rounds); contestants];
        for round in 0..rounds {
            for nth in 0..contestants {
                let contestant = (nth + round) % contestants;
                samples[contestant].push(turn(contestant));
            }
            progress(what, round + 1, rounds);
        }
        Rounds(samples)
    }

    /// The figures that count: all of them where hardly any is undisturbed, which `dropped` tells.
    fn counted(&self, contestant: usize) -> Vec<f64> {
        self.counted_of(contestant, self.0[contestant].iter().map(|sample| sample.figure))
    }

    /// The same of another figure, which is given for each burst of the contestant.
    fn counted_of(&self, contestant: usize, figures: impl Iterator<Item = f64>) -> Vec<f64> {
        let all = &self.0[contestant];
        let takes_all = (all.len() - self.disturbed(contestant)) * 4 < all.len();
        let counted =
            all.iter().zip(figures).filter(|(burst, _)| takes_all || burst.is_undisturbed);
        counted.map(|(_, figure)| figure).collect()
    }

    /// For one thread: disturbances only add.
    pub(crate) fn minimum(&self, contestant: usize) -> f64 {
        self.counted(contestant).into_iter().fold(f64::NAN, f64::min)
    }

    pub(crate) fn median(&self, contestant: usize) -> f64 {
        median(self.counted(contestant))
    }

    /// The median of another figure of the same bursts.
    pub(crate) fn median_of(&self, contestant: usize, figures: impl Iterator<Item = f64>) -> f64 {
        median(self.counted_of(contestant, figures))
    }

    /// For the reader: how many bursts were dropped, and whose bursts all count although they were disturbed.
    pub(crate) fn dropped(&self, names: &[&str]) -> String {
        let all: usize = self.0.iter().map(Vec::len).sum();
        let kept: usize = (0..self.0.len()).map(|nth| self.counted(nth).len()).sum();
        let is_disturbed = |nth: &usize| {
            self.disturbed(*nth) > 0 && self.counted(*nth).len() == self.0[*nth].len()
        };
        let counted: Vec<_> =
            (0..self.0.len()).filter(is_disturbed).map(|nth| names[nth]).collect();
        let counted = if counted.is_empty() { "none".to_owned() } else { counted.join(", ") };
        format!(
            "{} of {all} bursts were dropped, in which threads waited for a core for more than a hundredth of the time. \
             All count, disturbed as they were, of: {counted}",
            all - kept
        )
    }

    /// Whether figures of a machine that had other work are all there is: most contestants were disturbed mostly.
    pub(crate) fn fault(&self) -> Option<String> {
        let disturbed: usize = (0..self.0.len()).map(|nth| self.disturbed(nth)).sum();
        let all: usize = self.0.iter().map(Vec::len).sum();
        let is_busy = disturbed * 2 > all;
        is_busy
            .then(|| format!("{disturbed} of {all} bursts were disturbed: believe no figure here"))
    }

    fn disturbed(&self, contestant: usize) -> usize {
        self.0[contestant].iter().filter(|sample| !sample.is_undisturbed).count()
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
