//! Everything in its short form: one table, and plots. Takes some minutes.
//!
//! Run: `cargo run --release -p wharf-benches --bin report`, with `-- --plots DIRECTORY` to draw
//! into another directory than `benches/plots`. Progress is on the standard error, the table on the
//! standard output.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use wharf_benches::form::Form;
use wharf_benches::idle::Meter;
use wharf_benches::table::Part;
use wharf_benches::{contended, dialing, drawings, hit, idle, keys, machine, starved, waiters};

fn main() -> ExitCode {
    let begin = Instant::now();
    let form = Form::Short;
    print!("{}", machine::describe());
    // First, while the process has nothing else in memory.
    show(&idle::run(form, Meter::Resident));
    show(&[hit::run(form)]);
    show(&contended::run(form));
    let (parts, waits) = starved::run(form);
    show(&parts);
    let (parts, growth) = keys::run(form);
    show(&parts);
    show(&waiters::run(form));
    let (parts, savings) = dialing::run(form);
    show(&parts);
    eprintln!("all of it took {:.0} seconds", begin.elapsed().as_secs_f64());
    match drawings::write(&directory(), &waits, &growth, &savings) {
        Ok(files) => println!("\nplots: {}", files.join(", ")),
        Err(error) => {
            eprintln!("no plots in {}: {error}", directory().display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn show(parts: &[Part]) {
    for part in parts {
        print!("{}", part.print());
    }
}

/// Where the plots go: what follows `--plots`, or next to this program's source.
fn directory() -> PathBuf {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--plots").skip(1);
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/plots");
    arguments.next().unwrap_or_else(|| default.to_owned()).into()
}
