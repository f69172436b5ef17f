//! Two values beside each other, for each of many cases, with how many times one is the other.

use super::{Axis, FAINT, GREY, Style, Svg, WHARF, WIDTH};

/// One case.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) without: f64,
    pub(crate) with: f64,
}

const LEFT: f64 = 230.0;
const RIGHT: f64 = WIDTH - 124.0;
const TOP: f64 = 112.0;
const ROW: f64 = 27.0;

/// Draws them. The names are of the two values.
pub(crate) fn pairs(
    title: &str,
    subtitle: &str,
    names: [&str; 2],
    x: &Axis,
    all: &[Pair],
) -> String {
    let bottom = TOP + ROW * all.len() as f64;
    let mut svg = Svg::new(title, subtitle, bottom + 62.0);
    let across = |value: f64| LEFT + x.place(value) * (RIGHT - LEFT);
    for (value, name) in &x.ticks {
        svg.line((across(*value), TOP - 8.0), (across(*value), bottom), FAINT, 1.0);
        let style = Style { anchor: "middle", colour: GREY, ..Style::default() };
        svg.text(across(*value), bottom + 20.0, name, style);
    }
    let style = Style { anchor: "middle", ..Style::default() };
    svg.text(f64::midpoint(LEFT, RIGHT), bottom + 46.0, &x.label, style);
    for (nth, pair) in all.iter().enumerate() {
        let height = TOP + ROW * (nth as f64 + 0.5);
        let (without, with) = ((across(pair.without), height), (across(pair.with), height));
        svg.text(
            LEFT - 16.0,
            height + 5.0,
            &pair.name,
            Style { anchor: "end", ..Style::default() },
        );
        svg.line(without, with, GREY, 2.0);
        svg.dot(without, 6.0, GREY);
        svg.dot(with, 7.5, WHARF);
        let times = format!("{:.1} times", pair.with / pair.without);
        let style = Style { colour: WHARF, bold: true, ..Style::default() };
        svg.text(RIGHT + 12.0, height + 5.0, &times, style);
        if nth == 0 {
            name_both(&mut svg, names, without, with);
        }
    }
    svg.finish()
}

/// Names the dots above the first row.
fn name_both(svg: &mut Svg, names: [&str; 2], without: (f64, f64), with: (f64, f64)) {
    let sides = if without.0 < with.0 { ["end", "start"] } else { ["start", "end"] };
    let ends = [(without, GREY, false), (with, WHARF, true)];
    for ((name, anchor), ((x, y), colour, bold)) in names.iter().zip(sides).zip(ends) {
        svg.text(x, y - 14.0, name, Style { colour, bold, anchor, ..Style::default() });
    }
}
