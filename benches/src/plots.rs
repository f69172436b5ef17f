//! The plots of the report, drawn from the same figures that its tables show.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contestants::Kind;
use crate::overload::LOAD;
use crate::publish::Chapter;
use crate::table::{Part, Row, readable};

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Okabe and Ito's colours, which colour-blind readers tell apart. The first is this crate's.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const FONT: &str = "sans-serif";

/// A series by its name; one value for each place on the horizontal axis.
struct Line {
    name: String,
    values: Vec<f64>,
}

/// Draws what there are parts for into a directory, which is made if it must be.
///
/// # Errors
///
/// What the system says about the directory or a file.
pub fn write(directory: &Path, chapters: &[Chapter]) -> Drawn {
    fs::create_dir_all(directory)?;
    let of = |title: &str| -> Vec<&Part> {
        let parts = chapters.iter().flat_map(|chapter| &chapter.parts);
        parts.filter(|part| part.title.starts_with(title)).collect()
    };
    dialing(&directory.join("dialing.svg"), &of("Pool against dialing"))?;
    waits(&directory.join("waits.svg"), &of("A crowd: 1024"))?;
    hosts(&directory.join("hosts.svg"), &of("A hit by key"))?;
    answered(&directory.join("overload.svg"), &of("Overload"))
}

/// Who is answered, for each load that lasts.
fn answered(file: &Path, parts: &[&Part]) -> Drawn {
    let Some(part) = parts.first() else { return Ok(()) };
    let load = |row: &Row| row.name.strip_prefix(LOAD)?.strip_suffix(" %")?.parse::<u32>().ok();
    let loads: Vec<_> =
        part.rows.iter().filter_map(|row| Some((load(row)?, &row.figures))).collect();
    let line = |(nth, name): (usize, &String)| Line {
        name: name.replace('`', ""),
        values: loads.iter().map(|(_, shares)| shares[nth]).collect(),
    };
    let names: Vec<_> = loads.iter().map(|(load, _)| format!("{load} %")).collect();
    let places: Vec<_> = names.iter().map(String::as_str).collect();
    let title = "Users that are answered, percent, by the load (more is better)";
    let lines: Vec<_> = part.columns.iter().enumerate().map(line).collect();
    drawn(file, title, &places, (&lines, 0.0..105.0))
}

fn waits(file: &Path, parts: &[&Part]) -> Drawn {
    let Some(part) = parts.first() else { return Ok(()) };
    let line = |row: &Row| Line { name: row.name.clone(), values: row.figures[1..5].to_vec() };
    // More than there are colours would be a plot of none.
    let rows = part.rows.iter().filter(|row| row.kind != Kind::AsItComes);
    let places = ["median", "99 %", "99.9 %", "longest"];
    let title = "Waits of 1,024 tasks on 16 connections, milliseconds (less is better)";
    lines(file, title, &places, &rows.map(line).collect::<Vec<_>>())
}

fn hosts(file: &Path, parts: &[&Part]) -> Drawn {
    let Some(first) = parts.first() else { return Ok(()) };
    let line = |(nth, row): (usize, &Row)| Line {
        name: row.name.clone(),
        values: parts.iter().map(|part| part.rows[nth].figures[0]).collect(),
    };
    let mut rows: Vec<_> = first.rows.iter().enumerate().collect();
    rows.sort_by_key(|(_, row)| row.kind != Kind::Wharf);
    let places = ["1 host", "1,000 hosts", "100,000 hosts"];
    let title = "A hit by key, nanoseconds (less is better)";
    lines(file, title, &places, &rows.into_iter().map(line).collect::<Vec<_>>())
}

/// Lines over named places, on a logarithmic scale.
fn lines(file: &Path, title: &str, places: &[&str], lines: &[Line]) -> Drawn {
    let values = lines.iter().flat_map(|line| line.values.iter().copied());
    drawn(file, title, places, (lines, range(values).log_scale()))
}

