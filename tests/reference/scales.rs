//! Are group projections and gradients right if numbers have very different scales? Checked with every instruction set.

use crate::common::backends::every_cpu;
use crate::common::ranges;

#[test]
fn projections_are_exact_at_every_ratio() {
    every_cpu().iter().for_each(ranges::projections_are_exact_at_every_ratio);
}

#[test]
fn reported_projections_are_right() {
    every_cpu().iter().for_each(ranges::reported_projections_are_right);
}

#[test]
fn norm_gradients_are_right_at_every_scale() {
    every_cpu().iter().for_each(ranges::norm_gradients_are_right_at_every_scale);
}
