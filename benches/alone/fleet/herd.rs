//! Many pools and a server that takes 50 dials a second.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::pools::{self, Seen};
use crate::server::{Mode, Server};
use crate::{in_simulated_time, ms, secs, words};

const EACH: Mode = Mode::Works(ms(20));
const CALLERS: usize = 10;
const USE: Duration = ms(50);
const WATCHED: Duration = secs(60);

/// What happens before the minute that is watched.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing: all pools start.
    Start,
    /// All pools work with as many connections as they want. The server ends them, and hangs for
    /// this long.
    Hang(Duration),
}

const SCENES: [(&str, usize, Before); 5] = [
    ("300 pools start", 300, Before::Start),
    ("300 pools, a hang of 2 s", 300, Before::Hang(secs(2))),
    ("300 pools, a hang of 60 s", 300, Before::Hang(secs(60))),
    ("1,000 pools start", 1000, Before::Start),
    ("1,000 pools, a hang of 60 s", 1000, Before::Hang(secs(60))),
];

pub(crate) fn tell() {
    println!(
        "| scene | dials | wasted | open | pools never served | last pool served after | served | failed |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, pools, before) in SCENES {
        println!("| {name} | {} |", in_simulated_time(1, play(pools, before)));
    }
}

async fn play(pools: usize, before: Before) -> String {
    let server = Server::start(EACH);
    let pools: Vec<_> = (0..pools).map(|_| pools::pool(&server, |all| all)).collect();
    let start = Instant::now();
    let from = match before {
        Before::Start => start,
        Before::Hang(hang) => start + secs(5) + hang,
    };
    let end = from + WATCHED;
    let callers = pools::callers(&pools, CALLERS, USE, from, end);
    let events = async {
        if let Before::Hang(hang) = before {
            server.set(Mode::Takes(ms(5)));
            sleep_until(from - hang).await;
            server.set(Mode::Hangs);
            server.cut();
            sleep_until(from).await;
            server.set(EACH);
        }
        let (dials, wasted) = (server.dials(), server.wasted());
        sleep_until(end - ms(1)).await;
        let open: usize = pools.iter().map(|pool| pool.status().idle + pool.status().in_use).sum();
        (server.dials() - dials, server.wasted() - wasted, open)
    };
    let (seen, (dials, wasted, open)) = tokio::join!(callers, events);
    row(&seen, from, [dials, wasted, open as u64])
}

fn row(seen: &[Seen], from: Instant, [dials, wasted, open]: [u64; 3]) -> String {
    let never = seen.iter().filter(|pool| pool.first.is_none()).count();
    let last =
        seen.iter().filter_map(|pool| pool.first).max().map_or(Duration::ZERO, |at| at - from);
    let served: u64 = seen.iter().map(|pool| pool.served).sum();
    let failed: u64 = seen.iter().map(|pool| pool.failed).sum();
    format!("{dials} | {wasted} | {open} | {never} | {} | {served} | {failed}", words(last))
}
