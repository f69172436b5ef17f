//! Random programs for the engine, checked against a model that only counts and keeps order; and
//! tests of single rules.

mod actions;
mod budget;
mod control;
mod crowded;
mod deadlocks;
mod demand;
mod doubts;
mod failing;
mod health;
mod lending;
mod many;
mod sharing;
mod slow_dials;
mod streams;
pub(super) mod support;
mod telling;
mod upkeep;

use proptest::prelude::*;

use super::programs::{HEADER, Program, WORD};

/// A program of up to 150 operations, for a pool of this kind.
fn program(shared: bool, with_budget: bool) -> impl Strategy<Value = Program> {
    let header = any::<[u8; HEADER]>();
    let words = prop::collection::vec(any::<[u8; WORD]>(), 1..150);
    (header, words).prop_map(move |(mut header, words)| {
        header[0] = u8::from(shared);
        set_budget(&mut header, with_budget);
        Program::read(&[&header[..], words.as_flattened()].concat())
    })
}

/// The bytes of `max_idle`, `max_total` and `max_dialing`: odd ones set a cap.
fn set_budget(header: &mut [u8; HEADER], with_budget: bool) {
    let caps = [HEADER - 8, HEADER - 7, HEADER - 4];
    if !with_budget {
        for at in caps {
            header[at] &= !1;
        }
    } else if caps.iter().all(|at| header[*at] % 2 == 0) {
        header[caps[1]] |= 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_program_keeps_the_invariants_and_in_the_end_everybody_is_served(program in program(false, false)) {
        program.run();
    }

    #[test]
    fn any_program_under_caps_across_hosts_does_too(program in program(false, true)) {
        program.run();
    }

    #[test]
    fn any_program_with_shared_connections_does_too(program in program(true, false)) {
        program.run();
    }

    #[test]
    fn any_program_with_shared_connections_under_caps_across_hosts_does_too(program in program(true, true)) {
        program.run();
    }
}

/// Found by a fuzzer, as paths through the engine that no smaller program takes: see `.ci/fuzz`.
#[test]
fn programs_that_a_fuzzer_found_keep_the_invariants() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/engine");
    let files = std::fs::read_dir(corpus).expect("the corpus is there");
    let programs: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(programs.len() > 90, "{corpus} has {}", programs.len());
    for path in programs {
        let bytes = std::fs::read(&path).expect("a file that can be read");
        let run = std::panic::catch_unwind(|| Program::read(&bytes).run());
        assert!(run.is_ok(), "{}", path.display());
    }
}
