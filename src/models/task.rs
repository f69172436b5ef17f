//! A task of a model: a future and its waker.

use super::*;

/// A waker that records that it was woken.
pub(super) struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Bell(AtomicBool::new(false)))
    }

    pub(super) fn has_rung(&self) -> bool {
        self.0.load(SeqCst)
    }
}

pub(super) struct Task<F> {
    future: F,
    pub(super) bell: Arc<Bell>,
}

pub(super) type Answer = Result<PooledConnection<Scripted>, AcquireError<fmt::Error>>;

impl<F: Future + Unpin> Task<F> {
    pub(super) fn new(future: F) -> Self {
        Task { future, bell: Bell::new() }
    }

    /// Polls the future, and again if it was woken meanwhile.
    pub(super) fn poll(&mut self) -> Option<F::Output> {
        loop {
            self.bell.0.store(false, SeqCst);
            let waker = Waker::from(self.bell.clone());
            match Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending if self.bell.has_rung() => {}
                Poll::Pending => return None,
            }
        }
    }

    /// Polls the future if it was woken.
    pub(super) fn poll_if_woken(&mut self) -> Option<F::Output> {
        if self.bell.has_rung() { self.poll() } else { None }
    }

    /// Returns the output after every other task has run as far as possible.
    pub(super) fn output(mut self) -> F::Output {
        loop {
            Runtime::run();
            assert!(self.bell.has_rung(), "a lost wake-up: it waits, and nobody woke it");
            if let Some(output) = self.poll() {
                return output;
            }
        }
    }
}

impl Task<Acquire<Scripted>> {
    /// Returns the connection that the task gets.
    pub(super) fn connection(self) -> PooledConnection<Scripted> {
        got(self.output())
    }
}

pub(super) fn got(answer: Answer) -> PooledConnection<Scripted> {
    answer.expect("a connection")
}
