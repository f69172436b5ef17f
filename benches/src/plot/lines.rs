//! Lines, each with its name at its end.

use super::{Axis, FAINT, GREY, HEIGHT, OTHERS, Style, Svg, WHARF, WIDTH};

/// One contestant.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) is_wharf: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 250.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = HEIGHT - 66.0;
/// Between two names.
const LEADING: f64 = 19.0;

/// Draws them.
pub(crate) fn lines(title: &str, subtitle: &str, x: &Axis, y: &Axis, all: &[Line]) -> String {
    let mut svg = Svg::new(title, subtitle, HEIGHT);
    let at = |(of_x, of_y): (f64, f64)| {
        (LEFT + x.place(of_x) * (RIGHT - LEFT), BOTTOM - y.place(of_y) * (BOTTOM - TOP))
    };
    frame(&mut svg, x, y);
    let mut others = OTHERS.iter().cycle();
    let mut names = Vec::new();
    // Ours last: on top.
    let (ours, theirs): (Vec<_>, Vec<_>) = all.iter().partition(|line| line.is_wharf);
    for line in theirs.into_iter().chain(ours) {
        let colour = if line.is_wharf { WHARF } else { others.next().copied().unwrap_or(GREY) };
        let width = if line.is_wharf { 4.0 } else { 1.8 };
        let points: Vec<_> = line.points.iter().copied().map(at).collect();
        svg.path(&points, colour, width);
        for point in &points {
            svg.dot(*point, if line.is_wharf { 5.0 } else { 2.8 }, colour);
        }
        if let Some(end) = points.last() {
            names.push((*end, line, colour));
        }
    }
    names.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    let heights = spread(&names.iter().map(|name| name.0.1).collect::<Vec<_>>());
    for ((end, line, colour), height) in names.into_iter().zip(heights) {
        svg.line(end, (RIGHT + 16.0, height), FAINT, 1.0);
        let style = Style { colour, bold: line.is_wharf, ..Style::default() };
        svg.text(RIGHT + 20.0, height + 5.0, &line.name, style);
    }
    svg.finish()
}

fn frame(svg: &mut Svg, x: &Axis, y: &Axis) {
    for (value, name) in &y.ticks {
        let height = BOTTOM - y.place(*value) * (BOTTOM - TOP);
        svg.line((LEFT, height), (RIGHT, height), FAINT, 1.0);
        let style = Style { anchor: "end", colour: GREY, ..Style::default() };
        svg.text(LEFT - 8.0, height + 5.0, name, style);
    }
    for (value, name) in &x.ticks {
        let across = LEFT + x.place(*value) * (RIGHT - LEFT);
        svg.line((across, BOTTOM), (across, BOTTOM + 5.0), GREY, 1.0);
        let style = Style { anchor: "middle", colour: GREY, ..Style::default() };
        svg.text(across, BOTTOM + 22.0, name, style);
    }
    svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), GREY, 1.0);
    let style = Style { anchor: "middle", ..Style::default() };
    svg.text(f64::midpoint(LEFT, RIGHT), BOTTOM + 48.0, &x.label, style);
    svg.text(26.0, f64::midpoint(TOP, BOTTOM), &y.label, Style { turned: true, ..style });
}

/// Moves names apart, which come from the top down, and keeps them within the frame.
fn spread(wanted: &[f64]) -> Vec<f64> {
    let mut heights: Vec<f64> = Vec::with_capacity(wanted.len());
    for height in wanted {
        let least = heights.last().map_or(TOP - 10.0, |last| last + LEADING);
        heights.push(height.max(least));
    }
    let mut most = BOTTOM + 10.0;
    for height in heights.iter_mut().rev() {
        *height = height.min(most);
        most = *height - LEADING;
    }
    heights
}
