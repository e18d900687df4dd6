//! JSON without repeated names in an object. Parsers disagree about which of two equal names counts, so we reject them.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Parses a text, and rejects an object that repeats a name.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<NamedOnce>(text)?;
    serde_json::from_slice(text)
}

/// Any JSON without repeated names; it checks the names and keeps nothing.
struct NamedOnce;

impl<'de> Deserialize<'de> for NamedOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NamedOnce, D::Error> {
        deserializer.deserialize_any(NamedOnce)
    }
}

impl<'de> Visitor<'de> for NamedOnce {
    type Value = NamedOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<NamedOnce, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, NamedOnce)) = object.next_entry::<String, NamedOnce>()? {
            if let Some(name) = names.replace(name) {
                return Err(A::Error::custom(format!("the name {name:?} is there twice")));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<NamedOnce, A::Error> {
        while array.next_element::<NamedOnce>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<NamedOnce, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NamedOnce, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NamedOnce, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NamedOnce, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<NamedOnce, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<NamedOnce, E> {
        Ok(self)
    }
}
