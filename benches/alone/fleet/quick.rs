//! A hundred pools and a server that is quick, and then away.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::pools::{self, Links};
use crate::server::{Mode, Server};
use crate::{in_simulated_time, ms, secs, words};

const POOLS: usize = 100;
const CALLERS: usize = 10;
const AWAY: Duration = secs(120);

pub(crate) fn tell() {
    println!(
        "| the server, for 120 s | dials a second | first pool served after | last pool served after |"
    );
    println!("| --- | --- | --- | --- |");
    for (name, mode) in [("refuses", Mode::Refuses), ("hangs", Mode::Hangs)] {
        println!("| {name} | {} |", in_simulated_time(1, play(mode)));
    }
}

async fn play(mode: Mode) -> String {
    let quick = Mode::Takes(ms(5));
    let server = Server::start(quick);
    let pools: Vec<wharf::Pool<Links>> =
        (0..POOLS).map(|_| pools::pool(&server, |all| all)).collect();
    let back = Instant::now() + secs(5) + AWAY;
    let callers = pools::callers(&pools, CALLERS, ms(50), back, back + secs(60));
    let events = async {
        sleep_until(back - AWAY).await;
        server.set(mode);
        server.cut();
        let before = server.dials();
        sleep_until(back).await;
        server.set(quick);
        server.dials() - before
    };
    let (seen, dials) = tokio::join!(callers, events);
    let firsts: Option<Vec<_>> = seen.iter().map(|pool| pool.first).collect();
    let firsts = firsts.unwrap_or_default();
    let after = |at: Option<&Instant>| at.map_or("never".to_owned(), |at| words(*at - back));
    let a_second = dials as f64 / AWAY.as_secs_f64();
    format!("{a_second:.0} | {} | {}", after(firsts.iter().min()), after(firsts.iter().max()))
}
