//! Does a budget drop the groups that a sort by their norms drops?

use std::ops::RangeInclusive;

use penalty::{Budget, Cpu, Error, GroupSearch, Groups, HostSet, Parameter, Penalty};

use crate::common::cases::noise;

/// Prunes matrices of four columns by rows; the last tensor has no groups.
fn prune(budget: &Budget, tensors: &mut [Vec<f32>]) -> penalty::Result<penalty::Reports> {
    let last = tensors.len() - 1;
    let rows = Penalty::group_lasso(0.5, Groups::rows(4)?)?;
    let penalty = |i| if i == last { Penalty::none() } else { rows.clone() };
    let parameters = (0..=last).map(|i| Parameter::new(format!("tensor {i}"), penalty(i))).collect();
    let mut slices: Vec<_> = tensors.iter_mut().map(|tensor| (&mut tensor[..]).into()).collect();
    HostSet::new(Cpu::new(), parameters).prune_groups_in_place(budget, &mut slices)
}

/// Integers, so that sums of their squares are exact and many norms tie.
fn tensors() -> Vec<Vec<f32>> {
    let lens = [80, 0, 400, 12, 40];
    (0..).zip(lens).map(|(i, len)| noise(len, i).iter().map(|x| (x * 3.0).round()).collect()).collect()
}

/// The tensor and the row of each group, in the order of their norms.
fn order(tensors: &[Vec<f32>]) -> Vec<(usize, usize)> {
    let grouped = &tensors[..tensors.len() - 1];
    let rows = grouped.iter().enumerate().flat_map(|(i, tensor)| (0..tensor.len() / 4).map(move |row| (i, row)));
    let mut rows: Vec<(usize, usize)> = rows.collect();
    let squared =
        |&(i, row): &(usize, usize)| tensors[i][4 * row..4 * row + 4].iter().map(|x| (x * x) as u32).sum::<u32>();
    rows.sort_by_key(squared);
    rows
}

fn clear(tensors: &mut [Vec<f32>], (i, row): (usize, usize)) {
    tensors[i][4 * row..4 * row + 4].fill(0.0);
}

#[test]
fn a_budget_drops_the_groups_that_a_sort_does() {
    for fraction in [0.0, 0.01, 0.3, 0.5, 0.77, 1.0] {
        let (mut got, mut want) = (tensors(), tensors());
        let pruned = (fraction * 492.0f64).floor() as usize;
        for row in order(&want).into_iter().take(pruned / 4) {
            clear(&mut want, row);
        }
        let reports = prune(&Budget::prune(fraction).expect("it is a fraction"), &mut got).expect("it is valid");
        assert_eq!(got, want, "{fraction}");
        let zeros = want.iter().flatten().filter(|x| **x == 0.0).count() as u64;
        assert_eq!(reports.total.zeros(), zeros);
    }
}

#[test]
fn bounds_of_tensors_are_kept_in_whole_groups() {
    let bounds: Vec<RangeInclusive<f64>> = vec![0.0..=0.3, 0.0..=1.0, 0.0..=1.0, 0.7..=1.0, 0.0..=1.0];
    let budget = Budget::prune(0.5).and_then(|budget| budget.within(bounds)).expect("they are bounds");
    let (mut got, mut want) = (tensors(), tensors());
    // Of 492 weights, 246, so 61 rows: of 20 at most 6, of 3 at least 2.
    let order = order(&want);
    let first: Vec<_> = order.iter().copied().filter(|(i, _)| *i == 3).take(2).collect();
    let (mut left, mut of_first) = (61 - first.len(), 0);
    first.iter().for_each(|row| clear(&mut want, *row));
    for row in order.into_iter().filter(|row| !first.contains(row)) {
        if left == 0 || (row.0 == 0 && of_first == 6) {
            continue;
        }
        of_first += usize::from(row.0 == 0);
        left -= 1;
        clear(&mut want, row);
    }
    prune(&budget, &mut got).expect("it is valid");
    assert_eq!(got, want);
}

