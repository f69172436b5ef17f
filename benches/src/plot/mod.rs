//! Plots as SVG: text, lines and dots, nothing else.

mod axis;
mod lines;
mod pairs;

use std::fmt::Write;

pub(crate) use axis::Axis;
pub(crate) use lines::{Line, lines};
pub(crate) use pairs::{Pair, pairs};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;
const INK: &str = "#1f2933";
const GREY: &str = "#7b8794";
const FAINT: &str = "#e4e7eb";
/// This crate's colour, and nobody else's.
const WHARF: &str = "#c2410c";
/// For everybody else.
const OTHERS: [&str; 10] = [
    "#2563eb", "#0d9488", "#7c3aed", "#64748b", "#a16207", "#0369a1", "#be185d", "#4d7c0f",
    "#475569", "#6d28d9",
];

/// A drawing that grows.
struct Svg {
    body: String,
    height: f64,
}

impl Svg {
    fn new(title: &str, subtitle: &str, height: f64) -> Svg {
        let mut svg = Svg { body: String::new(), height };
        svg.text(24.0, 34.0, title, Style { size: 20.0, bold: true, ..Style::default() });
        svg.text(24.0, 57.0, subtitle, Style { colour: GREY, ..Style::default() });
        svg
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        );
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            self.body,
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>"#
        );
    }

    fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"/>"#
        );
    }

    fn text(&mut self, x: f64, y: f64, words: &str, style: Style) {
        let Style { size, colour, bold, anchor, turned } = style;
        let weight = if bold { 700 } else { 400 };
        let turn = if turned {
            format!(r#" transform="rotate(-90 {x:.1} {y:.1})""#)
        } else {
            String::new()
        };
        let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"{turn}>{words}</text>"#
        );
    }

    fn finish(self) -> String {
        let Svg { body, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"system-ui, Helvetica, Arial, sans-serif\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

#[derive(Clone, Copy)]
struct Style {
    size: f64,
    colour: &'static str,
    bold: bool,
    anchor: &'static str,
    turned: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style { size: 14.0, colour: INK, bold: false, anchor: "start", turned: false }
    }
}
