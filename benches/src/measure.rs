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

    /// The figures that count. A contestant that is hardly ever undisturbed disturbs itself, by threads of its own: then
    /// all of them count.
    fn counted(&self, contestant: usize) -> Vec<f64> {
        let all = &self.0[contestant];
        let undisturbed = all.iter().filter(|sample| sample.is_undisturbed).count();
        let takes_all = undisturbed * 4 < all.len();
        let counted = all.iter().filter(|sample| takes_all || sample.is_undisturbed);
        counted.map(|sample| sample.figure).collect()
    }

    /// For one thread: disturbances only add.
    pub(crate) fn minimum(&self, contestant: usize) -> f64 {
        self.counted(contestant).into_iter().fold(f64::NAN, f64::min)
    }

    pub(crate) fn median(&self, contestant: usize) -> f64 {
        median(self.counted(contestant))
    }

    /// How many bursts were dropped, for the reader.
    pub(crate) fn dropped(&self) -> String {
        let counted: Vec<_> = (0..self.0.len()).map(|nth| self.counted(nth).len()).collect();
        let (all, kept) =
            (self.0.iter().map(Vec::len).sum::<usize>(), counted.iter().sum::<usize>());
        let disturbed = self.0.iter().flatten().filter(|sample| !sample.is_undisturbed).count();
        format!(
            "{} of {all} bursts were dropped, in which threads waited for a core for more than a hundredth of the time; {} \
             more such bursts count, of contestants that have hardly any others",
            all - kept,
            disturbed - (all - kept)
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
