//! The products of columns that a fit has needed so far, X̃'VX̃/n.

use rayon::prelude::*;

use crate::design::Design;

/// Products that are kept, since the next λ needs them too.
pub(crate) struct Products {
    /// Whether a column is kept with all others, or only with those kept before it.
    with_all: bool,
    /// The place of each feature's column, if it is kept.
    place: Vec<u32>,
    kept: Vec<usize>,
    columns: Vec<Vec<f64>>,
}

const NOWHERE: u32 = u32::MAX;
/// With at most this many features, and no fewer rows, columns are kept with all others.
const MOST: usize = 6000;
/// Columns that are kept at most, if they are not kept with all others.
const MOST_KEPT: usize = 6000;

impl Products {
    pub(crate) fn new(design: &Design) -> Products {
        let p = design.cols();
        let with_all = p <= 64 || (p <= MOST && design.rows() >= p && design.is_dense());
        Products { with_all, place: vec![NOWHERE; p], kept: Vec::new(), columns: Vec::new() }
    }

    /// Products of kept columns only.
    pub(crate) fn of_kept(design: &Design) -> Products {
        Products { with_all: false, place: vec![NOWHERE; design.cols()], kept: Vec::new(), columns: Vec::new() }
    }

    /// All products of a design with these many features, column by column.
    pub(crate) fn complete(p: usize, gram: &[f64]) -> Products {
        let columns = gram.chunks(p).map(<[f64]>::to_vec).collect();
        Products { with_all: true, place: (0..p as u32).collect(), kept: (0..p).collect(), columns }
    }

    /// Whether the products of these features with all others are there.
    pub(crate) fn knows_all(&self, features: &[usize]) -> bool {
        self.with_all && features.iter().all(|j| self.place[*j] != NOWHERE)
    }

    /// The products of a feature with all others, which [`knows_all`](Products::knows_all) has said to be there.
    pub(crate) fn with_all(&self, feature: usize) -> &[f64] {
        &self.columns[self.place[feature] as usize]
    }

    /// The columns of all features, if they are there.
    pub(crate) fn whole(&self) -> Option<Vec<&[f64]>> {
        let complete = self.with_all && self.kept.len() == self.place.len();
        complete.then(|| self.place.iter().map(|place| &self.columns[*place as usize][..]).collect())
    }

    /// Writes the products of features that are prepared with each other, column by column. What was in `gram` does not
    /// matter: it is memory that need not be asked for again.
    pub(crate) fn among(&self, features: &[usize], gram: &mut Vec<f64>) {
        /// Sides of squares that stay in the cache.
        const SIDE: usize = 32;
        let m = features.len();
        let places: Vec<usize> = features.iter().map(|j| self.place[*j] as usize).collect();
        gram.resize(m * m, 0.0);
        if self.with_all {
            for (out, place) in gram.chunks_mut(m.max(1)).zip(&places) {
                let column = &self.columns[*place];
                out.iter_mut().zip(features).for_each(|(out, j)| *out = column[*j]);
            }
            return;
        }
        // Each product is kept once, in the column of the one that came later.
        gram.par_chunks_mut(m.max(1)).zip(&places).for_each(|(out, place)| {
            let column = &self.columns[*place];
            let known = out.iter_mut().zip(&places).filter(|(_, other)| *other <= place);
            known.for_each(|(out, other)| *out = column[*other]);
        });
        for first in (0..m).step_by(SIDE) {
            for second in (first..m).step_by(SIDE) {
                for a in first..(first + SIDE).min(m) {
                    for b in second.max(a + 1)..(second + SIDE).min(m) {
                        let (to, from) =
                            if places[a] < places[b] { (a * m + b, b * m + a) } else { (b * m + a, a * m + b) };
                        gram[to] = gram[from];
                    }
                }
            }
        }
    }

    /// Works out the products of these features. `c` are the slopes: features with a large one will be asked for next.
    pub(crate) fn prepare(&mut self, design: &Design, weights: Option<&[f64]>, features: &[usize], c: &[f64]) {
        let mut new: Vec<usize> = features.iter().copied().filter(|j| self.place[*j] == NOWHERE).collect();
        if new.is_empty() {
            return;
        }
        if !self.with_all {
            if self.kept.len() + new.len() > MOST_KEPT {
                self.kept.iter().for_each(|j| self.place[*j] = NOWHERE);
                self.kept.clear();
                self.columns.clear();
                new = features.to_vec();
            }
            let crossed = design.gram_with(&new, &self.kept, weights);
            let own = design.gram(&new, weights);
            for (k, j) in new.iter().enumerate() {
                let mut column = crossed.get(k).cloned().unwrap_or_default();
                column.extend(&own[k * new.len()..k * new.len() + k + 1]);
                self.keep(*j, column);
            }
            return;
        }
        // One read of the design is worth many columns.
        let (p, known) = (design.cols(), self.kept.len());
        let wanted = new.len().max(known).max(32);
        let is_new = |j: &usize| self.place[*j] == NOWHERE;
        let mut others: Vec<usize> = (0..p).filter(is_new).collect();
        if 2 * (known + wanted) >= p {
            // What is left, of which half is the other half mirrored.
            let (own, size) = (design.gram(&others, weights), others.len());
            for (k, j) in others.iter().enumerate() {
                let mut column = vec![0.0; p];
                self.kept[..known].iter().for_each(|other| column[*other] = self.with_all(*other)[*j]);
                others.iter().zip(&own[k * size..(k + 1) * size]).for_each(|(other, x)| column[*other] = *x);
                self.keep(*j, column);
            }
            return;
        }
        others.retain(|j| design.squares[*j] > 0.0 && !new.contains(j));
        others.sort_by(|a, b| c[*b].abs().total_cmp(&c[*a].abs()));
        new.extend(others.into_iter().take(wanted - new.len()));
        let columns = design.gram_with_all(&new, weights);
        for (j, column) in new.into_iter().zip(columns) {
            self.keep(j, column);
        }
    }

    fn keep(&mut self, feature: usize, column: Vec<f64>) {
        self.place[feature] = self.kept.len() as u32;
        self.kept.push(feature);
        self.columns.push(column);
    }
}
