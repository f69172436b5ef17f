//! Where a value is on an axis.

/// An axis: what it says, its ends, and its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) label: String,
    low: f64,
    high: f64,
    is_log: bool,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Powers of ten, around these values.
    pub(crate) fn log(label: &str, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = ends(values.filter(|value| *value > 0.0));
        let low = 10f64.powf(low.log10().floor());
        let powers = std::iter::successors(Some(low), |power| Some(power * 10.0));
        // One more than are below the highest value: it ends with a power.
        let below = powers.clone().take_while(|power| *power < high * 0.999).count().max(1);
        let ticks: Vec<_> = powers.take(below + 1).map(|at| (at, short(at))).collect();
        let high = ticks.last().map_or(high, |tick| tick.0);
        Axis { label: label.to_owned(), low, high, is_log: true, ticks }
    }

    /// From zero, in steps that people count in.
    pub(crate) fn from_zero(label: &str, values: impl Iterator<Item = f64>) -> Axis {
        let (_, high) = ends(values);
        let rough = high / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let steps = std::iter::successors(Some(0.0), |at| Some(at + step));
        let below = steps.clone().take_while(|at| *at < high).count();
        let ticks = steps.take(below + 1).map(|at| (at, short(at))).collect();
        Axis { label: label.to_owned(), low: 0.0, high: step * below as f64, is_log: false, ticks }
    }

    /// With ticks of one's own, evenly spaced.
    pub(crate) fn steps(label: &str, names: &[String]) -> Axis {
        let ticks: Vec<_> = (0u32..).map(f64::from).zip(names.iter().cloned()).collect();
        let high = names.len().saturating_sub(1).max(1) as f64;
        Axis { label: label.to_owned(), low: 0.0, high, is_log: false, ticks }
    }

    /// Where it is, from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        if self.is_log {
            let value = value.max(self.low);
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() { (1.0, 10.0) } else { (low, high) }
}

/// `1,000,000` as `1M`.
pub(crate) fn short(value: f64) -> String {
    let of = |size: f64, unit: &str| format!("{}{unit}", (value / size * 100.0).round() / 100.0);
    match value.abs() {
        size if size >= 1e6 => of(1e6, "M"),
        size if size >= 1e3 => of(1e3, "k"),
        _ => of(1.0, ""),
    }
}
