//! The delays that a scenario adds to messages.

use serde::Deserialize;

use super::file::micros;
use crate::micros::Micros;
use crate::sim::plan::{Distribution, End, LinkDelay};

/// The longest delay of a message, in seconds.
const MAX_DELAY: f64 = 10.0;

/// The greatest shape of a Pareto distribution.
const MAX_SHAPE: f64 = 100.0;

/// The seconds that the network adds to each message.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Delay {
    #[serde(flatten)]
    draw: Draw,
    #[serde(default)]
    links: Vec<Link>,
}

/// At most one distribution.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Draw {
    constant: Option<f64>,
    uniform: Option<(f64, f64)>,
    normal: Option<(f64, f64)>,
    pareto: Option<(f64, f64)>,
}

/// Links with a distribution of their own.
#[derive(Clone, Debug, Deserialize)]
struct Link {
    from: Option<Ends>,
    to: Option<Ends>,
    #[serde(flatten)]
    draw: Draw,
}

/// One replica or all clients, or several of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Ends {
    One(String),
    Several(Vec<String>),
}

impl Ends {
    /// The names were checked before.
    fn all(&self) -> Vec<End> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        };
        let end = |name: &String| usize::from_str_radix(name, 16).map_or(End::Clients, End::Replica);
        names.iter().map(end).collect()
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Several(names) if names.is_empty())
    }
}

impl Draw {
    fn count(self) -> usize {
        let pairs = [self.uniform, self.normal, self.pareto];
        usize::from(self.constant.is_some()) + pairs.iter().flatten().count()
    }

    fn is_sane(self) -> bool {
        let is_delay = |seconds: f64| (0.0..=MAX_DELAY).contains(&seconds);
        self.count() <= 1
            && self.constant.is_none_or(is_delay)
            && self.uniform.is_none_or(|(least, most)| is_delay(least) && is_delay(most) && least <= most)
            && self.normal.is_none_or(|(mean, deviation)| is_delay(mean) && is_delay(deviation))
            && self.pareto.is_none_or(|(least, shape)| is_delay(least) && shape > 0.0 && shape <= MAX_SHAPE)
    }

    /// Whether a message may be late.
    fn delays(self) -> bool {
        self.constant.is_some_and(|seconds| seconds > 0.0)
            || [self.uniform, self.normal]
                .into_iter()
                .flatten()
                .any(|(least, most)| least > 0.0 || most > 0.0)
            || self.pareto.is_some_and(|(least, _)| least > 0.0)
    }

    fn distribution(self) -> Option<Distribution> {
        let both = |(one, other)| (micros(one), micros(other));
        if let Some((least, most)) = self.uniform.map(both) {
            Some(Distribution::Uniform(least, most))
        } else if let Some((mean, deviation)) = self.normal.map(both) {
            Some(Distribution::Normal(mean, deviation))
        } else if let Some((least, shape)) = self.pareto {
            Some(Distribution::Pareto(micros(least), shape))
        } else {
            self.constant.map(|always| Distribution::Constant(micros(always)))
        }
    }
}

impl Delay {
    /// Refuses delays out of range.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_empty = |ends: &Option<Ends>| ends.as_ref().is_some_and(Ends::is_empty);
        if !self.draw.is_sane() || self.links.iter().any(|link| !link.draw.is_sane()) {
            return Err("delay must be one distribution, of 0 to 10 seconds, the lesser one first; \
                        the shape of pareto is above 0 and at most 100");
        }
        if self.links.iter().any(|link| link.draw.count() == 0 || is_empty(&link.from) || is_empty(&link.to))
        {
            return Err("delay.links need a distribution, and from and to that are not empty");
        }
        Ok(())
    }

    /// Whether any message may be late.
    pub(super) fn delays(&self) -> bool {
        self.draw.delays() || self.links.iter().any(|link| link.draw.delays())
    }

    /// The least and the greatest delay of all messages, if the network itself can draw it.
    pub(super) fn range_us(&self) -> (Micros, Micros) {
        if self.has_own() {
            return (0, 0);
        }
        let constant = self.draw.constant.unwrap_or(0.0);
        let (least, most) = self.draw.uniform.unwrap_or((constant, constant));
        (micros(least), micros(most))
    }

    /// The delays that the network itself cannot draw.
    pub(super) fn own(&self) -> Vec<LinkDelay> {
        if !self.has_own() {
            return Vec::new();
        }
        let ends = |ends: &Option<Ends>| ends.as_ref().map(Ends::all);
        let link = |link: &Link| {
            let (from, to) = (ends(&link.from), ends(&link.to));
            Some(LinkDelay { from, to, draw: link.draw.distribution()? })
        };
        let others = self.draw.distribution().map(|draw| LinkDelay { from: None, to: None, draw });
        self.links.iter().filter_map(link).chain(others).collect()
    }

    fn has_own(&self) -> bool {
        !self.links.is_empty() || self.draw.normal.is_some() || self.draw.pareto.is_some()
    }
}
