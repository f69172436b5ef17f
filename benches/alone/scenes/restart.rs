//! One server of several is replaced, and the name leads to another.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::call;
use crate::player::Player;
use crate::run::Run;
use crate::scene::Scene;
use crate::server::{Condition, Server};
use crate::{ms, secs};

pub(crate) struct RollingRestart;

impl Scene for RollingRestart {
    const STORY: &'static str = "\
### A rolling restart under `retire`

Ten callers work, who have 30 s each. After a second the server is stopped: its connections end, and dials to its
address hang. Two seconds later (in each round by 53 ms more) the name leads to the next server, and `retire` is called
(deadpool: `retain` drops what is idle; bb8 has nothing like it). That moment is the return; a newcomer asks right after
it. All go on for 10 s. A dial may take 10 s.";

    async fn play<P: Player>(round: u32) -> Run {
        let server = Server::new(ms(5));
        let pool = P::new(server.clone(), secs(30));
        let hangs_for = secs(2) + ms(53) * round;
        let back = Instant::now() + secs(1) + hangs_for;
        let end = back + secs(10);
        let mut callers = JoinSet::new();
        call::add(&mut callers, 10, &pool, end);
        sleep(secs(1)).await;
        server.set(Condition::Hangs);
        server.cut();
        sleep(hangs_for).await;
        server.set(Condition::Up);
        pool.retire();
        call::add(&mut callers, 1, &pool, end);
        Run { callers: callers.join_all().await, back, dials: server.dials() }
    }
}
