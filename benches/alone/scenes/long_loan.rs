//! A server that is away for a while, and a loan that lasts longer.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::call;
use crate::player::{CAP, Player};
use crate::run::Run;
use crate::scene::Scene;
use crate::server::{Condition, Server};
use crate::{ms, secs};

pub(crate) struct LongLoan;

impl Scene for LongLoan {
    const STORY: &'static str = "\
### A long loan through an outage

Ten connections are open; one of them is on loan throughout. The server goes away: it cuts all of them and refuses for
20 s (in each round by 53 ms longer). Forty callers ask all the time, from the cut until 10 s after the return. They
have 2 s each.";

    async fn play<P: Player>(round: u32) -> Run {
        let server = Server::new(ms(5));
        let pool = P::new(server.clone(), secs(2));
        let held = warm(&pool).await;
        server.set(Condition::Refuses);
        server.cut();
        let outage = secs(20) + ms(53) * round;
        let back = Instant::now() + outage;
        let mut callers = JoinSet::new();
        call::add(&mut callers, 40, &pool, back + secs(10));
        sleep(outage).await;
        server.set(Condition::Up);
        let callers = callers.join_all().await;
        drop(held);
        Run { callers, back, dials: server.dials() }
    }
}

/// Opens as many connections as the pool may, and keeps one.
async fn warm<P: Player>(pool: &P) -> P::Loan {
    let mut loans = JoinSet::new();
    for _ in 0..CAP {
        let pool = pool.clone();
        loans.spawn(async move { pool.acquire().await.expect("a connection") });
    }
    loans.join_all().await.swap_remove(0)
}
