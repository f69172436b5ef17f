//! The beginning of a program whose hosts have hundreds of connections.

use super::world::World;
use super::{Crowd, Op, Pick};
use crate::policy::time::{Span, Time};

const FIRST: Pick = Pick(0);

/// With a crowd, one step in 16 of its beginning and its end is checked.
const CHECKED: usize = 16;

impl World {
    /// Makes the connections that each host begins with. Most steps are not checked.
    pub(super) fn begin(&mut self) {
        let Some(crowd) = self.setup.crowd else { return };
        self.checks_all = false;
        (0..self.setup.hosts).for_each(|host| self.gather(host, crowd));
        self.checks_all = true;
        self.check();
    }

    /// Leases of the host begin and end, with time in between.
    fn gather(&mut self, host: u8, crowd: Crowd) {
        for nth in 0..crowd.leases {
            self.run(&Op::Acquire(host, false));
            self.advance_while(64);
            self.pass_a_while(nth, crowd.pause);
        }
        for nth in 0..crowd.ended {
            self.run(&Op::Return(Pick(nth.to_le_bytes()[0]), true));
            self.advance_while(16);
            self.pass_a_while(nth, crowd.pause);
        }
        while !self.closes.is_empty() {
            self.run(&Op::CloseEnded(FIRST));
        }
    }

    /// What is in progress goes on, for at most this many steps.
    fn advance_while(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.advance() {
                return;
            }
        }
    }

    fn pass_a_while(&mut self, nth: usize, pause: u64) {
        self.run(&Op::Pass(1 + (nth as u64 * 7) % pause));
    }

    /// Returns whether to check the host after this step.
    pub(super) fn is_checked(&self) -> bool {
        self.checks_all || self.step % CHECKED == 0
    }

    /// Returns a number that differs from connection to connection with a crowd, in place of a
    /// random one.
    pub(super) fn random(&self) -> f64 {
        match self.setup.crowd {
            None => 0.5,
            Some(_) => {
                f64::from(u32::try_from(self.connections.len() * 37 % 100).unwrap_or(0)) / 100.0
            }
        }
    }

    /// Returns the end of the lifetime of the connection that was made last.
    pub(super) fn end_of_life(&self) -> Time {
        self.now.after(self.life())
    }

    pub(super) fn life(&self) -> Span {
        let limits = &self.common.limits;
        limits.max_lifetime.shortened(limits.lifetime_jitter * self.random())
    }
}