#[test]
fn groups_of_other_sizes_are_compared_by_their_mean() {
    let lists = Groups::lists(&[vec![0, 1, 2, 3], vec![4], vec![5, 6]]).expect("they are groups");
    let set =
        HostSet::new(Cpu::new(), vec![Parameter::new("w", Penalty::group_lasso(1.0, lists).expect("it is valid"))]);
    // Mean squares of 1, 2.25 and 0.5; a NaN in a group puts it last.
    let before = [1.0f32, -1.0, 1.0, 1.0, 1.5, 1.0, 0.0];
    let left = |kept, before: [f32; 7]| {
        let mut weights = before;
        set.prune_groups_in_place(&Budget::keep(kept), &mut [(&mut weights[..]).into()]).expect("it is valid");
        weights.map(f32::to_bits)
    };
    let bits = |weights: [f32; 7]| weights.map(f32::to_bits);
    assert_eq!(left(5, before), bits([1.0, -1.0, 1.0, 1.0, 1.5, 0.0, 0.0]));
    assert_eq!(left(2, before), bits([1.0, -1.0, 1.0, 1.0, 1.5, 0.0, 0.0]), "the next group does not fit");
    assert_eq!(left(1, before), bits([0.0, 0.0, 0.0, 0.0, 1.5, 0.0, 0.0]));
    assert_eq!(left(0, before), bits([0.0; 7]));
    let nan = [f32::NAN, -1.0, 1.0, 1.0, f32::INFINITY, 1.0, 0.0];
    assert_eq!(left(4, nan), bits([f32::NAN, -1.0, 1.0, 1.0, 0.0, 0.0, 0.0]));
}

#[test]
fn what_does_not_fit_is_rejected_before_anything_changes() {
    let mut tensors = vec![vec![1.0f32; 6], vec![1.0]];
    let error = prune(&Budget::keep(0), &mut tensors).expect_err("rows of 4 do not cover 6");
    assert!(matches!(error, Error::InParameter { .. }), "{error}");
    assert_eq!(tensors, [vec![1.0; 6], vec![1.0]]);
}

/// Prunes a matrix of 12 rows and 24 columns in chunks.
fn prune_in_chunks(groups: &Groups, budget: &Budget, weights: &mut [f32], len: usize) -> penalty::Result<u64> {
    let mut search = GroupSearch::new(&[(weights.len() as u64, Some(groups))])?;
    weights.chunks(len).try_for_each(|chunk| search.add(0, chunk.into()))?;
    search.find(budget)?;
    weights.chunks_mut(len).try_for_each(|chunk| search.prune(0, chunk.into()))?;
    search.pruned(0)
}

#[test]
fn chunks_drop_the_groups_that_whole_tensors_do() {
    let lists: Vec<Vec<u64>> = (0..9).map(|list| (0..288).filter(|i| i * i % 97 % 9 == list).collect()).collect();
    let shapes = [
        Groups::whole(),
        Groups::rows(24).expect("they are groups"),
        Groups::columns(24).expect("they are groups"),
        Groups::runs(6).expect("they are groups"),
        Groups::tiles(24, 4, 3).expect("they are groups"),
        Groups::tiles(24, 12, 8).expect("they are groups"),
        Groups::tiles(24, 3, 24).expect("they are groups"),
        Groups::tiles(24, 2, 1).expect("they are groups"),
        Groups::lists(&lists).expect("they are groups"),
    ];
    for groups in shapes {
        let before = noise(288, 9);
        let budget = Budget::prune(0.6).expect("it is a fraction");
        let penalty = Penalty::group_lasso(1.0, groups.clone()).expect("it is valid");
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", penalty)]);
        let mut want = before.clone();
        set.prune_groups_in_place(&budget, &mut [(&mut want[..]).into()]).expect("it is valid");
        for len in [1, 5, 24, 50, 96, 287, 288] {
            let mut got = before.clone();
            let pruned = prune_in_chunks(&groups, &budget, &mut got, len).expect("it is valid");
            assert_eq!(got, want, "{groups} in chunks of {len}");
            assert_eq!(pruned == 0, got == before, "{groups}");
        }
    }
}

#[test]
fn sums_of_groups_are_those_of_a_loop_over_their_weights() {
    // Norms that differ in the last bit of a sum only, if it is taken in another order.
    let mut weights: Vec<f32> = (0..8 * 1000).map(|i| 1.0 + (i % 1000 * 7919 % 1000) as f32 / 512.0).collect();
    let mut small: f64 = f64::INFINITY;
    let mut dropped = 0;
    for column in 0..8 {
        weights[(column * 131) % 1000 * 8 + column] += 1e-3;
        let sum = (0..1000).fold(0.0, |sum, row| sum + f64::from(weights[row * 8 + column]).powi(2));
        if sum < small {
            (small, dropped) = (sum, column);
        }
    }
    let columns = Groups::columns(8).expect("they are groups");
    for len in [3, 1000, 8000] {
        let mut got = weights.clone();
        prune_in_chunks(&columns, &Budget::keep(7000), &mut got, len).expect("it is valid");
        let zero: Vec<usize> = (0..8).filter(|column| (0..1000).all(|row| got[row * 8 + column] == 0.0)).collect();
        assert_eq!(zero, [dropped], "in chunks of {len}");
    }
}
