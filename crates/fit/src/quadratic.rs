//! The squared loss: products of columns replace the rows.

use crate::Result;
use crate::degrees::is_independent;
use crate::kernel::{add_scaled, dot};
use crate::products::Products;
use crate::regularizer::Regularizer;
use crate::sample::Sample;
use crate::smooth::{Smooth, Working};
use crate::subproblem::Subproblem;

/// 1/(2n) Σ vᵢ(yᵢ − xᵢw − b)² at the best intercept b: columns and target are centred, if there is one.
pub(crate) struct Quadratic<'a> {
    sample: &'a Sample,
    /// The target less its mean.
    y: Vec<f64>,
    pub(crate) mean: f64,
    products: Products,
    /// Memory for those of a working set.
    gram: Vec<f64>,
    /// X'Vy/n.
    start: Vec<f64>,
    /// y'Vy/n.
    square: f64,
    /// r'Vr/n and r'Vy/n of the residual r.
    of_residual: [f64; 2],
    independent: Option<bool>,
}

/// Columns are tested for linear independence all at once if there are no more than this.
const INDEPENDENT_MOST: usize = 3000;

impl<'a> Quadratic<'a> {
    pub(crate) fn new(sample: &'a Sample) -> Quadratic<'a> {
        let n = sample.rows() as f64;
        let total: f64 = (0..sample.rows()).map(|row| sample.weight(row) * sample.y[row]).sum();
        let mean = if sample.intercept { total / n } else { 0.0 };
        let y: Vec<f64> = sample.y.iter().map(|y| y - mean).collect();
        let mut quadratic = Quadratic {
            sample,
            square: 0.0,
            y,
            mean,
            products: Products::new(&sample.design),
            gram: Vec::new(),
            start: vec![0.0; sample.design.cols()],
            of_residual: [0.0; 2],
            independent: None,
        };
        let weighed = quadratic.weighed(&quadratic.y);
        quadratic.square = dot(&weighed, &quadratic.y) / n;
        sample.design.correlations(&weighed, &mut quadratic.start);
        quadratic
    }

    /// The products that a caller has worked out.
    pub(crate) fn with_products(mut self, products: Products) -> Quadratic<'a> {
        self.products = products;
        self
    }

    /// The products of features with each other, column by column.
    pub(crate) fn products(&mut self, features: &[usize]) -> Vec<f64> {
        let weights = self.sample.weights.as_deref();
        self.products.prepare(&self.sample.design, weights, features, &self.start);
        let mut products = Vec::new();
        self.products.among(features, &mut products);
        products
    }

    /// Whether all columns are known to be linearly independent.
    pub(crate) fn is_independent(&mut self) -> bool {
        if self.independent.is_none() {
            let whole = self.products.whole().filter(|columns| columns.len() <= INDEPENDENT_MOST);
            self.independent = whole.map(|columns| is_independent(columns.len(), |a, b| columns[b][a]));
        }
        self.independent == Some(true)
    }

    fn weighed(&self, x: &[f64]) -> Vec<f64> {
        match &self.sample.weights {
            None => x.to_vec(),
            Some(weights) => x.iter().zip(weights).map(|(x, v)| x * v).collect(),
        }
    }

    /// V(y − Xw), and what follows from it.
    fn by_rows(&mut self, w: &[f64]) -> Vec<f64> {
        let mut residual = self.y.clone();
        self.sample.design.add_columns(w.iter().enumerate().map(|(j, w)| (j, -w)), &mut residual);
        let (weighed, n) = (self.weighed(&residual), self.sample.rows() as f64);
        self.of_residual = [dot(&weighed, &residual) / n, dot(&weighed, &self.y) / n];
        weighed
    }
}

impl Smooth for Quadratic<'_> {
    fn slopes(&mut self, w: &[f64], c: &mut [f64]) -> f64 {
        let active: Vec<usize> = (0..w.len()).filter(|j| w[*j] != 0.0).collect();
        if self.products.knows_all(&active) {
            c.copy_from_slice(&self.start);
            for j in &active {
                add_scaled(-w[*j], self.products.with_all(*j), c);
            }
            let explained: f64 = active.iter().map(|j| w[*j] * self.start[*j]).sum();
            let rest: f64 = active.iter().map(|j| w[*j] * c[*j]).sum();
            self.of_residual = [self.square - explained - rest, self.square - explained];
            // Where little is left of the square, the difference has lost digits.
            if self.of_residual[0] > 1e-4 * self.square {
                return 0.5 * self.of_residual[0];
            }
            self.by_rows(w);
        } else {
            let weighed = self.by_rows(w);
            self.sample.design.correlations(&weighed, c);
        }
        0.5 * self.of_residual[0]
    }

    fn curvatures(&self) -> &[f64] {
        &self.sample.design.squares
    }

    fn dual(&self, s: f64) -> Option<f64> {
        let [square, with_y] = self.of_residual;
        Some(s * with_y - 0.5 * s * s * square)
    }

    fn smoothness(&self) -> Option<f64> {
        Some(1.0)
    }

    fn refine(
        &mut self,
        regularizer: &Regularizer<'_>,
        working: &Working,
        w: &mut [f64],
        c: &[f64],
        tolerance: f64,
    ) -> Result<usize> {
        let weights = self.sample.weights.as_deref();
        self.products.prepare(&self.sample.design, weights, &working.features, c);
        // Most of all features: their columns are taken as they are.
        if let (true, Some(columns)) = (2 * working.features.len() > w.len(), self.products.whole()) {
            let blocks: Vec<usize> = (0..regularizer.template().blocks()).collect();
            let all = Working::of(blocks, regularizer);
            if all.features.iter().enumerate().all(|(place, j)| place == *j) {
                let mut q = c.to_vec();
                let subproblem =
                    Subproblem { regularizer, blocks: &all.blocks, features: &all.features, gram: &columns };
                return subproblem.minimize(w, &mut q, tolerance);
            }
        }
        let mut gram = std::mem::take(&mut self.gram);
        self.products.among(&working.features, &mut gram);
        let columns: Vec<&[f64]> = gram.chunks(working.features.len().max(1)).collect();
        let mut part: Vec<f64> = working.features.iter().map(|j| w[*j]).collect();
        let mut q: Vec<f64> = working.features.iter().map(|j| c[*j]).collect();
        let subproblem =
            Subproblem { regularizer, blocks: &working.blocks, features: &working.features, gram: &columns };
        let epochs = subproblem.minimize(&mut part, &mut q, tolerance)?;
        self.gram = gram;
        working.features.iter().zip(part).for_each(|(j, part)| w[*j] = part);
        Ok(epochs)
    }
}
