//! Whose turn it is: a queue that is served by returns, ten million times.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use fastrand::Rng;
use wharf::{Acquire, Pool};

use crate::support::{TestConnector, TestLoan, TestPool};
use crate::{on_paused_time, seed, times};

const CAP: usize = 4;
const WAITERS: usize = 30;

/// Notes who was woken last, and how many were in all.
#[derive(Default)]
struct Bells {
    last: AtomicUsize,
    rang: AtomicUsize,
}

struct Bell {
    turn: usize,
    bells: Arc<Bells>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.bells.last.store(self.turn, SeqCst);
        self.bells.rang.fetch_add(1, SeqCst);
    }
}

struct Waiting {
    turn: usize,
    acquire: Acquire<TestConnector>,
    waker: Waker,
}

impl Waiting {
    fn new(turn: usize, pool: &TestPool, bells: &Arc<Bells>) -> Self {
        let waker = Waker::from(Arc::new(Bell { turn, bells: bells.clone() }));
        Waiting { turn, acquire: pool.acquire(&1), waker }
    }

    fn look(&mut self) -> Option<TestLoan> {
        match Pin::new(&mut self.acquire).poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(answer) => Some(answer.unwrap()),
            Poll::Pending => None,
        }
    }
}

/// Every return wakes just the one who has waited longest; a newcomer that looks before that one does
/// gets nothing, and some go in between.
#[test]
fn of_all_hand_overs_none_is_to_somebody_else_than_the_one_who_came_first() {
    let (mut rng, aim) = (Rng::with_seed(seed()), times(10_000_000));
    on_paused_time(async {
        let builder = Pool::builder().max_per_host(CAP).acquire_timeout(None);
        let builder = builder.max_lifetime(None).idle_timeout(None);
        let pool = builder.build(TestConnector::new()).unwrap();
        let mut loans = VecDeque::new();
        while loans.len() < CAP {
            loans.push_back(pool.acquire(&1).await.unwrap());
        }
        let bells = Arc::<Bells>::default();
        let mut queue = VecDeque::new();
        let (mut turn, mut handed) = (0, 0);
        while handed < aim {
            while queue.len() < WAITERS {
                turn += 1;
                let mut newcomer = Waiting::new(turn, &pool, &bells);
                assert!(newcomer.look().is_none(), "{turn} overtakes {}", queue.len());
                queue.push_back(newcomer);
            }
            if rng.u32(..8) == 0 {
                // It goes; nobody notices.
                queue.remove(rng.usize(..queue.len()));
            }
            let rang = bells.rang.load(SeqCst);
            drop(loans.swap_remove_back(rng.usize(..CAP)));
            assert_eq!(bells.rang.load(SeqCst), rang + 1, "one is woken");
            let mut first = queue.pop_front().unwrap();
            assert_eq!(bells.last.load(SeqCst), first.turn, "the one who came first");
            if rng.bool() {
                turn += 1;
                let mut newcomer = Waiting::new(turn, &pool, &bells);
                assert!(newcomer.look().is_none(), "{turn} overtakes {}", first.turn);
                queue.push_back(newcomer);
            }
            loans.push_back(first.look().expect("it was handed over"));
            handed += 1;
        }
        let status = pool.status();
        println!("{handed} hand-overs, {} dials, 0 overtakings", status.dials);
        assert_eq!(status.dials, CAP as u64);
    });
}
