//! How the weights of a tensor are grouped, and where a group's weights lie.

#[cfg(feature = "serde")]
mod serialized;

use std::sync::Arc;

use crate::numeric::hash::fnv1a;
use crate::{Error, Result};

/// The groups of a tensor's weights for a group penalty, such as the rows of a matrix. Each weight is in exactly one
/// group.
///
/// Matrices are in row-major order: a row is consecutive. Groups do not know the tensor's length, so the operation
/// checks it: if the groups do not cover the tensor, or do not divide its matrix, the error is [`Error::Groups`].
///
/// ```
/// use penalty::{Backend, Groups, Penalty};
///
/// // Two rows of three; the lighter one is given up.
/// let rows = Penalty::group_lasso(0.5, Groups::rows(3)?)?;
/// let shrunk = Backend::cpu().prox(&rows, &[4.0f32, 0.0, 3.0, 0.1, 0.2, 0.2], 1.0)?;
/// assert_eq!(shrunk[3..], [0.0; 3]);
///
/// let error = Backend::cpu().prox(&rows, &[1.0f32; 7], 1.0).unwrap_err();
/// assert_eq!(error.to_string(), "groups of rows of 3 must cover the tensor: its 7 weights do not divide so");
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Groups(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Whole,
    Runs(u64),
    Rows(u64),
    Columns(u64),
    Tiles { columns: u64, height: u64, width: u64 },
    Lists(Arc<Lists>),
}

/// Groups by lists of indices. They are compared at every step and hashed for every partial. So the hash is kept, and
/// `Eq` lets two references to the same lists compare equal at once.
#[derive(PartialEq, Eq)]
pub(crate) struct Lists {
    /// Where each group begins among the members, and where the last group ends.
    pub(crate) first: Vec<u32>,
    /// The indices of all groups, one group after the other, ascending in each.
    pub(crate) members: Vec<u32>,
    /// The group of each index.
    pub(crate) group_of: Vec<u32>,
    hash: u64,
}

/// The hash of some numbers, taken as little-endian bytes.
fn hash_of(numbers: impl IntoIterator<Item = u64>) -> u64 {
    fnv1a(numbers.into_iter().flat_map(u64::to_le_bytes))
}

/// The most weights that a tensor of a group penalty may have.
const LONGEST: u64 = (1 << 32) - 256;

impl Groups {
    /// All weights are one group.
    pub fn whole() -> Groups {
        Groups(Shape::Whole)
    }

    /// Runs of `len` consecutive weights.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if `len` is 0.
    pub fn runs(len: u64) -> Result<Groups> {
        Groups::of(Shape::Runs(len), &[len])
    }

    /// The rows of a matrix with this many columns.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if there are 0 columns.
    pub fn rows(columns: u64) -> Result<Groups> {
        Groups::of(Shape::Rows(columns), &[columns])
    }

    /// The columns of a matrix with this many columns.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if there are 0 columns.
    pub fn columns(columns: u64) -> Result<Groups> {
        Groups::of(Shape::Columns(columns), &[columns])
    }

    /// Tiles of `height` rows and `width` columns in a matrix with this many columns: block sparsity.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if one of the three is 0, or the width does not divide the columns.
    pub fn tiles(columns: u64, height: u64, width: u64) -> Result<Groups> {
        let shape = Shape::Tiles { columns, height, width };
        if width > 0 && !columns.is_multiple_of(width) {
            let groups = Groups(shape).to_string();
            return Err(Error::Groups { groups, expected: "divide the columns".into(), found: columns.to_string() });
        }
        Groups::of(shape, &[columns, height, width])
    }

    /// A list of indices for each group. Together the lists are 0, 1, 2, … in any order. They cover a tensor of exactly
    /// that many weights.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if a group is empty, an index is missing or occurs twice, or there are 2^32 indices or more.
    pub fn lists<L: AsRef<[u64]>>(lists: &[L]) -> Result<Groups> {
        let len: usize = lists.iter().map(|list| list.as_ref().len()).sum();
        let reject = |expected: String, found: String| {
            Err(Error::Groups { groups: format!("{} lists of indices", lists.len()), expected, found })
        };
        if u32::try_from(len).is_err() {
            return reject("have fewer than 2^32 indices".into(), len.to_string());
        }
        const NOBODY: u32 = u32::MAX;
        let mut group_of = vec![NOBODY; len];
        let (mut first, mut members) = (vec![0], Vec::with_capacity(len));
        for (group, list) in lists.iter().enumerate() {
            for &index in list.as_ref() {
                match usize::try_from(index).ok().and_then(|index| group_of.get_mut(index)) {
                    Some(of) if *of == NOBODY => *of = group as u32,
                    Some(_) => return reject("have every index once".into(), format!("{index} twice")),
                    None => {
                        return reject(
                            format!("have the indices below {len}, which is how many there are"),
                            index.to_string(),
                        );
                    }
                }
                members.push(index as u32);
            }
            let begin = *first.last().unwrap_or(&0) as usize;
            if begin == members.len() {
                return reject("have an index each".into(), format!("none in the list {group}"));
            }
            members[begin..].sort_unstable();
            first.push(members.len() as u32);
        }
        let group = |ends: &[u32]| {
            let members = members[ends[0] as usize..ends[1] as usize].iter().copied().map(u64::from);
            std::iter::once(u64::from(ends[1] - ends[0])).chain(members)
        };
        let head = [5, lists.len() as u64].into_iter();
        let hash = hash_of(head.chain(first.windows(2).flat_map(group)));
        Ok(Groups(Shape::Lists(Arc::new(Lists { first, members, group_of, hash }))))
    }

