//! The order in which connections went idle, across all hosts of an engine: for a cap on idle
//! connections, and for the one that is closed to make room.
//!
//! A log of (turn, host). A connection that is lent leaves its entry behind; such entries are
//! passed over when they come to the front and swept once they outnumber the live ones. The oldest
//! live entry of the log is always the oldest of its own host's idle list too, which is what makes
//! the check cheap.

use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Recency {
    log: VecDeque<Entry>,
    live: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) turn: u64,
    pub(crate) host: usize,
}

/// A shorter log than this is not worth sweeping.
const SMALL: usize = 64;

impl Recency {
    /// Idle connections in all.
    pub(crate) fn idle(&self) -> usize {
        self.live
    }

    pub(crate) fn parked(&mut self, entry: Entry, is_live: impl Fn(Entry) -> bool) {
        self.live += 1;
        if self.log.len() > 2 * self.live + SMALL {
            self.log.retain(|&entry| is_live(entry));
        }
        self.log.push_back(entry);
    }

    /// A connection is back in its old place among the idle ones.
    pub(crate) fn restored(&mut self, entry: Entry) {
        self.live += 1;
        if let Err(position) = self.log.binary_search_by_key(&entry.turn, |e| e.turn) {
            self.log.insert(position, entry);
        }
    }

    /// An idle connection has left its idle list.
    pub(crate) fn left(&mut self) {
        self.live -= 1;
    }

    /// The host of the least recently used idle connection.
    pub(crate) fn oldest(&mut self, is_live: impl Fn(Entry) -> bool) -> Option<usize> {
        while let Some(&entry) = self.log.front() {
            if is_live(entry) {
                return Some(entry.host);
            }
            self.log.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn entries_of_lent_connections_do_not_pile_up() {
        let mut recency = Recency::default();
        for turn in 0..100_000 {
            recency.parked(Entry { turn, host: 0 }, |_| false);
            recency.left();
        }
        assert!(recency.log.len() <= SMALL + 4, "{}", recency.log.len());
    }

    #[test]
    fn the_log_is_short_and_seldom_swept() {
        let looks = Cell::new(0);
        let mut recency = Recency::default();
        for turn in 0..100_000 {
            if turn >= 1000 {
                recency.left();
            }
            recency.parked(Entry { turn, host: 0 }, |other| {
                looks.set(looks.get() + 1);
                other.turn + 1000 > turn
            });
            assert!(recency.log.len() <= 2 * 1000 + SMALL + 1);
        }
        assert!(looks.get() < 300_000, "{} looks", looks.get());
        (0..999).for_each(|_| recency.left());
        recency.parked(Entry { turn: 100_000, host: 0 }, |other| other.turn == 99_999);
        assert_eq!(recency.log.len(), 2, "most have left at once");
    }

    #[test]
    fn the_oldest_is_the_one_that_went_idle_first() {
        let mut recency = Recency::default();
        let mut live: HashSet<u64> = HashSet::new();
        for (turn, host) in [(1, 7), (2, 8), (3, 9)] {
            recency.parked(Entry { turn, host }, |_| true);
            live.insert(turn);
        }
        live.remove(&1);
        recency.left();
        assert_eq!(recency.oldest(|e| live.contains(&e.turn)), Some(8));
        assert_eq!(recency.idle(), 2);
    }
}
