//! Decides which of a name's addresses is tried first.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::race::interleaved;

/// Selects the address that a dial tries first when a name has several.
///
/// The name is resolved at each dial. Attempts alternate between IPv6 and IPv4, and the next
/// address is tried in parallel when one stays silent for 250 milliseconds; see
/// [`tcp`](crate::tcp).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressChoice {
    /// The first address that the resolver returns, at every dial. The system's resolver sorts by
    /// how near an address is (RFC 6724) and returns the same first one as long as nothing changes,
    /// so all connections go there.
    SystemOrder,
    /// The address with the fewest connections, open or being dialed, of this connector and its
    /// clones. The resolver's order decides between equals.
    ///
    /// An address that has failed or was silent for too long is tried last for 10 seconds, or until
    /// it answers. After that, one dial tries it in the usual order to see whether it has come
    /// back. In a [`SharedPool`](crate::SharedPool), whose connections are rarely dialed, a
    /// connection makes room for that: while an address of its name has no connection and its own has two,
    /// after 30 seconds, and after twice as long each time that the address has not answered. What runs on
    /// it goes on, outside the pool's caps; while it does, the next one makes room for the same address
    /// after 30 minutes only.
    #[default]
    Spread,
}

/// How long a failed address is tried last.
const TRIED_LAST: Duration = Duration::from_secs(10);

/// How long after one connection the next makes room for one to an address that has none. It doubles
/// as long as the address does not answer: each time, requests may be sent to a server that hangs.
const BETWEEN_MOVES: Duration = Duration::from_secs(30);

/// The longest, and the same while what runs on the last one goes on. It is how long connections live by default.
const BETWEEN_LASTING_MOVES: Duration = Duration::from_secs(30 * 60);

/// How often a connection looks whether it should.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// What a connector knows about the addresses that it has dialed.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The number of connections that are open or being dialed. An address without any has no
    /// entry.
    open: HashMap<SocketAddr, usize>,
    /// Until when each failed address is tried last.
    failed: HashMap<SocketAddr, Instant>,
    /// When a connection last made room for one to this address.
    moved: HashMap<SocketAddr, Move>,
    /// The number of failures at which expired ones are removed. This keeps the cost of each dial
    /// low, and names whose addresses change leave nothing behind.
    forget_at: usize,
}

#[derive(Debug)]
struct Move {
    at: Instant,
    /// How long after it the next one may.
    pause: Duration,
    /// The connection that made room, until it is closed.
    connection: Weak<()>,
}

impl Move {
    fn allows_another(&self, now: Instant) -> bool {
        let is_over = self.connection.strong_count() == 0;
        self.at + if is_over { self.pause } else { BETWEEN_LASTING_MOVES } <= now
    }
}

impl Addresses {
    /// Sorts the addresses into the order in which to try them. The first is counted at once, so
    /// that two dials at the same time choose different ones.
    pub(super) fn order(&self, addresses: Vec<SocketAddr>) -> (Vec<SocketAddr>, Option<Seat>) {
        let mut known = self.0.lock();
        let order = known.order(unique(addresses), Instant::now());
        let first = order.first().copied();
        (order, first.map(|address| self.take(&mut known, address)))
    }

    /// Counts a connection to the address for as long as the result is held.
    pub(super) fn seat(&self, address: SocketAddr) -> Seat {
        self.take(&mut self.0.lock(), address)
    }

    fn take(&self, known: &mut Known, address: SocketAddr) -> Seat {
        *known.open.entry(address).or_default() += 1;
        Seat { addresses: self.clone(), address, taken: Arc::new(()) }
    }
}

impl Known {
    /// Returns whether one of two connections to `own` should make room for one to another of these
    /// addresses, which has none. It may be down: it is given a try at times only.
    fn should_move(&mut self, of: &Balance, now: Instant) -> bool {
        if self.open.get(&of.own).is_none_or(|open| *open < 2) {
            return false;
        }
        let may_be_tried = |address: &&SocketAddr| {
            !self.open.contains_key(*address)
                && self.failed.get(*address).is_none_or(|end| *end <= now)
                && self.moved.get(*address).is_none_or(|last| last.allows_another(now))
        };
        let Some(address) = of.all.iter().find(may_be_tried).copied() else { return false };
        self.moved.retain(|_, last| last.at + 2 * BETWEEN_LASTING_MOVES > now);
        let pause = self.moved.get(&address).map_or(BETWEEN_MOVES, |last| 2 * last.pause);
        let (pause, connection) = (pause.min(BETWEEN_LASTING_MOVES), of.connection.clone());
        self.moved.insert(address, Move { at: now, pause, connection });
        true
    }

