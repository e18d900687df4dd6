//! Which tensors groups cover, by their length, and where the groups then lie.

use super::Groups;
use super::geometry::Geometry;
use super::shape::Shape;
use crate::{Error, Result};

/// The most weights that a tensor of a group penalty may have.
const LONGEST: u64 = (1 << 32) - 256;

impl Groups {
    /// Where the groups of a tensor of this many weights lie.
    pub(crate) fn geometry(&self, len: u64) -> Result<Geometry> {
        let reject = |expected: &str, found: String| {
            Err(Error::Groups { groups: self.to_string(), expected: expected.into(), found })
        };
        let (columns, height, width, lists) = match &self.0 {
            Shape::Lists(lists) => {
                let indices = lists.members.len() as u64;
                if indices != len {
                    return reject(
                        "cover the tensor",
                        format!("they have {indices} indices, and it has {len} weights"),
                    );
                }
                (indices, 1, 1, Some(lists))
            }
            Shape::Whole => (len, 1, len, None),
            Shape::Runs(len) | Shape::Rows(len) => (*len, 1, *len, None),
            Shape::Columns(columns) => (*columns, len / columns, 1, None),
            Shape::Tiles { columns, height, width } => (*columns, *height, *width, None),
        };
        if len == 0 {
            // A tensor without weights has no groups, however large these would be.
            return Ok(Geometry { columns: 1, height: 1, width: 1, across: 1, count: 0, lists: lists.cloned() });
        }
        if !len.is_multiple_of(columns) || !(len / columns).is_multiple_of(height) {
            return reject("cover the tensor", format!("its {len} weights do not divide so"));
        }
        // Kernels count members in 32 bits, and a workgroup goes 256 members further at a time.
        if len > LONGEST {
            return reject("have at most 2^32 − 256 weights", len.to_string());
        }
        let across = columns / width;
        let count = match lists {
            Some(lists) => lists.count() as u64,
            None => len / columns / height * across,
        };
        Ok(Geometry { columns, height, width, across, count, lists: lists.cloned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of every kind, with sides around the tested lengths and far beyond any tensor.
    fn every_kind() -> Result<Vec<Groups>> {
        let lists = [vec![5, 1, 9], vec![0], vec![2, 3, 4, 6, 7, 8, 10, 11]];
        let mut all = vec![
            Groups::whole(),
            Groups::lists(&lists)?,
            Groups::lists(&[[1, 0], [2, 3]])?,
            Groups::lists(&[[0u64]])?,
            Groups::lists::<[u64; 0]>(&[])?,
        ];
        let sides = [1, 2, 3, 4, 5, 6, 8, 12, 24, 1 << 32, u64::MAX];
        for columns in sides {
            all.extend([Groups::runs(columns)?, Groups::rows(columns)?, Groups::columns(columns)?]);
            let tiles = sides.iter().flat_map(|&height| sides.map(|width| Groups::tiles(columns, height, width)));
            // Tiles whose width does not divide the columns are rejected, and left out here.
            all.extend(tiles.flatten());
        }
        Ok(all)
    }

    #[test]
    fn every_weight_is_in_one_group_or_the_length_is_rejected() -> Result<()> {
        for groups in every_kind()? {
            for len in 0..=50 {
                let geometry = match groups.geometry(len) {
                    Ok(geometry) => geometry,
                    Err(Error::Groups { .. }) => continue,
                    Err(error) => panic!("{groups} of {len}: {error}"),
                };
                assert_eq!(geometry.len(), len, "{groups}");
                let mut seen = vec![0; len as usize];
                let mut largest = 0;
                for group in 0..geometry.count {
                    largest = largest.max(geometry.size(group));
                    for member in 0..geometry.size(group) {
                        let index = geometry.index(group, member);
                        seen[index as usize] += 1;
                        let (of, run) = geometry.at(index);
                        assert_eq!(of, group, "{groups}");
                        assert!((index..index + run).all(|i| geometry.at(i).0 == group), "{groups}");
                    }
                }
                assert_eq!(seen, vec![1; len as usize], "{groups}");
                assert!(len == 0 || largest == geometry.largest(), "{groups}");
            }
        }
        Ok(())
    }

    #[test]
    fn lengths_that_are_covered_are_known() -> Result<()> {
        let covered = |groups: Result<Groups>, most: u64| -> Result<Vec<u64>> {
            let groups = groups?;
            Ok((0..=most).filter(|&len| groups.geometry(len).is_ok()).collect())
        };
        assert_eq!(covered(Ok(Groups::whole()), 3)?, [0, 1, 2, 3]);
        for groups in [Groups::runs(4), Groups::rows(4), Groups::columns(4), Groups::tiles(4, 1, 2)] {
            assert_eq!(covered(groups, 13)?, [0, 4, 8, 12]);
        }
        assert_eq!(covered(Groups::tiles(4, 2, 2), 17)?, [0, 8, 16]);
        assert_eq!(covered(Groups::tiles(1 << 32, 1 << 32, 1 << 32), 5)?, [0]);
        assert_eq!(covered(Groups::lists(&[[0, 1], [2, 3]]), 9)?, [4]);
        assert_eq!(covered(Groups::lists::<[u64; 0]>(&[]), 9)?, [0]);
        for most in [(1 << 32) - 256, (1 << 32) - 255, 1 << 32, u64::MAX] {
            assert_eq!(Groups::whole().geometry(most).is_ok(), most <= LONGEST, "{most}");
            assert_eq!(Groups::columns(1)?.geometry(most).is_ok(), most <= LONGEST, "{most}");
        }
        Ok(())
    }
}
