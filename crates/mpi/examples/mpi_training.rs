//! Training across the processes that `mpirun` starts, each step with the bits of one process.
//!
//! A network with one hidden layer learns to read digits, with an L1 penalty on its weights. Three runs go side by side
//! from the same start:
//!
//! - *alone*: this process takes all rows of a step, and has all weights;
//! - *data-parallel*: each process takes some of the rows; all have all weights;
//! - *sharded*, as in ZeRO (Rajbhandari et al. 2020): each process takes some of the rows, and has a part of the weights and
//!   of the momenta. It steps that part, and then gathers the others'.
//!
//! Floats would be added in another order with another number of processes. So each row's gradient is rounded to a
//! whole number of 2^-40, and integers are added. The program compares the penalty's value of all three after each step, and
//! ends with an error if a bit differs.
//!
//! `mpirun -n 4 cargo run --release -p penalty-mpi --features mpi --example mpi_training`

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use penalty::exact::Transport;
use penalty::{Cpu, Dtype, HostSet, Momentum, Parameter, Penalty, Reports, Sgd, Slice, SliceMut};
use penalty_mpi::{Layout, Mpi, Tensor};

/// UCI's optical digits (Alpaydin and Kaynak 1998, CC BY 4.0): each line has 8×8 pixels from 0 to 16 and the digit.
const DIGITS: &str = include_str!("../../../examples/data/digits.csv");
const PIXELS: usize = 64;
const HIDDEN: usize = 256;
const CLASSES: usize = 10;
/// How many rows a step takes, and how many are kept for the test.
const BATCH: usize = 128;
const TEST: usize = 360;
/// Names and lengths of the tensors.
const TENSORS: [(&str, usize); 4] = [
    ("hidden.weight", HIDDEN * PIXELS),
    ("hidden.bias", HIDDEN),
    ("output.weight", CLASSES * HIDDEN),
    ("output.bias", CLASSES),
];
const SGD: Sgd = Sgd { step: 0.1, momentum: Momentum::heavy_ball(0.9) };
const LAMBDA: f64 = 3e-4;
/// The unit of gradients is 1 / this.
const UNITS: f64 = (1u64 << 40) as f64;

fn main() {
    let Some((universe, _)) = mpi::initialize_with_threading(mpi::Threading::Serialized) else {
        return fail("MPI runs already");
    };
    match options().and_then(|(steps, timeout)| train(Arc::new(Mpi::new(universe.world(), timeout)), steps)) {
        Ok(()) => {}
        Err(error) => {
            eprintln!("{error}");
            // `mpirun` ends all processes when the first one has failed. This lets the others say what they found.
            std::thread::sleep(Duration::from_secs(2));
            fail("no result")
        }
    }
}

/// Ends without MPI's own end, which would wait for the other processes.
fn fail(problem: &str) {
    eprintln!("{problem}");
    std::process::exit(1);
}

fn options() -> Result<(usize, Duration), Box<dyn Error>> {
    let (mut steps, mut timeout) = (60, 60);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("usage: mpi_training [--steps N] [--timeout SECONDS]")?;
        match argument.as_str() {
            "--steps" => steps = value.parse()?,
            "--timeout" => timeout = value.parse()?,
            _ => return Err("usage: mpi_training [--steps N] [--timeout SECONDS]".into()),
        }
    }
    Ok((steps, Duration::from_secs(timeout)))
}

