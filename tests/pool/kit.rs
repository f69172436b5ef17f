//! What the scripted connector promises to those who test with it.

use std::sync::Arc;

use tokio::time::Instant;
use wharf::test_util::Gate;
use wharf::{AcquireError, CloseReason, Connector, HealthCheck, SharedPool};

use crate::sharing::Many;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_host_is_down_and_another_serves() {
    let (pool, connector) = pool_of(2);
    connector.always_for(&1, Stage::Connect, Step::Error);
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Connect(_))));
    drop(pool.acquire(&2).await.unwrap());
    connector.always_for(&1, Stage::Connect, Step::Ok);
    drop(pool.acquire(&1).await.unwrap());
}

#[tokio::test]
async fn the_script_of_the_host_comes_before_that_of_all_and_that_before_chance() {
    let connector = TestConnector::new();
    connector.leave_to_chance(|host, _| if *host == 9 { Step::Ok } else { Step::Error });
    connector.once(Stage::Connect, Step::Ok);
    connector.once_for(&1, Stage::Connect, Step::Error);
    connector.once_for(&1, Stage::Connect, Step::Ok);
    let mut ends = Vec::new();
    for host in [1, 1, 2, 2, 9, 1] {
        ends.push(connector.connect(&host).await.is_ok());
    }
    assert_eq!(ends, [false, true, true, false, true, false]);
    connector.always(Stage::Connect, Step::Error);
    connector.always_for(&1, Stage::Connect, Step::Ok);
    assert!(connector.connect(&9).await.is_err());
    assert!(connector.connect(&1).await.is_ok());
}

#[tokio::test]
async fn pings_and_closes_have_scripts_by_host_too() {
    let connector = TestConnector::new();
    let (mut one, mut two) = (connector.make(1), connector.make(2));
    connector.always_for(&1, Stage::Ping, Step::Error);
    assert!(connector.ping(&mut one).await.is_err());
    assert!(connector.ping(&mut two).await.is_ok());
    connector.always_for(&1, Stage::Close, Step::Never);
    let mut hangs = connector.close(one);
    assert!(poll(&mut hangs).is_pending());
    connector.close(two).await;
    assert_eq!(connector.closed_hosts(), [1, 2]);
}

#[tokio::test]
async fn a_host_dies_alone() {
    let connector = TestConnector::new();
    let made = [1, 2, 1].map(|host| connector.make(host));
    connector.kill_host(&1);
    assert_eq!(made.each_ref().map(TestConnection::is_alive), [false, true, false]);
    assert!(connector.make(1).is_alive(), "it is up again");
    connector.kill_host(&3);
}

