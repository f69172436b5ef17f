//! Callers that have less time than a dial takes.

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::call;
use crate::player::Player;
use crate::run::Run;
use crate::scene::Scene;
use crate::server::Server;
use crate::{ms, secs};

pub(crate) struct Impatience;

impl Scene for Impatience {
    const STORY: &'static str = "\
### Impatient callers

The pool is cold, and a dial takes 300 ms. Ten callers ask for 10 s, who have 100 ms each. The server is there from the
beginning, which counts as its return.";

    async fn play<P: Player>(_: u32) -> Run {
        let server = Server::new(ms(300));
        let pool = P::new(server.clone(), ms(100));
        let back = Instant::now();
        let mut callers = JoinSet::new();
        call::add(&mut callers, 10, &pool, back + secs(10));
        Run { callers: callers.join_all().await, back, dials: server.dials() }
    }
}
