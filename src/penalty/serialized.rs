//! A penalty in serde's formats.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Penalty;
use super::groups::Groups;
use crate::numeric::serialized::Number;
use crate::{Error, Result};

/// As its name, its parameters and its groups, if these are other than what the parameters say.
///
/// ```
/// use penalty::{Groups, Penalty};
///
/// let json = |penalty: &Penalty| serde_json::to_string(penalty).unwrap();
/// assert_eq!(json(&Penalty::mcp(0.1, 3.0)?), r#"{"name":"mcp","parameters":{"lambda":0.1,"gamma":3.0}}"#);
/// let rows = Penalty::l2_norm(0.1)?.over(Groups::rows(64)?)?;
/// assert_eq!(json(&rows), r#"{"name":"l2_norm","parameters":{"lambda":0.1},"groups":{"rows":64}}"#);
/// # Ok::<(), penalty::Error>(())
/// ```
///
/// In formats that are text, an infinite bound of the box is `"inf"` or `"-inf"`. A [`custom`](Penalty::custom) penalty
/// is an error with the text of [`Error::NotBuiltIn`].
impl Serialize for Penalty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_sum() {
            return Err(S::Error::custom(Error::OfSum { asked: "serialized" }));
        }
        if self.constructor().is_none() {
            return Err(S::Error::custom(Error::NotBuiltIn { penalty: self.name(), asked: "serialized" }));
        }
        let groups = self.other_groups();
        // Formats without names of fields need them all.
        let short = groups.is_none() && serializer.is_human_readable();
        let mut fields = serializer.serialize_struct("Penalty", if short { 2 } else { 3 })?;
        fields.serialize_field("name", self.name())?;
        fields.serialize_field("parameters", &Pairs(self.parameters()))?;
        if short {
            fields.skip_field("groups")?
        } else {
            fields.serialize_field("groups", &groups)?
        }
        fields.end()
    }
}

/// Through [`named`](Penalty::named) and [`over`](Penalty::over), which reject what is invalid.
///
/// ```
/// use penalty::{Groups, Penalty};
///
/// let parse = serde_json::from_str::<Penalty>;
/// let json = r#"{"name": "l2_norm", "parameters": {"lambda": 0.1}, "groups": {"rows": 64}}"#;
/// assert_eq!(parse(json).unwrap(), Penalty::l2_norm(0.1)?.over(Groups::rows(64)?)?);
/// let error = parse(r#"{"name": "mcp", "parameters": {"lambda": 0.1}}"#).unwrap_err().to_string();
/// assert!(error.starts_with("mcp must have the parameters lambda, gamma; found lambda"));
/// # Ok::<(), penalty::Error>(())
/// ```
///
/// `serde_json` reads every number to the bit only with its feature `float_roundtrip`.
impl<'de> Deserialize<'de> for Penalty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Penalty, D::Error> {
        Form::deserialize(deserializer)?.penalty().map_err(D::Error::custom)
    }
}

/// A penalty as it is read.
#[derive(Deserialize)]
#[serde(rename = "Penalty", deny_unknown_fields)]
struct Form {
    name: String,
    #[serde(default)]
    parameters: Pairs<String>,
    #[serde(default)]
    groups: Option<Groups>,
}

impl Form {
    fn penalty(self) -> Result<Penalty> {
        let pairs: Vec<(&str, f64)> = self.parameters.0.iter().map(|(key, number)| (key.as_str(), *number)).collect();
        let penalty = Penalty::named(&self.name, &pairs)?;
        let Some(groups) = self.groups else { return Ok(penalty) };
        match penalty.groups() {
            Some(before) if *before != Groups::whole() => Err(Error::Groups {
                groups: groups.to_string(),
                expected: "be said once".into(),
                found: format!("the parameters of {} say {before}", penalty.name()),
            }),
            _ => penalty.over(groups),
        }
    }
}

/// Names with numbers, in order: a name that is there twice stays so, for the constructor to reject.
#[derive(Default)]
struct Pairs<K>(Vec<(K, f64)>);

impl Serialize for Pairs<&str> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, number)| (key, Number(*number))))
    }
}

impl<'de> Deserialize<'de> for Pairs<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<String>, D::Error> {
        deserializer.deserialize_map(Map)
    }
}

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = Pairs<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the parameters, names with numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<String>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, Number(number))) = map.next_entry()? {
            pairs.push((key, number));
        }
        Ok(Pairs(pairs))
    }
}
