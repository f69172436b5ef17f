//! The report as a document, and the part of it that the README shows.

use std::fmt::Write;

use crate::table::{Part, markdown, quotient, readable};

/// What one command has measured.
#[derive(Debug)]
pub struct Chapter {
    /// The command.
    pub command: String,
    /// What it printed.
    pub parts: Vec<Part>,
}

/// The figures that README and report have in common, by the names of their blocks.
#[derive(Debug)]
pub struct Blocks(Vec<(&'static str, String)>);

const END: &str = "<!-- end of figures -->";

fn begin(name: &str) -> String {
    format!("<!-- figures: {name} -->")
}

/// The document.
pub fn report(machine: &str, chapters: &[Chapter], blocks: &Blocks) -> String {
    let mut text = "# What the pool costs, and what it saves\n\n\
        Made by `cargo run --release -p wharf-benches --bin report`, with the figures of the README.\n\n\
        Contestants take turns in short bursts within one process. For one thread the shortest burst counts. Two threads \
        are pinned to a core each and start together; bursts in which they waited for a core for more than a hundredth of \
        the time, because something else ran there, are dropped, and the median of the \
        rest counts. Every ratio is the quotient of two printed figures. All pools are set up alike: no health check \
        before lending, a time-out of 30 seconds, unless a row says otherwise.\n"
        .to_owned();
    let _ = write!(text, "\n```text\n{machine}```\n\n## What it saves\n\n");
    text += &blocks.print("saves");
    text +=
        "\n![The time of a request, dialing and through a pool](plots/dialing.svg)\n\n## Aims\n\n";
    text += &aims(chapters);
    text += "\n## What it costs\n\n";
    text += &blocks.print("costs");
    text += "\n![Waits, for each pool](plots/waits.svg)\n\n\
             ![A hit by key, by the number of hosts](plots/hosts.svg)\n\n## All figures\n";
    for chapter in chapters {
        for part in &chapter.parts {
            let _ = write!(text, "\n{}\n`{}`\n", part.print(), chapter.command);
        }
    }
    text
}

/// Each aim, what it is in this run, and whether it is met.
fn aims(chapters: &[Chapter]) -> String {
    let all = chapters.iter().flat_map(|chapter| &chapter.parts).flat_map(|part| &part.aims);
    let rows = all.map(|aim| {
        let is_met = if aim.bound.is_met(aim.is) { "yes" } else { "no" };
        vec![aim.what.clone(), readable(aim.is), aim.bound.print(), is_met.to_owned()]
    });
    let head = ["", "this run", "aim", "met"].map(str::to_owned).into();
    markdown(head, rows.collect()) + "\n"
}

impl Blocks {
    /// The machine and the pool against dialing; and the tables of the costs that most readers ask for.
    pub fn new(machine: &str, chapters: &[Chapter]) -> Blocks {
        let parts = || chapters.iter().flat_map(|chapter| &chapter.parts);
        let dialing: Vec<&Part> = parts().filter(|part| part.title.starts_with("Pool")).collect();
        let shown = ["A hit: ", "Two threads on one host", "A crowd: 1024"];
        let costs = shown.iter().filter_map(|title| {
            let part = parts().find(|part| part.title.starts_with(title))?;
            Some(part.print())
        });
        let saves = format!("{}\n{}", savings(&dialing), where_it_ran(machine));
        Blocks(vec![("saves", saves), ("costs", costs.collect::<Vec<_>>().join("\n"))])
    }

    /// A block between its marks.
    fn print(&self, name: &str) -> String {
        let block = self.0.iter().find(|block| block.0 == name);
        format!("{}\n\n{}\n{END}\n", begin(name), block.map_or("", |block| &block.1))
    }

    /// A document with its blocks replaced by these. `None` where it lacks one.
    pub fn put_into(&self, document: &str) -> Option<String> {
        self.0.iter().try_fold(document.to_owned(), |text, (name, _)| {
            let (before, rest) = text.split_once(&begin(name))?;
            let (_, after) = rest.split_once(&format!("{END}\n"))?;
            Some(format!("{before}{}{after}", self.print(name)))
        })
    }
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
                let (dialing, pooled) = (row.figures[3], row.figures[4]);
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
