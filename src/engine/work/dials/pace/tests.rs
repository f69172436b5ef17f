use proptest::prelude::*;

use super::*;

const fn at(n: u64) -> Time {
    Time::from_nanos(n * 1_000_000)
}

/// The longest waits: nothing is left to chance.
const WAITS: fn() -> Waits = || Waits { backoff: Backoff::default().jitter(0.0), random: 0.0 };

fn succeeds(pace: &mut Pace, took: u64, now: u64) {
    pace.succeeded(millis(took), false, WAITS(), at(now));
}

fn slows(pace: &mut Pace, began: u64, now: u64) {
    let slow = pace.slow_after(false);
    pace.slowed(at(began), slow, WAITS(), at(now));
}

/// When the next dial begins for those who wait, with this many open connections.
fn next(pace: &Pace, open: usize, now: u64) -> u64 {
    pace.next(For::Waiters, open, at(now)).nanos() / 1_000_000
}

#[test]
fn one_dial_shows_how_quick_a_server_is() {
    for (took, window) in [(500, u32::MAX), (501, 2), (1000, 2), (1001, 1)] {
        let mut pace = Pace::new();
        succeeds(&mut pace, took, took);
        assert_eq!(pace.allows(Time::START, at(took)), window, "after {took} ms");
    }
}

#[test]
fn a_host_whose_dials_always_take_long_opens_its_window_by_one_for_each() {
    let mut pace = Pace::new();
    for dials in 0..4 {
        succeeds(&mut pace, 1200, dials * 1200);
    }
    assert_eq!((pace.allows(Time::START, at(5000)), pace.is_troubled()), (4, false));
}

#[test]
fn after_slow_dials_in_a_row_the_next_begins_ever_later_but_no_later_than_the_longest_pause() {
    let mut pace = Pace::new();
    let mut began = 0;
    for after in [2500, 5000, 5000, 5000] {
        slows(&mut pace, began, began + 2500);
        assert_eq!(next(&pace, 0, began), began + after);
        began += after;
    }
    assert_eq!(pace.lives(), 4);
}

#[test]
fn a_slow_success_in_trouble_pauses_too_and_the_first_of_a_healthy_host_does_not() {
    let mut pace = Pace::new();
    succeeds(&mut pace, 3000, 3000);
    assert!(!pace.is_troubled());
    succeeds(&mut pace, 9000, 12_000);
    assert_eq!(next(&pace, 1, 12_000), 12_000 + 5_000);
    succeeds(&mut pace, 100, 13_000);
    assert!(!pace.is_troubled());
}

#[test]
fn a_full_server_is_asked_as_if_nobody_waited_until_one_is_lost_or_none_has_returned_for_long() {
    let mut pace = Pace::new();
    (0..4).for_each(|_| pace.refused(2, WAITS(), at(0)));
    assert_eq!((next(&pace, 2, 1), next(&pace, 1, 1)), (800, 400));
    pace.returned(millis(2000), at(1000));
    assert_eq!(pace.loans_count_until(), at(1000 + 2 * 2000));
    assert_eq!(pace.full(2, at(4999)).map(|full| full.size), Some(2));
    assert!(pace.full(2, at(5000)).is_none() && pace.is_down(2, at(5000)));
    pace.refused(0, WAITS(), at(6000));
    assert_eq!(pace.loans_count_until(), Time::START, "nothing is open");
}

#[test]
fn the_usual_time_is_that_of_the_quicker_dials_and_follows_a_host_that_has_moved_away() {
    let mut pace = Pace::new();
    succeeds(&mut pace, 40, 0);
    assert_eq!(pace.slow_after(false), millis(1000));
    succeeds(&mut pace, 840, 0);
    assert_eq!(pace.slow_after(false), millis(20 * 140), "an eighth of the way");
    (0..40).for_each(|_| succeeds(&mut pace, 840, 0));
    assert!(pace.slow_after(false) > millis(20 * 820));
}

/// What happens to a host.
#[derive(Clone, Debug)]
enum Event {
    Passes(u64),
    Succeeds(u64),
    Slows,
    Refuses(usize),
    Returns(u64),
    LosesAll,
    Forgives,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..4000_u64).prop_map(Event::Passes),
        (1..30_000_u64).prop_map(Event::Succeeds),
        Just(Event::Slows),
        (0..4_usize).prop_map(Event::Refuses),
        (0..9000_u64).prop_map(Event::Returns),
        Just(Event::LosesAll),
        Just(Event::Forgives),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_dial_begins_again_within_the_longest_pause_and_a_quick_answer_ends_all_trouble(
        events in prop::collection::vec(event(), 1..60), random in 0.0..1.0, open in 0..4_usize
    ) {
        let waits = Waits { backoff: Backoff::default(), random };
        let longest = Span::from(waits.backoff.max);
        let (mut pace, mut now) = (Pace::new(), at(0));
        for event in events {
            match event {
                Event::Passes(ms) => now = now.after(millis(ms)),
                Event::Succeeds(ms) => pace.succeeded(millis(ms), false, waits, now),
                Event::Slows => pace.slowed(now, pace.slow_after(false), waits, now),
                Event::Refuses(open) => pace.refused(open, waits, now),
                Event::Returns(used) => pace.returned(millis(used), now),
                Event::LosesAll => pace.lost_all(),
                Event::Forgives => pace.forgive(now),
            }
            for purpose in [For::Waiters, For::Spare] {
                let next = pace.next(purpose, open, now);
                prop_assert!(next <= now.after(longest), "{next:?} at {now:?}");
                prop_assert!(pace.allows(next, next) >= 1, "a dial may begin then");
            }
            let spare = pace.next(For::Spare, open, now);
            prop_assert!(pace.next(For::Waiters, open, now) <= spare, "who waits comes first");
            prop_assert!(pace.is_troubled() || pace.troubles() == 0);
        }
        pace.succeeded(millis(1), false, waits, now);
        prop_assert_eq!(pace.allows(Time::START, now), u32::MAX);
    }
}
