//! Groups in serde's formats.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Groups, Shape};

/// Groups as they are written, such as `"whole"`, `{"rows": 64}` or `{"lists": [[0, 2], [1]]}`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Groups", rename_all = "snake_case", deny_unknown_fields)]
enum Form {
    Whole,
    Runs(u64),
    Rows(u64),
    Columns(u64),
    Tiles { columns: u64, height: u64, width: u64 },
    Lists(Vec<Vec<u64>>),
}

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match &self.0 {
            Shape::Whole => Form::Whole,
            Shape::Runs(len) => Form::Runs(*len),
            Shape::Rows(columns) => Form::Rows(*columns),
            Shape::Columns(columns) => Form::Columns(*columns),
            &Shape::Tiles { columns, height, width } => Form::Tiles { columns, height, width },
            Shape::Lists(lists) => {
                let list = |ends: &[u32]| lists.members[ends[0] as usize..ends[1] as usize].iter();
                Form::Lists(lists.first.windows(2).map(|ends| list(ends).copied().map(u64::from).collect()).collect())
            }
        };
        written.serialize(serializer)
    }
}

/// Through the constructors, which reject what is invalid.
impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Groups, D::Error> {
        let groups = match Form::deserialize(deserializer)? {
            Form::Whole => Ok(Groups::whole()),
            Form::Runs(len) => Groups::runs(len),
            Form::Rows(columns) => Groups::rows(columns),
            Form::Columns(columns) => Groups::columns(columns),
            Form::Tiles { columns, height, width } => Groups::tiles(columns, height, width),
            Form::Lists(lists) => Groups::lists(&lists),
        };
        groups.map_err(D::Error::custom)
    }
}