/// Lines over named places, on this scale.
fn drawn<S>(file: &Path, title: &str, places: &[&str], (lines, scale): (&[Line], S)) -> Drawn
where
    S: AsRangedCoord<Value = f64>,
    S::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, key) = root.split_horizontally(640);
    let last = i32::try_from(places.len())? - 1;
    let mut chart = ChartBuilder::on(&plot)
        .caption(title, (FONT, 17))
        .margin(14)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0..last, scale)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15))
        .x_labels(places.len())
        .x_label_formatter(&|place| {
            usize::try_from(*place).map_or(String::new(), |n| places[n].to_owned())
        })
        .y_label_formatter(&|value| readable(*value))
        .label_style((FONT, 13))
        .draw()?;
    // The first is drawn last, over the others.
    for (line, colour) in lines.iter().zip(COLOURS).rev() {
        let points = || (0..).zip(line.values.iter().copied()).filter(|point| point.1.is_finite());
        chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
        chart.draw_series(points().map(|point| Circle::new(point, 4, colour.filled())))?;
    }
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    legend(&key, (6, 60), &names)?;
    root.present()?;
    Ok(())
}

/// A panel for each delay, in it a pair of bars for each protocol.
fn dialing(file: &Path, parts: &[&Part]) -> Drawn {
    if parts.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(file, (1080, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = "Time of a request: dialing for each, and through a pool (median, less is better)";
    root.draw(&Text::new(title, (14, 12), text(18)))?;
    legend(&root, (820, 16), &["pool", "dialing for each"])?;
    let (_, panels) = root.split_vertically(50);
    let rows = parts.iter().flat_map(|part| &part.rows);
    let all: Vec<f64> = rows.flat_map(|row| row.figures[3..5].to_vec()).collect();
    for (panel, part) in panels.split_evenly((1, parts.len())).iter().zip(parts) {
        bars(panel, part, &range(all.iter().copied()))?;
    }
    root.present()?;
    Ok(())
}

fn bars(panel: &Area<'_>, part: &Part, scale: &std::ops::Range<f64>) -> Drawn {
    let delay = part.title.rsplit(": ").next().unwrap_or_default();
    let rows = part.rows.len() as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(delay, (FONT, 15))
        .margin_right(46)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(scale.clone().log_scale(), rows..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15))
        .y_labels(0)
        .x_labels(4)
        .x_label_formatter(&|value| readable(*value))
        .x_desc("milliseconds")
        .label_style((FONT, 13))
        .draw()?;
    let left = Pos::new(HPos::Left, VPos::Center);
    let right = Pos::new(HPos::Right, VPos::Center);
    for (top, row) in (0..).map(f64::from).zip(&part.rows) {
        let name = EmptyElement::at((scale.start, top + 0.5))
            + Text::new(row.name.clone(), (-8, 0), text(13).pos(right));
        chart.draw_series([name])?;
        for (nth, column) in [4, 3].into_iter().enumerate() {
            let (value, from) = (row.figures[column], top + 0.12 + 0.38 * nth as f64);
            let bar = [(scale.start, from), (value, from + 0.36)];
            chart.draw_series([Rectangle::new(bar, COLOURS[nth].filled())])?;
            let says = EmptyElement::at((value, from + 0.18))
                + Text::new(readable(value), (4, 0), text(12).pos(left));
            chart.draw_series([says])?;
        }
    }
    Ok(())
}

/// Names and their colours, one below the other.
fn legend(area: &Area<'_>, (x, y): (i32, i32), names: &[&str]) -> Drawn {
    let left = Pos::new(HPos::Left, VPos::Center);
    for ((name, colour), nth) in names.iter().zip(COLOURS).zip(0..) {
        let y = y + 18 * nth;
        area.draw(&Rectangle::new([(x, y - 5), (x + 16, y + 5)], colour.filled()))?;
        let font = text(13).pos(left);
        area.draw(&Text::new((*name).to_owned(), (x + 22, y), font))?;
    }
    Ok(())
}

fn text(size: u32) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font())
}

/// Whole powers of ten around all values.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    10f64.powf(least.log10().floor())..10f64.powf(most.log10().ceil())
}