fn train(rank: Arc<Mpi>, steps: usize) -> Result<(), Box<dyn Error>> {
    let (at, size) = (rank.rank(), rank.size());
    println!("rank {at} of {size} is process {}", std::process::id());
    let rows = Rows::read()?;
    let tensors = tensors()?;
    let parameters = |tensor: &Tensor| Parameter::new(&*tensor.name, tensor.penalty.clone());
    let parameters: Vec<Parameter> = tensors.iter().map(parameters).collect();
    let layout = Layout::even(tensors, size)?;
    let parts: Vec<Range<u64>> = (0..TENSORS.len()).map(|tensor| layout.part(tensor, at)).collect();

    let whole = HostSet::new(Cpu::new(), parameters);
    let sharded = layout.set(Cpu::new(), rank.clone())?;
    let mut alone = Run::new(first_weights());
    let mut parallel = Run::new(first_weights());
    let mut shard = Run::new(taken(&first_weights(), &parts));
    let mut gathered = first_weights();

    let training = rows.labels.len() - TEST;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut last = 0.0;
    for step in 0..steps {
        let first = step * BATCH % (training - BATCH);
        let mine = first + BATCH * at / size..first + BATCH * (at + 1) / size;

        let gradient = floats(&rows.gradient(&alone.weights, first..first + BATCH));
        let expected = alone.step(&whole, &gradient, &lens())?.total.value;

        let mut words = rows.gradient(&parallel.weights, mine.clone());
        rank.sum_u64(&mut words)?;
        let in_parallel = parallel.step(&whole, &floats(&words), &lens())?.total.value;

        let mut words = rows.gradient(&gathered, mine);
        rank.sum_u64(&mut words)?;
        let gradient = taken(&floats(&words), &parts);
        let in_shards = shard.step(&sharded, &gradient, &lens_of(&parts))?.total.value;
        gathered = gather(&*rank, &shard.weights, &parts)?;

        if [in_parallel, in_shards].map(f64::to_bits) != [expected.to_bits(); 2] {
            let values = format!("{expected} alone, {in_parallel} data-parallel, {in_shards} sharded");
            return Err(format!("rank {at}: the values of step {step} differ: {values}").into());
        }
        hash = (hash ^ expected.to_bits()).wrapping_mul(0x0100_0000_01b3);
        last = expected;
    }
    let bits = |weights: &[f32]| weights.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    if bits(&gathered) != bits(&alone.weights) || bits(&parallel.weights) != bits(&alone.weights) {
        return Err(format!("rank {at}: the weights differ").into());
    }
    if at == 0 {
        let right = rows.right(&gathered, training..training + TEST);
        let zeros = gathered.iter().filter(|x| **x == 0.0).count();
        println!("{right} of {TEST} test rows are right, {zeros} of {} weights are 0, R(θ) = {last}", gathered.len());
        println!("the values of {steps} steps: {hash:016x}, the same alone, data-parallel and sharded");
    }
    Ok(())
}

/// The tensors: an L1 penalty on the weights, none on the biases.
fn tensors() -> penalty::Result<Vec<Tensor>> {
    let penalty = |name: &str| if name.ends_with("weight") { Penalty::l1(LAMBDA) } else { Ok(Penalty::none()) };
    TENSORS.iter().map(|&(name, len)| Ok(Tensor::new(name, len as u64, Dtype::F32, penalty(name)?))).collect()
}

/// Weights, one tensor after the other, and their momenta.
struct Run {
    weights: Vec<f32>,
    momenta: Vec<f32>,
}

impl Run {
    fn new(weights: Vec<f32>) -> Run {
        let momenta = vec![0.0; weights.len()];
        Run { weights, momenta }
    }

    /// A step of proximal gradient descent, and the reports of what it leaves.
    fn step(&mut self, set: &HostSet<'_>, gradient: &[f32], lens: &[usize]) -> penalty::Result<Reports> {
        let mut rest = gradient;
        let split = lens.iter().map(|len| {
            let (part, others) = rest.split_at(*len);
            rest = others;
            Slice::from(part)
        });
        let gradients: Vec<Slice<'_>> = split.collect();
        set.sgd_and_evaluate(
            &mut split_mut(&mut self.weights, lens),
            &gradients,
            &mut split_mut(&mut self.momenta, lens),
            &SGD,
        )
    }
}

fn split_mut<'a>(mut rest: &'a mut [f32], lens: &[usize]) -> Vec<SliceMut<'a>> {
    let split = lens.iter().map(|len| {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(*len);
        rest = others;
        SliceMut::from(part)
    });
    split.collect()
}

fn lens() -> [usize; 4] {
    TENSORS.map(|(_, len)| len)
}

fn lens_of(parts: &[Range<u64>]) -> Vec<usize> {
    parts.iter().map(|part| part.clone().count()).collect()
}

/// Where each part lies among all weights.
fn places(parts: &[Range<u64>]) -> impl Iterator<Item = Range<usize>> {
    let mut before = 0;
    parts.iter().zip(TENSORS).map(move |(part, (_, len))| {
        let place = before + part.start as usize..before + part.end as usize;
        before += len;
        place
    })
}

/// This rank's parts of what is there for all weights.
fn taken(all: &[f32], parts: &[Range<u64>]) -> Vec<f32> {
    places(parts).flat_map(|place| all[place].iter().copied()).collect()
}

/// All weights, from each rank's: where a rank has none, it adds 0. Two weights travel in a word.
fn gather(rank: &dyn Transport, mine: &[f32], parts: &[Range<u64>]) -> penalty::Result<Vec<f32>> {
    let all: usize = lens().iter().sum();
    let mut words = vec![0u64; all.div_ceil(2)];
    for (at, weight) in places(parts).flatten().zip(mine) {
        words[at / 2] |= u64::from(weight.to_bits()) << (32 * (at % 2));
    }
    rank.sum_u64(&mut words)?;
    Ok((0..all).map(|at| f32::from_bits((words[at / 2] >> (32 * (at % 2))) as u32)).collect())
}

