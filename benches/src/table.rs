//! What was measured, in parts, and how a part is printed.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Deserializer, Serialize};

use crate::contestants::Kind;

/// Whether a small figure is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Less,
    More,
}

/// One thing that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    pub(crate) title: String,
    /// What is in the figures.
    pub(crate) includes: String,
    /// The names of the figures, with their units. The first is the one that is compared.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) aims: Vec<Aim>,
    pub(crate) notes: Vec<String>,
    /// What was wrong.
    pub(crate) faults: Vec<String>,
    /// The figures are percents, of which no part is printed.
    pub(crate) are_percents: bool,
    better: Option<Better>,
}

/// One contestant's figures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(deserialize_with = "numbers")]
    pub(crate) figures: Vec<f64>,
}

/// What a figure should be, and what it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Aim {
    pub(crate) what: String,
    #[serde(deserialize_with = "number")]
    pub(crate) is: f64,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, kind: Kind, figures: Vec<f64>) -> Row {
        Row { name: name.into(), kind, figures }
    }
}

impl Part {
    pub(crate) fn new(
        title: impl Into<String>,
        includes: impl Into<String>,
        columns: Vec<&str>,
    ) -> Part {
        let (title, includes) = (title.into(), includes.into());
        let columns = columns.into_iter().map(str::to_owned).collect();
        let (rows, aims, notes, faults) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Part {
            title,
            includes,
            columns,
            rows,
            aims,
            notes,
            faults,
            are_percents: false,
            better: None,
        }
    }

    /// Adds what is wrong, once.
    pub(crate) fn add_fault(&mut self, fault: Option<String>) {
        self.faults.extend(fault.filter(|fault| !self.faults.contains(fault)));
    }

    /// Each row's first figure is to be compared with the first floor's and with the best peer's, set up either way.
    pub(crate) fn compare(&mut self, better: Better) {
        self.better = Some(better);
    }

    /// The quotient of two rows' first figures, as they are printed.
    pub(crate) fn quotient(&self, of: &str, to: &str) -> f64 {
        let figure = |name| self.rows.iter().find(|row| row.name == name).map(|row| row.figures[0]);
        quotient(figure(of).unwrap_or(f64::NAN), figure(to).unwrap_or(f64::NAN))
    }

    /// An aim for the quotient of two rows.
    pub(crate) fn aim(&mut self, what: impl Into<String>, (of, to): (&str, &str), bound: Bound) {
        self.aim_at(what, self.quotient(of, to), bound);
    }

    pub(crate) fn aim_at(&mut self, what: impl Into<String>, is: f64, bound: Bound) {
        self.aims.push(Aim { what: what.into(), is, bound });
    }

    /// What each row is compared with: a column's name, and a figure.
    fn compared(&self) -> Vec<(&'static str, f64)> {
        let Some(better) = self.better else { return Vec::new() };
        let floor = self.rows.iter().find(|row| row.kind == Kind::Floor);
        let to_floor = floor.map(|row| ("x floor", row.figures[0]));
        let to_peer = self.best_peer(better).map(|row| ("x best peer", row.figures[0]));
        to_floor.into_iter().chain(to_peer).collect()
    }

    fn best_peer(&self, better: Better) -> Option<&Row> {
        let is_peer = |row: &&Row| {
            matches!(row.kind, Kind::Peer | Kind::AsItComes) && row.figures[0].is_finite()
        };
        let peers = self.rows.iter().filter(is_peer);
        peers.min_by(|a, b| match better {
            Better::Less => a.figures[0].total_cmp(&b.figures[0]),
            Better::More => b.figures[0].total_cmp(&a.figures[0]),
        })
    }

    /// The part as Markdown, which is readable in a terminal, too.
    pub fn print(&self) -> String {
        let mut text = format!("### {}\n\n{}.{}\n\n", self.title, self.includes, self.legend());
        text += &self.table();
        text.push('\n');
        for note in &self.notes {
            let _ = write!(text, "\n{note}.\n");
        }
        for fault in &self.faults {
            let _ = write!(text, "\nWRONG: {fault}\n");
        }
        text
    }

    fn legend(&self) -> String {
        let Some(better) = self.better else { return String::new() };
        let direction = if better == Better::Less { " Less is better" } else { " More is better" };
        let peer = self.best_peer(better).map(|row| format!("; the best peer is {}", row.name));
        format!("{direction}{}.", peer.unwrap_or_default())
    }

    fn readable(&self, figure: f64) -> String {
        if self.are_percents { format!("{figure:.0}") } else { readable(figure) }
    }

    pub(crate) fn table(&self) -> String {
        let compared = self.compared();
        let ratios = compared.iter().map(|(name, _)| (*name).to_owned());
        let head = [String::new()].into_iter().chain(self.columns.iter().cloned()).chain(ratios);
        let rows = self.rows.iter().map(|row| {
            let ratios = compared.iter().map(|(_, to)| quotient(row.figures[0], *to));
            let figures = row.figures.iter().map(|figure| self.readable(*figure));
            let cells = figures.chain(ratios.map(readable));
            [row.name.clone()].into_iter().chain(cells).collect()
        });
        markdown(head.collect(), rows.collect())
    }
}

/// JSON has no word for what is not a number.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let numbers: Vec<Option<f64>> = Vec::deserialize(from)?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}

/// A table whose columns, but for the first, are of numbers.
pub(crate) fn markdown(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(head).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

impl Bound {
    pub(crate) fn is_met(self, is: f64) -> bool {
        match self {
            Bound::AtMost(most) => printed(is) <= most,
            Bound::AtLeast(least) => printed(is) >= least,
        }
    }

    pub(crate) fn print(self) -> String {
        match self {
            Bound::AtMost(most) => format!("at most {most}"),
            Bound::AtLeast(least) => format!("at least {least}"),
        }
    }
}

/// The quotient that a reader gets who divides the printed figures.
pub(crate) fn quotient(of: f64, to: f64) -> f64 {
    printed(of) / printed(to)
}

fn printed(figure: f64) -> f64 {
    readable(figure).replace(',', "").parse().unwrap_or(figure)
}

/// Three digits that mean something, and no more.
pub(crate) fn readable(figure: f64) -> String {
    match figure.abs() {
        size if size.is_nan() => "-".to_owned(),
        size if size.is_infinite() => "unbounded".to_owned(),
        size if size >= 1000.0 => grouped(figure),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
