//! The place of a loan is the line of the caller, in whichever way it asks.

use wharf::LoanInfo;

use crate::sharing::sharing;
use crate::support::*;

fn line_of(loans: &[LoanInfo]) -> u32 {
    let [LoanInfo { place, .. }] = loans else { panic!("not one loan: {loans:?}") };
    assert!(place.file().ends_with("places.rs"), "{place}");
    place.line()
}

/// The line of this very call asks for the only loan.
macro_rules! assert_line {
    ($pool:expr, $loan:expr) => {{
        let _loan = $loan;
        assert_eq!(line_of(&$pool.loans()), line!());
    }};
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_loan_is_the_callers_line_through_pool_and_host() {
    let (pool, _) = pool_of(1);
    let host = pool.host(&1);
    assert_line!(pool, pool.acquire(&1).await.unwrap());
    assert_line!(pool, pool.acquire_within(&1, secs(1)).await.unwrap());
    assert_line!(pool, pool.try_acquire(&1).unwrap());
    assert_line!(pool, host.acquire().await.unwrap());
    assert_line!(pool, host.acquire_within(secs(1)).await.unwrap());
    assert_line!(pool, host.try_acquire().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_lease_is_the_callers_line_through_shared_pool_and_host() {
    let pool = sharing(1, usize::MAX).pool;
    let host = pool.host(&1);
    assert_line!(pool, pool.acquire(&1).await.unwrap());
    assert_line!(pool, pool.acquire_within(&1, secs(1)).await.unwrap());
    assert_line!(pool, pool.try_acquire(&1).unwrap());
    assert_line!(pool, host.acquire().await.unwrap());
    assert_line!(pool, host.acquire_within(secs(1)).await.unwrap());
    assert_line!(pool, host.try_acquire().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_place_is_that_of_the_call_and_not_of_the_await() {
    let (pool, _) = pool_of(1);
    let (acquire, line) = (pool.acquire(&1), line!());
    let first = acquire.await.unwrap();
    assert_eq!(line_of(&pool.loans()), line);
    let (mut second, line) = (pool.acquire(&1), line!());
    assert!(poll(&mut second).is_pending());
    drop(first);
    let _second = second.await.unwrap();
    assert_eq!(line_of(&pool.loans()), line);
}
