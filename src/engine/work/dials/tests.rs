use super::pace::For;
use super::*;
use crate::policy::backoff::Backoff;

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn ms(n: u64) -> Time {
    at(n * 1_000_000)
}

/// A dial that succeeds while nothing else happens.
const NEWS: Landed = Landed {
    since: Time::START,
    retired_at: None,
    is_cut_off: false,
    is_slow: false,
    is_news: true,
    is_forgiven: false,
};

const WAITS: fn() -> Waits = || Waits { backoff: Backoff::default().jitter(0.0), random: 0.0 };

const LIMIT: Span = Span::from_nanos(10_000_000_000);

/// One begins at each of the first nanoseconds.
fn dials(n: u32) -> Dials<u32> {
    let mut dials = Dials::new(1);
    (0..n).for_each(|slot| dials.begin(slot, at(slot.into()), slot));
    dials
}

fn cut_off(dials: &Dials<u32>) -> Vec<u32> {
    dials.slots().filter(|slot| dials.is_cut_off(*slot)).collect()
}

fn allowed(dials: &Dials<u32>, now: Time) -> usize {
    dials.allowed(dials.pace().next(For::Waiters, 0, now), now)
}

#[test]
fn the_newest_are_cut_off_first_and_none_twice() {
    let mut dials = dials(4);
    assert_eq!((dials.cut_off_newest(1), cut_off(&dials)), (vec![3], vec![3]));
    assert_eq!((dials.cut_off_newest(2), dials.len()), (vec![2, 1], 1));
    assert_eq!((dials.cut_off_newest(2), dials.len()), (vec![0], 0));
    (0..4).for_each(|slot| assert!(dials.end(slot).is_some_and(|dial| dial.is_cut_off)));
    assert_eq!((dials.slots().count(), dials.end(0)), (0, None));
}

#[test]
fn retiring_cuts_off_those_that_take_too_long_and_each_time_the_limit_doubles() {
    let mut dials = dials(10);
    assert_eq!(dials.retire(at(9), Duration::from_nanos(8)), [0, 1]);
    assert_eq!((cut_off(&dials), dials.retired()), (vec![0, 1], (8, at(9))));
    assert_eq!(dials.retire(at(15), Duration::from_nanos(8)), [0; 0]);
    assert_eq!(dials.retired(), (8, at(9)), "the first time counts");
    dials.succeeded(&NEWS, Span::from_nanos(1), WAITS(), at(15));
    assert_eq!(dials.retire(at(15), Duration::from_nanos(8)), [2, 3, 4, 5, 6, 7]);
    assert_eq!((dials.len(), dials.young()), (2, 0));
}

#[test]
fn a_dial_counts_until_it_is_slow_and_its_slowness_is_one_event_for_all_that_began_with_it() {
    let mut dials = dials(3);
    assert_eq!((dials.young(), dials.next()), (3, ms(2500)));
    dials.judge(WAITS(), at(2_499_999_999));
    assert_eq!(dials.young(), 3);
    dials.judge(WAITS(), ms(2501));
    assert_eq!((dials.young(), dials.len(), dials.pace().troubles()), (0, 3, 1));
    assert_eq!(allowed(&dials, ms(2501)), 1, "2.5 s after its start is now");
    dials.begin(7, ms(2501), 7);
    assert_eq!(allowed(&dials, ms(2501)), 0);
    dials.judge(WAITS(), ms(5001));
    assert_eq!(dials.pace().troubles(), 2, "in a row");
    assert_eq!(dials.pace().next(For::Waiters, 0, ms(5001)), ms(7501), "twice that time later");
}

#[test]
fn the_slow_ones_are_found_sooner_when_the_host_turns_out_to_be_quick() {
    let mut dials = dials(2);
    dials.end(0);
    dials.succeeded(&NEWS, Span::from_nanos(5), WAITS(), ms(1));
    assert!(dials.next() <= ms(1001));
    dials.judge(WAITS(), ms(1001));
    assert_eq!(dials.young(), 0);
    assert_eq!(dials.pace().troubles(), 0, "a success has forgiven it");
}

#[test]
fn what_began_before_an_event_says_nothing_new() {
    let mut dials = dials(3);
    let first = dials.end(0).expect("it is in flight");
    assert!(first.is_news);
    dials.failed(&first, Failure::Refused(0), WAITS(), at(5));
    let second = dials.end(1).expect("it is in flight");
    assert!(!second.is_news);
    dials.succeeded(&NEWS, Span::from_nanos(5), WAITS(), at(6));
    assert!(dials.end(2).is_some_and(|dial| !dial.is_news), "a success forgives it");
}

#[test]
fn a_slow_dial_makes_room_once_it_is_known_to_be_hopeless_and_its_waiters_are_owed_an_answer() {
    let mut dials = dials(2);
    dials.judge(WAITS(), ms(2501));
    assert_eq!(
        dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)),
        None,
        "nothing is known of this host"
    );
    assert!(dials.overdue(0, WAITS(), ms(2502)));
    assert!(!dials.overdue(0, WAITS(), ms(2503)), "once");
    assert!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)).is_some());
    assert_eq!(cut_off(&dials), [0]);
    assert_eq!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)), None, "one at a time");
    dials.end(0);
    assert_eq!(dials.next(), Time::NEVER, "it was told when its time-out passed");
    dials.pace_mut().succeeded(Span::from_nanos(9), false, WAITS(), ms(2504));
    assert!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)).is_some());
    assert_eq!(dials.next(), at(10_000_000_001));
    assert_eq!(dials.take_owed(at(10_000_000_000)), None);
    assert_eq!(dials.take_owed(at(10_000_000_001)), Some(at(1)));
    assert_eq!(dials.next(), Time::NEVER);
}
