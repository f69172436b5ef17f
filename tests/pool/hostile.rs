//! What keys, errors, wakers and runtimes do at the worst moment, and other things that once went wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::odd::*;
use crate::support::*;
use wharf::{AcquireError, HealthCheck};

/// Runs `f` on a thread of its own, so that a hang fails a test instead of stopping all.
fn within(limit: Duration, f: impl FnOnce() + Send + 'static) -> Result<(), &'static str> {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        f();
        let _ = tx.send(());
    });
    match rx.recv_timeout(limit) {
        Ok(()) => Ok(()),
        Err(mpsc::RecvTimeoutError::Timeout) => Err("hangs"),
        Err(_) => Err("panicked"),
    }
}

#[test]
fn a_kept_connections_idle_time_does_not_hang_lending() {
    let ended = within(secs(5), || {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        rt.block_on(async {
            let (pool, _c) =
                pool(|b| b.min_idle_per_host(2).idle_timeout(secs(90)).max_lifetime(None));
            pool.warm(&1, 3).await.unwrap();
            // Two rest from 0 on, one from 50 s on.
            tokio::time::sleep(secs(50)).await;
            drop(pool.acquire(&1).await.unwrap());
            // At 90 s upkeep closes one, keeps the other past its time. At 140 s the third is past it too.
            tokio::time::sleep(secs(100)).await;
            assert_eq!(pool.status().idle, 2);
            drop(pool.acquire(&1).await.unwrap());
        });
    });
    assert_eq!(ended, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn retain_keeps_to_the_cap_on_idle_connections() {
    let (pool, connector) = pool(|b| b.max_idle(1));
    drop(pool.acquire(&1).await.unwrap());
    let mut loan = Some(pool.acquire(&2).await.unwrap());
    pool.retain(|_, _, _| {
        drop(loan.take());
        true
    });
    quiet().await;
    assert_eq!(pool.status().idle, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_says_closed_also_to_who_does_not_wait() {
    let (pool, _) = pool_of(1);
    pool.close().await;
    let e = pool.acquire_within(&1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(e, AcquireError::Closed), "{e}");
}

#[test]
fn a_closed_pool_says_closed_also_outside_a_runtime() {
    let (pool, _) = pool_of(1);
    drop(pool.close());
    let Poll::Ready(Err(e)) = poll(&mut pool.acquire(&1)) else { panic!() };
    assert!(matches!(e, AcquireError::Closed), "{e}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_debug_at_a_time_out_loses_no_waiter() {
    panic_at(At::KeyDebug);
    let pool = odd_pool(|b| b.max_per_host(1), |_| Ok(7));
    let loan = pool.acquire(&OddKey(1)).await.unwrap();
    let task = tokio::spawn(pool.acquire_within(&OddKey(1), ms(10)));
    assert!(task.await.is_err());
    assert_eq!(pool.status().waiting, 0);
    drop(loan);
    assert_eq!((pool.status().idle, pool.status().in_use), (1, 0));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn an_acquire_outside_any_runtime_after_the_last_one_ended_does_not_panic() {
    let (pool, _) = pool_of(1);
    let rt = runtime();
    rt.block_on(async { pool.acquire(&1).await.map(wharf::PooledConnection::discard).unwrap() });
    drop(rt);
    let mut acquire = pool.acquire(&1);
    for _ in 0..3 {
        if let Poll::Ready(r) = poll(&mut acquire) {
            assert!(matches!(r, Err(AcquireError::NoRuntime)));
            return;
        }
    }
    panic!("still pending");
}

struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn an_acquire_without_a_limit_after_the_last_runtime_ended_does_not_spin() {
    let (pool, _) = pool(|b| b.acquire_timeout(None));
    let rt = runtime();
    rt.block_on(async { pool.acquire(&1).await.map(wharf::PooledConnection::discard).unwrap() });
    drop(rt);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut acquire = pool.acquire(&1);
    for n in 0..100 {
        if let Poll::Ready(r) = Pin::new(&mut acquire).poll(&mut Context::from_waker(&waker)) {
            assert!(matches!(r, Err(AcquireError::NoRuntime)));
            return;
        }
        assert!(count.0.load(SeqCst) > n, "not woken");
    }
    panic!("woke itself {} times, dials {}", count.0.load(SeqCst), pool.status().dials);
}

#[test]
fn a_runtime_without_timers_is_not_dialed_in_for_ever() {
    let (pool, connector) = pool(|b| b.acquire_timeout(None));
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    rt.block_on(async {
        let mut acquire = pool.acquire(&1);
        for _ in 0..1000 {
            if poll(&mut acquire).is_ready() {
                return;
            }
            tokio::task::yield_now().await;
            if pool.status().dials >= 100 {
                break;
            }
        }
    });
    assert!(
        pool.status().dials < 10,
        "{} dials begun, {} reached the connector",
        pool.status().dials,
        connector.counts().dials
    );
}

#[tokio::test(start_paused = true)]
async fn looking_at_a_host_dials_nothing() {
    let (pool, connector) = pool(|b| b.initial_per_host(2).min_idle_per_host(1));
    let host = pool.host(&1);
    let _ = host.status();
    drop(host);
    quiet().await;
    assert_eq!(connector.counts().dials, 0);
}

#[tokio::test(start_paused = true)]
async fn retiring_a_host_nobody_uses_dials_nothing() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(1));
    let host = pool.host(&1);
    host.retire();
    quiet().await;
    assert_eq!(connector.counts().dials, 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_dials_nothing() {
    let (pool, connector) = pool(|b| b.initial_per_host(1));
    let host = pool.host(&1);
    drop(pool);
    drop(host);
    quiet().await;
    assert_eq!(connector.counts().dials, 0);
}

#[tokio::test(start_paused = true)]
async fn adding_a_refused_connection_dials_nothing() {
    let (pool, connector) = pool(|b| b.initial_per_host(1).max_total(1));
    let _loan = pool.acquire(&2).await.unwrap();
    assert!(pool.add(&1, connector.make(1)).is_err());
    quiet().await;
    assert_eq!(connector.counts().dials, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_that_nobody_uses_is_not_dialed_for_ever() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(1));
    connector.always(Stage::Connect, Step::Error);
    assert!(pool.acquire(&1).await.is_err());
    tokio::time::sleep(secs(3600)).await;
    let d = connector.counts().dials;
    assert!(
        d < 10 && pool.status().hosts == 0,
        "{d} dials for nobody; {} hosts",
        pool.status().hosts
    );
}

struct Bomb;
impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("told to panic")
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_loses_no_other_wake_up() {
    let (pool, _) = pool_of(1);
    let _loan = pool.acquire(&1).await.unwrap();
    let bomb = Waker::from(Arc::new(Bomb));
    let mut first = pool.acquire(&1);
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&bomb)).is_pending());
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut second = pool.acquire(&1);
    assert!(Pin::new(&mut second).poll(&mut Context::from_waker(&waker)).is_pending());
    let p = pool.clone();
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(p.close())));
    assert_eq!(count.0.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_keep_close_from_reaching_other_shards() {
    let (pool, connector) = pool_of(1);
    let _loan = pool.acquire(&1).await.unwrap();
    let bomb = Waker::from(Arc::new(Bomb));
    let mut first = pool.acquire(&1);
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&bomb)).is_pending());
    for host in 2..200 {
        drop(pool.acquire(&host).await.unwrap());
    }
    let p = pool.clone();
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(p.close())));
    quiet().await;
    assert_eq!(connector.counts().live(), 1);
}

