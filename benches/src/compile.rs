//! What one more connector type costs a user's build, as the script has measured it that builds programs.

use std::fs;
use std::path::Path;

use crate::contestants::Kind;
use crate::table::{Bound, Part, Row};

/// What measures it, and what it has written.
pub const COMMAND: &str = "benches/compile/measure --keep";
const WRITTEN: &str = "benches/compile/measured.txt";

/// The columns of the table that is read: those after the pool's name and the profile.
const COLUMNS: [&str; 7] = [
    "1 type, s",
    "4 types, s",
    "each further, s",
    "functions",
    "bytes",
    "first build, s",
    "program, bytes",
];
const FURTHER: usize = 2;

/// Reads what the script has written. It takes minutes, so the report does not run it.
pub fn run(root: &Path) -> Part {
    let mut part = Part::new(
        "What a further connector type costs a build",
        "Processor seconds of a program's build with one and with four connector types, from the start each time, the libraries apart; \
         what each further type takes of them, its functions and its bytes; the library with the program of one type; that \
         program's size",
        COLUMNS.to_vec(),
    );
    let Ok(said) = fs::read_to_string(root.join(WRITTEN)) else {
        part.notes.push(format!("Not measured: {COMMAND} writes {WRITTEN}, which is not there"));
        return part;
    };
    part.rows.extend(said.lines().filter_map(row));
    part.notes.extend(said.lines().next().map(|machine| format!("Not of this run: {machine}")));
    part.add_fault(part.rows.is_empty().then(|| format!("{WRITTEN} has no table")));
    let further =
        |name| part.rows.iter().find(|row| row.name == name).map(|row| row.figures[FURTHER]);
    if let (Some(own), Some(bb8)) = (further("wharf, debug"), further("bb8, debug")) {
        let ratio = crate::table::quotient(own, bb8);
        part.aim_at("a build, each further connector type, debug / bb8", ratio, Bound::AtMost(2.0));
    }
    part
}

/// From `wharf debug | 0.71 2.00 | 0.43 311 60113 | 7.91 | 12345678`.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split_whitespace().filter(|cell| *cell != "|").collect();
    let [pool, profile, figures @ ..] = &cells[..] else { return None };
    let figures: Vec<f64> = figures.iter().map(|cell| cell.parse().ok()).collect::<Option<_>>()?;
    let kind = if *pool == "wharf" { Kind::Wharf } else { Kind::Peer };
    (figures.len() == COLUMNS.len()).then(|| Row::new(format!("{pool}, {profile}"), kind, figures))
}
