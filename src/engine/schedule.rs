//! When maintenance has to look at which host next. Exact: no entry outlives its reason, and there is at most one a
//! host, so the memory of a host that is gone is gone too.

use std::collections::BTreeMap;

use crate::policy::time::Time;

#[derive(Debug)]
pub(crate) struct Schedule<H> {
    hosts: BTreeMap<(Time, u64), H>,
    /// When idle connections may be looked at for room.
    room_at: Time,
}

impl<H> Schedule<H> {
    pub(crate) fn new() -> Self {
        Schedule { hosts: BTreeMap::new(), room_at: Time::NEVER }
    }

    /// Moves a host's next look. Says whether the first of all moved forward. The host that was there comes back, to be
    /// dropped when no lock is held.
    pub(crate) fn change(
        &mut self,
        id: u64,
        old: Time,
        new: Option<(Time, H)>,
    ) -> (bool, Option<H>) {
        let first = self.next();
        let gone = self.hosts.remove(&(old, id));
        let Some((at, host)) = new else { return (false, gone) };
        self.hosts.insert((at, id), host);
        (at < first, gone)
    }

    /// Room may be made at this time. Says whether the first of all moved forward.
    pub(crate) fn look_for_room(&mut self, at: Time) -> bool {
        let first = self.next();
        self.room_at = self.room_at.min(at);
        at < first
    }

    pub(crate) fn next(&self) -> Time {
        self.hosts.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at).min(self.room_at)
    }

    /// Whether room is to be looked for now.
    pub(crate) fn takes_room(&mut self, now: Time) -> bool {
        let is_due = self.room_at <= now;
        if is_due {
            self.room_at = Time::NEVER;
        }
        is_due
    }

    /// Takes out the next host whose look is due, and when it was.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<H> {
        let first = self.hosts.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    #[cfg(any(all(test, not(wharf_loom)), fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }
}
