//! Scenes from outages: who is served when the server is back, and by when. `request` checks in each of them that no
//! acquire outlives its time by more than a tick. `benches/alone/scenes` plays the same with other pools.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use wharf::PooledConnection;

use crate::client::{self, LONGEST_PAUSE, SHORTEST_PAUSE, SimPool, request};
use crate::network::{CLIENT, HOSTS, Network};
use crate::{ms, secs, seed};

/// The messages of a dial and of a request, each twice, and the ticks that they are rounded up to.
const ROUND_TRIPS: Duration = ms(100);

/// By when everybody has an answer after a blip of 50 ms: the shortest pause between two dials, since the dials that
/// failed together are one failure.
const AFTER_BLIP: Duration = SHORTEST_PAUSE.saturating_add(ROUND_TRIPS);

/// One call.
struct Call {
    began: Instant,
    ended: Instant,
    answered: bool,
}

type Callers = JoinSet<Vec<Call>>;

/// Adds callers who ask one host again and again, until the end.
fn add(callers: &mut Callers, n: usize, pool: &SimPool, line: Line) {
    for _ in 0..n {
        let pool = pool.clone();
        callers.spawn(async move {
            let mut calls = Vec::new();
            while Instant::now() < line.end {
                let began = Instant::now();
                let answered = request(&pool, line.host, line.time).await;
                calls.push(Call { began, ended: Instant::now(), answered });
                sleep(ms(20)).await;
            }
            calls
        });
    }
}

/// What callers ask for: a host, with so much time for a call, until the end.
#[derive(Clone, Copy)]
struct Line {
    host: &'static str,
    time: Duration,
    end: Instant,
}

/// Every caller has an answer by this time after the return, and no call fails that begins later than that.
#[track_caller]
fn assert_served(callers: &[Vec<Call>], back: Instant, within: Duration) {
    assert!(!callers.is_empty(), "nobody asked");
    for calls in callers {
        let first = calls.iter().find(|call| call.answered && call.ended >= back);
        let first = first.expect("each caller is answered after the return");
        let took = first.ended - back;
        assert!(took <= within, "answered {took:?} after the return, and not within {within:?}");
        let later = calls.iter().filter(|call| call.began >= back + within);
        assert!({ later }.all(|call| call.answered), "a call failed after the outage");
    }
}

#[test]
fn callers_who_meet_a_blip_on_a_cold_pool_are_served_when_it_is_over() {
    let mut network = Network::with_latency(seed(), ms(2));
    let [_, host] = HOSTS;
    network.sim.client(CLIENT, async move {
        let (pool, census) = client::pool();
        let back = Instant::now() + ms(50);
        let mut callers = Callers::new();
        add(&mut callers, 10, &pool, Line { host, time: secs(5), end: back + secs(5) });
        assert_served(&callers.join_all().await, back, AFTER_BLIP);
        client::account(&pool, &census).await;
        Ok(())
    });
    network.sim.crash(host);
    network.pass(ms(50));
    network.sim.bounce(host);
    network.sim.run().unwrap();
}

#[test]
fn a_loan_that_outlasts_an_outage_keeps_nobody_waiting_after_it() {
    let mut network = Network::with_latency(seed(), ms(2));
    let [_, host] = HOSTS;
    network.sim.client(CLIENT, async move {
        let (pool, census) = client::pool();
        let back = Instant::now() + secs(30);
        let mut long = pool.acquire(&host).await?;
        let mut callers = Callers::new();
        add(&mut callers, 20, &pool, Line { host, time: secs(2), end: back + secs(10) });
        let callers = callers.join_all().await;
        assert_served(&callers, back, LONGEST_PAUSE + ROUND_TRIPS);
        let failed = callers.iter().flatten().filter(|call| !call.answered).count();
        assert!(failed > 0, "the server was away");
        // It died with the others, and its borrower has not looked.
        long.bury();
        PooledConnection::discard(long);
        client::account(&pool, &census).await;
        Ok(())
    });
    network.pass(secs(10));
    network.sim.crash(host);
    network.pass(secs(20));
    network.sim.bounce(host);
    network.sim.run().unwrap();
}

/// The first server is stopped: it sends nothing, not even a refusal. Then its name leads to the second.
#[test]
fn after_a_retire_nobody_waits_for_a_dial_to_the_old_server() {
    let mut network = Network::with_latency(seed(), ms(2));
    let [host, _] = HOSTS;
    network.sim.client(CLIENT, async move {
        let moved = Arc::new(AtomicBool::new(false));
        let (pool, census) = client::pool_that_moves(moved.clone());
        let back = Instant::now() + secs(14);
        let line = Line { host, time: secs(5), end: back + secs(10) };
        let mut callers = Callers::new();
        add(&mut callers, 10, &pool, line);
        sleep_until(back).await;
        moved.store(true, SeqCst);
        pool.retire(&host);
        // A newcomer.
        add(&mut callers, 1, &pool, line);
        assert_served(&callers.join_all().await, back, ROUND_TRIPS);
        client::account(&pool, &census).await;
        Ok(())
    });
    network.pass(secs(10));
    network.sim.hold(CLIENT, host);
    network.sim.run().unwrap();
}

/// A dial takes 300 ms, and a caller has 100 ms.
#[test]
fn callers_with_less_time_than_a_dial_takes_are_served_by_the_dials_of_others() {
    let mut network = Network::with_latency(seed(), ms(150));
    let [host, _] = HOSTS;
    network.sim.client(CLIENT, async move {
        let (pool, census) = client::pool();
        let began = Instant::now();
        let mut callers = Callers::new();
        add(&mut callers, 5, &pool, Line { host, time: ms(100), end: began + secs(10) });
        // The dial and the request, and what the pause between calls and the ticks add.
        assert_served(&callers.join_all().await, began, ms(300) + ms(300) + ROUND_TRIPS);
        assert_eq!(pool.status().dials, 5, "a dial for each");
        client::account(&pool, &census).await;
        Ok(())
    });
    network.sim.run().unwrap();
}
