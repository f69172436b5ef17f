//! When upkeep has to look at which host next. Exact: no entry outlives its reason, and there is
//! at most one a host, so the memory of a host that is gone is gone too.

use std::collections::BTreeSet;

use super::time::Time;

#[derive(Debug, Default)]
pub(crate) struct Schedule(BTreeSet<(Time, usize)>);

impl Schedule {
    /// Moves a host's next look from `old` to `new`. Says whether the first of all moved forward.
    pub(crate) fn change(&mut self, host: usize, old: Option<Time>, new: Option<Time>) -> bool {
        let first = self.next();
        if let Some(old) = old {
            self.0.remove(&(old, host));
        }
        let Some(new) = new else { return false };
        self.0.insert((new, host));
        first.is_none_or(|first| new < first)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.0.first().map(|&(time, _)| time)
    }

    /// The next host whose look is due.
    pub(crate) fn due(&self, now: Time) -> Option<usize> {
        self.0.first().filter(|&&(time, _)| time <= now).map(|&(_, host)| host)
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn contains(&self, host: usize, time: Time) -> bool {
        self.0.contains(&(time, host))
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