    fn order(&mut self, mut addresses: Vec<SocketAddr>, now: Instant) -> Vec<SocketAddr> {
        addresses.sort_by_key(|address| self.open.get(address).copied().unwrap_or(0));
        let is_last = |address: &SocketAddr| self.failed.get(address).is_some_and(|end| *end > now);
        let (failed, good) = addresses.into_iter().partition::<Vec<_>, _>(is_last);
        let mut order = interleaved(good);
        if let Some(end) = order.first().and_then(|first| self.failed.get_mut(first)) {
            // Only this dial finds out whether the address is back; the others keep trying it last.
            *end = now + TRIED_LAST;
        }
        order.extend(interleaved(failed));
        order
    }

    fn fail(&mut self, address: SocketAddr, now: Instant) {
        if self.failed.len() >= self.forget_at {
            self.failed.retain(|_, end| *end + TRIED_LAST > now);
            self.forget_at = 2 * self.failed.len().max(16);
        }
        self.failed.insert(address, now + TRIED_LAST);
    }
}

/// Removes duplicate addresses: a hosts file may list one twice.
pub(super) fn unique(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    addresses
}

/// One connection to an address, or an attempt at one. It stops counting when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    addresses: Addresses,
    address: SocketAddr,
    /// Tells others how long it is held.
    taken: Arc<()>,
}

impl Seat {
    pub(super) fn failed(&self) {
        self.address().tried(false);
    }

    pub(super) fn address(&self) -> Accepted {
        Accepted { addresses: self.addresses.clone(), address: self.address }
    }
}

/// Tells a connection when it should make room for one to another address of its name.
pub(super) struct Balance {
    addresses: Addresses,
    own: SocketAddr,
    connection: Weak<()>,
    all: Arc<[SocketAddr]>,
    looked: Mutex<Instant>,
}

impl Balance {
    /// Of the connection that has this seat. `None` if its name has no other address.
    pub(super) fn of(seat: &Seat, all: &[SocketAddr]) -> Option<Self> {
        let looked = Mutex::new(Instant::now());
        let (addresses, own) = (seat.addresses.clone(), seat.address);
        let connection = Arc::downgrade(&seat.taken);
        (all.len() > 1).then(|| Balance { addresses, own, connection, all: all.into(), looked })
    }

    /// Returns whether it should now. It looks every ten seconds at most.
    pub(super) fn should_move(&self) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.lock();
        if *looked + BETWEEN_LOOKS > now {
            return false;
        }
        *looked = now;
        self.addresses.0.lock().should_move(self, now)
    }
}

/// An address that has accepted a connection.
#[derive(Debug)]
pub(super) struct Accepted {
    addresses: Addresses,
    address: SocketAddr,
}

