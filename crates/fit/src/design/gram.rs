//! Products of columns, X̃'HX̃/n: what coordinate descent needs to forget the rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::{Design, Store};

/// Columns in a task of a product. The bits do not depend on how many threads there are.
const BLOCK: usize = 128;
/// Columns in a task of a product with few others.
const PART: usize = 64;
/// So many rows of a few columns stay in the cache.
const ROWS: usize = 512;

impl Design {
    /// The products of these columns with every column: one vector for each.
    pub(crate) fn gram_with_all(&self, columns: &[usize], h: Option<&[f64]>) -> Vec<Vec<f64>> {
        match &self.store {
            Store::Dense(x) => {
                let packed = self.packed(columns, h);
                let mut out: Vec<Vec<f64>> = columns.iter().map(|_| vec![0.0; self.cols]).collect();
                let blocks: Vec<Vec<f64>> = x.par_chunks(BLOCK * self.rows).map(|x| self.product(x, &packed)).collect();
                for (block, of) in blocks.iter().enumerate() {
                    let high = of.len() / columns.len();
                    for (k, out) in out.iter_mut().enumerate() {
                        out[block * BLOCK..block * BLOCK + high].copy_from_slice(&of[k * high..(k + 1) * high]);
                    }
                }
                out
            }
            Store::Sparse(_) => {
                let all: Vec<usize> = (0..self.cols).collect();
                columns.par_iter().map(|column| self.sparse_products(*column, &all, h)).collect()
            }
        }
    }

    /// The products of `columns` with `others`: for each of the columns, a vector with one number for each of the others.
    pub(crate) fn gram_with(&self, columns: &[usize], others: &[usize], h: Option<&[f64]>) -> Vec<Vec<f64>> {
        if columns.is_empty() {
            return Vec::new();
        }
        match &self.store {
            Store::Dense(x) => {
                let parts: Vec<Vec<f64>> =
                    others.par_chunks(PART).map(|part| self.picked_product(x, part, columns, h)).collect();
                let of = |k: usize| {
                    parts.iter().flat_map(move |part| {
                        let high = part.len() / columns.len();
                        part[k * high..(k + 1) * high].iter().copied()
                    })
                };
                (0..columns.len()).map(|k| of(k).collect()).collect()
            }
            Store::Sparse(_) => columns.par_iter().map(|column| self.sparse_products(*column, others, h)).collect(),
        }
    }

    /// The products of columns with each other, column by column.
    pub(crate) fn gram(&self, columns: &[usize], h: Option<&[f64]>) -> Vec<f64> {
        let m = columns.len();
        let mut out = vec![0.0; m * m];
        match &self.store {
            Store::Dense(_) => {
                let plain = self.packed(columns, None);
                let weighed = h.map(|h| self.packed(columns, Some(h)));
                let weighed = weighed.as_ref().unwrap_or(&plain);
                // Smaller blocks share the work evenly, since half of the product is enough.
                let side = if m <= 4 * BLOCK { BLOCK / 2 } else { BLOCK };
                let count = m.div_ceil(side);
                let pairs: Vec<(usize, usize)> = (0..count).flat_map(|b| (0..=b).map(move |a| (a, b))).collect();
                let range = |block: usize| block * side * self.rows..((block + 1) * side).min(m) * self.rows;
                let blocks: Vec<Vec<f64>> =
                    pairs.par_iter().map(|(a, b)| self.product(&plain[range(*a)], &weighed[range(*b)])).collect();
                for ((a, b), block) in pairs.into_iter().zip(blocks) {
                    let high = side.min(m - a * side);
                    for (at, value) in block.into_iter().enumerate() {
                        let (row, column) = (a * side + at % high, b * side + at / high);
                        out[column * m + row] = value;
                        out[row * m + column] = value;
                    }
                }
            }
            Store::Sparse(_) => {
                out.par_chunks_mut(m.max(1)).zip(columns).for_each(|(out, column)| {
                    out.copy_from_slice(&self.sparse_products(*column, columns, h));
                });
            }
        }
        out
    }

    /// Σ hᵢx̃ᵢⱼ/n of columns.
    pub(crate) fn weighted_means(&self, columns: &[usize], h: &[f64]) -> Vec<f64> {
        let (sum, n) = (h.iter().sum(), self.rows as f64);
        columns.par_iter().map(|column| self.dot(*column, h, sum) / n).collect()
    }

    /// A'B/n of consecutive columns.
    fn product(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let (high, wide) = (a.len() / self.rows, b.len() / self.rows);
        let mut out = vec![0.0; high * wide];
        matmul(
            MatMut::from_column_major_slice_mut(&mut out, high, wide),
            Accum::Replace,
            MatRef::from_column_major_slice(a, self.rows, high).transpose(),
            MatRef::from_column_major_slice(b, self.rows, wide),
            1.0 / self.rows as f64,
            Par::Seq,
        );
        out
    }