/// Waits for other threads, in real time.
fn until(condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < secs(60), "it does not come to this");
        std::thread::sleep(ms(1));
    }
}

fn threaded() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn idle_after_its_time(ends: bool) -> usize {
    let (pool, _connector) = pool(|b| b.idle_timeout(ms(100)));
    let (first, second) = (threaded(), threaded());
    // Upkeep starts on the first runtime.
    first.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(5)).await;
    });
    let loan = second.block_on(async { pool.acquire(&1).await.unwrap() });
    let kept = if ends {
        drop(first);
        None
    } else {
        Some(first)
    };
    second.block_on(async {
        drop(loan);
        tokio::time::sleep(ms(1000)).await;
    });
    drop(kept);
    pool.status().idle
}

#[test]
fn control_idle() {
    assert_eq!(idle_after_its_time(false), 0);
}

#[test]
fn upkeep_survives_the_end_of_one_of_two_runtimes() {
    assert_eq!(idle_after_its_time(true), 0);
}

fn backoff(ends: bool) {
    let (pool, connector) = pool(|b| b.max_per_host(2));
    let (first, second) = (threaded(), threaded());
    first.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(5)).await;
    });
    let mut first = Some(first);
    let _loan = second.block_on(async { pool.acquire(&1).await.unwrap() });
    connector.once(Stage::Connect, Step::Error);
    let p = pool.clone();
    let task = second.spawn(async move { p.acquire_within(&1, secs(60)).await.map(drop) });
    until(|| pool.status().failed_dials == 1);
    if ends {
        drop(first.take());
    }
    // The backoff is at most 100 ms.
    let got = second.block_on(task).unwrap();
    assert!(got.is_ok(), "{}", got.unwrap_err());
}

