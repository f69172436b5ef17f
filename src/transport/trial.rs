//! Whether a server that has accepted a connection also works.

use std::fmt;

/// What is told when a trial is over: whether it was passed.
pub(super) type Verdict = Box<dyn FnOnce(bool) + Send + Sync>;

/// The trial of a server that has accepted a connection: from
/// [`Stream::trial`](super::Stream::trial) until the server has answered. If it is dropped before
/// it has [passed](Trial::passed) or was [withdrawn](Trial::withdraw), the address counts as failed.
///
/// The system accepts connections on behalf of a program that hangs. Without a trial such an
/// address would have the fewest connections, and be chosen again and again.
#[must_use = "a trial that is dropped has failed"]
pub struct Trial(Option<Verdict>);

impl Trial {
    pub(super) fn of(verdict: Option<Verdict>) -> Self {
        Trial(verdict)
    }

    /// Ends the trial: the server has answered.
    pub fn passed(mut self) {
        self.end(true);
    }

    /// Ends the trial without a verdict: the server was not asked for anything.
    pub fn withdraw(mut self) {
        self.0 = None;
    }

    fn end(&mut self, has_passed: bool) {
        if let Some(tell) = self.0.take() {
            tell(has_passed);
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").finish_non_exhaustive()
    }
}
