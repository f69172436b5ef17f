//! A loan in its connection's box.
//!
//! The engine knows no types: it lends a connection in a box, with a ticket. The box gets its type and the
//! ticket under the host's lock, or when a waiter takes both out of its seat. So a guard must always have the ticket of
//! its own loan, and not that of an earlier one.

use super::*;

/// The pool's ids of two connections, by their own.
struct Ids([u64; 2]);

impl Ids {
    /// Makes both connections of a stage, and returns them lent.
    fn of(stage: &Stage) -> (Ids, [PooledConnection<Scripted>; 2]) {
        let loans = [stage.loan(), stage.loan()];
        assert_eq!([loans[0].id, loans[1].id], [0, 1]);
        (Ids([id(&loans[0]), id(&loans[1])]), loans)
    }

    /// Checks that this loan's ticket is that of its connection, and of this use of it.
    fn check(&self, loan: &PooledConnection<Scripted>, uses: u64) {
        assert_eq!(id(loan), self.0[loan.id], "the ticket of another connection");
        assert_eq!(PooledConnection::info(loan).uses, uses, "the ticket of another loan");
    }
}

/// Returns the id of the connection that the loan's ticket names.
fn id(loan: &PooledConnection<Scripted>) -> u64 {
    PooledConnection::info(loan).id
}

/// Both connections are returned while a caller acquires: it has the ticket of the one that it gets.
#[test]
fn a_borrower_has_the_ticket_of_the_connection_that_it_gets() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(2);
        let (ids, [one, two]) = Ids::of(&stage);
        let mut newcomer = stage.acquire(HOST);
        let first = thread::spawn(move || drop(one));
        let second = thread::spawn(move || drop(two));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(first);
        join(second);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        ids.check(&got, 2);
        drop(got);
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// Both connections are returned while the first of two waiters gives up. It takes a loan out of its seat that it
/// never had with its type, and passes it on: the second waiter, and then each caller, has the ticket of what it gets.
#[test]
fn a_loan_that_nobody_took_out_of_its_seat_goes_on_with_a_new_ticket() {
    explore_bounded(3, &["passed on", "not lent"], || {
        let stage = Stage::new(2);
        let (ids, [one, two]) = Ids::of(&stage);
        let (first, second) = (stage.waiter(), stage.waiter());
        let bell = first.bell.clone();
        let returning = thread::spawn(move || drop(one));
        let giving_up = thread::spawn(move || drop(first));
        drop(two);
        join(returning);
        join(giving_up);
        stage.watch.check();
        let got = second.connection();
        let end = if bell.has_rung() { "passed on" } else { "not lent" };
        assert_eq!(id(&got), ids.0[got.id], "the ticket of another connection");
        let other = stage.hit();
        assert_eq!(id(&other), ids.0[other.id], "the ticket of another connection");
        drop((got, other));
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// The connection is discarded while the waiter to which it may be handed gives up at its deadline: the box is dropped
/// with its type, once, and its place is free.
#[test]
fn a_box_that_is_lent_and_discarded_at_a_time_out_is_dropped_once() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::timed(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        Timer::let_time_pass();
        let returning = thread::spawn(move || drop(loan));
        let answer = waiter.poll().expect("its time is over");
        let end = if answer.is_ok() { "delivered" } else { "timed out" };
        if let Ok(got) = answer {
            PooledConnection::discard(got);
        }
        join(returning);
        stage.watch.check();
        stage.rests_with(usize::from(end == "timed out"));
        drop(stage.acquire_now(HOST));
        stage.rests_with(1);
        stage.end();
        end
    });
}
