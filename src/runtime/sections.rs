//! Sections: each change of a host's state, its actions, and the host's place in the schedule.
//!
//! The closures come from this layer only. A caller's requests have names, in `slow_path.rs`: a closure in a function
//! that is generic over the connector would have the engine compiled again for each connector.

use std::mem;
use std::sync::Arc;

use super::any_host::AnyHost;
use super::host_base::Governed;
use super::parts::{Actions, HostState, Section};
use super::random;
use super::rules::Rules;
use super::scheduled::Scheduled;
use crate::engine::schedule::Look;
use crate::engine::status::Counted;
use crate::policy::time::Time;

/// The time, and a random number for the section.
type Moment = (Time, f64);

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
        let mut actions = Actions::default();
        let gone = self.decide_in(&mut actions, f);
        self.carry_out_if_any(&mut actions, gone);
    }

    #[inline]
    fn carry_out_if_any(self: &Arc<Self>, actions: &mut Actions, gone: usize) {
        if !actions.is_empty() {
            self.carry_out(actions);
        }
        self.let_end(gone);
    }

    /// Changes the host's state. The caller carries out the actions.
    pub(super) fn decide(self: &Arc<Self>, f: Decide<'_>) -> Actions {
        let mut actions = Actions::default();
        let gone = self.decide_in(&mut actions, f);
        self.let_end(gone);
        actions
    }

    /// Returns how many entries have gone, which are counted until the actions are carried out.
    fn decide_in(self: &Arc<Self>, actions: &mut Actions, f: Decide<'_>) -> usize {
        let moment = self.moment();
        let mut governed = self.base().state.lock();
        self.decide_for(&mut governed, moment, actions, f)
    }

    /// The same, under the lock.
    #[inline]
    fn decide_for(
        self: &Arc<Self>,
        governed: &mut Governed,
        moment: Moment,
        actions: &mut Actions,
        f: Decide<'_>,
    ) -> usize {
        let Governed { rules, state } = governed;
        let section = &mut self.section(rules, moment, actions);
        let (entries, look) = (state.entries(), state.look());
        f(state, section);
        state.finish(section);
        let is = state.entries();
        if is > entries {
            self.pool().hold_up(is - entries);
        }
        self.reschedule(state, look, section);
        self.base().note_crowded(state.waiting() > 0);
        entries.saturating_sub(is)
    }

    /// These settings hold for the host from now on, unless newer ones do.
    pub(super) fn follow(self: &Arc<Self>, new: Arc<Rules>) {
        let (mut actions, moment) = (Actions::default(), self.moment());
        let mut governed = self.base().state.lock();
        if governed.rules.version >= new.version {
            return;
        }
        self.base().note_rules(&new);
        let old = mem::replace(&mut governed.rules, new);
        let gone = self.decide_for(&mut governed, moment, &mut actions, &mut |state, section| {
            state.adapt(&old.common.limits, section);
        });
        drop(governed);
        self.carry_out_if_any(&mut actions, gone);
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
        let (mut actions, moment) = (Actions::default(), self.moment());
        let Governed { rules, state } = &mut *self.base().state.lock();
        if !state.forget(&mut self.section(rules, moment, &mut actions)) {
            return None;
        }
        self.pool().schedule.lock().change(self.scheduled(), state.look(), None);
        Some((state.counted(), actions))
    }

    fn moment(&self) -> Moment {
        (self.pool().clock.exact(), random::fraction())
    }

    #[inline]
    fn section<'a>(
        self: &'a Arc<Self>,
        rules: &'a Rules,
        (now, random): Moment,
        actions: &'a mut Actions,
    ) -> Section<'a> {
        Section { now, random, common: &rules.common, host: self, actions }
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
        Scheduled(self.clone())
    }
}
