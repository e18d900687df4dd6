//! A design as solvers see it: centred and scaled columns, dense ones as a copy and sparse ones by formulas.

mod gram;

use rayon::prelude::*;

use crate::kernel::{add_scaled, dot};
use crate::matrix::{Data, Matrix};

/// Columns x̃ = (x − m)/s.
pub(crate) struct Design {
    rows: usize,
    cols: usize,
    store: Store,
    /// m: the weighted means, or 0 without an intercept.
    pub(crate) means: Vec<f64>,
    /// s: 1 if columns are not standardized.
    pub(crate) scales: Vec<f64>,
    /// Σ v x̃²/n: 0 marks a column that cannot have a coefficient.
    pub(crate) squares: Vec<f64>,
}

enum Store {
    /// The columns x̃.
    Dense(Vec<f64>),
    /// The columns x.
    Sparse(Columns),
}

/// Compressed columns.
struct Columns {
    starts: Vec<usize>,
    rows: Vec<u32>,
    values: Vec<f64>,
}

impl Columns {
    fn of(&self, column: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.starts[column]..self.starts[column + 1];
        self.rows[range.clone()].iter().map(|row| *row as usize).zip(self.values[range].iter().copied())
    }
}

impl Design {
    /// All rows of a matrix, or these, with sample weights whose sum is the number of rows. `given` are the scales to
    /// use in place of those of the rows.
    pub(crate) fn new(
        matrix: &Matrix<'_>,
        picked: Option<&[usize]>,
        weights: Option<&[f64]>,
        centre: bool,
        scale: bool,
        given: Option<&[f64]>,
    ) -> Design {
        let (rows, cols) = (picked.map_or(matrix.rows(), <[usize]>::len), matrix.cols());
        let n = rows as f64;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let mut design = Design {
            rows,
            cols,
            store: Store::Dense(Vec::new()),
            means: vec![0.0; cols],
            scales: vec![1.0; cols],
            squares: vec![0.0; cols],
        };
        match matrix.data {
            Data::Dense(values) => {
                let mut copy = vec![0.0; rows * cols];
                let numbers = (&mut design.means, &mut design.scales, &mut design.squares);
                let columns = copy.par_chunks_mut(rows.max(1)).zip(values.par_chunks(matrix.rows()));
                let numbers = numbers.0.par_iter_mut().zip(numbers.1).zip(numbers.2);
                columns.zip(numbers).enumerate().for_each(|(column, ((x, from), ((m, s), square)))| {
                    match picked {
                        None => x.copy_from_slice(from),
                        Some(picked) => x.iter_mut().zip(picked).for_each(|(x, row)| *x = from[*row]),
                    }
                    let squares = |x: &[f64]| match weights {
                        None => dot(x, x) / n,
                        Some(weights) => x.iter().zip(weights).map(|(x, w)| w * x * x).sum::<f64>() / n,
                    };
                    if centre {
                        *m = match weights {
                            None => x.iter().sum::<f64>() / n,
                            Some(weights) => dot(x, weights) / n,
                        };
                        if x.iter().all(|other| *other == x[0]) {
                            return x.fill(0.0);
                        }
                        x.iter_mut().for_each(|x| *x -= *m);
                    }
                    let own = squares(x).sqrt();
                    if scale {
                        *s = given.map_or(own, |given| given[column]);
                        *s = if *s > 0.0 { *s } else { 1.0 };
                        let inverse = 1.0 / *s;
                        x.iter_mut().for_each(|x| *x *= inverse);
                    }
                    *square = squares(x);
                });
                design.store = Store::Dense(copy);
            }
            Data::Sparse { starts, rows: of, values } => {
                // Where each of the matrix's rows is among the picked ones.
                let places = picked.map(|picked| {
                    let mut places = vec![u32::MAX; matrix.rows()];
                    (0..).zip(picked).for_each(|(place, row)| places[*row] = place);
                    places
                });
                let mut columns = Columns { starts: vec![0], rows: Vec::new(), values: Vec::new() };
                for column in 0..cols {
                    for at in starts[column]..starts[column + 1] {
                        let place = places.as_ref().map_or(of[at] as u32, |places| places[of[at]]);
                        if place != u32::MAX {
                            columns.rows.push(place);
                            columns.values.push(values[at]);
                        }
                    }
                    columns.starts.push(columns.values.len());
                    let x = || columns.of(column);
                    let first = x().next().map_or(0.0, |(_, x)| x);
                    let full = columns.starts[column + 1] - columns.starts[column] == rows;
                    if x().all(|(_, x)| x == if full { first } else { 0.0 }) && (centre || first == 0.0 || !full) {
                        design.means[column] = if centre && full { first } else { 0.0 };
                        continue;
                    }
                    let mean = if centre { x().map(|(row, x)| weight(row) * x).sum::<f64>() / n } else { 0.0 };
                    // The rows without a number are each −m away from the mean.
                    let (inside, apart) = x().fold((0.0, 0.0), |(inside, apart), (row, x)| {
                        (inside + weight(row), apart + weight(row) * (x - mean) * (x - mean))
                    });
                    let square = (apart + (n - inside).max(0.0) * mean * mean) / n;
                    design.means[column] = mean;
                    if scale {
                        let s = given.map_or(square.sqrt(), |given| given[column]);
                        design.scales[column] = if s > 0.0 { s } else { 1.0 };
                    }
                    design.squares[column] = square / (design.scales[column] * design.scales[column]);
                }
                design.store = Store::Sparse(columns);
            }
        }
        design
    }