    /// A'HB/n of some columns of a dense design, packed a few rows at a time.
    fn picked_product(&self, x: &[f64], a: &[usize], b: &[usize], h: Option<&[f64]>) -> Vec<f64> {
        let mut out = vec![0.0; a.len() * b.len()];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for start in (0..self.rows).step_by(ROWS) {
            let end = (start + ROWS).min(self.rows);
            left.clear();
            right.clear();
            for column in a {
                left.extend_from_slice(&x[column * self.rows + start..column * self.rows + end]);
            }
            for column in b {
                let x = &x[column * self.rows + start..column * self.rows + end];
                match h {
                    None => right.extend_from_slice(x),
                    Some(h) => right.extend(x.iter().zip(&h[start..end]).map(|(x, h)| x * h)),
                }
            }
            matmul(
                MatMut::from_column_major_slice_mut(&mut out, a.len(), b.len()),
                Accum::Add,
                MatRef::from_column_major_slice(&left, end - start, a.len()).transpose(),
                MatRef::from_column_major_slice(&right, end - start, b.len()),
                1.0 / self.rows as f64,
                Par::Seq,
            );
        }
        out
    }

    /// Copies of dense columns, times h.
    fn packed(&self, columns: &[usize], h: Option<&[f64]>) -> Vec<f64> {
        let Store::Dense(x) = &self.store else { return Vec::new() };
        let mut packed = vec![0.0; columns.len() * self.rows];
        packed.par_chunks_mut(self.rows).zip(columns).for_each(|(out, column)| {
            let x = &x[column * self.rows..(column + 1) * self.rows];
            match h {
                None => out.copy_from_slice(x),
                Some(h) => out.iter_mut().zip(x).zip(h).for_each(|((out, x), h)| *out = x * h),
            }
        });
        packed
    }

    /// The products of a sparse column with others.
    fn sparse_products(&self, column: usize, others: &[usize], h: Option<&[f64]>) -> Vec<f64> {
        let Store::Sparse(columns) = &self.store else { return Vec::new() };
        let (n, weight) = (self.rows as f64, |row: usize| h.map_or(1.0, |h| h[row]));
        let total = h.map_or(n, |h| h.iter().sum());
        let mut spread = vec![0.0; self.rows];
        columns.of(column).for_each(|(row, x)| spread[row] = x * weight(row));
        let (m, s, sum) = (self.means[column], self.scales[column], spread.iter().sum::<f64>());
        let product = |other: &usize| {
            let (mut product, mut of_other) = (0.0, 0.0);
            for (row, x) in columns.of(*other) {
                product += x * spread[row];
                of_other += x * weight(row);
            }
            let (other_m, other_s) = (self.means[*other], self.scales[*other]);
            (product - m * of_other - other_m * sum + m * other_m * total) / (n * s * other_s)
        };
        others.iter().map(product).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{PART, ROWS};
    use crate::design::Design;
    use crate::matrix::Matrix;

    /// Designs and weights at the boundaries of blocks of rows.
    fn at_boundaries(cols: usize, check: impl Fn(&Design, &[f64], &[f64])) {
        for rows in [1, 2, ROWS - 1, ROWS, ROWS + 1, 2048, 2049] {
            let x: Vec<f64> = (0..rows * cols).map(|i| (i * i % 101) as f64 / 50.0 - 1.0).collect();
            let h: Vec<f64> = (0..rows).map(|row| 0.1 + (row % 7) as f64).collect();
            let matrix = Matrix::dense(rows, cols, &x).expect("the shape fits");
            check(&Design::new(&matrix, None, None, false, false, None), &x, &h);
        }
    }

    #[test]
    fn products_are_those_of_a_plain_loop() {
        let cols = 2 * PART + 2;
        at_boundaries(cols, |design, x, h| {
            let rows = design.rows();
            for (few, many) in [(1, 1), (2, PART - 1), (3, PART), (3, PART + 1), (17, 2 * PART + 1)] {
                let columns: Vec<usize> = (0..few).map(|k| cols - 1 - 2 * k).collect();
                let others: Vec<usize> = (0..many).rev().collect();
                for h in [None, Some(h)] {
                    let products = design.gram_with(&columns, &others, h);
                    for (a, products) in columns.iter().zip(&products) {
                        assert_eq!(products.len(), many);
                        for (b, found) in others.iter().zip(products) {
                            let of = |row: usize| x[a * rows + row] * x[b * rows + row] * h.map_or(1.0, |h| h[row]);
                            let want = (0..rows).map(of).sum::<f64>() / rows as f64;
                            assert!((found - want).abs() < 1e-12, "{rows} rows: {found}, {want}");
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn sums_of_columns_have_the_bits_of_a_plain_loop() {
        at_boundaries(5, |design, x, start| {
            let (rows, mut found, mut want) = (design.rows(), start.to_vec(), start.to_vec());
            let factors = [0.3, 0.0, -1.7, 1e-9, 2.0];
            design.add_columns(factors.iter().copied().enumerate(), &mut found);
            for (column, a) in factors.iter().enumerate() {
                (0..rows).for_each(|row| want[row] += a * x[column * rows + row]);
            }
            assert_eq!(found, want);
        });
    }
}