#[tokio::test]
async fn behave_undoes_all_instructions() {
    let connector = TestConnector::new();
    connector.always(Stage::Connect, Step::Error);
    connector.always_for(&1, Stage::Connect, Step::Panic);
    connector.leave_to_chance(|_, _| Step::Panic);
    connector.let_is_open_panic();
    connector.let_failed_pings_kill();
    connector.let_no_error_be_retryable();
    connector.behave();
    let mut made = connector.connect(&1).await.unwrap();
    assert!(connector.is_open(&mut made));
    assert!(connector.is_retryable(&TestError));
    connector.once(Stage::Ping, Step::Error);
    assert!(connector.ping(&mut made).await.is_err());
    assert!(made.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_slow_error_takes_its_time() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::SlowError(secs(2)));
    let asked = Instant::now();
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Connect(_))));
    assert_eq!(asked.elapsed().as_secs(), 2);
    drop(pool.acquire(&1).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_fails_costs_a_dial_and_nobody_a_dead_connection() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::Always));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Error);
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    assert_eq!(pool.status().closes.of(CloseReason::PingFailed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_gate_holds_nobody_up() {
    let (connector, gate) = (TestConnector::new(), Gate::new());
    connector.always(Stage::Connect, Step::Gate(gate.clone()));
    let dials = [1, 2].map(|host| {
        let connector = connector.clone();
        tokio::spawn(async move { connector.connect(&host).await })
    });
    gate.reached(2).await;
    assert_eq!(connector.counts().dialing, 2);
    gate.open();
    for dial in dials {
        dial.await.unwrap().unwrap();
    }
    assert!(connector.connect(&3).await.is_ok(), "who comes later");
    gate.let_through(1);
    gate.fail();
    assert!(connector.connect(&3).await.is_err(), "what was said last holds");
    gate.open();
    assert!(connector.connect(&3).await.is_ok());
    gate.reached(5).await;
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_few_have_reached_is_waited_for() {
    let gate = Gate::new();
    let connector = TestConnector::new();
    connector.always(Stage::Connect, Step::Gate(gate.clone()));
    let mut reached = Box::pin(gate.reached(2));
    assert!(poll(&mut reached).is_pending());
    for _ in 0..2 {
        assert!(poll(&mut reached).is_pending());
        // It gives up, and has been there.
        assert!(poll(&mut connector.connect(&1)).is_pending());
    }
    assert!(poll(&mut reached).is_ready());
}

#[tokio::test]
async fn a_number_that_was_written_to_confuses_nobody() {
    let connector = TestConnector::new();
    let (mut made, other) = (connector.make(1), connector.make(2));
    made.number = 1000;
    assert!(connector.ping(&mut made).await.is_ok());
    assert!(connector.is_open(&mut made));
    connector.close(made).await;
    assert_eq!(connector.closed_hosts(), [1]);
    let counts = connector.counts();
    assert_eq!((counts.open_of[&1], counts.open_of[&2], counts.live()), (0, 1, 1));
    drop(other);
}

#[tokio::test]
async fn a_connection_buried_twice_is_counted_once() {
    let connector = TestConnector::new();
    let made = connector.make(1);
    made.bury();
    made.bury();
    assert_eq!((connector.counts().open, connector.counts().live()), (0, 1));
    drop(made);
    assert_eq!((connector.counts().open, connector.counts().live()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn shared_connections_do_as_the_script_says() {
    let script = TestConnector::new();
    let connector = Many::new(script.clone(), 3);
    let pool = SharedPool::builder().max_per_host(2).build(connector).unwrap();
    script.once_for(&1, Stage::Connect, Step::Error);
    assert!(pool.acquire(&1).await.is_err());
    let leases = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert_eq!(leases.each_ref().map(|lease| lease.number), [0, 0]);
    script.kill_host(&1);
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    let counts = script.counts();
    assert_eq!((counts.open_of[&1], counts.live()), (1, 2), "the dead one is lent still");
    drop(leases);
    quiet().await;
    assert_eq!((script.counts().live(), script.counts().closed_in_use), (1, 0));
}

#[tokio::test]
async fn a_shared_connection_whose_ping_fails_is_no_longer_open() {
    let script = TestConnector::new();
    let connector = Many::new(script.clone(), 2);
    script.let_failed_pings_kill();
    script.once(Stage::Ping, Step::Error);
    let mut made = connector.connect(&1).await.unwrap();
    let other = made.clone();
    let counts = script.counts();
    assert_eq!((counts.open, counts.live()), (1, 1));
    assert!(connector.ping(&mut made).await.is_err());
    assert!(!other.is_alive());
    assert!(connector.ping(&mut made).await.is_err(), "the dead do not answer");
    let counts = script.counts();
    assert_eq!((counts.open, counts.live(), counts.pings), (0, 1, 2));
    assert_eq!(counts.pinging_of[&1], 0);
}

#[tokio::test]
async fn a_shared_connection_that_is_closed_while_it_is_used_is_noted() {
    let script = TestConnector::new();
    let connector = Many::new(script.clone(), 2);
    let made = connector.connect(&1).await.unwrap();
    connector.close(Arc::clone(&made)).await;
    assert_eq!((script.counts().closed_in_use, script.counts().closes), (1, 1));
    connector.close(made).await;
    assert_eq!((script.counts().closed_in_use, script.counts().closes), (1, 2));
}