    /// Some rows of a dense design, as they are centred and scaled here.
    pub(crate) fn picked(&self, picked: &[usize]) -> Design {
        let x: &[f64] = if let Store::Dense(x) = &self.store { x } else { &[] };
        let mut copy = vec![0.0; picked.len() * self.cols];
        copy.par_chunks_mut(picked.len().max(1)).zip(x.par_chunks(self.rows)).for_each(|(out, x)| {
            out.iter_mut().zip(picked).for_each(|(out, row)| *out = x[*row]);
        });
        let [means, scales, squares] = [&self.means, &self.scales, &self.squares].map(Vec::clone);
        Design { rows: picked.len(), cols: self.cols, store: Store::Dense(copy), means, scales, squares }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn is_dense(&self) -> bool {
        matches!(self.store, Store::Dense(_))
    }

    /// x̃ⱼ'u, where u sums to `sum`.
    pub(crate) fn dot(&self, column: usize, u: &[f64], sum: f64) -> f64 {
        match &self.store {
            Store::Dense(x) => dot(&x[column * self.rows..(column + 1) * self.rows], u),
            Store::Sparse(columns) => {
                let product: f64 = columns.of(column).map(|(row, x)| x * u[row]).sum();
                (product - self.means[column] * sum) / self.scales[column]
            }
        }
    }

    /// x̃ⱼ'u/n of every column, on the pool. Each is one thread's, so its bits do not depend on how many there are.
    pub(crate) fn correlations(&self, u: &[f64], out: &mut [f64]) {
        let (sum, n) = (u.iter().sum(), self.rows as f64);
        // Small tasks cost more than they save.
        let least = (1 << 15) / self.rows.max(1) + 1;
        out.par_iter_mut().with_min_len(least).enumerate().for_each(|(column, out)| {
            *out = if self.squares[column] > 0.0 { self.dot(column, u, sum) / n } else { 0.0 };
        });
    }

    /// Adds Σ aⱼx̃ⱼ to `out`. Dense columns are added on the pool, a few rows at a time: so `out` stays in the cache, and
    /// each number's sum has the order of the columns.
    pub(crate) fn add_columns(&self, columns: impl Iterator<Item = (usize, f64)>, out: &mut [f64]) {
        const ROWS: usize = 2048;
        let columns = columns.filter(|(_, a)| *a != 0.0);
        match &self.store {
            Store::Dense(x) => {
                let column = |(column, a)| (a, &x[column * self.rows..(column + 1) * self.rows]);
                let columns: Vec<(f64, &[f64])> = columns.map(column).collect();
                out.par_chunks_mut(ROWS).enumerate().for_each(|(block, out)| {
                    for (a, x) in &columns {
                        add_scaled(*a, &x[block * ROWS..block * ROWS + out.len()], out);
                    }
                });
            }
            Store::Sparse(of) => {
                let mut constant = 0.0;
                for (column, a) in columns {
                    let a = a / self.scales[column];
                    of.of(column).for_each(|(row, x)| out[row] += a * x);
                    constant -= a * self.means[column];
                }
                if constant != 0.0 {
                    out.iter_mut().for_each(|out| *out += constant);
                }
            }
        }
    }

    /// Coefficients w of x̃, with the intercept b, as those of x.
    pub(crate) fn raw(&self, w: &[f64], intercept: f64) -> (Vec<f64>, f64) {
        let raw: Vec<f64> = w.iter().zip(&self.scales).map(|(w, s)| w / s).collect();
        let shift: f64 = raw.iter().zip(&self.means).map(|(w, m)| w * m).sum();
        (raw, intercept - shift)
    }
}
