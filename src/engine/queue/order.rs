//! Which waiter is served next: the oldest, unless waits are being lost.
//!
//! Under overload, a queue in order serves everybody just before they leave, and nobody in time. So the
//! newest is served while more than one wait in eight is lost and the oldest has waited for half as long
//! as the lost ones did. One place in four still goes to an oldest that has waited for twice as long: it
//! is more patient, and must not starve. Nobody is refused sooner than in strict order.

use crate::policy::order::Order;
use crate::policy::time::Span;

/// An end of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Oldest,
    Newest,
}

/// How the waits of a host have ended lately. It has 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceOrder {
    rule: Order,
    /// Counts the places that were given while waits are lost.
    places: u8,
    /// The share of waits that are lost, in parts of 2^16, smoothed over 64 waits.
    lost: u16,
    /// How long the lost ones have waited, smoothed over 16 of them.
    lost_after: Span,
}

/// The wait of one who is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    pub(crate) waited: Span,
    /// The time limit that came with its own call.
    pub(crate) own_limit: Option<Span>,
}

/// A wait that ends sooner was an attempt without a wait, and says nothing.
const NO_WAIT: Span = Span::from_nanos(1_000_000);
const ONE_IN_EIGHT: u16 = u16::MAX / 8;
/// One place in four goes to an oldest that is patient.
const PATIENT: u8 = 4;

impl ServiceOrder {
    pub(crate) const fn new(rule: Order) -> Self {
        ServiceOrder { rule, places: 0, lost: 0, lost_after: Span::ZERO }
    }

    pub(crate) fn set_rule(&mut self, rule: Order) {
        self.rule = rule;
    }

    /// A wait has ended with a connection.
    #[inline]
    pub(crate) fn served(&mut self) {
        self.lost -= self.lost >> 6;
    }

    /// A wait has ended without one: by its time-out, or because its caller has left.
    pub(crate) fn lost(&mut self, waited: Span) {
        if waited < NO_WAIT {
            return;
        }
        self.lost += (u16::MAX - self.lost) >> 6;
        let (old, new) = (self.lost_after.nanos(), waited.nanos());
        let smoothed = if old == 0 { new } else { old - old / 16 + new / 16 };
        self.lost_after = Span::from_nanos(smoothed);
    }

    /// Returns whether waits are being lost.
    fn is_overloaded(&self) -> bool {
        self.lost > ONE_IN_EIGHT
    }

    /// Returns how long those have waited whose waits were lost lately, while the order is not strict
    /// because of them.
    pub(crate) fn lost_after(&self) -> Option<Span> {
        (self.rule != Order::Fifo && self.is_overloaded()).then_some(self.lost_after)
    }

    /// Returns who gets the next place.
    #[inline]
    pub(crate) fn next(&mut self, oldest: impl FnOnce() -> Age) -> End {
        let asks = match self.rule {
            Order::Fifo => false,
            Order::Adaptive => self.is_overloaded(),
            Order::Deadlines => true,
        };
        if asks { self.choose(oldest()) } else { End::Oldest }
    }

    #[cold]
    fn choose(&mut self, oldest: Age) -> End {
        let (waited, lost_after) = (oldest.waited.nanos(), self.lost_after.nanos());
        let is_near = |limit: Span| waited >= limit.nanos() - limit.nanos() / 4;
        let is_due = self.rule == Order::Deadlines && oldest.own_limit.is_some_and(is_near);
        let is_late = is_due || (self.is_overloaded() && waited >= lost_after / 2);
        if !is_late {
            return End::Oldest;
        }
        self.places = (self.places + 1) % PATIENT;
        let is_patient = lost_after > 0 && waited >= lost_after.saturating_mul(2);
        if self.places == 0 && is_patient { End::Oldest } else { End::Newest }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Span {
        Span::from_nanos(millis * 1_000_000)
    }

    fn waited(time: u64) -> impl Fn() -> Age {
        move || Age { waited: millis(time), own_limit: None }
    }

    fn overloaded(rule: Order) -> ServiceOrder {
        let mut order = ServiceOrder::new(rule);
        (0..64).for_each(|_| order.lost(millis(1000)));
        assert!(order.is_overloaded());
        order
    }

    #[test]
    fn it_has_16_bytes() {
        assert_eq!(size_of::<ServiceOrder>(), 16);
    }

    #[test]
    fn the_oldest_is_served_while_no_waits_are_lost() {
        let mut order = ServiceOrder::new(Order::Adaptive);
        for _ in 0..1000 {
            order.served();
            assert_eq!(order.next(waited(60_000)), End::Oldest);
        }
    }

    #[test]
    fn one_lost_wait_in_ten_changes_nothing_and_one_in_six_does() {
        for (of, is_overloaded) in [(10, false), (6, true)] {
            let mut order = ServiceOrder::new(Order::Adaptive);
            for n in 0..1000 {
                if n % of == 0 { order.lost(millis(1000)) } else { order.served() }
            }
            assert_eq!(order.is_overloaded(), is_overloaded, "one in {of}");
        }
    }

    #[test]
    fn a_wait_that_was_none_is_not_lost() {
        let mut order = ServiceOrder::new(Order::Adaptive);
        (0..1000).for_each(|_| order.lost(Span::from_nanos(999_999)));
        assert!(!order.is_overloaded());
    }

    #[test]
    fn under_overload_the_newest_is_served_once_the_oldest_is_late() {
        let mut order = overloaded(Order::Adaptive);
        assert_eq!(order.next(waited(499)), End::Oldest);
        assert_eq!(order.next(waited(501)), End::Newest);
        assert_eq!(overloaded(Order::Fifo).next(waited(5000)), End::Oldest);
    }

    #[test]
    fn one_place_in_four_is_for_an_oldest_that_is_patient() {
        let mut order = overloaded(Order::Adaptive);
        let given = |order: &mut ServiceOrder, time| {
            (0..400).filter(|_| order.next(waited(time)) == End::Oldest).count()
        };
        assert_eq!((given(&mut order, 1900), given(&mut order, 2100)), (0, 100));
    }

    #[test]
    fn it_goes_back_to_strict_order_when_waits_are_served_again() {
        let mut order = overloaded(Order::Adaptive);
        let mut served = 0;
        while order.is_overloaded() {
            order.served();
            served += 1;
        }
        assert!(served < 200, "{served}");
        assert_eq!(order.next(waited(5000)), End::Oldest);
    }

    #[test]
    fn a_limit_of_its_own_makes_the_oldest_late_where_that_is_asked_for() {
        let late = || Age { waited: millis(750), own_limit: Some(millis(1000)) };
        let early = || Age { waited: millis(749), own_limit: Some(millis(1000)) };
        let mut order = ServiceOrder::new(Order::Deadlines);
        assert_eq!([order.next(early), order.next(late)], [End::Oldest, End::Newest]);
        assert_eq!(order.next(waited(60_000)), End::Oldest);
        assert_eq!(ServiceOrder::new(Order::Adaptive).next(late), End::Oldest);
    }
}
