//! The report as a document, and the plot of the README.

use std::fmt::Write;
use std::time::Duration;

use crate::table::{Part, markdown, quotient, readable};

/// What one command has measured.
#[derive(Debug)]
pub struct Chapter {
    /// The command.
    pub command: String,
    /// What it printed.
    pub parts: Vec<Part>,
    /// How long it took. `None` of what was read that had been measured before.
    pub took: Option<Duration>,
}

/// Marks what this program writes into the README.
const BEGIN: &str =
    "<!-- figures of benches/REPORT.md, written by the program that writes it -->\n";
const END: &str = "<!-- end of figures -->\n";
/// The columns of "Pool against dialing" that are compared.
const DIALING: usize = 3;
const POOL: usize = 4;

/// The document.
pub fn report(machine: &str, chapters: &[Chapter]) -> String {
    let mut text = "# What the pool costs, and what it saves\n\n\
        Made by `cargo run --release -p wharf-benches --bin report`, with the plot of the README.\n\n\
        Contestants take turns in short bursts within one process. For one thread the shortest burst counts. Two threads \
        are pinned to a core each and start together; bursts in which they waited for a core for more than a hundredth of \
        the time, because something else ran there, are dropped, and the median of the \
        rest counts. Every ratio is the quotient of two printed figures. All pools are set up alike: no health check \
        before lending, a time-out of 30 seconds, unless a row says otherwise.\n"
        .to_owned();
    let _ = write!(text, "\n```text\n{machine}```\n\n## What it saves\n\n");
    text += &savings(&against_dialing(chapters));
    text.push('\n');
    text += &where_it_ran(machine);
    text +=
        "\n![The time of a request, dialing and through a pool](plots/dialing.svg)\n\n## Aims\n\n";
    text += &aims(chapters);
    text += "\n## What it costs\n\n";
    text += &costs(chapters);
    text += "\n![Waits, for each pool](plots/waits.svg)\n\n\
             ![A hit by key, by the number of hosts](plots/hosts.svg)\n\n\
             ![Users that are answered, by the load](plots/overload.svg)\n\n## All figures\n";
    for chapter in chapters {
        for part in &chapter.parts {
            let _ = write!(text, "\n{}\n`{}`\n", part.print(), chapter.command);
        }
    }
    text += "\n## How long it took\n\n";
    text += &times(chapters);
    text
}

/// How long each command took.
fn times(chapters: &[Chapter]) -> String {
    let seconds = |took: Duration| format!("{:.0}", took.as_secs_f64());
    let rows = chapters
        .iter()
        .filter_map(|chapter| Some(vec![format!("`{}`", chapter.command), seconds(chapter.took?)]));
    let all =
        vec!["all".to_owned(), seconds(chapters.iter().filter_map(|chapter| chapter.took).sum())];
    markdown(vec![String::new(), "seconds".to_owned()], rows.chain([all]).collect()) + "\n"
}

/// Each aim, what it is in this run, and whether it is met; those that are not come first.
fn aims(chapters: &[Chapter]) -> String {
    let parts = chapters.iter().flat_map(|chapter| &chapter.parts);
    let mut all: Vec<_> = parts.flat_map(|part| &part.aims).collect();
    all.sort_by_key(|aim| aim.bound.is_met(aim.is));
    let rows = all.into_iter().map(|aim| {
        let is_met = if aim.bound.is_met(aim.is) { "yes" } else { "no" };
        vec![aim.what.clone(), readable(aim.is), aim.bound.print(), is_met.to_owned()]
    });
    let head = ["", "this run", "aim", "met"].map(str::to_owned).into();
    markdown(head, rows.collect()) + "\n"
}

/// The tables of the costs that most readers ask for.
fn costs(chapters: &[Chapter]) -> String {
    let parts = || chapters.iter().flat_map(|chapter| &chapter.parts);
    let shown = ["A hit: ", "Two threads on one host", "A crowd: 1024"];
    let costs = shown.iter().filter_map(|title| {
        let part = parts().find(|part| part.title.starts_with(title))?;
        Some(part.print())
    });
    costs.collect::<Vec<_>>().join("\n")
}

/// The README with its plot drawn from these figures. `None` where it lacks the marks.
pub fn put_into(readme: &str, chapters: &[Chapter]) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let plot = plot(&against_dialing(chapters))?;
    Some(format!("{before}{BEGIN}\n{plot}\n{END}{after}"))
}

fn against_dialing(chapters: &[Chapter]) -> Vec<&Part> {
    let parts = chapters.iter().flat_map(|chapter| &chapter.parts);
    parts.filter(|part| part.title.starts_with("Pool against dialing")).collect()
}

