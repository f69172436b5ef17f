//! One pool alone: the price of the rules that let a fleet recover, and where they help a single one.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use wharf::{Pool, SharedPool};

use crate::pools::{self, Links};
use crate::server::{Mode, Server};
use crate::{in_simulated_time, ms, secs, words};

pub(crate) fn tell() {
    println!("| one pool | what comes of it |");
    println!("| --- | --- |");
    for (callers, dial) in
        [(10, ms(20)), (100, ms(20)), (10, ms(300)), (100, ms(300)), (10, secs(1))]
    {
        let last = in_simulated_time(1, new_host(callers, dial));
        println!(
            "| a new host, {callers} callers, a dial takes {} | all served after {last} |",
            words(dial)
        );
    }
    println!(
        "| a server that takes 2 connections, 10 callers, uses of 0.5 s | {} |",
        in_simulated_time(1, full())
    );
    for (cap, hang) in [(10, 2), (10, 5), (10, 8), (10, 15), (1, 2), (1, 15)] {
        let back = in_simulated_time(1, hang_of(cap, secs(hang)));
        println!("| a hang of {hang} s, {cap} at most, {cap} callers | {back} |");
    }
    println!(
        "| one place, and dials hang for good | told after {} |",
        in_simulated_time(1, one_place())
    );
    println!("| a shared host, and dials hang for good | {} |", in_simulated_time(1, shared()));
    println!(
        "| `max_total` is 10, another host hangs with 20 callers | served after {} |",
        in_simulated_time(1, beside_a_black_hole())
    );
}

async fn new_host(callers: usize, dial: Duration) -> String {
    let server = Server::start(Mode::Takes(dial));
    let pool = pools::pool(&server, |all| all.max_per_host(None));
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let pool = pool.clone();
        calls.spawn(async move {
            let link = pool.acquire(&0).await;
            let served = Instant::now();
            sleep(secs(10)).await;
            link.is_ok().then_some(served)
        });
    }
    let served: Option<Vec<_>> = calls.join_all().await.into_iter().collect();
    served.map_or("failed".to_owned(), |all| words(*all.iter().max().expect("callers") - began))
}

async fn full() -> String {
    let server = Server::start(Mode::Takes(ms(5)));
    server.limit(2);
    let pool = pools::pool(&server, |all| all);
    let now = Instant::now();
    let seen = pools::callers(&[pool], 10, ms(500), now, now + secs(60)).await;
    let refused = server.refused();
    format!("{} served, {} failed, {refused} refusals in 60 s", seen[0].served, seen[0].failed)
}

/// When the first caller is served after the server is back.
async fn hang_of(cap: usize, hang: Duration) -> String {
    let server = Server::start(Mode::Takes(ms(5)));
    let pool = pools::pool(&server, |all| all.max_per_host(cap));
    let back = Instant::now() + secs(5) + hang;
    let pools = [pool];
    let callers = pools::callers(&pools, cap, ms(50), back, back + secs(60));
    let events = async {
        sleep_until(back - hang).await;
        server.set(Mode::Hangs);
        server.cut();
        sleep_until(back).await;
        server.set(Mode::Takes(ms(5)));
    };
    let (seen, ()) = tokio::join!(callers, events);
    let first = seen[0].first.map_or("never".to_owned(), |at| words(at - back));
    format!("served {first} after its end, {} failed then", seen[0].failed)
}

/// When a caller is told whose dial hangs, by a host with one place.
async fn one_place() -> String {
    let server = Server::start(Mode::Hangs);
    let pool = pools::pool(&server, |all| all.max_per_host(1));
    let began = Instant::now();
    let told = pool.acquire(&0).await;
    assert!(told.is_err(), "nothing answers");
    let dials = server.dials();
    format!("{}, {dials} dial{}", words(began.elapsed()), if dials == 1 { "" } else { "s" })
}

async fn shared() -> String {
    let server = Server::start(Mode::Hangs);
    let pool = SharedPool::builder().build(Links(vec![server.clone()])).expect("valid settings");
    let began = Instant::now();
    let told = pool.acquire(&0).await;
    assert!(told.is_err(), "nothing answers");
    format!("told after {}, {} dials", words(began.elapsed()), server.dials())
}

async fn beside_a_black_hole() -> String {
    let (hole, healthy) = (Server::start(Mode::Hangs), Server::start(Mode::Takes(ms(5))));
    let pool =
        Pool::builder().max_total(10).build(Links(vec![hole, healthy])).expect("valid settings");
    let mut lost = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        lost.spawn(async move {
            loop {
                let _ = pool.acquire(&0).await;
            }
        });
    }
    let mut waits = Vec::new();
    sleep(ms(100)).await;
    for _ in 0..6 {
        let began = Instant::now();
        let link = pool.acquire(&1).await;
        waits.push(if link.is_ok() { words(began.elapsed()) } else { "failed".into() });
        drop(link);
        sleep(secs(1)).await;
    }
    waits.join(", ")
}
