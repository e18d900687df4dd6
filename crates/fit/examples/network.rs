//! λ for a network: cross-validation of a training loop.
//!
//! A network with one hidden layer learns to read digits from 200 rows, by proximal steps under L1. The training is a function of λ and of
//! the rows to train on and to test on. `cross_validate_with` calls it for each λ and each fold, and gives the curve, λ_min and λ_1se. The
//! other 1597 rows, which no choice has seen, then say how good the choice is.
//!
//! ```sh
//! cargo run --release -p penalty-fit --example network                 # `-- --epochs N` for shorter or longer training
//! ```

use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};
use penalty_fit::{Error, Folds, cross_validate_with};

/// UCI's optical digits (Alpaydin and Kaynak 1998, CC BY 4.0): each line has 8×8 pixels from 0 to 16 and the digit.
const DIGITS: &str = include_str!("../../../examples/data/digits.csv");
const PIXELS: usize = 64;
const HIDDEN: usize = 32;
const CLASSES: usize = 10;
/// λ is chosen on one row in so many.
const EVERY: usize = 9;
const LAMBDAS: [f64; 7] = [3e-2, 1e-2, 5e-3, 2e-3, 1e-3, 3e-4, 0.0];
pub(crate) const EPOCHS: usize = 200;
const BATCH: usize = 20;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let epochs = match (arguments.next().as_deref(), arguments.next().map(|epochs| epochs.parse()), arguments.next()) {
        (None, ..) => EPOCHS,
        (Some("--epochs"), Some(Ok(epochs)), None) => epochs,
        _ => return Err("usage: network [--epochs N]".into()),
    };
    for line in run(epochs).map_err(|error| error.to_string())? {
        println!("{line}");
    }
    Ok(())
}

/// Cross-validates, trains with the chosen λ, and tests.
pub(crate) fn run(epochs: usize) -> Result<Vec<String>, Error> {
    let data = digits();
    let (rows, unseen): (Vec<usize>, Vec<usize>) = (0..data.len()).partition(|row| row % EVERY == 0);

    let folds = Folds::shuffled(rows.len(), 5, 1)?;
    let cv = cross_validate_with(&LAMBDAS, &folds, |lambda, fold| {
        let picked = |of: &[usize]| of.iter().map(|at| rows[*at]).collect::<Vec<usize>>();
        let network = Network::trained(&data, &picked(&fold.train), lambda, epochs)?;
        Ok::<f64, Error>(network.test(&data, &picked(&fold.test)).0)
    })?;

    let mut lines = vec![format!("{:>8}{:>16}{:>19}", "λ", "cross-entropy", "± standard error")];
    for ((lambda, mean), error) in cv.lambdas.iter().zip(&cv.mean).zip(&cv.standard_error) {
        let mark = |at: f64, name| if *lambda == at { name } else { "" };
        let marks = [mark(cv.lambda_min, "  λ_min"), mark(cv.lambda_1se, "  λ_1se")].concat();
        lines.push(format!("{lambda:>8}{mean:>16.4}{error:>19.4}{marks}"));
    }
    lines.push(format!("on {} rows that no choice has seen:", unseen.len()));
    for (name, lambda) in [("λ_min", cv.lambda_min), ("λ_1se", cv.lambda_1se), ("no λ", 0.0)] {
        let network = Network::trained(&data, &rows, lambda, epochs)?;
        let (loss, right) = network.test(&data, &unseen);
        let zeros = 100.0 * network.zeros();
        lines
            .push(format!("{name:>8}: cross-entropy {loss:.4}, {right:.1} % right, {zeros:.1} % of the weights are 0"));
    }
    Ok(lines)
}

/// An image, from 0 to 1, and its digit.
type Row = ([f32; PIXELS], usize);

fn digits() -> Vec<Row> {
    let row = |line: &str| {
        let mut numbers = line.split(',').map(|number| number.parse::<f32>().expect("the file has numbers"));
        let image = std::array::from_fn(|_| numbers.next().expect("a row has 64 pixels") / 16.0);
        (image, numbers.next().expect("a row has a digit") as usize)
    };
    DIGITS.lines().skip(1).map(row).collect()
}

/// The weights and biases of both layers, a row of weights for each unit.
struct Network {
    tensors: [Vec<f32>; 4],
}

