//! The state of a request's body that its caller and its connection share.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::error::BoxError;
use crate::panics::{self, Panicked};

/// Shared by the body, the caller that waits for the response, and the observer of a `100 Continue`.
pub(super) struct Upload {
    state: Mutex<State>,
    caller: AtomicWaker,
    body: AtomicWaker,
}

struct State {
    gate: Gate,
    /// The connection has taken all of the body, or needs no more of it.
    is_over: bool,
    failure: Option<BoxError>,
}

/// Whether the body may be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Not until the peer asks for it or has been silent for long enough.
    Shut,
    /// Never: the response came first.
    Refused,
    /// No more: nobody waits for the rest of it.
    Ended,
}

impl Upload {
    pub(super) fn new(expects_continue: bool) -> Arc<Self> {
        let gate = if expects_continue { Gate::Shut } else { Gate::Open };
        let state = Mutex::new(State { gate, is_over: false, failure: None });
        Arc::new(Upload { state, caller: AtomicWaker::new(), body: AtomicWaker::new() })
    }

    /// Allows the body to be sent.
    pub(super) fn open(&self) {
        self.turn(Gate::Shut, Gate::Open);
    }

    /// The head of the response has arrived: a body that has not been started is never sent.
    pub(super) fn refuse(&self) {
        self.turn(Gate::Shut, Gate::Refused);
    }

    /// The exchange was given up, or ended before its body was sent. The rest of the body ends with
    /// an error, so that nobody waits for it.
    pub(super) fn end(&self) {
        self.state.lock().gate = Gate::Ended;
        self.body.wake();
    }

    fn turn(&self, from: Gate, to: Gate) {
        let mut state = self.state.lock();
        let is_turned = state.gate == from;
        if is_turned {
            state.gate = to;
        }
        drop(state);
        if is_turned {
            self.body.wake();
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        self.state.lock().gate == Gate::Shut
    }

    pub(super) fn is_refused(&self) -> bool {
        self.state.lock().gate == Gate::Refused
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    /// Waits until the connection has taken the body.
    pub(super) async fn over(&self) {
        poll_fn(|cx| if self.poll_over(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Returns whether the connection has taken the body. If not, the caller is woken when it has.
    pub(super) fn poll_over(&self, cx: &Context<'_>) -> bool {
        self.caller.register(cx.waker());
        self.state.lock().is_over
    }

    /// Takes the error with which the body failed.
    pub(super) fn take_failure(&self) -> Option<BoxError> {
        self.state.lock().failure.take()
    }
}

/// The body's side.
pub(super) struct Sending(Arc<Upload>);

impl Sending {
    pub(super) fn new(upload: Arc<Upload>) -> Self {
        Sending(upload)
    }

    /// Ready when the body may be sent.
    pub(super) fn poll_gate(&self, cx: &Context<'_>) -> Poll<Result<(), BoxError>> {
        // Register before checking, so that no change is missed.
        self.0.body.register(cx.waker());
        match self.0.state.lock().gate {
            Gate::Open => Poll::Ready(Ok(())),
            Gate::Shut | Gate::Refused => Poll::Pending,
            Gate::Ended => Poll::Ready(Err("the exchange is over".into())),
        }
    }

    /// Keeps the error for the caller, because hyper does not pass it on for HTTP/2. Returns one with
    /// the same text for hyper.
    pub(super) fn fail(&self, error: BoxError) -> BoxError {
        let text = panics::catch("the error of a request body", || error.to_string());
        self.0.state.lock().failure = Some(error);
        text.unwrap_or_else(|Panicked| "the request body failed".to_owned()).into()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let was_over = mem::replace(&mut self.0.state.lock().is_over, true);
        if !was_over {
            self.0.caller.wake();
        }
    }
}
