//! Do results match the golden cases, with every instruction set?

use crate::common::backends::every_cpu;
use crate::common::golden;

#[test]
fn golden_cases_come_out() {
    every_cpu().iter().for_each(golden::cases_come_out);
}

#[test]
fn golden_vectors_come_out() {
    every_cpu().iter().for_each(golden::vectors_come_out);
}

#[test]
fn golden_weighted_cases_come_out() {
    every_cpu().iter().for_each(golden::weighted_cases_come_out);
}
