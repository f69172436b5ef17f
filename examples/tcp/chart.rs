//! A rate over time, a column for each tenth of a second.

use tokio::time::Instant;

use crate::units::{count, eighths};

pub(crate) struct Chart {
    /// The end of each column, and the rate in it.
    columns: Vec<(Instant, f64)>,
    /// When the last column ended, and how many there had been.
    last: (Instant, u64),
}

impl Chart {
    pub(crate) fn new() -> Self {
        Chart { columns: Vec::new(), last: (Instant::now(), 0) }
    }

    /// Adds a column, which ends now, and returns the chart.
    pub(crate) fn draw(&mut self, total: u64) -> String {
        let (now, (begin, before)) = (Instant::now(), self.last);
        self.columns.push((now, (total - before) as f64 / (now - begin).as_secs_f64()));
        self.last = (now, total);
        self.line()
    }

    fn most_rate(&self) -> f64 {
        self.columns.iter().map(|(_, rate)| *rate).fold(1.0, f64::max)
    }

    pub(crate) fn most(&self) -> String {
        count(self.most_rate())
    }

    fn line(&self) -> String {
        let most = self.most_rate();
        self.columns.iter().map(|(_, rate)| height(rate / most)).collect()
    }

    /// Returns the chart, and below it what happened when.
    pub(crate) fn with_marks(&self, marks: &[(Instant, &str)]) -> String {
        let mut below = String::new();
        for (at, what) in marks {
            let column = self.columns.iter().filter(|(end, _)| end <= at).count();
            below = format!("{below:column$}^ {what}");
        }
        format!("{}\n{below}", self.line())
    }
}

/// A share of a column's height. Nothing at all is a dot.
fn height(share: f64) -> char {
    const HEIGHTS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    HEIGHTS[eighths(share, 1)]
}
