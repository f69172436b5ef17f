//! Anchors from elsewhere: what the pools of Go's standard library cost, as a script has measured them at another time.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::contestants::{HOST, Kind};
use crate::publish::Chapter;
use crate::table::{Part, Row};

/// What measures them, and what it has written.
pub const COMMAND: &str = "benches/anchors/measure";
pub(crate) const WRITTEN: &str = "benches/anchors/measured.txt";

/// Prints them beside this run's own figures. `None` where the script has not been run.
pub fn run(root: &Path, chapters: &[Chapter]) -> Option<Part> {
    let said = fs::read_to_string(root.join(WRITTEN)).ok()?;
    let known: HashMap<&str, &str> =
        said.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut part = Part::new(
        "Anchors: the pools of Go's standard library",
        "Another program at another time, so no burst of it alternates with ours. database/sql with connections that cost nothing: one \
         task on ten connections, and 1,024 on 16 with two threads, as in \"A hit\" and \"A crowd\"; net/http's Transport on one thread, \
         against the server of \"Clients\" on the other core. Limited: each loan has a context with a time limit of 30 s, as \
         wharf's have by default",
        vec!["Go", "Go, limited", "wharf"],
    );
    let figure = |name: &str| known.get(name).and_then(|of| of.parse().ok()).unwrap_or(f64::NAN);
    for Anchor { what, name, own } in anchors(chapters) {
        let figures = vec![figure(&name), figure(&limited(&name)), own];
        part.rows.push(Row::new(what, Kind::Wharf, figures));
    }
    let about = |name: &str| known.get(name).copied().unwrap_or("not known");
    part.notes.push(format!("Go's figures: {}; {}", about("go"), about("machine")));
    Some(part)
}

/// A row: what it is, the name of Go's figure, and ours.
struct Anchor {
    what: String,
    name: String,
    own: f64,
}

/// The name of the same figure with a time limit.
fn limited(name: &str) -> String {
    match name.split_once(", ") {
        Some((name, column)) => format!("{name}, limited, {column}"),
        None => format!("{name}, limited"),
    }
}

fn anchors(chapters: &[Chapter]) -> Vec<Anchor> {
    let anchor = |what: &str, name: &str, own| Anchor { what: what.into(), name: name.into(), own };
    let of_crowd = |column| own(chapters, "A crowd: 1024 ", HOST, column);
    let mut anchors = vec![
        anchor("a hit, ns", "sql hit", own(chapters, "A hit: ", HOST, 0)),
        // From millions a second.
        anchor("1,024 on 16, ns a loan", "sql crowd", 1e3 / of_crowd(0)),
        anchor("1,024 on 16, most / least served", "sql crowd, most / least", of_crowd(5)),
    ];
    for tasks in [1, 8, 64] {
        for (column, figure) in ["cpu us", "per second"].into_iter().enumerate() {
            let own = own(
                chapters,
                &format!("Clients: HTTP/1.1, {tasks} tasks, answers"),
                "wharf",
                column,
            );
            let what = format!("HTTP/1.1, {tasks} tasks, {figure}");
            anchors.push(anchor(&what, &format!("http {tasks}, {figure}"), own));
        }
    }
    anchors
}

/// A figure of this run.
fn own(chapters: &[Chapter], title: &str, row: &str, column: usize) -> f64 {
    let mut parts = chapters.iter().flat_map(|chapter| &chapter.parts);
    let part = parts.find(|part| part.title.starts_with(title));
    let row = part.and_then(|part| part.rows.iter().find(|other| other.name == row));
    row.map_or(f64::NAN, |row| row.figures[column])
}
