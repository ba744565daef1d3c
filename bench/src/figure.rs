//! One measured number.

use serde_json::{Value, json};

/// A number, what it must be, and how to get it again.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The promise, as text; empty for rivals.
    pub(crate) must: &'static str,
    /// Whether the promise holds; `None` where nothing was promised.
    pub(crate) holds: Option<bool>,
    /// The number.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Value over the rival's, where there is one.
    pub(crate) ratio: Option<f64>,
    /// The command that repeats it.
    pub(crate) command: String,
}

impl Figure {
    /// A number without a promise.
    pub(crate) fn plain(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        command: &str,
    ) -> Self {
        Self {
            name: name.into(),
            must: "",
            holds: None,
            value,
            unit,
            ratio: None,
            command: command.to_owned(),
        }
    }

    /// The same number, promised.
    #[must_use]
    pub(crate) fn promised(mut self, must: &'static str, holds: bool) -> Self {
        self.must = must;
        self.holds = Some(holds);
        self
    }

    /// The same number, compared.
    #[must_use]
    pub(crate) fn over(mut self, rival: f64) -> Self {
        self.ratio = Some(self.value / rival);
        self
    }

    /// For the JSON file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name, "must": self.must, "holds": self.holds, "value": self.value,
            "unit": self.unit, "ratio": self.ratio, "command": self.command,
        })
    }

    /// Name, must, figure, ratio, verdict, command.
    pub(crate) fn cells(&self) -> [String; 6] {
        let verdict = match self.holds {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [
            self.name.clone(),
            self.must.to_owned(),
            format!("{} {}", rounded(self.value), self.unit),
            self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} ×")),
            verdict.to_owned(),
            self.command.clone(),
        ]
    }
}

/// Three significant digits are what such measurements carry.
fn rounded(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A line each, as soon as they are known.
pub(crate) fn print(figures: &[Figure]) {
    for figure in figures {
        let [name, must, value, ratio, holds, _] = figure.cells();
        println!("{name:<58} {value:>16} {ratio:>10}  {must:<28} {holds}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_fit_the_size() {
        assert_eq!([rounded(1.234), rounded(12.34), rounded(123.4)], ["1.23", "12.3", "123"]);
    }
}
