//! What the constraints share.

use crate::formula::Parameters;
use crate::numeric::element::Dtype;

/// The factors of a value that is 0 inside the set and ∞ outside.
pub(super) const FACTORS: [f64; 3] = [0.0, 0.0, f64::INFINITY];

/// A radius, and the number of significand bits that this type lacks compared with `f32`: a projection rounds by as many
/// toward 0 where its result must stay inside.
pub(super) fn radius_on([radius, _]: Parameters, dtype: Dtype) -> Parameters {
    [radius, dtype.lost_bits().into()]
}
