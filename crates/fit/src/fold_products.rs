//! Products of columns over the training rows of each fold: those of all rows less those of the fold.

use rayon::prelude::*;

use crate::design::Design;
use crate::folds::Folds;
use crate::products::Products;
use crate::sample::Sample;

/// Products of more features would fill gigabytes.
const MOST: usize = 2500;
/// The folds' products have at most this many numbers: 1 GB.
const NUMBERS: usize = 1 << 27;

/// For each fold, its rows' products and sums of the columns of a sample.
pub(crate) struct FoldProducts<'a> {
    sample: &'a Sample,
    folds: Vec<Part>,
}

struct Part {
    rows: f64,
    /// Σ x̃x̃' over its rows, column by column.
    products: Vec<f64>,
    sums: Vec<f64>,
}

impl<'a> FoldProducts<'a> {
    /// The products; `None` where it is better to work out those that each fold needs.
    pub(crate) fn new(sample: &'a Sample, folds: &Folds) -> Option<FoldProducts<'a>> {
        let (n, p) = (sample.rows(), sample.design.cols());
        if !sample.design.is_dense()
            || sample.weights.is_some()
            || p > MOST
            || folds.count().saturating_mul(p * p) > NUMBERS
            || n < p
        {
            return None;
        }
        let all: Vec<usize> = (0..p).collect();
        let part = |fold: usize| {
            let design = sample.design.picked(&folds.fold(fold).test);
            let (rows, ones) = (design.rows() as f64, vec![1.0; design.rows()]);
            let mut products = design.gram(&all, None);
            products.iter_mut().for_each(|x| *x *= rows);
            let sums = design.weighted_means(&all, &ones).into_iter().map(|mean| mean * rows).collect();
            Part { rows, products, sums }
        };
        let folds = (0..folds.count()).map(part).collect();
        Some(FoldProducts { sample, folds })
    }

    /// The products of the rows outside of a fold, whose columns are centred and scaled as in `design`.
    pub(crate) fn without(&self, fold: usize, design: &Design) -> Products {
        let p = design.cols();
        let others = || self.folds.iter().enumerate().filter(move |(other, _)| *other != fold).map(|(_, part)| part);
        let rows: f64 = others().map(|part| part.rows).sum();
        let mean =
            |j: usize| if self.sample.intercept { others().map(|part| part.sums[j]).sum::<f64>() / rows } else { 0.0 };
        let means: Vec<f64> = (0..p).map(mean).collect();
        // Columns of the sample are scaled by all rows. A column that is constant here has no products.
        let ratio =
            |j: usize| if design.squares[j] > 0.0 { self.sample.design.scales[j] / design.scales[j] } else { 0.0 };
        let ratios: Vec<f64> = (0..p).map(ratio).collect();
        let mut gram = vec![0.0; p * p];
        gram.par_chunks_mut(p).enumerate().for_each(|(k, column)| {
            others().for_each(|part| {
                let of = &part.products[k * p..(k + 1) * p];
                column.iter_mut().zip(of).for_each(|(out, x)| *out += x);
            });
            for (j, out) in column.iter_mut().enumerate() {
                *out = (*out / rows - means[j] * means[k]) * ratios[j] * ratios[k];
            }
        });
        Products::complete(p, &gram)
    }
}
