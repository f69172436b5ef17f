//! What a hit costs: acquire an idle connection and return it, on one task, as a multiple of the
//! floor, a bare `parking_lot::Mutex<Vec<Box<_>>>` behind an `Arc` that is cloned for each loan.
//!
//! In the figure: the acquire's future, its one poll, the lock, all checks, the loan's place and
//! time, statistics, and the return, with every setting at its default (idle time-out and lifetime
//! on). Not in it: the connection (a `u64`), a real `is_open`, contention. The clock is read around
//! blocks of many operations, never inside. Rounds alternate, and each ratio is taken within its
//! round, so that a slow moment of the machine hits both sides.
//!
//! Run: `cargo bench --bench hit`

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use wharf::{Connector, Pool, async_trait};

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

const ROUNDS: usize = 41;
const BLOCK: u32 = 200_000;

/// Nanoseconds for one of a block of operations.
fn time(block: impl FnOnce()) -> f64 {
    let began = Instant::now();
    block();
    began.elapsed().as_secs_f64() * 1e9 / f64::from(BLOCK)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = Pool::new(Numbers);
    runtime.block_on(async {
        for key in 0..1000 {
            drop(pool.acquire(&key).await.unwrap());
        }
    });
    let host = pool.host(&7);
    let floor = Arc::new(Mutex::new(vec![Box::new(7u64)]));

    let mut figures: [Vec<f64>; 3] = Default::default();
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let bare = time(|| {
            for _ in 0..BLOCK {
                let shared = floor.clone();
                let taken = shared.lock().pop().unwrap();
                shared.lock().push(black_box(taken));
            }
        });
        let by_host = time(|| {
            runtime.block_on(async {
                for _ in 0..BLOCK {
                    drop(black_box(host.acquire().await.unwrap()));
                }
            });
        });
        let by_key = time(|| {
            runtime.block_on(async {
                for _ in 0..BLOCK {
                    drop(black_box(pool.acquire(black_box(&7)).await.unwrap()));
                }
            });
        });
        for (list, figure) in figures.iter_mut().zip([bare, by_host, by_key]) {
            list.push(figure);
        }
        for (list, ratio) in ratios.iter_mut().zip([by_host / bare, by_key / bare]) {
            list.push(ratio);
        }
    }
    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.dials), (1000, 0, 1000));

    let [bare, by_host, by_key] = figures.each_mut().map(|list| median(list));
    let [host_ratio, key_ratio] = ratios.each_mut().map(|list| median(list));
    println!("a hit, one task, {ROUNDS} rounds of {BLOCK}, medians");
    println!("{:<34}{bare:>8.1} ns", "floor: a bare mutex and vector");
    println!("{:<34}{by_host:>8.1} ns {host_ratio:>6.2} x the floor", "through a Host");
    println!("{:<34}{by_key:>8.1} ns {key_ratio:>6.2} x the floor", "through a key, 1000 hosts");
}
