//! One pool's play of a scene, several of them, and the row of the table that they make.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::{Call, Caller};
use crate::player::Failure;

pub(crate) const HEAD: &str = "\
| pool | first served after | all after | errors | time-outs | told after | failed after the return | longest call | dials |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |";

pub(crate) struct Run {
    pub(crate) callers: Vec<Caller>,
    /// When the server was there again.
    pub(crate) back: Instant,
    pub(crate) dials: usize,
}

impl Run {
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.callers.iter().flatten()
    }

    /// When each caller was first served after the return: `None` for one that was not.
    fn served(&self) -> impl Iterator<Item = Option<Duration>> {
        self.callers.iter().map(|calls| {
            let mut served = calls.iter().filter(|call| call.failure.is_none());
            served.find(|call| call.ended >= self.back).map(|call| call.ended - self.back)
        })
    }

    fn failed(&self, failure: Failure) -> usize {
        self.calls().filter(|call| call.failure == Some(failure)).count()
    }

    fn failed_after(&self) -> usize {
        self.calls().filter(|call| call.began >= self.back && call.failure.is_some()).count()
    }
}

/// The same scene, several times.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) runs: Vec<Run>,
}

impl Row {
    fn spread(&self, of: impl Fn(&Run) -> Option<Duration>) -> Spread {
        Spread(self.runs.iter().map(|run| Time(of(run))).collect())
    }

    /// How long failed calls took.
    fn told_after(&self) -> Spread {
        let calls = self.runs.iter().flat_map(Run::calls);
        let failed = calls.filter(|call| call.failure.is_some());
        Spread(failed.map(|call| Time(Some(call.took()))).collect())
    }

    fn mean(&self, of: impl Fn(&Run) -> usize) -> Mean {
        let sum: usize = self.runs.iter().map(of).sum();
        Mean(sum as f64 / self.runs.len() as f64)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.spread(|run| run.served().flatten().min());
        let all = self.spread(|run| run.served().collect::<Option<Vec<_>>>()?.into_iter().max());
        let errors = self.mean(|run| run.failed(Failure::Error));
        let time_outs = self.mean(|run| run.failed(Failure::TimedOut));
        let told = self.told_after();
        let after = self.mean(Run::failed_after);
        let longest = self.runs.iter().flat_map(Run::calls).map(Call::took).max();
        let (longest, dials) = (Time(longest), self.mean(|run| run.dials));
        write!(f, "| {} | {first} | {all} | {errors} | {time_outs}", self.name)?;
        write!(f, " | {told} | {after} | {longest} | {dials} |")
    }
}

/// Prints the median, and the longest time in brackets.
struct Spread(Vec<Time>);

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.0.clone();
        times.sort_unstable();
        let Some(most) = times.last() else { return f.write_str("-") };
        let median = times[times.len() / 2];
        if median == *most {
            return median.fmt(f);
        }
        write!(f, "{median} ({most})")
    }
}

/// A time that was measured; `None` is later than any.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Time(Option<Duration>);

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.unwrap_or(Duration::MAX).cmp(&other.0.unwrap_or(Duration::MAX))
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("never"),
            Some(time) if time < Duration::from_secs(1) => write!(f, "{} ms", time.as_millis()),
            Some(time) => write!(f, "{:.2} s", time.as_secs_f64()),
        }
    }
}

/// The mean of several runs: whole from ten on.
struct Mean(f64);

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.0.fract() > 0.0 && self.0 < 10.0);
        write!(f, "{:.places$}", self.0)
    }
}