impl Network {
    /// Trains from the same weights on each call: steps along the loss's gradient, each with the prox of λΣ|θ| on the weights.
    fn trained(data: &[Row], rows: &[usize], lambda: f64, epochs: usize) -> Result<Network, Error> {
        let mut random = Random(1);
        let mut noise = |units: usize, inputs: usize| {
            let bound = (6.0 / inputs as f32).sqrt();
            (0..units * inputs).map(|_| bound * (2.0 * random.unit() - 1.0)).collect()
        };
        let tensors = [noise(HIDDEN, PIXELS), vec![0.0; HIDDEN], noise(CLASSES, HIDDEN), vec![0.0; CLASSES]];
        let mut network = Network { tensors };
        let penalties = [Penalty::l1(lambda)?, Penalty::none(), Penalty::l1(lambda)?, Penalty::none()];
        let names = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"];
        let parameters = names.into_iter().zip(penalties).map(|(name, penalty)| Parameter::new(name, penalty));
        let set = HostSet::new(Cpu::new(), parameters.collect());

        let mut momenta = network.tensors.each_ref().map(|tensor| vec![0.0f32; tensor.len()]);
        let mut order = rows.to_vec();
        for epoch in 0..epochs {
            // The step fades out, so that the last epochs settle.
            let step = 0.05 * (1.0 - epoch as f64 / epochs as f64);
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
            for batch in order.chunks(BATCH) {
                let gradients = network.gradients(data, batch);
                set.sgd(
                    &mut network.tensors.each_mut().map(|tensor| (&mut tensor[..]).into()),
                    &gradients.each_ref().map(|tensor| (&tensor[..]).into()),
                    &mut momenta.each_mut().map(|tensor| (&mut tensor[..]).into()),
                    &Sgd { step, momentum: Momentum::heavy_ball(0.9) },
                )?;
            }
        }
        Ok(network)
    }

    /// The hidden units of an image, and the logarithm of each digit's probability.
    fn forward(&self, image: &[f32; PIXELS]) -> ([f32; HIDDEN], [f32; CLASSES]) {
        let [hidden_weight, hidden_bias, output_weight, output_bias] = &self.tensors;
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let hidden = std::array::from_fn(|unit| {
            (hidden_bias[unit] + dot(&hidden_weight[unit * PIXELS..][..PIXELS], image)).max(0.0)
        });
        let logits: [f32; CLASSES] =
            std::array::from_fn(|digit| output_bias[digit] + dot(&output_weight[digit * HIDDEN..][..HIDDEN], &hidden));
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = logits.iter().map(|logit| (logit - most).exp()).sum::<f32>().ln() + most;
        (hidden, logits.map(|logit| logit - sum))
    }

    /// The gradients of the mean cross-entropy of these rows.
    fn gradients(&self, data: &[Row], rows: &[usize]) -> [Vec<f32>; 4] {
        let mut gradients = self.tensors.each_ref().map(|tensor| vec![0.0f32; tensor.len()]);
        let [hidden_weight, hidden_bias, output_weight, output_bias] = &mut gradients;
        let add = |to: &mut [f32], factor: f32, x: &[f32]| to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
        for row in rows {
            let (image, digit) = &data[*row];
            let (hidden, log) = self.forward(image);
            let mut back = [0.0f32; HIDDEN];
            for class in 0..CLASSES {
                let slope = (log[class].exp() - f32::from(class == *digit)) / rows.len() as f32;
                output_bias[class] += slope;
                add(&mut output_weight[class * HIDDEN..][..HIDDEN], slope, &hidden);
                add(&mut back, slope, &self.tensors[2][class * HIDDEN..][..HIDDEN]);
            }
            for unit in (0..HIDDEN).filter(|unit| hidden[*unit] > 0.0) {
                hidden_bias[unit] += back[unit];
                add(&mut hidden_weight[unit * PIXELS..][..PIXELS], back[unit], image);
            }
        }
        gradients
    }

    /// The mean cross-entropy of these rows, and how many percent of them it classifies correctly.
    fn test(&self, data: &[Row], rows: &[usize]) -> (f64, f64) {
        let (mut loss, mut right) = (0.0, 0.0);
        for row in rows {
            let (image, digit) = &data[*row];
            let (_, log) = self.forward(image);
            loss -= f64::from(log[*digit]);
            right += f64::from(u8::from(log.iter().all(|other| other <= &log[*digit])));
        }
        (loss / rows.len() as f64, 100.0 * right / rows.len() as f64)
    }

    /// The share of weights, not of biases, that are 0.
    fn zeros(&self) -> f64 {
        let weights = || self.tensors[0].iter().chain(&self.tensors[2]);
        weights().filter(|weight| **weight == 0.0).count() as f64 / weights().count() as f64
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014): the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