/// He's uniform initialization, by a generator that is the same everywhere.
fn first_weights() -> Vec<f32> {
    let mut state = 1u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let bounds = [(6.0 / PIXELS as f32).sqrt(), 0.0, (6.0 / HIDDEN as f32).sqrt(), 0.0];
    TENSORS
        .iter()
        .zip(bounds)
        .flat_map(|((_, len), bound)| (0..*len).map(|_| bound * unit()).collect::<Vec<_>>())
        .collect()
}

/// A mean over a step's rows, from its sum in units.
fn floats(words: &[u64]) -> Vec<f32> {
    words.iter().map(|word| (*word as i64 as f64 / UNITS / BATCH as f64) as f32).collect()
}

struct Rows {
    pixels: Vec<[f32; PIXELS]>,
    labels: Vec<usize>,
}

/// What the network makes of a row: the hidden layer, and the probabilities of the digits.
struct Forward {
    hidden: [f32; HIDDEN],
    digits: [f32; CLASSES],
}

impl Rows {
    /// Every fifth row comes last, for the test.
    fn read() -> Result<Rows, Box<dyn Error>> {
        let lines: Vec<&str> = DIGITS.lines().skip(1).collect();
        let is_test = |at: &usize| at.is_multiple_of(5);
        let training = (0..lines.len()).filter(|at| !is_test(at));
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for at in training.chain((0..lines.len()).filter(is_test)) {
            let row = lines[at].split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            let (row, label) = row.split_first_chunk::<PIXELS>().ok_or("a row is short")?;
            pixels.push(row.map(|pixel| pixel / 16.0));
            labels.push(*label.first().ok_or("a row has no digit")? as usize);
        }
        Ok(Rows { pixels, labels })
    }

    fn forward(&self, weights: &[f32], row: usize) -> Forward {
        let [hidden_weight, hidden_bias, output_weight, output_bias] = layers(weights);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let unit = |unit: usize| {
            let inputs = &hidden_weight[unit * PIXELS..][..PIXELS];
            (dot(inputs, &self.pixels[row]) + hidden_bias[unit]).max(0.0)
        };
        let hidden: [f32; HIDDEN] = std::array::from_fn(unit);
        let digit = |digit: usize| dot(&output_weight[digit * HIDDEN..][..HIDDEN], &hidden) + output_bias[digit];
        let logits: [f32; CLASSES] = std::array::from_fn(digit);
        let largest = logits.iter().fold(f32::MIN, |a, b| a.max(*b));
        let powers = logits.map(|logit| (logit - largest).exp());
        let total: f32 = powers.iter().sum();
        Forward { hidden, digits: powers.map(|power| power / total) }
    }

    /// The sum over these rows of the gradient of the cross-entropy, each row's in whole units. Negative numbers wrap.
    fn gradient(&self, weights: &[f32], rows: Range<usize>) -> Vec<u64> {
        let output_weight = layers(weights)[2];
        let mut sums = vec![0u64; weights.len()];
        let mut add = |at: usize, x: f32| sums[at] = sums[at].wrapping_add((f64::from(x) * UNITS) as i64 as u64);
        for row in rows {
            let Forward { hidden, digits } = self.forward(weights, row);
            let mut back = [0.0; HIDDEN];
            let output = (PIXELS + 1) * HIDDEN;
            for (digit, probability) in digits.into_iter().enumerate() {
                let delta = probability - if digit == self.labels[row] { 1.0 } else { 0.0 };
                for (unit, hidden) in hidden.iter().enumerate() {
                    add(output + digit * HIDDEN + unit, delta * hidden);
                    back[unit] += delta * output_weight[digit * HIDDEN + unit];
                }
                add(output + CLASSES * HIDDEN + digit, delta);
            }
            for unit in (0..HIDDEN).filter(|unit| hidden[*unit] > 0.0) {
                for (pixel, x) in self.pixels[row].iter().enumerate() {
                    add(unit * PIXELS + pixel, back[unit] * x);
                }
                add(PIXELS * HIDDEN + unit, back[unit]);
            }
        }
        sums
    }

    /// How many of these rows the network reads correctly.
    fn right(&self, weights: &[f32], rows: Range<usize>) -> usize {
        let guess = |row: usize| {
            let digits = self.forward(weights, row).digits;
            (0..CLASSES).max_by(|a, b| digits[*a].total_cmp(&digits[*b]))
        };
        rows.filter(|row| guess(*row) == Some(self.labels[*row])).count()
    }
}

fn layers(weights: &[f32]) -> [&[f32]; 4] {
    let mut rest = weights;
    TENSORS.map(|(_, len)| {
        let (layer, others) = rest.split_at(len);
        rest = others;
        layer
    })
}