#[test]
fn control_backoff() {
    backoff(false);
}

#[test]
fn a_waiter_in_a_backoff_is_served_though_upkeeps_runtime_has_ended() {
    backoff(true);
}

#[tokio::test(start_paused = true)]
async fn a_warm_that_is_polled_often_takes_no_memory() {
    let (pool, connector) = pool_of(1);
    connector.always(Stage::Connect, Step::Never);
    let mut warm = pool.warm(&1, 1);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    for _ in 0..10_000 {
        assert!(Pin::new(&mut warm).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let refs = Arc::strong_count(&count);
    drop(warm);
    assert!(
        refs < 10,
        "{refs} wakers kept; {} after the future is dropped",
        Arc::strong_count(&count)
    );
}

#[tokio::test(start_paused = true)]
async fn awaiting_a_warm_only_tells_how_it_went() {
    let (pool, connector) = pool_of(3);
    let warm = pool.warm(&1, 3);
    quiet().await;
    pool.close_idle();
    quiet().await;
    let _ = warm.await;
    assert_eq!(connector.counts().dials, 3);
}

/// Formats every event, as a log would.
struct Log;
impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct V;
        impl tracing::field::Visit for V {
            fn record_debug(&mut self, _: &tracing::field::Field, v: &dyn std::fmt::Debug) {
                let _ = format!("{v:?}");
            }
        }
        event.record(&mut V);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_debug_in_a_log_loses_no_slot_at_a_close() {
    let _log = tracing::subscriber::set_default(Log);
    let pool = odd_pool(|b| b.max_per_host(1), |_| Ok(7));
    drop(pool.acquire(&OddKey(1)).await.unwrap());
    panic_at(At::KeyDebug);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.close_idle()));
    quiet().await;
    behave();
    assert_eq!(pool.status().closing, 0);
    drop(pool.acquire_within(&OddKey(1), secs(60)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_errors_debug_or_display_in_a_log_loses_no_slot() {
    let _log = tracing::subscriber::set_default(Log);
    for at in [At::ErrorDebug, At::ErrorDisplay] {
        panic_at(at);
        let pool = odd_pool(|b| b.max_per_host(1), |_| Err(OddError));
        let _ = pool.acquire_within(&OddKey(1), secs(20)).await.map(drop).is_ok();
        quiet().await;
        assert_eq!((pool.status().dialing, pool.status().failed_dials > 0), (0, true));
    }
}

/// A log that fails when it is needed.
struct BadLog;
impl tracing::Subscriber for BadLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("told to panic")
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panics_loses_no_slot() {
    let _log = tracing::subscriber::set_default(BadLog);
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    for stage in [Stage::Connect, Stage::Ping, Stage::Close] {
        connector.once(stage, Step::Panic);
    }
    for _ in 0..4 {
        let lent = pool.acquire_within(&1, secs(5)).await;
        quiet().await;
        drop(lent);
        quiet().await;
    }
    pool.close_idle();
    quiet().await;
    let status = pool.status();
    assert_eq!((status.idle, status.dialing, status.closing), (0, 0, 0));
    assert_eq!((status.failed_dials, status.failed_pings, connector.counts().closes), (1, 1, 2));
    drop(pool.acquire_within(&1, secs(5)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_errors_display_at_a_time_out_loses_no_waiter() {
    panic_at(At::ErrorDisplay);
    let dials = AtomicUsize::new(0);
    let pool = odd_pool(
        |b| b.max_per_host(2).retry(wharf::Backoff::default()),
        move |_| if dials.fetch_add(1, SeqCst) == 0 { Ok(7) } else { Err(OddError) },
    );
    let loan = pool.acquire(&OddKey(1)).await.unwrap();
    let task = tokio::spawn(pool.acquire_within(&OddKey(1), secs(1)));
    assert!(task.await.is_err());
    assert_eq!(pool.status().waiting, 0);
    drop(loan);
    assert_eq!(pool.status().in_use, 0);
}

/// What a panic carries, and cannot be got rid of.
struct Payload;
impl Drop for Payload {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "told to panic");
    }
}

#[tokio::test(start_paused = true)]
async fn the_payload_of_a_panic_may_panic_when_it_is_dropped() {
    let n = Arc::new(AtomicUsize::new(0));
    let dials = n.clone();
    let pool = odd_pool(
        |b| b.max_per_host(1),
        move |_| {
            if dials.fetch_add(1, SeqCst) == 0 {
                std::panic::panic_any(Payload);
            }
            Ok(7)
        },
    );
    let e = pool.acquire_within(&OddKey(1), secs(5)).await.unwrap_err();
    assert!(matches!(e, AcquireError::ConnectorPanicked { .. }), "{e}");
    drop(pool.acquire_within(&OddKey(1), secs(5)).await.unwrap());
    assert_eq!(n.load(SeqCst), 2);
}

#[test]
fn a_first_wait_that_panics_leaves_the_queue() {
    let (pool, connector) = pool(|b| b.max_per_host(1).acquire_timeout(secs(3)));
    let ended = runtime();
    let handle = ended.handle().clone();
    let alive = runtime();
    let loan = alive.block_on(async { pool.acquire(&1).await.unwrap() });
    drop(ended);
    // Its timers are gone with it: to set one panics.
    let p = pool.clone();
    let wait = move || handle.block_on(p.acquire(&1)).map(drop).is_ok();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(wait)).is_err());
    assert_eq!(pool.status().waiting, 0);
    drop(loan);
    alive.block_on(async { drop(pool.acquire(&1).await.unwrap()) });
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn room_is_looked_for_again_though_the_look_before_came_late() {
    let (pool, connector) = pool(|b| b.max_total(1));
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let began = tokio::time::Instant::now();
    let at = |t: u64| began + ms(t);
    drop(pool.acquire(&1).await.unwrap());
    // It is short: the idle one makes room when it has been idle for one dial.
    let p = pool.clone();
    let second = tokio::spawn(async move { p.acquire(&2).await.map(drop) });
    tokio::time::sleep_until(at(150)).await;
    let loan = pool.try_acquire(&1).unwrap();
    tokio::time::sleep_until(at(190)).await;
    drop(loan);
    // Somebody else looks at the moment when maintenance is to look, and before it.
    tokio::time::advance(ms(15)).await;
    let third = waiting(&pool, 3);
    drop(third);
    tokio::time::sleep_until(at(2000)).await;
    assert!(second.is_finished(), "waits although a connection is idle: {:?}", pool.status());
    assert_balanced(&pool, &connector);
}

#[test]
fn a_forgotten_host_dials_nothing() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(1));
    let (first, second) = (runtime(), runtime());
    connector.once(Stage::Connect, Step::Ok);
    // The one for the minimum idle ends with its runtime.
    connector.once(Stage::Connect, Step::Never);
    let mut early = None;
    first.block_on(async {
        wharf::PooledConnection::discard(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(5)).await;
        early = Some(pool.acquire_within(&1, Duration::ZERO));
    });
    drop(first);
    assert_eq!(pool.status().hosts, 0);
    second.block_on(async {
        assert!(early.unwrap().await.is_err());
        tokio::time::sleep(ms(5)).await;
        assert_eq!(connector.counts().live(), pool.status().idle);
        let closed = tokio::time::timeout(secs(60), pool.close()).await;
        assert!(closed.is_ok(), "close hangs");
    });
}

#[test]
fn a_waiter_in_a_backoff_is_served_though_the_runtime_last_seen_has_ended() {
    let (pool, connector) = pool(|b| b.max_per_host(2));
    let (first, second) = (threaded(), threaded());
    first.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(5)).await;
    });
    let _loan = second.block_on(async { pool.acquire(&1).await.unwrap() });
    connector.once(Stage::Connect, Step::Error);
    let p = pool.clone();
    let task = second.spawn(async move { p.acquire_within(&1, secs(60)).await.map(drop) });
    until(|| pool.status().failed_dials == 1);
    first.block_on(async { pool.warm(&2, 1).await.unwrap() });
    drop(first);
    let got = second.block_on(task).unwrap();
    assert!(got.is_ok(), "{}", got.unwrap_err());
}

