//! When the first of many things is due, without keeping all of them in order.
//!
//! It knows a lower bound of the first time. Noting a time lowers the bound; nothing raises it but
//! a look at all times, once the bound has passed. Such a look keeps the few that come first, so
//! that the next one is rare: what each due thing costs does not grow with their number.
//!
//! A time may be later than it was when it was noted. It must not become earlier without being
//! noted.

use crate::policy::time::Time;

/// See the module.
#[derive(Debug)]
pub(crate) struct Soonest {
    /// Nothing is due before this.
    next: Time,
    few: Option<Box<Few>>,
}

/// What the last look at all times has found.
#[derive(Debug)]
struct Few {
    /// Those that come first, the first one last.
    first: Vec<(Time, u32)>,
    /// The others are not due before this.
    beyond: Time,
    /// The earliest time that was noted since, or covered.
    noted: Time,
}

/// Up to this many are looked at each time.
const MANY: usize = 64;

/// Of more than that, one in 16 is kept: one look at all of them serves that many.
const KEPT: usize = 16;

impl Soonest {
    pub(crate) const fn new() -> Self {
        Soonest { next: Time::NEVER, few: None }
    }

    /// Something is due then.
    #[inline]
    pub(crate) fn note(&mut self, at: Time) {
        if at < self.next {
            self.next = at;
        }
        if let Some(few) = &mut self.few {
            few.noted = few.noted.min(at);
        }
    }

    /// Returns a lower bound of the first time.
    #[inline]
    pub(crate) fn next(&self) -> Time {
        self.next
    }

    /// Returns whether something that is due then need not be scheduled: the bound is not later.
    #[inline]
    pub(crate) fn covers(&mut self, at: Time) -> bool {
        if at < self.next {
            return false;
        }
        if let Some(few) = &mut self.few {
            few.noted = few.noted.min(at);
        }
        true
    }

    /// Returns the slot of something that may be due, if anything may be. Once it is dealt with,
    /// its time is in the future, or it is not in `all` any more: then the next one can be taken.
    pub(crate) fn take<I>(&mut self, now: Time, all: impl FnOnce() -> I) -> Option<u32>
    where
        I: Iterator<Item = (Time, u32)>,
    {
        if now < self.next {
            return None;
        }
        match &mut self.few {
            Some(few) if now < few.noted && (few.has_due(now) || now < few.beyond) => {}
            _ => return self.measure(now, all()),
        }
        self.pop(now)
    }

    fn pop(&mut self, now: Time) -> Option<u32> {
        let few = self.few.as_mut()?;
        let due = if few.has_due(now) { few.first.pop() } else { None };
        if due.is_none() {
            self.next = few.next();
        }
        due.map(|(_, slot)| slot)
    }

    /// Looks at all times.
    fn measure(&mut self, now: Time, all: impl Iterator<Item = (Time, u32)>) -> Option<u32> {
        let mut all: Vec<_> = all.filter(|(at, _)| *at != Time::NEVER).collect();
        if all.len() <= MANY {
            self.few = None;
            let first = all.into_iter().min();
            self.next = first.map_or(Time::NEVER, |(at, _)| at);
            return first.filter(|_| self.next <= now).map(|(_, slot)| slot);
        }
        let kept = MANY + all.len() / KEPT;
        let mut beyond = Time::NEVER;
        if kept < all.len() {
            beyond = all.select_nth_unstable(kept).1.0;
            all.truncate(kept);
            all.shrink_to_fit();
        }
        all.sort_unstable_by(|one, other| other.cmp(one));
        self.few = Some(Box::new(Few { first: all, beyond, noted: Time::NEVER }));
        self.pop(now)
    }
}

impl Few {
    fn has_due(&self, now: Time) -> bool {
        self.first.last().is_some_and(|(at, _)| *at <= now)
    }

    fn next(&self) -> Time {
        let first = self.first.last().map_or(Time::NEVER, |(at, _)| *at);
        first.min(self.beyond).min(self.noted)
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What need not be noted because it is covered is due after this.
    const SPAN: u64 = 500;

    /// Takes what is due of these times, and counts the looks at all of them.
    fn take_due(
        soonest: &mut Soonest,
        now: u64,
        times: &mut BTreeMap<u32, u64>,
    ) -> (Vec<u32>, usize) {
        let (mut due, mut looks) = (Vec::new(), 0);
        loop {
            let all = || {
                looks += 1;
                times.iter().map(|(slot, at)| (Time::from_nanos(*at), *slot))
            };
            let now = Time::from_nanos(now);
            let Some(slot) = soonest.take(now, all) else { break };
            let now = now.nanos();
            match times.get(&slot) {
                Some(at) if *at <= now => {
                    times.remove(&slot);
                    due.push(slot);
                }
                Some(at) => soonest.note(Time::from_nanos(*at)),
                None => {}
            }
        }
        (due, looks)
    }

    /// Takes what is due, which must be all of it and nothing else. The bound is not too late.
    fn take_and_check(
        soonest: &mut Soonest,
        now: u64,
        times: &mut BTreeMap<u32, u64>,
    ) -> Result<(), TestCaseError> {
        let is_due = |(_, at): &(&u32, &u64)| **at <= now;
        let expected: Vec<u32> = times.iter().filter(is_due).map(|(slot, _)| *slot).collect();
        let (mut due, _) = take_due(soonest, now, times);
        due.sort_unstable();
        prop_assert_eq!(due, expected);
        let exact = times.values().min().map_or(Time::NEVER, |at| Time::from_nanos(*at));
        prop_assert!(soonest.next() <= exact);
        Ok(())
    }

    #[test]
    fn of_ten_thousand_each_is_taken_when_it_is_due_for_a_few_looks_at_all() {
        let mut times: BTreeMap<u32, u64> = (0..10_000).map(|n| (n, 1 + u64::from(n))).collect();
        let mut soonest = Soonest::new();
        soonest.note(Time::from_nanos(1));
        let mut looks = 0;
        for now in 0..=10_000 {
            let (due, more) = take_due(&mut soonest, now, &mut times);
            assert_eq!(due.len(), usize::from(now > 0), "at {now}");
            looks += more;
        }
        assert!(looks < 250, "{looks} looks at all");
        assert_eq!(soonest.next(), Time::NEVER);
    }

    proptest! {
        #[test]
        fn whatever_is_due_is_taken_and_nothing_before(
            steps in prop::collection::vec((0..300u32, 0..1000u64, 0..6u64), 1..600)
        ) {
            let (mut soonest, mut times, mut now) = (Soonest::new(), BTreeMap::new(), 0);
            for (slot, after, pass) in steps {
                // It becomes later, or is noted.
                times.insert(slot, now + 1 + after);
                soonest.note(Time::from_nanos(now + 1 + after));
                now += pass;
                take_and_check(&mut soonest, now, &mut times)?;
                prop_assert!(Time::from_nanos(now) < soonest.next());
            }
        }

        #[test]
        fn a_time_that_is_covered_is_taken_although_it_is_not_noted(
            steps in prop::collection::vec((0..300u32, 0..1000u64, 0..6u64, 0..4u8), 1..600)
        ) {
            let (mut soonest, mut times, mut now) = (Soonest::new(), BTreeMap::new(), 0);
            for (slot, after, pass, kind) in steps {
                // One in four is due sooner.
                let at = if kind == 0 { now + 1 + after / 2 } else { now + SPAN + after };
                times.insert(slot, at);
                if !soonest.covers(Time::from_nanos(at)) {
                    soonest.note(Time::from_nanos(at));
                }
                now += pass;
                take_and_check(&mut soonest, now, &mut times)?;
            }
        }
    }
}
