//! What is told without being asked: outages, closes that hang, acquires that fail, spans. And that a panic of who is told
//! harms nobody else.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::time::sleep;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Level, Metadata, Subscriber};
use wharf::{
    AcquireFailed, AcquireFailure, Backoff, DialDone, HealthCheck, Leaked, Observer, PingAnswered,
    PooledConnection, SlowAcquire, TimedOut,
};

use crate::log::Log;
use crate::odd::*;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_of_once_when_it_begins_and_once_when_it_ends() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::INFO));
    let backoff = Backoff::default().initial(secs(1)).max(secs(1)).jitter(0.0);
    let (pool, connector) = pool(|b| b.max_per_host(2).retry(backoff));
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    assert_eq!(log.take(), [""; 0], "no outage has ended");
    connector.kill_all();
    connector.always(Stage::Connect, Step::Error);
    let told = |line: &str| line.contains("the host cannot be dialed key=1 error=told to fail");
    for _ in 0..3 {
        host.acquire_within(secs(10)).await.unwrap_err();
    }
    let lines = log.take();
    assert!(lines.len() == 1 && told(&lines[0]), "{lines:?}");
    assert!(lines[0].contains("WARN wharf::dial:"), "{lines:?}");
    let failed = host.status().failed_dials;
    connector.behave();
    drop(host.acquire().await.unwrap());
    let lines = log.take();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("INFO wharf::dial: the host can be dialed again key=1"), "{line}");
    assert!(line.contains(&format!("failed_dials={failed} callers_told=0")), "{line}");
    assert!(line.contains("lasted=30"), "{line}");
    // The next one is another.
    connector.kill_all();
    connector.once(Stage::Connect, Step::Error);
    drop(host.acquire().await.unwrap());
    assert_eq!(log.take().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_host_without_a_handle_is_one_too() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::INFO));
    let (pool, connector) = pool_of(2);
    connector.always(Stage::Connect, Step::Error);
    for _ in 0..5 {
        pool.acquire(&1).await.unwrap_err();
        sleep(secs(60)).await;
    }
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("the host cannot be dialed"), "{lines:?}");
    connector.behave();
    drop(pool.acquire(&1).await.unwrap());
    let lines = log.take();
    assert!(lines[0].contains("lasted=300s failed_dials=5 callers_told=5"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_says_how_many_callers_were_told() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::INFO));
    let (pool, connector) = pool_of(2);
    let host = pool.host(&1);
    connector.always(Stage::Connect, Step::SlowError(ms(10)));
    for _ in 0..2 {
        let mut waiters = [waiting(&pool, 1), waiting(&pool, 1), waiting(&pool, 1)];
        for waiter in &mut waiters {
            waiter.await.unwrap_err();
        }
        sleep(secs(20)).await;
    }
    assert_eq!(log.take().len(), 1);
    connector.behave();
    drop(host.acquire().await.unwrap());
    let lines = log.take();
    assert!(lines[0].contains("failed_dials=2 callers_told=6"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_waits_for_five_seconds_says_once_who_holds_what() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    let (pool, connector) = pool_of(2);
    sleep(secs(1)).await;
    let forgotten = pool.acquire(&7).await.unwrap();
    let line = line!() - 1;
    connector.once(Stage::Close, Step::Never);
    drop(pool.acquire(&8).await.unwrap());
    sleep(secs(60)).await;
    let mut close = pool.close();
    assert!(tokio::time::timeout(ms(4999), &mut close).await.is_err());
    assert_eq!(log.take(), [""; 0]);
    assert!(tokio::time::timeout(secs(100), &mut close).await.is_err());
    let lines: Vec<_> = log.take().into_iter().filter(|l| l.contains("close waits")).collect();
    let [told] = &lines[..] else { panic!("{lines:?}") };
    assert!(told.contains("waited=5s loans=1 dialing=0 closing=1"), "{told}");
    let place = format!("longest=7 for 65.0 s, acquired at {}:{line}", file!());
    assert!(told.contains(&place), "{told}");
    drop(forgotten);
    close.await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_waits_is_not_ended_by_the_debug_of_a_key() {
    panic_at(At::KeyDebug);
    let pool = odd_pool(|b| b, |_| Ok(7));
    let loan = pool.acquire(&OddKey(1)).await.unwrap();
    let close = tokio::spawn(pool.close());
    sleep(secs(60)).await;
    assert!(!close.is_finished(), "a loan is out");
    drop(loan);
    close.await.unwrap();
}

/// In a runtime without timers it waits all the same.
#[test]
fn a_close_in_a_runtime_without_timers_waits_in_silence() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (pool, _) = pool(|b| b.acquire_timeout(None).connect_timeout(None).idle_timeout(None));
        let host = pool.host(&1);
        let loan = pool.add(&1, TestConnector::new().make(1)).map(|()| host.try_acquire().unwrap());
        let mut close = pool.close();
        assert!(poll(&mut close).is_pending());
        drop(loan);
        tokio::task::yield_now().await;
    });
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn acquire_failed(&self, event: &AcquireFailed<'_>) {
        let AcquireFailed { host, kind, waited, .. } = event;
        self.note(format!("{host:?} {} after {waited:?}", kind.label()));
    }
    fn timed_out(&self, event: &TimedOut<'_>) {
        self.note(format!("{:?} is out of time", event.host));
    }
    fn slow_acquire(&self, event: &SlowAcquire<'_>) {
        let SlowAcquire { host, waited, queueing, dialing, pinging, .. } = event;
        let parts = [queueing, dialing, pinging];
        self.note(format!("{host:?} slow: {waited:?} = {parts:?} at {}", event.place.line()));
    }
    fn leaked(&self, event: &Leaked<'_>) {
        let Leaked { host, held, is_back, place, .. } = event;
        self.note(format!("{host:?} held {held:?} at {}, back: {is_back}", place.line()));
    }
    fn dial_done(&self, event: &DialDone<'_>) {
        self.note(format!("{:?} made {}", event.host, event.id));
    }
    fn ping_answered(&self, event: &PingAnswered<'_>) {
        self.note(format!("{:?} answered {} in {:?}", event.host, event.id, event.took));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_how_each_acquire_failed() {
    let notes = Notes::default();
    let (pool, connector) =
        pool(|b| b.max_per_host(1).max_waiters_per_host(1).observer(notes.clone()));
    connector.once(Stage::Connect, Step::SlowError(ms(20)));
    pool.acquire(&1).await.unwrap_err();
    assert_eq!(notes.take(), ["1 dial after 20ms"]);
    sleep(secs(20)).await;
    let loan = pool.acquire(&1).await.unwrap();
    let id = PooledConnection::info(&loan).id;
    assert_eq!(notes.take(), [format!("1 made {id}")], "the dial names its connection");
    pool.acquire_within(&1, ms(30)).await.unwrap_err();
    assert_eq!(notes.take(), ["1 is out of time", "1 timed_out after 30ms"]);
    pool.acquire_within(&1, ms(0)).await.unwrap_err();
    assert_eq!(notes.take(), ["1 is out of time", "1 timed_out after 0ns"]);
    let waiter = waiting(&pool, 1);
    pool.acquire(&1).await.unwrap_err();
    assert_eq!(notes.take(), ["1 queue_full after 0ns"]);
    sleep(ms(5)).await;
    drop(waiter);
    assert_eq!(notes.take(), ["1 cancelled after 5ms"]);
    drop(pool.acquire(&1));
    assert_eq!(notes.take(), [""; 0], "it was not polled");
    let mut waiter = waiting(&pool, 1);
    drop(pool.close());
    assert!(poll(&mut waiter).is_ready());
    assert_eq!(notes.take(), ["1 closed after 0ns"]);
    pool.acquire(&1).await.unwrap_err();
    assert_eq!(notes.take(), ["1 closed after 0ns"]);
    drop(loan);
}

#[test]
fn an_acquire_without_a_runtime_is_told_of() {
    let notes = Notes::default();
    let (pool, _) = pool(|b| b.observer(notes.clone()));
    assert!(poll(&mut pool.acquire(&1)).is_ready());
    assert_eq!(notes.take(), ["1 no_runtime after 0ns"]);
    assert_eq!(
        AcquireFailure::ALL.iter().map(|kind| kind.label()).collect::<HashSet<_>>().len(),
        6
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_slow_acquires_and_leaks_and_answers() {
    let notes = Notes::default();
    let (pool, connector) = pool(|b| {
        let watched = b.slow_acquire(secs(1)).leak_after(secs(60)).idle_timeout(None);
        watched.health_check(HealthCheck::Always).max_lifetime(None).observer(notes.clone())
    });
    connector.once(Stage::Connect, Step::Slow(secs(2)));
    let loan = pool.acquire(&1).await.unwrap();
    let line = line!() - 1;
    assert_eq!(notes.take()[1..], [format!("1 slow: 2s = [0ns, 2s, 0ns] at {line}")]);
    sleep(secs(70)).await;
    drop(loan);
    let told = notes.take();
    assert!(told[0].starts_with("1 held 60") && told[0].ends_with("back: false"), "{told:?}");
    assert_eq!(told[1..], [format!("1 held 70s at {line}, back: true")]);
    connector.once(Stage::Ping, Step::Slow(ms(3)));
    drop(pool.acquire(&1).await.unwrap());
    assert!(notes.take()[0].ends_with(" in 3ms"));
}

#[tokio::test(start_paused = true)]
async fn dials_and_pings_are_spans_with_host_and_outcome_and_a_wait_is_an_event_of_its_caller() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::DEBUG));
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    connector.once(Stage::Connect, Step::Error);
    let request = tracing::info_span!("request", nr = 5);
    pool.acquire(&1).instrument(request.clone()).await.unwrap_err();
    let lines = log.take().join("\n");
    assert!(lines.contains("request{nr=5}:dial{key=1 outcome=told to fail}: "), "{lines}");
    sleep(secs(20)).await;
    drop(pool.acquire(&1).instrument(request.clone()).await.unwrap());
    let lines = log.take().join("\n");
    assert!(lines.contains("request{nr=5}:dial{key=1 outcome=connected}: "), "{lines}");
    let event = "request{nr=5}: wharf::acquire: waited for a connection key=1 waited=0ns";
    assert!(lines.contains(event), "{lines}");
    connector.once(Stage::Ping, Step::Error);
    drop(pool.acquire(&1).instrument(request).await.unwrap());
    let lines = log.take().join("\n");
    assert!(lines.contains("purpose=Health outcome=failed}: wharf::ping: close"), "{lines}");
}

/// Panics at every turn.
struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // A span that is there, so that it is entered.
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {
        panic!("told to panic");
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        panic!("told to panic");
    }
    fn enter(&self, _: &Id) {
        panic!("told to panic");
    }
    fn exit(&self, _: &Id) {
        panic!("told to panic");
    }
    fn try_close(&self, _: Id) -> bool {
        panic!("told to panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_harms_nobody_else() {
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    let _guard = tracing::subscriber::set_default(Panics);
    for _ in 0..3 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(connector.counts().dials, 1);
    connector.once(Stage::Ping, Step::Error);
    drop(pool.acquire(&1).await.unwrap());
    connector.kill_all();
    connector.once(Stage::Connect, Step::Error);
    let error = pool.acquire(&1).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection to 1: told to fail");
    sleep(secs(20)).await;
    drop(pool.acquire(&1).await.unwrap());
    pool.close().await;
    assert_balanced(&pool, &connector);
}
