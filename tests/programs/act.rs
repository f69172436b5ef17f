//! What a program is made of.

use proptest::prelude::*;

use crate::settings::HOSTS;
use crate::support::{Stage, Step, ms};

/// One act. A number that chooses (an ask, a loan) counts those that there are, round and round.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A caller asks for a connection to a host, waits for these milliseconds at most, or as long as
    /// the pool says, and looks once.
    Ask(u32, Option<u64>),
    /// A caller asks, and does not look yet.
    AskLater(u32),
    Try(u32),
    Look(usize),
    Cancel(usize),
    Return(usize),
    Discard(usize),
    Detach(usize),
    /// It is dropped while its thread panics.
    Panic(usize),
    /// What is lent dies, and stays lent.
    Die(usize),
    /// The peer closes every connection of the host that is open now.
    Lose(u32),
    /// What the next dial, ping or close comes to.
    Next(Stage, Outcome),
    /// Tasks run, and no time passes.
    Yield,
    /// These milliseconds pass.
    Pass(u64),
    /// Where connections are shared: each that the host has, and each that it gets, carries this many
    /// leases from now on. None means that it is going away.
    Room(u32, usize),
    /// The same of the one that a lease is on.
    RoomOf(usize, usize),
    SetMax(u32, usize),
    LetGo(u32),
    Warm(u32, usize),
    Add(u32),
    Retire(u32),
    RetireAll,
    /// `retain` keeps every other connection.
    Thin,
    CloseIdle,
    Close,
    /// The last handle is dropped.
    Leave,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Works,
    Fails,
    Slow(u64),
    Never,
    Panics,
}

impl Outcome {
    pub(crate) fn step(self) -> Step {
        match self {
            Outcome::Works => Step::Ok,
            Outcome::Fails => Step::Error,
            Outcome::Slow(time) => Step::Slow(ms(time)),
            Outcome::Never => Step::Never,
            Outcome::Panics => Step::Panic,
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 => Just(Outcome::Works),
        3 => Just(Outcome::Fails),
        4 => (1..2500_u64).prop_map(Outcome::Slow),
        1 => Just(Outcome::Never),
        1 => Just(Outcome::Panics),
    ]
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![4 => Just(Stage::Connect), 2 => Just(Stage::Ping), 1 => Just(Stage::Close)]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1..100_u64, 3 => 100..3000_u64, 1 => 3000..70_000_u64]
}

/// Acts on shared connections: what one carries changes, and nobody takes one away.
pub(crate) fn act_on_shared() -> impl Strategy<Value = Act> {
    let room = || prop_oneof![1 => Just(0_usize), 7 => 1..6_usize];
    prop_oneof![
        16 => act().prop_map(|act| match act {
            Act::Detach(which) => Act::Discard(which),
            act => act,
        }),
        1 => (0..HOSTS, room()).prop_map(|(host, n)| Act::Room(host, n)),
        1 => (0..64_usize, room()).prop_map(|(which, n)| Act::RoomOf(which, n)),
    ]
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    let host = || 0..HOSTS;
    let which = || 0..64_usize;
    let patience = prop_oneof![3 => Just(None), 2 => (0..2000_u64).prop_map(Some)];
    prop_oneof![
        30 => (host(), patience).prop_map(|(host, patience)| Act::Ask(host, patience)),
        4 => host().prop_map(Act::AskLater),
        4 => host().prop_map(Act::Try),
        20 => which().prop_map(Act::Look),
        8 => which().prop_map(Act::Cancel),
        24 => which().prop_map(Act::Return),
        4 => which().prop_map(Act::Discard),
        2 => which().prop_map(Act::Detach),
        1 => which().prop_map(Act::Panic),
        4 => which().prop_map(Act::Die),
        1 => host().prop_map(Act::Lose),
        16 => (stage(), outcome()).prop_map(|(stage, outcome)| Act::Next(stage, outcome)),
        6 => Just(Act::Yield),
        24 => time().prop_map(Act::Pass),
        3 => (host(), 1..6_usize).prop_map(|(host, n)| Act::SetMax(host, n)),
        2 => host().prop_map(Act::LetGo),
        2 => (host(), 0..5_usize).prop_map(|(host, n)| Act::Warm(host, n)),
        2 => host().prop_map(Act::Add),
        2 => host().prop_map(Act::Retire),
        1 => prop_oneof![Just(Act::RetireAll), Just(Act::Thin), Just(Act::CloseIdle)],
        1 => prop_oneof![6 => Just(Act::CloseIdle), 1 => Just(Act::Close), 1 => Just(Act::Leave)],
    ]
}
