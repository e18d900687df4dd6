//! Data that a seed makes, and objectives worked out from their definitions.

use penalty_fit::Loss;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of the normal distribution.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn normals(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// Columns that are correlated with their neighbours, with means that are not 0.
pub(crate) fn design(rows: usize, cols: usize, correlation: f64, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let mut before = random.normals(rows);
    let mut x = Vec::with_capacity(rows * cols);
    for column in 0..cols {
        let rest = (1.0 - correlation * correlation).sqrt();
        before.iter_mut().for_each(|x| *x = correlation * *x + rest * random.normal());
        x.extend(before.iter().map(|x| x + (column % 3) as f64 * 0.5));
    }
    x
}

/// Xw + b.
pub(crate) fn predict(x: &[f64], rows: usize, w: &[f64], b: f64) -> Vec<f64> {
    let mut eta = vec![b; rows];
    for (column, w) in x.chunks(rows).zip(w) {
        eta.iter_mut().zip(column).for_each(|(eta, x)| *eta += w * x);
    }
    eta
}

/// The targets that a loss is for, of a model with a few coefficients.
pub(crate) fn target(loss: &dyn Loss, x: &[f64], rows: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let cols = x.len() / rows;
    let w: Vec<f64> =
        (0..cols).map(|j| if j % 4 == 0 && j < 20 { 0.8 / (1.0 + j as f64 / 6.0) } else { 0.0 }).collect();
    let eta = predict(x, rows, &w, -0.5);
    let of = |eta: f64| match loss.name() {
        "squared" => eta + 0.5 * random.normal(),
        "logistic" => f64::from(u8::from(random.uniform() < 1.0 / (1.0 + (-eta).exp()))),
        "multinomial" => (eta + 1.5 + random.normal()).clamp(0.0, 2.0).floor(),
        _ => (0.5 * eta.clamp(-2.0, 3.0)).exp().mul_add(2.0 * random.uniform(), 0.3).floor(),
    };
    eta.into_iter().map(of).collect()
}

/// The mean loss of rows with one output.
pub(crate) fn mean_loss(loss: &dyn Loss, y: &[f64], eta: &[f64]) -> f64 {
    y.iter().zip(eta).map(|(y, eta)| loss.value(*y, &[*eta])).sum::<f64>() / y.len() as f64
}

/// −∂loss/∂wⱼ of each column.
pub(crate) fn slopes(loss: &dyn Loss, x: &[f64], y: &[f64], eta: &[f64]) -> Vec<f64> {
    let u: Vec<f64> = y.iter().zip(eta).map(|(y, eta)| -loss.slope(*y, &[*eta], 0)).collect();
    let n = y.len();
    x.chunks(n).map(|x| x.iter().zip(&u).map(|(x, u)| x * u).sum::<f64>() / n as f64).collect()
}
