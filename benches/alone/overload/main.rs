//! Who is answered when more ask than can be served: a table of scenes, each played by this pool, by deadpool and by
//! bb8, on simulated time, so that it repeats.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench overload`. The table is in the guide, `overload.md`, and in
//! `benches/REPORT.md`. `-- burst` plays only the scenes whose names contain that.

mod player;
mod scenes;
mod server;
mod share;
mod user;

use player::{Bb8, Deadpool, Player, Wharf};
use scenes::Scene;
use share::Share;

const HEAD: &str = "\
| users that are answered | wharf | wharf, `Order::Fifo` | deadpool, 30 s | bb8, 30 s | deadpool, half of their wait |
| --- | --- | --- | --- | --- | --- |";

fn main() {
    // Cargo adds `--bench`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |scene: &Scene| wanted.iter().all(|part| scene.name().contains(part.as_str()));
    println!("{HEAD}");
    for scene in scenes::ALL.iter().filter(|scene| is_wanted(scene)) {
        let shares = [
            play::<Wharf<false>>(scene),
            play::<Wharf<true>>(scene),
            play::<Deadpool<false>>(scene),
            play::<Bb8>(scene),
            play::<Deadpool<true>>(scene),
        ];
        println!("| {} |{}", scene.name(), shares.map(|share| format!(" {share} |")).concat());
    }
}

fn play<P: Player>(scene: &Scene) -> Share {
    fastrand::seed(0);
    wharf::test_util::seed_random(0);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(scene.play::<P>())
}
