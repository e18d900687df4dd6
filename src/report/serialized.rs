//! Partials and reports in serde's formats.

use std::fmt::{self, Write};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Report;
use super::partial::Partial;
use super::reports::Reports;
use crate::numeric::serialized as number;

/// As the bytes of [`to_bytes`](Partial::to_bytes); in formats that are text, as a string of their hexadecimal digits.
impl Serialize for Partial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.to_bytes();
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&bytes);
        }
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // A string takes all that is written to it.
            let _ = write!(digits, "{byte:02x}");
        }
        serializer.serialize_str(&digits)
    }
}

/// Through [`from_bytes`](Partial::from_bytes), which rejects what is no partial.
impl<'de> Deserialize<'de> for Partial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Partial, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Bytes)
        } else {
            deserializer.deserialize_bytes(Bytes)
        }
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Partial;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} bytes of a partial, or their hexadecimal digits", Partial::BYTES)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Partial, E> {
        Partial::from_bytes(bytes).map_err(E::custom)
    }

    /// Some formats keep bytes as a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Partial, A::Error> {
        let mut bytes = Vec::with_capacity(Partial::BYTES);
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Partial, E> {
        let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        let bytes = bytes.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(digits), &self))?;
        self.visit_bytes(&bytes)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Report", rename = "Report", deny_unknown_fields)]
struct ReportFields {
    len: u64,
    #[serde(with = "number")]
    l1: f64,
    #[serde(with = "number")]
    l2_squared: f64,
    #[serde(with = "number")]
    max_abs: f64,
    nonzero: u64,
    nan: u64,
    inf: u64,
    #[serde(with = "number")]
    value: f64,
}

/// By its fields. In formats that are text, a number that is NaN or infinite is a string: `"NaN"` or `"inf"`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReportFields::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Report, D::Error> {
        let report = ReportFields::deserialize(deserializer)?;
        if report.nonzero > report.len {
            let found = serde::de::Unexpected::Unsigned(report.nonzero);
            return Err(D::Error::invalid_value(found, &"as many non-zero weights as weights at most"));
        }
        if report.nan.checked_add(report.inf).is_none_or(|n| n > report.nonzero) {
            let found = serde::de::Unexpected::Unsigned(report.nan.max(report.inf));
            return Err(D::Error::invalid_value(found, &"as many non-finite weights as non-zero ones at most"));
        }
        Ok(report)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reports", rename = "Reports", deny_unknown_fields)]
struct ReportsFields {
    tensors: Vec<Report>,
    total: Report,
}

/// By its fields.
impl Serialize for Reports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReportsFields::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Reports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reports, D::Error> {
        let reports = ReportsFields::deserialize(deserializer)?;
        let counts = |report: &Report| [report.len, report.nonzero, report.nan, report.inf];
        let add = |sum: [u64; 4], report: &Report| {
            let more = counts(report);
            std::array::from_fn(|i| sum[i].saturating_add(more[i]))
        };
        if reports.tensors.iter().fold([0; 4], add) != counts(&reports.total) {
            let found = serde::de::Unexpected::Unsigned(reports.total.len);
            return Err(D::Error::invalid_value(found, &"a total with the counts of all tensors"));
        }
        Ok(reports)
    }
}
