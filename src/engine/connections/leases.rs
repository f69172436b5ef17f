//! The uses of one connection: since when, and from which call site.

use std::panic::Location;

use crate::engine::CallSite;
use crate::policy::call_site::Label;
use crate::policy::time::Time;

/// One use of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) since: Time,
    /// The call site, in the two parts that leave no gap.
    location: &'static Location<'static>,
    label: Label,
    /// The position of this use among all uses of the connection.
    pub(crate) nth: u32,
    /// The connection had other leases already.
    pub(crate) joined: bool,
    /// It was reported as held for long.
    pub(crate) reported: bool,
}

impl Lease {
    #[inline]
    pub(super) fn new(since: Time, call_site: CallSite, nth: u32, joined: bool) -> Self {
        let (location, label) = call_site.parts();
        Lease { since, location, label, nth, joined, reported: false }
    }

    #[inline]
    pub(crate) fn call_site(&self) -> CallSite {
        CallSite::of(self.location, self.label)
    }
}

/// The leases on one entry, by number. The single lease of an exclusive connection is stored
/// inline; further leases of a shared one are in a vector.
pub(crate) struct Leases {
    first: Option<Lease>,
    more: Option<Box<More>>,
}

/// Leases from number one on. Its memory is given back when the entry has none.
#[derive(Default)]
struct More {
    numbered: Vec<Option<Lease>>,
    free: Vec<u32>,
    len: usize,
}

impl More {
    #[inline]
    fn insert(&mut self, lease: Lease) -> u32 {
        self.len += 1;
        let Some(number) = self.free.pop() else {
            self.numbered.push(Some(lease));
            return u32::try_from(self.numbered.len()).expect("fewer than `u32::MAX` leases");
        };
        self.numbered[number as usize - 1] = Some(lease);
        number
    }

    #[inline]
    fn remove(&mut self, number: u32) -> Option<Lease> {
        let lease = self.numbered.get_mut(number as usize - 1)?.take();
        if lease.is_some() {
            self.len -= 1;
            self.free.push(number);
        }
        lease
    }

    fn get(&self, number: u32) -> Option<&Lease> {
        self.numbered.get(number as usize - 1)?.as_ref()
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Lease)> {
        (1..).zip(&self.numbered).filter_map(|(number, lease)| Some((number, lease.as_ref()?)))
    }
}

impl Leases {
    pub(crate) fn new() -> Self {
        Leases { first: None, more: None }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.as_ref().is_none_or(|more| more.len == 0)
    }

    /// Records a lease on an entry that has none. Its number is zero.
    #[inline]
    pub(crate) fn begin_only(&mut self, lease: Lease) {
        debug_assert!(self.is_empty());
        self.first = Some(lease);
    }

    /// Records a lease. Returns its number.
    #[inline]
    pub(crate) fn begin(&mut self, lease: Lease) -> u32 {
        if self.first.is_none() {
            self.first = Some(lease);
            return 0;
        }
        self.begin_another(lease)
    }

    #[cold]
    fn begin_another(&mut self, lease: Lease) -> u32 {
        self.more.get_or_insert_default().insert(lease)
    }

    /// Ends the lease with this number.
    #[inline]
    pub(crate) fn end(&mut self, number: u32) -> Option<Lease> {
        if number > 0 || self.more.is_some() {
            return self.end_one_of_more(number);
        }
        self.first.take()
    }

    /// The vector stays until the last lease ends: one that comes and goes while another stays does not
    /// allocate.
    #[cold]
    fn end_one_of_more(&mut self, number: u32) -> Option<Lease> {
        let lease = match number {
            0 => self.first.take(),
            number => self.more.as_mut()?.remove(number),
        };
        if self.is_empty() {
            self.more = None;
        }
        lease
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Lease> {
        match number {
            0 => self.first.as_ref(),
            number => self.more.as_ref()?.get(number),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.numbered().map(|(_, lease)| lease)
    }

    /// Returns the leases with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Lease)> {
        let more = self.more.iter().flat_map(|more| more.iter());
        self.first.iter().map(|lease| (0, lease)).chain(more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lease> {
        let more = self.more.iter_mut().flat_map(|more| more.numbered.iter_mut().flatten());
        self.first.iter_mut().chain(more)
    }
}
