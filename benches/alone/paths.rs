//! Walks one path of the pool so many times, for a tool that counts instructions.
//!
//! Run by `.ci/instructions`, twice for each path with different numbers: the difference is what one
//! more walk takes, whatever the program does beside.
//!
//! - `floor`: a bare mutex and vector
//! - `host`: a hit through a `Host`
//! - `key`: a hit through a key, one of 100
//! - `wait`: of 64 tasks on 4 connections each waits for what another returns

use std::convert::Infallible;
use std::env;
use std::hint::black_box;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};
use wharf::{Connector, Host, Pool, async_trait};

struct Numbers;

#[async_trait]
impl Connector for Numbers {
    type Key = u64;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, key: &u64) -> Result<u64, Infallible> {
        Ok(*key)
    }
}

const TASKS: usize = 64;
const CONNECTIONS: usize = 4;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [path, walks] = &arguments[..] else { panic!("a path and a number, not {arguments:?}") };
    let walks: usize = walks.parse().expect("a number of walks");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let pool =
            Pool::builder().max_per_host(CONNECTIONS).build(Numbers).expect("it can be meant");
        for key in 0..100 {
            drop(pool.acquire(&key).await);
        }
        match path.as_str() {
            "floor" => floor(walks),
            "host" => hits(&pool.host(&7), walks).await,
            "key" => hits_by_key(&pool, walks).await,
            "wait" => waits(&pool.host(&7), walks).await,
            other => panic!("no such path: {other}"),
        }
    });
}

fn floor(walks: usize) {
    let bare = Arc::new(Mutex::new(vec![Box::new(7u64)]));
    for _ in 0..walks {
        let shared = bare.clone();
        let taken = shared.lock().pop().expect("it is there");
        shared.lock().push(black_box(taken));
    }
}

async fn hits(host: &Host<Numbers>, walks: usize) {
    for _ in 0..walks {
        drop(black_box(host.acquire().await));
    }
}

async fn hits_by_key(pool: &Pool<Numbers>, walks: usize) {
    for _ in 0..walks {
        drop(black_box(pool.acquire(black_box(&7)).await));
    }
}

async fn waits(host: &Host<Numbers>, walks: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let host = host.clone();
        tasks.spawn(async move {
            for _ in 0..walks / TASKS {
                let loan = host.acquire().await;
                yield_now().await;
                drop(black_box(loan));
            }
        });
    }
    tasks.join_all().await;
}
