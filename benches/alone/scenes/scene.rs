//! A scene that each of the pools plays.

use std::future::Future;

use crate::in_simulated_time;
use crate::player::{Bb8, Deadpool, Player, Wharf};
use crate::run::{HEAD, Row, Run};

/// How often each pool plays a scene.
const ROUNDS: u32 = 20;

pub(crate) trait Scene {
    /// What happens, in Markdown.
    const STORY: &'static str;

    /// `round` counts from zero: a scene may shift its times by it, so that no pool is lucky or unlucky each time.
    fn play<P: Player>(round: u32) -> impl Future<Output = Run>;
}

/// Prints the story of a scene and a row for each of the pools.
pub(crate) fn tell<S: Scene>() {
    println!("{}\n\n{HEAD}", S::STORY);
    println!("{}", row::<S, Wharf<false>>());
    println!("{}", row::<S, Wharf<true>>());
    println!("{}", row::<S, Deadpool>());
    println!("{}", row::<S, Bb8>());
}

fn row<S: Scene, P: Player>() -> Row {
    let runs = (0..ROUNDS).map(|round| in_simulated_time(u64::from(round), S::play::<P>(round)));
    Row { name: P::NAME, runs: runs.collect() }
}
