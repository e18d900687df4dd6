//! Where a tensor may be cut into parts that are held apart.

use super::Penalty;
use crate::Result;
use crate::numeric::tile::TILE;

impl Penalty {
    /// Ranks or chunks may hold parts of a tensor of this length that start at multiples of this number, and what they
    /// find merges to the bits of the whole: the [tile](crate::exact::TILE), or the least common multiple of it and of
    /// the penalty's groups, if these are consecutive runs. If they are not, only the whole tensor is such a part, and the
    /// number is not below the length. A group that is the whole tensor may be cut anywhere: see
    /// [`HostSet::across`](crate::HostSet::across).
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// assert_eq!(Penalty::l1(1.0)?.parts_start_at(100_000)?, 4096);
    /// assert_eq!(Penalty::group_lasso(1.0, Groups::rows(6)?)?.parts_start_at(60_000)?, 3 * 4096);
    /// assert!(Penalty::group_lasso(1.0, Groups::columns(6)?)?.parts_start_at(60_000)? >= 60_000);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`check_len`](Penalty::check_len).
    pub fn parts_start_at(&self, len: u64) -> Result<u64> {
        let tile = TILE as u64;
        let Some(geometry) = self.geometry(len)? else { return Ok(tile) };
        if !geometry.is_contiguous() {
            return Ok(len.max(1).next_multiple_of(tile));
        }
        if geometry.count <= 1 {
            return Ok(tile);
        }
        let (mut a, mut b) = (tile, geometry.largest());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Ok(geometry.largest().saturating_mul(tile / a))
    }
}