    fn of(shape: Shape, sides: &[u64]) -> Result<Groups> {
        let groups = Groups(shape);
        if sides.contains(&0) {
            let (groups, expected) = (groups.to_string(), "have weights".into());
            return Err(Error::Groups { groups, expected, found: "0".into() });
        }
        Ok(groups)
    }

    /// Rejects groups that are made for another matrix than this shape is. Also rejects runs that cross its rows, if
    /// runs must lie in rows.
    pub(crate) fn check_matrix(&self, shape: &[u64], runs_lie_in_rows: bool) -> Result<()> {
        let columns = match shape {
            [_, rest @ ..] if !rest.is_empty() => Some(rest.iter().fold(1, |n: u64, side| n.saturating_mul(*side))),
            _ => None,
        };
        let (expected, fits) = match (&self.0, columns) {
            (Shape::Rows(own) | Shape::Columns(own) | Shape::Tiles { columns: own, .. }, _) => {
                (format!("lie in a matrix of {own} columns"), columns == Some(*own))
            }
            (Shape::Runs(len), Some(columns)) if runs_lie_in_rows => {
                ("lie in rows".into(), columns.is_multiple_of(*len))
            }
            _ => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        let found = match columns {
            Some(columns) => format!("the tensor's shape {shape:?} has {columns}"),
            None => format!("the tensor's shape {shape:?} is no matrix"),
        };
        Err(Error::Groups { groups: self.to_string(), expected, found })
    }

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
            Some(lists) => lists.first.len() as u64 - 1,
            None => len / columns / height * across,
        };
        Ok(Geometry { columns, height, width, across, count, lists: lists.cloned() })
    }

    /// Tells these groups from others in serialized partials, up to collisions. The numbers here must never change,
    /// since partials are stored.
    pub(crate) fn hash(&self) -> u64 {
        match &self.0 {
            Shape::Whole => hash_of([0]),
            Shape::Runs(len) => hash_of([1, *len]),
            Shape::Rows(columns) => hash_of([2, *columns]),
            Shape::Columns(columns) => hash_of([3, *columns]),
            Shape::Tiles { columns, height, width } => hash_of([4, *columns, *height, *width]),
            // It is the hash of 5, the number of lists, then each list with its length before it.
            Shape::Lists(lists) => lists.hash,
        }
    }
}

impl std::fmt::Display for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Shape::Whole => write!(f, "a group of all"),
            Shape::Runs(len) => write!(f, "groups of runs of {len}"),
            Shape::Rows(columns) => write!(f, "groups of rows of {columns}"),
            Shape::Columns(columns) => write!(f, "groups of columns, {columns} of them,"),
            Shape::Tiles { columns, height, width } => {
                write!(f, "groups of tiles of {height}x{width} in {columns} columns")
            }
            Shape::Lists(lists) => write!(f, "{} lists of indices", lists.first.len() - 1),
        }
    }
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lists of {} indices", self.first.len() - 1, self.members.len())
    }
}

/// Groups of a tensor whose length is known: tiles of a matrix, or lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) columns: u64,
    pub(crate) height: u64,
    pub(crate) width: u64,
    /// How many groups lie side by side.
    pub(crate) across: u64,
    /// How many groups there are.
    pub(crate) count: u64,
    pub(crate) lists: Option<Arc<Lists>>,
}

impl Geometry {
    /// How many weights a group has.
    pub(crate) fn size(&self, group: u64) -> u64 {
        match &self.lists {
            Some(lists) => u64::from(lists.first[group as usize + 1] - lists.first[group as usize]),
            None => self.height * self.width,
        }
    }

    /// How many weights the largest group has.
    pub(crate) fn largest(&self) -> u64 {
        match &self.lists {
            Some(_) => (0..self.count).map(|group| self.size(group)).max().unwrap_or(0),
            None => self.height * self.width,
        }
    }

    /// How many weights there are.
    pub(crate) fn len(&self) -> u64 {
        self.lists.as_ref().map_or(self.count * self.height * self.width, |lists| lists.members.len() as u64)
    }

