//! The timer of a wait that maintenance does not end: it runs out with the caller's time limit.
//!
//! Maintenance is one task, in one runtime, which may stand still: a current-thread runtime between
//! two `block_on`s. A caller that waits in another one has a timer of its own, and looks from time
//! to time whether maintenance is late. If so, it does maintenance's work.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crate::runtime::any_pool::AnyPool;
use crate::runtime::handle::Runtime;
use crate::runtime::maintenance::Maintenance;
use crate::runtime::timer::Timer;

/// How often a caller looks.
const LOOK: Duration = Duration::from_millis(250);

/// More is due than it has done: other tasks get a turn first.
const SOON: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Alarm {
    timer: Timer,
    /// Without one it only looks.
    has_limit: bool,
}

impl Alarm {
    /// Makes the timer of a wait in this runtime. It is not made if there is no limit, unless it is
    /// there to look, and the runtime is known to have timers.
    pub(super) fn of(
        limit: Option<Duration>,
        maintenance: &Maintenance,
        runtime: &Runtime,
    ) -> Option<Box<Self>> {
        let look = next_look(maintenance, runtime);
        if limit.is_none() && (look.is_none() || !maintenance.knows_timers_of(runtime)) {
            return None;
        }
        let timer = Timer::ringing(limit, look, runtime);
        Some(Box::new(Alarm { timer, has_limit: limit.is_some() }))
    }

    /// Returns whether it may stay when its task is polled in this runtime: without a limit it must
    /// not panic there for want of timers.
    pub(super) fn may_stay(&self, maintenance: &Maintenance, runtime: &Runtime) -> bool {
        self.has_limit || self.timer.is_of(runtime) || maintenance.knows_timers_of(runtime)
    }

    /// Returns whether the time limit has passed. Looks after the pool when it is time to.
    pub(super) fn has_run_out(
        &mut self,
        pool: impl Fn() -> Arc<dyn AnyPool>,
        runtime: &Runtime,
        cx: &mut Context<'_>,
    ) -> bool {
        while self.timer.rings(runtime, cx) {
            if self.timer.is_at_its_end() {
                return true;
            }
            self.look(&pool(), runtime);
        }
        false
    }

    fn look(&mut self, pool: &Arc<dyn AnyPool>, runtime: &Runtime) {
        let look = next_look(&pool.base().maintenance, runtime);
        let is_more_due = look.is_some() && pool.look_after();
        self.timer.ring_again(if is_more_due { Some(SOON) } else { look });
    }
}

/// Returns when to look next. Where maintenance runs nobody has to: it would stand still with the
/// caller.
fn next_look(maintenance: &Maintenance, runtime: &Runtime) -> Option<Duration> {
    // The models advance the time of timers, not that of maintenance.
    (cfg!(not(wharf_loom)) && !maintenance.runs_in(runtime)).then_some(LOOK)
}
