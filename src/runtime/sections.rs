//! Sections: each change of a host's state, its actions, and the host's place in the schedule.
//!
//! The closures come from this layer only. A caller's requests have names, in `slow_path.rs`: a closure in a function
//! that is generic over the connector would have the engine compiled again for each connector.

use std::sync::Arc;

use super::any_host::AnyHost;
use super::parts::{Actions, HostState, Section};
use super::random;
use super::scheduled::Scheduled;
use crate::engine::schedule::Look;
use crate::engine::status::Counted;
use crate::policy::time::Time;

type Decide<'a> = &'a mut dyn FnMut(&mut HostState, &mut Section<'_>);

impl dyn AnyHost {
    /// Changes the host's state on the slow path, and carries out the actions.
    pub(super) fn change<R>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut HostState, &mut Section<'_>) -> R,
    ) -> R {
        let (mut f, mut result) = (Some(f), None);
        self.change_by(&mut |state, section| result = f.take().map(|f| f(state, section)));
        result.expect("it was called")
    }

    fn change_by(self: &Arc<Self>, f: Decide<'_>) {
        let mut section = self.section();
        let gone = self.decide_in(&mut section, f);
        // Moving the actions costs as much as many a section.
        if !section.actions.is_empty() {
            self.carry_out(section.actions);
        }
        self.let_end(gone);
    }

    /// Changes the host's state. The caller carries out the actions.
    pub(super) fn decide(self: &Arc<Self>, f: Decide<'_>) -> Actions {
        let mut section = self.section();
        let gone = self.decide_in(&mut section, f);
        self.let_end(gone);
        section.actions
    }

    /// Returns how many entries have gone, which are counted until the actions are carried out.
    fn decide_in<'a>(self: &'a Arc<Self>, section: &mut Section<'a>, f: Decide<'_>) -> usize {
        let (base, pool) = (self.base(), self.pool());
        let mut state = base.state.lock();
        let (entries, look) = (state.entries(), state.look());
        f(&mut state, section);
        state.finish(section);
        let is = state.entries();
        if is > entries {
            pool.hold_up(is - entries);
        }
        self.reschedule(&state, look, section);
        base.note_crowded(state.waiting() > 0);
        entries.saturating_sub(is)
    }

    /// This many entries have gone: the last one of a closed pool ends it.
    fn let_end(self: &Arc<Self>, gone: usize) {
        if gone > 0 && self.pool().note_gone(gone) {
            self.pool_ref().end();
        }
    }

    /// Leaves the directory, if the host is not needed any more. Returns the actions of leaving.
    pub(super) fn forget(self: &Arc<Self>) -> Option<Actions> {
        let mut actions = None;
        self.clone().leave(&mut || {
            let (counted, decided) = self.end()?;
            actions = Some(decided);
            Some(counted)
        });
        actions
    }

    /// Ends the host, unless it is needed. The directory's lock is held: the actions are carried out when it is
    /// released.
    fn end(self: &Arc<Self>) -> Option<(Counted, Actions)> {
        let mut section = self.section();
        let mut state = self.base().state.lock();
        if !state.forget(&mut section) {
            return None;
        }
        self.pool().schedule.lock().change(self.scheduled(), state.look(), None);
        let counted = state.counted();
        drop(state);
        Some((counted, section.actions))
    }

    fn section(self: &Arc<Self>) -> Section<'_> {
        let pool = self.pool();
        Section {
            now: pool.clock.exact(),
            random: random::fraction(),
            common: &pool.common,
            host: self,
            actions: Actions::default(),
        }
    }

    /// Moves the host in the schedule, if its next look has changed.
    fn reschedule(self: &Arc<Self>, state: &HostState, old: Look, section: &mut Section<'_>) {
        let new = state.look();
        // If it is due, maintenance may have removed it from the schedule.
        if new == old && new.at > section.now {
            return;
        }
        let next = (new.at != Time::NEVER).then_some(new);
        let is_first = self.pool().schedule.lock().change(self.scheduled(), old, next);
        section.actions.maintain |= is_first;
    }

    fn scheduled(self: &Arc<Self>) -> Scheduled {
        Scheduled { id: self.base().id, host: self.clone() }
    }
}
