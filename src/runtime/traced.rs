//! The tracing span of a task of the pool. A panic of a subscriber is contained here.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;

use tracing::field::display;
use tracing::{Span, dispatcher};

use super::panics;

/// A span with a field `outcome`.
pub(super) struct Traced(Span);

const WHAT: &str = "a subscriber, or the Debug of a key";

impl Traced {
    pub(super) fn by(make: impl FnOnce() -> Span) -> Self {
        Traced(panics::catch(WHAT, make).unwrap_or_else(|_| Span::none()))
    }

    /// Returns the span of this thread, for a task that is about to start. The task makes its own
    /// span later, where a subscriber that blocks delays only that task.
    pub(super) fn cause() -> Self {
        Traced::by(Span::current)
    }

    /// Makes a span that is caused by this one, with the same subscriber.
    pub(super) fn causes(&self, make: impl FnOnce(&Span) -> Span) -> Self {
        let dispatch = self.0.with_subscriber(|(_, dispatch)| dispatch.clone());
        Traced::by(|| match &dispatch {
            Some(dispatch) => dispatcher::with_default(dispatch, || make(&self.0)),
            None => make(&self.0),
        })
    }

    /// Polls the future within the span. The caller pins it: an argument of an async function is
    /// stored twice, and the tasks should stay small.
    pub(super) async fn run<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let _entered = self.enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    pub(super) fn ends(&self, outcome: &dyn Display) {
        if !self.0.is_disabled() {
            let _ = panics::catch(WHAT, || self.0.record("outcome", display(outcome)).is_none());
        }
    }

    fn enter(&self) -> Entered<'_> {
        let is_watched = !self.0.is_disabled();
        Entered(is_watched.then(|| panics::catch(WHAT, || self.0.enter()).ok()).flatten())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let span = mem::replace(&mut self.0, Span::none());
        let _ = panics::catch(WHAT, || drop(span));
    }
}

struct Entered<'a>(Option<tracing::span::Entered<'a>>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(entered) = self.0.take() {
            let _ = panics::catch(WHAT, || drop(entered));
        }
    }
}
