//! A host's share of the budget: what was reported of it. Pools without caps across hosts have none.

use super::{Budget, Note};
use crate::policy::time::Time;

/// See the module.
#[derive(Debug)]
pub(crate) struct Share(Option<Box<Note>>);

impl Share {
    /// Makes the share of a host that has reported nothing, in a pool with a budget or without.
    pub(crate) fn new(id: u64, has_budget: bool) -> Self {
        Share(has_budget.then(|| Box::new(Note::new(id))))
    }

    /// Returns what was reported last.
    #[inline]
    pub(crate) fn note(&self) -> Option<&Note> {
        self.0.as_deref()
    }

    /// Returns the number by which the budget knows the host.
    pub(crate) fn id(&self) -> u64 {
        self.note().map_or(0, |note| note.id)
    }

    /// Returns whether permits are missing.
    pub(crate) fn is_short(&self) -> bool {
        self.note().is_some_and(|note| note.wants + note.spare > 0)
    }

    /// Returns how many permits are missing for connections made in advance.
    #[inline]
    pub(crate) fn spare(&self) -> u32 {
        self.note().map_or(0, |note| note.spare)
    }

    /// Returns when the host's last dial succeeded.
    #[inline]
    pub(crate) fn gained(&self) -> Option<Time> {
        self.note().and_then(|note| note.gained)
    }

    /// A dial has succeeded.
    pub(crate) fn gain(&mut self, now: Time) {
        if let Some(note) = &mut self.0 {
            note.gained = Some(now);
        }
    }

    /// The hints count this many idle connections of the host. Returns how many they counted.
    pub(crate) fn count_idle(&mut self, idle: u32) -> u32 {
        let Some(note) = &mut self.0 else { return idle };
        std::mem::replace(&mut note.idle, idle)
    }

    /// A scan visits the host, which is not listed any more. Returns when it was listed.
    pub(crate) fn unlist(&mut self) -> Option<Time> {
        self.0.as_mut()?.listed.take()
    }

    /// Counts a permit that the budget has given to the host.
    pub(crate) fn hold<H: Clone>(&mut self, budget: &mut Budget<H>) {
        if let Some(note) = &mut self.0 {
            budget.hold(note);
        }
    }

    /// Reports what has changed.
    pub(crate) fn report<H: Clone>(
        &mut self,
        new: Note,
        budget: &mut Budget<H>,
        host: &H,
        now: Time,
    ) {
        if let Some(old) = &mut self.0 {
            budget.tell((old.id, host), old, &new, now);
            **old = new;
        }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;
    use crate::policy::config::Config;
    use crate::policy::limits::Limits;

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    fn budget() -> Budget<&'static str> {
        Budget::new(&Limits { max_total: 4, ..Config::default().limits() })
    }

    #[test]
    fn a_pool_without_caps_across_hosts_reports_nothing() {
        let (mut share, mut budget) = (Share::new(7, false), budget());
        share.gain(at(1));
        share.hold(&mut budget);
        share.report(Note { wants: 1, ..Note::new(7) }, &mut budget, &"host", at(1));
        assert_eq!((share.id(), share.spare(), share.gained()), (0, 0, None));
        assert_eq!((share.count_idle(5), share.unlist()), (5, None), "nothing changes");
        budget.check_empty();
    }

    #[test]
    fn the_last_report_is_kept() {
        let (mut share, mut budget) = (Share::new(7, true), budget());
        share.report(Note { spare: 2, ..Note::new(7) }, &mut budget, &"host", at(1));
        assert_eq!((share.id(), share.spare()), (7, 2));
        share.report(Note::new(7), &mut budget, &"host", at(2));
        assert_eq!(share.spare(), 0);
        budget.check_empty();
    }

    #[test]
    fn a_permit_from_the_budget_counts_as_a_dial() {
        let (mut share, mut budget) = (Share::new(7, true), budget());
        share.hold(&mut budget);
        let note = share.note().map(|note| (note.permits, note.dialing));
        assert_eq!(note, Some((1, 1)));
    }

    #[test]
    fn an_idle_count_is_exchanged_and_a_listing_is_taken_once() {
        let (mut share, mut budget) = (Share::new(7, true), budget());
        assert_eq!((share.count_idle(3), share.count_idle(1)), (0, 3));
        let listed = Note { listed: Some(at(4)), idle: 1, ..Note::new(7) };
        share.report(listed, &mut budget, &"host", at(5));
        assert_eq!((share.unlist(), share.unlist()), (Some(at(4)), None));
        share.gain(at(6));
        assert_eq!(share.gained(), Some(at(6)));
    }
}