#[test]
fn a_runtime_that_ends_wakes_others_than_who_will_never_look() {
    let (pool, connector) = pool(|b| b.max_per_host(1));
    connector.once(Stage::Connect, Step::Never);
    let (first, second) = (threaded(), threaded());
    // Nobody polls it any more.
    let mut left = None;
    first.block_on(async {
        left = Some(waiting(&pool, 1));
        tokio::time::sleep(ms(5)).await;
    });
    let p = pool.clone();
    let task = second.spawn(async move { p.acquire_within(&1, secs(60)).await.map(drop) });
    until(|| pool.status().waiting == 2);
    drop(first);
    // The one left behind was first: what is dialed is for it.
    until(|| pool.status().dials == 2);
    drop(left);
    assert!(second.block_on(task).unwrap().is_ok());
}

#[test]
fn a_runtime_may_end_while_many_hosts_starve() {
    let (pool, connector) = pool(|b| b.max_total(1));
    connector.always(Stage::Connect, Step::Never);
    let runtime = threaded();
    for host in 0..5_000 {
        let pool = pool.clone();
        runtime.spawn(async move { pool.acquire(&host).await.map(drop) });
    }
    while pool.status().waiting < 5_000 {
        std::thread::sleep(ms(5));
    }
    // The permit of each dial that is lost goes to the next one, which is lost, too.
    drop(runtime);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_reach_who_returns() {
    let (pool, _) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let bomb = Waker::from(Arc::new(Bomb));
    let mut first = pool.acquire(&1);
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&bomb)).is_pending());
    drop(loan);
    drop(ready(&mut first));
}

