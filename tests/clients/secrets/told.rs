//! What was told: collected, and searched.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};
use wharf::{
    Acquired, Builder, Closed, Connector, DialDone, DialFailed, HeartbeatMissed, Observer,
    PingFailed, Pool, Returned, TimedOut,
};

use crate::SECRET;

thread_local! {
    /// What was logged on this thread, which is that of a test and its runtime.
    static LOGGED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Takes everything, and writes it down with its target.
struct Everything;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Line(format!("{} {}", metadata.target(), metadata.name()))
    }

    fn end(self) {
        LOGGED.with_borrow_mut(|logged| {
            logged.push_str(&self.0);
            logged.push('\n');
        });
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line::of(span.metadata());
        span.record(&mut line);
        line.end();
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line("record".to_owned());
        values.record(&mut line);
        line.end();
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        line.end();
    }

    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// All that was told in one test.
pub(crate) struct Told {
    words: String,
    observed: Observed,
}

#[derive(Clone, Default)]
pub(crate) struct Observed(Arc<Mutex<String>>);

impl Observed {
    fn note(&self, event: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{event:?}").unwrap();
    }
}

impl Observer for Observed {
    fn host_appeared(&self, host: &dyn Debug) {
        self.note(host);
    }
    fn host_forgotten(&self, host: &dyn Debug) {
        self.note(host);
    }
    fn dial_began(&self, host: &dyn Debug) {
        self.note(host);
    }
    fn dial_done(&self, event: &DialDone<'_>) {
        self.note(event);
    }
    fn dial_failed(&self, event: &DialFailed<'_>) {
        self.note(event);
    }
    fn acquired(&self, event: &Acquired<'_>) {
        self.note(event);
    }
    fn timed_out(&self, event: &TimedOut<'_>) {
        self.note(event);
    }
    fn returned(&self, event: &Returned<'_>) {
        self.note(event);
    }
    fn ping_failed(&self, event: &PingFailed<'_>) {
        self.note(event);
    }
    fn heartbeat_missed(&self, event: &HeartbeatMissed<'_>) {
        self.note(event);
    }
    fn closed(&self, event: &Closed<'_>) {
        self.note(event);
    }
}

impl Told {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        static LISTENS: Once = Once::new();
        LISTENS.call_once(|| tracing::subscriber::set_global_default(Everything).unwrap());
        LOGGED.with_borrow_mut(String::clear);
        Told { words: String::new(), observed: Observed::default() }
    }

    /// Settings of a pool that tells as much as it can, of which one caller waits for 300 ms.
    pub(crate) fn talkative<S>(&self, builder: Builder<S>) -> Builder<S> {
        builder
            .max_per_host(1)
            .acquire_timeout(Duration::from_millis(300))
            .slow_acquire(Duration::from_nanos(1))
            .leak_after(Duration::from_millis(1))
            .observer(self.observed.clone())
    }

    pub(crate) fn debug(&mut self, what: &dyn Debug) {
        writeln!(self.words, "{what:?}\n{what:#?}").unwrap();
    }

    /// An error and its sources, in every form.
    pub(crate) fn error(&mut self, error: &(dyn Error + 'static)) {
        self.debug(&error);
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.words, "{error}\n{error:?}").unwrap();
            next = error.source();
        }
    }

    /// Acquires twice with this key, the second time while the first loan, if there is one, is held.
    pub(crate) async fn acquire<C: Connector>(&mut self, pool: &Pool<C>, key: &C::Key) {
        let first = pool.acquire(key).await;
        let second = pool.acquire(key).await;
        self.debug(&pool.host(key));
        self.debug(&pool.host(key).loans());
        for acquired in [first, second] {
            match acquired {
                Ok(loan) => self.debug(&loan),
                Err(error) => self.error(&error),
            }
        }
        self.debug(pool);
        self.debug(&pool.loans());
        let closed = pool.close().await;
        self.debug(&closed);
    }

    /// Nothing of this crate has told the secret, or these; and the host was named.
    pub(crate) fn holds_no_secret(self, host: &str, others: &[String]) {
        let logged = LOGGED.take();
        let (own, foreign): (Vec<_>, Vec<_>) =
            logged.lines().partition(|line| line.starts_with("wharf"));
        assert!(!own.is_empty(), "nothing was logged");
        let observed = self.observed.0.lock().unwrap().clone();
        let places =
            [("errors and Debug", self.words), ("observer", observed), ("logs", own.join("\n"))];
        for (place, words) in &places {
            for secret in others.iter().map(String::as_str).chain([SECRET]) {
                let line = words.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "{place}: {}", line.unwrap());
            }
        }
        assert!(places.iter().any(|(_, words)| words.contains(host)), "{host} is named nowhere");
        // What the dependencies log is theirs to answer for; the test shows it to who looks.
        for line in foreign.iter().filter(|line| line.contains(SECRET)) {
            println!("a dependency logs it: {line}");
        }
    }
}
