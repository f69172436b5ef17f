//! A server that refuses for a moment, while the pool is cold.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::call;
use crate::player::Player;
use crate::run::Run;
use crate::scene::Scene;
use crate::server::{Condition, Server};
use crate::{ms, secs};

pub(crate) struct Blip;

impl Scene for Blip {
    const STORY: &'static str = "\
### A blip

The pool is cold. The server refuses for 50 ms; meanwhile ten callers ask, who have 30 s each. They go on for 10 s
after the return.";

    async fn play<P: Player>(_: u32) -> Run {
        let server = Server::new(ms(5));
        let pool = P::new(server.clone(), secs(30));
        server.set(Condition::Refuses);
        let back = Instant::now() + ms(50);
        let mut callers = JoinSet::new();
        call::add(&mut callers, 10, &pool, back + secs(10));
        sleep(ms(50)).await;
        server.set(Condition::Up);
        Run { callers: callers.join_all().await, back, dials: server.dials() }
    }
}
