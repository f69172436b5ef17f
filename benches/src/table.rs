//! Parts of a table, and how they are printed.

use std::fmt::Write;

use crate::contestants::Kind;
use crate::measure::Rounds;

/// Whether a small figure is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// One thing that was measured.
#[derive(Debug)]
pub struct Part {
    pub(crate) title: String,
    /// What is in the figures.
    pub(crate) includes: String,
    /// The names of the figures, with their units. The first is the one that is compared.
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
    /// What was wrong.
    pub(crate) faults: Vec<String>,
    best_peer: Option<String>,
    better: Option<Better>,
}

/// One contestant's figures.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) figures: Vec<f64>,
    to_floor: Option<f64>,
    to_peer: Option<f64>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, kind: Kind, figures: Vec<f64>) -> Row {
        Row { name: name.into(), kind, figures, to_floor: None, to_peer: None }
    }
}

impl Part {
    pub(crate) fn new(
        title: impl Into<String>,
        includes: impl Into<String>,
        columns: Vec<&'static str>,
    ) -> Part {
        let (title, includes) = (title.into(), includes.into());
        Part {
            title,
            includes,
            columns,
            rows: Vec::new(),
            faults: Vec::new(),
            best_peer: None,
            better: None,
        }
    }

    /// Adds what is wrong, once.
    pub(crate) fn add_fault(&mut self, fault: Option<String>) {
        self.faults.extend(fault.filter(|fault| !self.faults.contains(fault)));
    }

    /// Compares every row with the first floor and with the best peer, as the rounds have it, whose
    /// contestants are the rows. The best peer may be set up either way.
    pub(crate) fn compare(&mut self, rounds: &Rounds, better: Better) {
        let of_kind = |kinds: &[Kind]| {
            let rows = self.rows.iter().enumerate();
            rows.filter(|(_, row)| kinds.contains(&row.kind)).map(|(n, _)| n).collect::<Vec<_>>()
        };
        let order = |a: &usize, b: &usize| {
            let order = rounds.median(*a).total_cmp(&rounds.median(*b));
            if better == Better::Less { order } else { order.reverse() }
        };
        let floor = of_kind(&[Kind::Floor]).first().copied();
        let peer = of_kind(&[Kind::Peer, Kind::AsItComes]).into_iter().min_by(order);
        self.better = Some(better);
        self.best_peer = peer.map(|peer| self.rows[peer].name.clone());
        for (nth, row) in self.rows.iter_mut().enumerate() {
            row.to_floor = floor.map(|floor| rounds.ratio(nth, floor));
            row.to_peer = peer.map(|peer| rounds.ratio(nth, peer));
        }
    }

    /// The part as text.
    pub fn print(&self) -> String {
        let mut text = format!("\n{}\n  {}\n", self.title, self.includes);
        let mut head = format!("  {:<NAME$}", "");
        for column in self.columns.iter().chain(&["x floor", "x best peer"]) {
            let _ = write!(head, "{column:>CELL$}");
        }
        text.push_str(head.trim_end());
        text.push('\n');
        for row in &self.rows {
            let mut line = format!("  {:<NAME$}", row.name);
            let figures = row.figures.iter().copied().map(Some);
            for cell in figures.chain([row.to_floor, row.to_peer]) {
                let _ = write!(line, "{:>CELL$}", cell.map_or("-".to_owned(), readable));
            }
            text.push_str(&line);
            text.push('\n');
        }
        let better = match self.better {
            Some(Better::Less) => "less is better",
            Some(Better::More) => "more is better",
            None => "",
        };
        if let Some(peer) = &self.best_peer {
            let _ = writeln!(text, "  {better}; best peer: {peer}");
        }
        for fault in &self.faults {
            let _ = writeln!(text, "  WRONG: {fault}");
        }
        text
    }
}

const NAME: usize = 38;
const CELL: usize = 13;

/// Three figures that mean something, and no more.
fn readable(figure: f64) -> String {
    match figure.abs() {
        size if !size.is_finite() => if figure.is_nan() { "-" } else { "unbounded" }.to_owned(),
        size if size >= 1000.0 => grouped(figure),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