/// Bars of text, which show wherever text does: a package page shows no image that is not on the web. With 1 ms of
/// network, since without one the bars of the pool would be too short to see.
fn plot(parts: &[&Part]) -> Option<String> {
    let of = |delay: &str| parts.iter().find(|part| part.title.contains(&format!(": {delay} ms")));
    let rows = &of("1")?.rows;
    let longest = rows.iter().map(|row| row.figures[DIALING]).fold(0.0, f64::max);
    let mut text =
        "```text\nmedian milliseconds of a small request, with 1 ms of network each way\n"
            .to_owned();
    for row in rows {
        for (name, way, column) in [(row.name.as_str(), "dialing", DIALING), ("", "pool", POOL)] {
            let value = row.figures[column];
            let _ =
                writeln!(text, "{name:<10} {way:<7} {} {}", bar(value / longest), readable(value));
        }
    }
    let (least, most) = ratios(of("0")?);
    let (far_least, far_most) = ratios(of("10")?);
    let _ = write!(
        text,
        "```\n\nWithout network delay, a request that dials takes {least} to {most} times as long as a pooled one; with 10 \
         ms each way, {far_least} to {far_most} times.\n"
    );
    Some(text)
}

/// A bar of forty characters for 1, in steps of half a character.
fn bar(part: f64) -> String {
    let halves = (0..80).take_while(|half| f64::from(*half) + 0.5 <= part * 80.0).count();
    "█".repeat(halves / 2) + if halves % 2 == 1 { "▌" } else { "" }
}

/// The least and the greatest of the ratios of dialing to the pool.
fn ratios(part: &Part) -> (String, String) {
    let ratios = part.rows.iter().map(|row| quotient(row.figures[DIALING], row.figures[POOL]));
    let (least, most) = ratios
        .fold((f64::INFINITY, 0.0), |(least, most), ratio| (ratio.min(least), ratio.max(most)));
    (readable(least), readable(most))
}

/// Protocols by delays: median times of a request.
fn savings(parts: &[&Part]) -> String {
    let delay = |part: &Part| part.title.rsplit(": ").next().unwrap_or_default().to_owned();
    let columns = parts.iter().flat_map(|part| {
        let delay = delay(part).replace(" added each way", "");
        ["dialing, ms", "pool, ms", "dialing / pool"].map(|name| format!("+{delay}: {name}"))
    });
    let head = [String::new()].into_iter().chain(columns).collect();
    let names = parts.first().into_iter().flat_map(|part| part.rows.iter().map(|row| &row.name));
    let rows = names.map(|name| {
        let of = |part: &&Part| {
            part.rows.iter().find(|row| row.name == *name).map(|row| {
                let (dialing, pooled) = (row.figures[DIALING], row.figures[POOL]);
                [dialing, pooled, quotient(dialing, pooled)].map(readable)
            })
        };
        let cells = parts.iter().flat_map(|part| of(part).unwrap_or_default());
        [name.clone()].into_iter().chain(cells).collect()
    });
    markdown(head, rows.collect())
}

fn where_it_ran(machine: &str) -> String {
    let lines: Vec<&str> = machine.lines().collect();
    format!(
        "\nMedian time of a small request from 16 tasks, over the loopback with these milliseconds added in each \
         direction; each task dials, or takes one of at most 16 connections of the pool. {}.\n",
        lines.first().unwrap_or(&"")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::Kind;
    use crate::table::{Bound, Row};

    fn chapter(parts: Vec<Part>) -> Chapter {
        Chapter { command: String::new(), parts, took: None }
    }

    #[test]
    fn an_aim_that_is_not_met_comes_first() {
        let mut part = Part::new("a part", "", vec![]);
        part.aim_at("kept", 1.0, Bound::AtMost(1.0));
        part.aim_at("missed", 1.0, Bound::AtLeast(2.0));
        let table = aims(&[chapter(vec![part])]);
        assert!(table.find("missed").unwrap() < table.find("kept").unwrap(), "{table}");
    }

    #[test]
    fn a_table_of_the_report_ends_before_the_text_below_it() {
        let text = report("a machine\n", &[chapter(Vec::new())]);
        assert!(text.contains("|\n\nMedian time of"), "{text}");
    }

    #[test]
    fn the_readme_gets_bars_in_proportion_and_keeps_its_text() {
        let part = |delay: u8, dialing: f64| {
            let mut part =
                Part::new(format!("Pool against dialing: {delay} ms added each way"), "", vec![]);
            part.rows.push(Row::new("TCP", Kind::Wharf, vec![0.0, 0.0, 0.0, dialing, 4.0]));
            part
        };
        let parts = vec![part(0, 6.0), part(1, 8.0), part(10, 12.0)];
        let chapters = [chapter(parts)];
        let readme = put_into(&format!("before\n{BEGIN}old\n{END}after\n"), &chapters).unwrap();
        assert!(readme.starts_with("before\n") && readme.ends_with("after\n"));
        assert!(!readme.contains("old"));
        assert!(readme.contains(&format!("TCP        dialing {} 8.00\n", "█".repeat(40))));
        assert!(readme.contains(&format!("           pool    {} 4.00\n", "█".repeat(20))));
        assert!(readme.contains("1.50 to 1.50 times as long"));
        assert!(readme.contains("3.00 to 3.00 times"));
        assert!(put_into("no marks\n", &chapters).is_none());
    }
}
