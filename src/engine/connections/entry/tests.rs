use super::*;
use crate::engine::programs::world::Plain;
use crate::policy::config::Config;

fn at(seconds: u64) -> Time {
    Time::START.after(Span::from(Duration::from_secs(seconds)))
}

fn limits() -> Limits {
    let secs = |seconds| Span::from(Duration::from_secs(seconds));
    Limits { idle_timeout: secs(20), ping_after: secs(15), ..Config::default().limits() }
}

fn made(expires: Time) -> Entry<Plain> {
    let took = Duration::ZERO;
    let made = Made {
        id: 1,
        connection: 1,
        max_leases: 1,
        took,
        at: at(0),
        idle_since: at(0),
        expires,
        proof: Proof::Ping,
    };
    let mut entry = Entry::dialing(at(0), 1);
    entry.made(made, 1, 0);
    entry
}

#[test]
fn a_connection_at_the_end_of_its_time_is_not_fit_to_be_lent() {
    let fit = |entry: &Entry<Plain>, now| {
        let (now, limits) = (at(now), limits());
        (entry.is_fit(1, now, &limits), entry.is_fit_idle(1, now, &limits))
    };
    let mut entry = made(Time::NEVER);
    assert_eq!([fit(&entry, 14), fit(&entry, 15)], [(true, true), (false, false)], "unproven");
    entry.prove(at(10), Duration::ZERO, 1);
    assert_eq!([fit(&entry, 19), fit(&entry, 20)], [(true, true), (false, false)], "idle");
    entry.prove(at(10), Duration::ZERO, 0);
    assert_eq!(fit(&entry, 11), (false, false), "suspect");
    let entry = made(at(12));
    assert_eq!([fit(&entry, 11), fit(&entry, 12)], [(true, true), (false, false)], "too old");
}

#[test]
fn a_connection_that_drains_for_a_while_may_leave_for_good_and_not_the_reverse() {
    let mut entry = made(Time::NEVER);
    entry.drain(CloseReason::OverCap);
    entry.drain(CloseReason::MadeRoom);
    assert_eq!(entry.state, State::Draining(CloseReason::OverCap));
    entry.drain(CloseReason::Age);
    assert_eq!(entry.state, State::Draining(CloseReason::Age));
    entry.drain(CloseReason::MadeRoom);
    assert_eq!(entry.state, State::Draining(CloseReason::Age));
    entry.drain(CloseReason::Retired);
    entry.drain(CloseReason::Age);
    assert_eq!(entry.state, State::Draining(CloseReason::Retired));
}