#[test]
fn an_acquire_without_a_limit_in_a_runtime_that_has_ended_does_not_spin() {
    let (pool, _) = pool(|b| b.acquire_timeout(None));
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let p = pool.clone();
    let outcome = within(secs(2), move || {
        let outcome = handle.block_on(p.acquire(&1));
        assert!(matches!(outcome, Err(AcquireError::NoRuntime)));
    });
    let dials = pool.status().dials;
    drop(pool.close());
    assert_eq!(outcome, Ok(()), "{dials} dials");
}

#[test]
fn an_acquire_in_a_runtime_that_has_ended_is_dialed_for_in_another() {
    let (pool, connector) = pool(|b| b.acquire_timeout(None));
    let (ended, alive) = (runtime(), threaded());
    alive.block_on(async { drop(pool.acquire(&2).await.unwrap()) });
    let handle = ended.handle().clone();
    drop(ended);
    let p = pool.clone();
    let outcome = within(secs(2), move || drop(handle.block_on(p.acquire(&1)).unwrap()));
    let status = pool.status();
    drop(pool.close());
    assert_eq!((outcome, status.idle), (Ok(()), 2));
    drop(connector);
}

#[test]
fn maintenance_goes_on_elsewhere_when_a_panic_ends_its_runtime() {
    let (pool, connector) = pool(|b| b.max_per_host(2));
    let second = threaded();
    let (ready, go) = (mpsc::channel(), mpsc::channel::<()>());
    let p = pool.clone();
    let (tx, rx) = (ready.0, go.1);
    let thread = std::thread::spawn(move || {
        let first = runtime();
        first.block_on(async {
            drop(p.acquire(&1).await.unwrap());
            tokio::time::sleep(ms(5)).await;
        });
        tx.send(()).unwrap();
        rx.recv().unwrap();
        std::panic::resume_unwind(Box::new("told to panic"));
    });
    ready.1.recv().unwrap();
    let _loan = second.block_on(async { pool.acquire(&1).await.unwrap() });
    connector.once(Stage::Connect, Step::Error);
    let p = pool.clone();
    let task = second.spawn(async move { p.acquire_within(&1, secs(60)).await.map(drop) });
    until(|| pool.status().failed_dials == 1);
    go.0.send(()).unwrap();
    assert!(thread.join().is_err());
    let got = second.block_on(task).unwrap();
    assert!(got.is_ok(), "{}", got.unwrap_err());
}

fn even_hosts_serve(host: &OddKey) -> Result<u32, OddError> {
    if host.0 % 2 == 0 { Ok(7) } else { Err(OddError) }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_drop_does_not_keep_close_from_the_others() {
    let pool = odd_pool(|b| b.max_per_host(1), even_hosts_serve);
    let mut loans = Vec::new();
    for n in 0..40 {
        // The odd ones back off.
        if let Ok(loan) = pool.acquire(&OddKey(n)).await {
            loans.push(loan);
        }
    }
    let keys: Vec<_> = (0..20).map(|n| OddKey(2 * n)).collect();
    let mut waits: Vec<_> = keys.iter().map(|key| pool.acquire(key)).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait).is_pending()));
    panic_at(At::KeyDrop);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(pool.close())));
    behave();
    let told = waits.iter_mut().filter_map(|wait| match poll(wait) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    });
    assert_eq!(told.count(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_drop_does_not_end_maintenance() {
    let pool = odd_pool(|b| b.max_per_host(1).idle_timeout(secs(60)), even_hosts_serve);
    assert!(pool.acquire(&OddKey(1)).await.is_err());
    quiet().await;
    // It is due after the one that is forgotten.
    drop(pool.acquire(&OddKey(2)).await.unwrap());
    panic_at(At::KeyDrop);
    tokio::time::sleep(secs(100)).await;
    assert_eq!(behave(), None, "it was dropped");
    assert_eq!(pool.status().idle, 0);
}