impl Accepted {
    /// Its server has shown that it works, or has not: then the address counts as failed.
    pub(super) fn tried(self, has_passed: bool) {
        let mut known = self.addresses.0.lock();
        if has_passed {
            known.failed.remove(&self.address);
            known.moved.remove(&self.address);
        } else {
            known.fail(self.address, Instant::now());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let open = &mut self.addresses.0.lock().open;
        if let Some(n) = open.get_mut(&self.address) {
            *n -= 1;
            if *n == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn address(n: u8) -> SocketAddr {
        ([192, 0, 2, n], 80).into()
    }

    /// Makes a dial that succeeds at the first address, and returns that address.
    fn dial(known: &Addresses, of: &[u8]) -> (u8, Seat) {
        let (order, seat) = known.order(of.iter().copied().map(address).collect());
        let seat = seat.unwrap();
        seat.address().tried(true);
        (last_byte(order[0]), seat)
    }

    fn last_byte(address: SocketAddr) -> u8 {
        address.to_string().split(['.', ':']).nth(3).unwrap().parse().unwrap()
    }

    fn order(known: &Addresses, of: &[u8]) -> Vec<u8> {
        let (order, _) = known.order(of.iter().copied().map(address).collect());
        order.into_iter().map(last_byte).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_spread_evenly_and_a_closed_one_is_replaced_where_it_was() {
        let known = Addresses::default();
        let mut open: Vec<_> = (0..6).map(|_| dial(&known, &[1, 2, 3])).collect();
        assert_eq!(open.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3]);
        drop(open.remove(4));
        let next = dial(&known, &[1, 2, 3]);
        assert_eq!(next.0, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_is_tried_last_until_it_answers() {
        let known = Addresses::default();
        known.seat(address(1)).failed();
        let _one = known.seat(address(2));
        assert_eq!(order(&known, &[1, 2, 3]), [3, 2, 1]);
        known.seat(address(1)).address().tried(true);
        assert_eq!(order(&known, &[1, 2, 3]), [1, 3, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_ten_seconds_one_dial_tries_it_in_its_turn() {
        let known = Addresses::default();
        known.seat(address(1)).failed();
        advance(TRIED_LAST).await;
        assert_eq!(order(&known, &[1, 2]), [1, 2]);
        assert_eq!(order(&known, &[1, 2]), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_two_makes_room_for_an_address_that_has_none() {
        let known = Addresses::default();
        let all = [1, 2, 3].map(address);
        let (one, two, third) = (known.seat(all[0]), known.seat(all[0]), known.seat(all[1]));
        let balance = |seat: &Seat| Balance::of(seat, &all).unwrap();
        let (of_one, of_two, of_third) = (balance(&one), balance(&two), balance(&third));
        assert!(!of_one.should_move(), "it has just begun");
        advance(BETWEEN_LOOKS).await;
        assert!(!of_third.should_move(), "it is alone");
        assert!(of_one.should_move());
        assert!(!of_two.should_move(), "one is enough");
        known.seat(all[2]).failed();
        advance(BETWEEN_MOVES).await;
        assert!(!of_two.should_move(), "what runs on the first goes on");
        drop(one);
        let _again = known.seat(all[0]);
        advance(BETWEEN_LOOKS).await;
        assert!(of_two.should_move(), "after a time it is tried again");
        drop(two);
        let (_again, next) = (known.seat(all[0]), known.seat(all[0]));
        let of_next = balance(&next);
        advance(BETWEEN_MOVES).await;
        assert!(!of_next.should_move(), "it has not answered");
        advance(BETWEEN_MOVES).await;
        assert!(of_next.should_move(), "after twice the time it is tried again");
        drop(next);
        let (_again, next) = (known.seat(all[0]), known.seat(all[0]));
        let of_next = balance(&next);
        known.seat(all[2]).address().tried(true);
        advance(BETWEEN_LOOKS).await;
        assert!(of_next.should_move(), "it has answered");
        advance(BETWEEN_LASTING_MOVES).await;
        let _fourth = known.seat(all[2]);
        assert!(!of_next.should_move(), "all have one");
        assert!(Balance::of(&third, &all[..1]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn families_take_turns_among_the_good_and_then_among_the_failed() {
        let known = Addresses::default();
        let v6 = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 80));
        known.seat(v6(1)).failed();
        let given = vec![v6(1), v6(2), v6(3), address(1), address(2)];
        let (order, _seat) = known.order(given);
        assert_eq!(order, [v6(2), address(1), v6(3), address(2), v6(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_given_twice_is_tried_once() {
        assert_eq!(order(&Addresses::default(), &[1, 2, 1]), [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_addresses_that_are_long_gone() {
        let known = Addresses::default();
        for n in 0..10_000_u32 {
            let seat = known.seat(SocketAddr::from((n.to_be_bytes(), 80)));
            seat.failed();
            advance(TRIED_LAST).await;
        }
        let known = known.0.lock();
        assert!(known.open.is_empty());
        assert!(known.failed.len() <= 32, "{}", known.failed.len());
    }
}