    /// Whether groups are consecutive runs of weights of the same length.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.lists.is_none() && (self.height == 1 || self.across == 1)
    }

    /// The index of a group's `member`th weight.
    pub(crate) fn index(&self, group: u64, member: u64) -> u64 {
        match &self.lists {
            Some(lists) => u64::from(lists.members[(u64::from(lists.first[group as usize]) + member) as usize]),
            None => {
                let row = group / self.across * self.height + member / self.width;
                row * self.columns + group % self.across * self.width + member % self.width
            }
        }
    }

    /// The group of the weight at an index, and how many weights from there on are in that group at least.
    pub(crate) fn at(&self, index: u64) -> (u64, u64) {
        match &self.lists {
            Some(lists) => (u64::from(lists.group_of[index as usize]), 1),
            None => {
                let (row, column) = (index / self.columns, index % self.columns);
                let group = row / self.height * self.across + column / self.width;
                let run = self.width - column % self.width;
                // If a tile is as wide as the matrix, the tile's next row follows at once.
                let rows = if self.across == 1 { self.height - 1 - row % self.height } else { 0 };
                (group, run + rows * self.width)
            }
        }
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

    #[test]
    fn what_is_no_groups_is_rejected() {
        for lists in [vec![vec![0, 1], vec![1]], vec![vec![0, 2]], vec![vec![0], vec![]], vec![vec![u64::MAX]]] {
            assert!(matches!(Groups::lists(&lists), Err(Error::Groups { .. })), "{lists:?}");
        }
        let sides = [Groups::tiles(5, 1, 2), Groups::tiles(4, 0, 2), Groups::tiles(4, 1, 0), Groups::tiles(0, 1, 1)];
        for groups in sides.into_iter().chain([Groups::runs(0), Groups::rows(0), Groups::columns(0)]) {
            assert!(matches!(groups, Err(Error::Groups { .. })), "{groups:?}");
        }
    }

    /// Hashes are part of serialized partials.
    #[test]
    fn hashes_stay_as_they_are() -> Result<()> {
        let all = [
            (Groups::whole(), 0xa8c7_f832_281a_39c5),
            (Groups::runs(4)?, 0xbd36_edcd_222d_23a0),
            (Groups::rows(4)?, 0xaa31_2f25_5b6c_6c63),
            (Groups::columns(4)?, 0x5b33_195d_4857_5422),
            (Groups::tiles(6, 2, 3)?, 0x600b_d7bd_16f2_8b86),
            (Groups::lists(&[[3, 0], [1, 2]])?, 0xc576_4864_a301_7022),
            (Groups::lists::<[u64; 0]>(&[])?, 0xfd29_b2d1_0195_eb20),
        ];
        let found: Vec<u64> = all.iter().map(|(groups, _)| groups.hash()).collect();
        assert_eq!(found, all.map(|(_, hash)| hash));
        // Each list is sorted, so the order of its indices does not matter. The order of the lists does.
        assert_eq!(Groups::lists(&[[0, 3], [2, 1]])?.hash(), Groups::lists(&[[3, 0], [1, 2]])?.hash());
        assert_ne!(Groups::lists(&[[1, 2], [0, 3]])?.hash(), Groups::lists(&[[3, 0], [1, 2]])?.hash());
        Ok(())
    }

    #[test]
    fn groups_are_of_the_matrix_that_a_shape_is() -> Result<()> {
        for groups in [Groups::rows(64)?, Groups::columns(64)?, Groups::tiles(64, 2, 4)?] {
            for shape in [&[32, 64][..], &[2, 8, 8], &[4, 1, 64, 1]] {
                assert_eq!(groups.check_matrix(shape, false), Ok(()), "{groups} {shape:?}");
            }
            for shape in [&[64, 32][..], &[64], &[], &[8, 8, 2], &[2, 128], &[2, u64::MAX, u64::MAX]] {
                let error = groups.check_matrix(shape, false).expect_err("it is another matrix").to_string();
                assert!(error.contains("a matrix of 64 columns") && error.contains(&format!("{shape:?}")), "{error}");
            }
        }
        // These fit any shape. Runs fit any shape only if they may cross rows.
        let runs = Groups::runs(4)?;
        for groups in [Groups::whole(), runs.clone(), Groups::lists(&[[0, 1], [2, 3]])?] {
            assert_eq!(groups.check_matrix(&[6, 6], false), Ok(()), "{groups}");
        }
        for (shape, fits) in
            [(&[6, 6][..], false), (&[6, 8], true), (&[8, 2, 3], false), (&[3, 2, 2], true), (&[8], true)]
        {
            assert_eq!(runs.check_matrix(shape, true).is_ok(), fits, "{shape:?}");
        }
        Ok(())
    }
}
