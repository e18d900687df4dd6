//! Groups of every kind, the lengths that they cover and each weight's group. The arithmetic shares no code with `src`.

use penalty::{Groups, Result};
use proptest::prelude::*;

/// Groups, described plainly.
#[derive(Debug, Clone)]
pub(crate) enum Covering {
    Whole,
    Runs(u64),
    Rows(u64),
    Columns(u64),
    Tiles { columns: u64, height: u64, width: u64 },
    Lists(Vec<Vec<u64>>),
}

impl Covering {
    pub(crate) fn groups(&self) -> Result<Groups> {
        match self {
            Covering::Whole => Ok(Groups::whole()),
            Covering::Runs(len) => Groups::runs(*len),
            Covering::Rows(columns) => Groups::rows(*columns),
            Covering::Columns(columns) => Groups::columns(*columns),
            Covering::Tiles { columns, height, width } => Groups::tiles(*columns, *height, *width),
            Covering::Lists(lists) => Groups::lists(lists),
        }
    }

    /// Groups cover the multiples of this number. Lists cover this length only.
    fn unit(&self) -> u128 {
        match self {
            Covering::Whole => 1,
            Covering::Runs(unit) | Covering::Rows(unit) | Covering::Columns(unit) => u128::from(*unit),
            Covering::Tiles { columns, height, .. } => u128::from(*columns) * u128::from(*height),
            Covering::Lists(lists) => lists.iter().map(|list| list.len() as u128).sum(),
        }
    }

    /// The group of each of `len` weights, or `None` if the groups do not cover them.
    pub(crate) fn group_of(&self, len: u64) -> Option<Vec<u64>> {
        let (len, unit) = (u128::from(len), self.unit());
        let covered = if let Covering::Lists(_) = self { len == unit } else { len.is_multiple_of(unit) };
        let group = |i: u64| match self {
            Covering::Whole => 0,
            Covering::Runs(run) | Covering::Rows(run) => i / run,
            Covering::Columns(columns) => i % columns,
            Covering::Tiles { columns, height, width } => {
                i / columns / height * (columns / width) + i % columns / width
            }
            Covering::Lists(lists) => lists.iter().position(|list| list.contains(&i)).expect("it is covered") as u64,
        };
        covered.then(|| (0..len as u64).map(group).collect())
    }
}

/// Groups with small sides and with sides larger than any tensor. They cover the length in about half of the cases.
pub(crate) fn coverings() -> impl Strategy<Value = (Covering, u64)> {
    let side = || prop_oneof![12 => 1..9u64, 1 => prop::sample::select(vec![1 << 31, 1 << 32, u64::MAX])];
    // Indices in any order, cut anywhere. Without indices there are no lists.
    let lists = (0..13u64).prop_flat_map(|n| {
        let indices = Just((0..n).collect::<Vec<u64>>()).prop_shuffle();
        (indices, prop::collection::vec(any::<bool>(), n as usize)).prop_map(|(indices, cuts)| {
            let mut lists: Vec<Vec<u64>> = Vec::new();
            for (index, cut) in indices.into_iter().zip(cuts) {
                match lists.last_mut() {
                    Some(list) if !cut => list.push(index),
                    _ => lists.push(vec![index]),
                }
            }
            lists
        })
    });
    let tiles = (side(), side(), prop_oneof![6 => 1..4u64, 1 => side()])
        .prop_map(|(across, height, width)| Covering::Tiles { columns: across.saturating_mul(width), height, width });
    let covering = prop_oneof![
        1 => Just(Covering::Whole),
        1 => side().prop_map(Covering::Runs),
        1 => side().prop_map(Covering::Rows),
        2 => side().prop_map(Covering::Columns),
        3 => tiles,
        3 => lists.prop_map(Covering::Lists),
    ];
    covering.prop_flat_map(|covering| {
        // One thread reduces each group, so that few kernels are compiled.
        let unit = if covering.unit() <= 64 { covering.unit() as u64 } else { 1 };
        let most = if let Covering::Lists(_) = covering { 1 } else { 64 / unit.max(1) };
        let multiples = (0..=most).prop_map(move |times| times * unit);
        (Just(covering), prop_oneof![multiples, 0..65u64])
    })
}
