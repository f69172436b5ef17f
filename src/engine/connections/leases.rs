//! The uses of one connection: since when, and from which call site.

use std::mem;
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
/// inline; those of a shared one that has had several are in a vector.
pub(crate) enum Leases {
    None,
    /// Its number is zero.
    One(Lease),
    Several(Box<Several>),
}

/// It stays until the last lease ends: one that comes and goes while another stays does not allocate.
pub(crate) struct Several {
    numbered: Vec<Option<Lease>>,
    free: Vec<u32>,
}

impl Several {
    #[cold]
    fn new(first: Lease) -> Self {
        Several { numbered: vec![Some(first)], free: Vec::new() }
    }

    #[inline]
    fn insert(&mut self, lease: Lease) -> u32 {
        let Some(number) = self.free.pop() else {
            self.numbered.push(Some(lease));
            return u32::try_from(self.numbered.len() - 1).expect("fewer than `u32::MAX` leases");
        };
        self.numbered[number as usize] = Some(lease);
        number
    }

    #[inline]
    fn remove(&mut self, number: u32) -> Option<Lease> {
        let lease = self.numbered.get_mut(number as usize)?.take();
        if lease.is_some() {
            self.free.push(number);
        }
        lease
    }

    fn len(&self) -> usize {
        self.numbered.len() - self.free.len()
    }
}

impl Leases {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Leases::None => 0,
            Leases::One(_) => 1,
            Leases::Several(several) => several.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Leases::None)
    }

    /// Records a lease on an entry that has none. Its number is zero.
    #[inline]
    pub(crate) fn begin_only(&mut self, lease: Lease) {
        debug_assert!(self.is_empty());
        self.switch_to(Leases::One(lease));
    }

    /// Records a lease. Returns its number.
    #[inline]
    pub(crate) fn begin(&mut self, lease: Lease) -> u32 {
        match self {
            Leases::None => {
                self.switch_to(Leases::One(lease));
                0
            }
            Leases::One(_) | Leases::Several(_) => self.begin_another(lease),
        }
    }

    #[cold]
    fn begin_another(&mut self, lease: Lease) -> u32 {
        if let Leases::One(first) = self {
            *self = Leases::Several(Box::new(Several::new(*first)));
        }
        let Leases::Several(several) = self else { unreachable!("it has one already") };
        several.insert(lease)
    }

    /// From one lease to none, or from none to one: there is no box to be dropped, and a hit need not look.
    #[inline]
    fn switch_to(&mut self, new: Leases) {
        debug_assert!(!matches!(self, Leases::Several(_)));
        mem::forget(mem::replace(self, new));
    }

    /// Ends the lease with this number.
    #[inline]
    pub(crate) fn end(&mut self, number: u32) -> Option<Lease> {
        match self {
            Leases::One(lease) if number == 0 => {
                let lease = *lease;
                self.switch_to(Leases::None);
                Some(lease)
            }
            Leases::Several(_) => self.end_one_of_several(number),
            _ => None,
        }
    }

    #[cold]
    fn end_one_of_several(&mut self, number: u32) -> Option<Lease> {
        let Leases::Several(several) = self else { return None };
        let lease = several.remove(number);
        if several.len() == 0 {
            *self = Leases::None;
        }
        lease
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Lease> {
        match self {
            Leases::One(lease) if number == 0 => Some(lease),
            Leases::Several(several) => several.numbered.get(number as usize)?.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.numbered().map(|(_, lease)| lease)
    }

    /// Returns the leases with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Lease)> {
        let (one, several) = match self {
            Leases::None => (None, None),
            Leases::One(lease) => (Some((0, lease)), None),
            Leases::Several(several) => (None, Some(several)),
        };
        let several = several.into_iter().flat_map(|several| (0..).zip(&several.numbered));
        one.into_iter().chain(several.filter_map(|(number, lease)| Some((number, lease.as_ref()?))))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lease> {
        let (one, several) = match self {
            Leases::None => (None, None),
            Leases::One(lease) => (Some(lease), None),
            Leases::Several(several) => (None, Some(several)),
        };
        let several = several.into_iter().flat_map(|several| several.numbered.iter_mut().flatten());
        one.into_iter().chain(several)
    }
}
