//! Compares the CPU path with the loops that one would write and let the compiler vectorise, from ten weights to many
//! millions, of one tensor and of sets.
//!
//! `cargo bench -p penalty-benches --bench loops -- [--sizes 10,4096,1000x64] [--threads 1,2]
//! [--types f32,f16,bf16] [OPERATION…]`. A loop is compiled three times: for the instructions that Rust assumes by
//! default, and for those that the library uses. The answers are checked before anything is timed. Then all contenders take turns, among them the machine's kernel that moves
//! the same bytes. The table has medians. With `--test`, everything runs once, on little data.

use std::hint::black_box;
use std::time::Instant;

use half::{bf16, f16};
use penalty::cpu::InstructionSet;
use penalty::{Adam, Cpu, Element, HostSet, Metric, Momentum, Parameter, Penalty, Result, Sgd, Slice, SliceMut, half};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{median, weights};
use rayon::prelude::*;

/// Small, so that timed steps change no weight by much, and none becomes 0.
const LAMBDA: f64 = 1e-6;
const ALPHA: f64 = 0.5;
const STEP: f64 = 1e-3;
const MOMENTUM: f32 = 0.9;
/// The weights that a thread takes at a time.
const TASK: usize = 1 << 16;
const OPERATIONS: [&str; 6] = ["evaluate", "gradient", "gradient_add", "prox", "sgd", "adam"];
const SIZES: &str = "10,64,4096,65536,1000000,1000x64,50000000,67108864";
/// How many weights of a long tensor are compared.
const CHECKED: usize = (1 << 18) + 1;
/// A turn repeats a call until this many seconds are over.
const TURN: f64 = 2e-3;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut sizes, mut threads, mut types) = (SIZES.to_string(), "1,2".to_string(), "f32".to_string());
    let (mut cases, mut test) = (Vec::new(), false);
    while let Some(argument) = arguments.next() {
        match &argument[..] {
            "--sizes" => sizes = arguments.next().unwrap_or_default(),
            "--threads" => threads = arguments.next().unwrap_or_default(),
            "--types" => types = arguments.next().unwrap_or_default(),
            "--test" => (test, sizes) = (true, "10,200,3x64".into()),
            "--bench" => {}
            name if OPERATIONS.contains(&name) => cases.push(argument),
            _ => return Err(format!("expected one of {OPERATIONS:?} or an option, found {argument:?}").into()),
        }
    }
    let sizes = sizes.split(',').map(Size::parse).collect::<std::result::Result<Vec<_>, _>>()?;
    let whole = |text: &str| text.parse().map_err(|_| format!("--threads: expected whole numbers, found {text:?}"));
    let threads = threads.split(',').map(whole).collect::<std::result::Result<Vec<usize>, _>>()?;
    if let Some(found) = types.split(',').find(|name| !["f32", "f16", "bf16"].contains(name)) {
        return Err(format!("--types: expected f32, f16 or bf16, found {found:?}").into());
    }
    print!("{:<26} {:>10} {:>10}", "", "machine", "loop");
    for set in sets() {
        print!(" {:>10} {:>10} {:>5} {:>5} {:>5}", format!("{set:?} loop"), "ours", "", "", "");
    }
    println!("   in µs; then how many times as long as ours the loops take, and the machine");
    for threads in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        pool.install(|| -> Result<()> {
            for size in &sizes {
                let wanted = |operation: &&str| cases.is_empty() || cases.iter().any(|case| case == operation);
                for operation in OPERATIONS.into_iter().filter(wanted) {
                    for dtype in types.split(',') {
                        match dtype {
                            "f16" => row::<f16>(operation, size, threads, test)?,
                            "bf16" => row::<bf16>(operation, size, threads, test)?,
                            _ => row::<f32>(operation, size, threads, test)?,
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The sets that are compared.
fn sets() -> Vec<InstructionSet> {
    InstructionSet::available().into_iter().filter(|set| *set != InstructionSet::Baseline).collect()
}

/// So many tensors of so many weights each.
struct Size {
    name: String,
    count: usize,
    len: usize,
}

impl Size {
    fn parse(name: &str) -> std::result::Result<Size, String> {
        let (count, len) = name.split_once('x').unwrap_or(("1", name));
        match (count.parse(), len.parse()) {
            (Ok(count), Ok(len)) if count > 0 && len > 0 => Ok(Size { name: name.into(), count, len }),
            _ => Err(format!("--sizes: expected LEN or COUNTxLEN, found {name:?}")),
        }
    }
}

/// How weights are numbers.
trait Number: Element {
    fn to(self) -> f32;
    fn from(x: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn to(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from(x: f32) -> f32 {
        x
    }
}

impl Number for f16 {
    #[inline(always)]
    fn to(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn from(x: f32) -> f16 {
        f16::from_f32(x)
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn to(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn from(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
}

/// The arrays of all tensors, one after the other.
#[derive(Clone)]
struct Arrays<E> {
    theta: Vec<E>,
    gradient: Vec<E>,
    first: Vec<E>,
    second: Vec<E>,
}

impl<E: Number> Arrays<E> {
    /// The first weights.
    fn first(&self, len: usize) -> Arrays<E> {
        let [theta, gradient, first, second] =
            [&self.theta, &self.gradient, &self.first, &self.second].map(|array| array[..len].to_vec());
        Arrays { theta, gradient, first, second }
    }
}

/// Σ|θ|, Σθ² and max|θ| of a loop.
type Sums = [f32; 3];

fn row<E: Number>(operation: &str, size: &Size, threads: usize, test: bool) -> Result<()> {
    let Size { ref name, count, len } = *size;
    let noise = weights(4 * count * len);
    let part =
        |at: usize, scale: f32| noise[at * count * len..][..count * len].iter().map(|x| E::from(x * scale)).collect();
    let positive = noise[..count * len].iter().map(|x| E::from(1e-2 * x * x + 1e-3)).collect();
    let mut arrays = Arrays { theta: part(0, 1.0), gradient: part(1, 0.1), first: part(2, 0.1), second: positive };
    if size_of::<E>() == 2 {
        // Steps that are lost in rounding keep all weights as they are.
        arrays.gradient.iter_mut().for_each(|x| *x = E::from(0.0625));
    }
    let sets = sets();
    let checked = arrays.first(CHECKED.min(len) * count);
    for &set in &sets {
        check(operation, set, count, len.min(CHECKED), &checked)?;
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); 2 + 2 * sets.len()];
    let work = &mut arrays;
    let of_loop = |set: InstructionSet, work: &mut Arrays<E>, seconds: f64| {
        timed(seconds, || run_loop(operation, set, len, work))
    };
    // The loops over `f16` take seconds.
    let rounds = match (test, size_of::<E>()) {
        (true, _) => 1,
        (_, 2) => 3,
        _ => 7,
    };
    for round in 0..rounds {
        let seconds = if test { 0.0 } else { TURN };
        for turn in 0..times.len() {
            let which = (turn + round) % times.len();
            times[which].push(match which {
                0 => timed(seconds, || of_machine(operation, work)),
                1 => of_loop(InstructionSet::Baseline, work, seconds),
                even if even % 2 == 0 => of_loop(sets[even / 2 - 1], work, seconds),
                odd => of_library(operation, sets[odd / 2 - 1], count, len, work, seconds)?,
            });
        }
    }
    let times: Vec<f64> = times.into_iter().map(|times| 1e6 * median(times)).collect();
    let dtype = if E::DTYPE == penalty::Dtype::F32 { String::new() } else { format!(" {}", E::DTYPE) };
    print!("{:<26} {:>10.2} {:>10.2}", format!("{operation}{dtype} {name} ×{threads}"), times[0], times[1]);
    for pair in times[2..].chunks(2) {
        print!(" {:>10.2} {:>10.2}", pair[0], pair[1]);
        [times[1], pair[0], times[0]].iter().for_each(|other| print!(" {:>5.2}", other / pair[1]));
    }
    println!();
    Ok(())
}

/// Moves the bytes that an operation moves.
fn of_machine<E: Number>(operation: &str, arrays: &mut Arrays<E>) {
    let Arrays { theta, gradient, first, second } = arrays;
    let [theta, gradient, first, second] = [theta, gradient, first, second].map(|array| {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(array);
        let whole = bytes.len() / 4 * 4;
        bytemuck::cast_slice_mut::<u8, f32>(&mut bytes[..whole])
    });
    match operation {
        "evaluate" => _ = black_box(machine::read(theta)),
        "gradient" => machine::copy(theta, gradient),
        "gradient_add" => machine::update(theta, [gradient]),
        "prox" => machine::scale(theta, black_box(1.0)),
        "sgd" => machine::update(gradient, [theta, first]),
        _ => machine::update(gradient, [theta, first, second]),
    }
}

/// The seconds of one call.
fn timed<R>(seconds: f64, mut run: impl FnMut() -> R) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    loop {
        // Asking for the time takes as long as a call on few weights.
        for _ in 0..1 + calls / 4 {
            black_box(run());
            calls += 1;
        }
        let passed = start.elapsed().as_secs_f64();
        if passed >= seconds {
            return passed / f64::from(calls);
        }
    }
}

/// The seconds of the library's call.
fn of_library<E: Number>(
    operation: &str,
    set: InstructionSet,
    count: usize,
    len: usize,
    arrays: &mut Arrays<E>,
    seconds: f64,
) -> Result<f64> {
    let penalty = Penalty::elastic_net(LAMBDA, ALPHA)?;
    let cpu = Cpu::with_instructions(set)?;
    let Arrays { theta, gradient, first, second } = arrays;
    if count == 1 && !matches!(operation, "sgd" | "adam") {
        let backend = penalty::Backend::Cpu(cpu);
        return Ok(match operation {
            "evaluate" => timed(seconds, || backend.evaluate(&penalty, theta)),
            "gradient" => timed(seconds, || backend.gradient_into(&penalty, theta, gradient)),
            "gradient_add" => timed(seconds, || backend.gradient_add(&penalty, theta, gradient)),
            _ => timed(seconds, || backend.prox_in_place(&penalty, theta, STEP)),
        });
    }
    let host = HostSet::new(cpu, (0..count).map(|i| Parameter::new(i.to_string(), penalty.clone())).collect());
    fn all<E: Element>(elements: &[E], len: usize) -> Vec<Slice<'_>> {
        elements.chunks(len).map(Slice::from).collect()
    }
    fn all_mut<E: Element>(elements: &mut [E], len: usize) -> Vec<SliceMut<'_>> {
        elements.chunks_mut(len).map(SliceMut::from).collect()
    }
    let sgd = Sgd { step: STEP, momentum: Momentum::heavy_ball(MOMENTUM.into()) };
    let adam = Adam { step: STEP * 1e-3, iteration: 1000, metric: Metric::Plain, ..Adam::default() };
    Ok(match operation {
        "evaluate" => {
            let theta = all(theta, len);
            timed(seconds, || host.evaluate(&theta))
        }
        "gradient" => {
            let (theta, mut gradient) = (all(theta, len), all_mut(gradient, len));
            timed(seconds, || host.gradient_into(&theta, &mut gradient))
        }
        "gradient_add" => {
            let (theta, mut gradient) = (all(theta, len), all_mut(gradient, len));
            timed(seconds, || host.gradient_add(&theta, &mut gradient))
        }
        "prox" => {
            let mut theta = all_mut(theta, len);
            timed(seconds, || host.prox_in_place(&mut theta, STEP))
        }
        "sgd" => {
            let (mut theta, gradient, mut first) = (all_mut(theta, len), all(gradient, len), all_mut(first, len));
            timed(seconds, || host.sgd(&mut theta, &gradient, &mut first, &sgd))
        }
        _ => {
            let (mut theta, gradient) = (all_mut(theta, len), all(gradient, len));
            let (mut first, mut second) = (all_mut(first, len), all_mut(second, len));
            timed(seconds, || host.adam(&mut theta, &gradient, &mut first, &mut second, &adam))
        }
    })
}

/// Compares the library's answers with those of both loops that are timed beside it.
fn check<E: Number>(operation: &str, set: InstructionSet, count: usize, len: usize, arrays: &Arrays<E>) -> Result<()> {
    let loops = [InstructionSet::Baseline, set];
    if operation == "evaluate" {
        let penalty = Penalty::elastic_net(LAMBDA, ALPHA)?;
        let report = penalty::Backend::Cpu(Cpu::with_instructions(set)?).evaluate(&penalty, &arrays.theta)?;
        let ours = [report.l1, report.l2_squared, report.max_abs];
        for of_loop in loops {
            let theirs = run_loop(operation, of_loop, len, &mut arrays.clone()).map(f64::from);
            // A loop adds up in `f32`.
            let near = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() <= 1e-4 * a);
            assert!(near, "{operation}: {ours:?}, the loop for {of_loop:?} found {theirs:?}");
        }
        return Ok(());
    }
    let mut ours = arrays.clone();
    of_library(operation, set, count, len, &mut ours, 0.0)?;
    let near = |ours: &[E], theirs: &[E]| {
        let unit = if size_of::<E>() == 2 { 1e-2 } else { 1e-6 };
        // Sums may cancel.
        ours.iter().zip(theirs).all(|(a, b)| (a.to() - b.to()).abs() <= unit * b.to().abs().max(0.1))
    };
    for of_loop in loops {
        let mut theirs = arrays.clone();
        run_loop(operation, of_loop, len, &mut theirs);
        assert!(near(&ours.theta, &theirs.theta), "{operation}, {of_loop:?}: weights");
        assert!(near(&ours.gradient, &theirs.gradient), "{operation}, {of_loop:?}: gradients");
        assert!(near(&ours.first, &theirs.first), "{operation}, {of_loop:?}: first");
        assert!(near(&ours.second, &theirs.second), "{operation}, {of_loop:?}: second");
    }
    Ok(())
}

/// Runs the loop over each tensor, or over parts of a long one on all threads.
fn run_loop<E: Number>(operation: &str, set: InstructionSet, len: usize, arrays: &mut Arrays<E>) -> Sums {
    let Arrays { theta, gradient, first, second } = arrays;
    if len <= TASK || rayon::current_num_threads() == 1 {
        let mut sums = [0.0; 3];
        let states = first.chunks_mut(len).zip(second.chunks_mut(len));
        for ((theta, gradient), (first, second)) in theta.chunks_mut(len).zip(gradient.chunks_mut(len)).zip(states) {
            add(&mut sums, loops::run(operation, set, theta, gradient, first, second));
        }
        return sums;
    }
    let states = first.par_chunks_mut(TASK).zip(second.par_chunks_mut(TASK));
    let tasks = theta.par_chunks_mut(TASK).zip(gradient.par_chunks_mut(TASK)).zip(states);
    tasks.map(|((theta, gradient), (first, second))| loops::run(operation, set, theta, gradient, first, second)).reduce(
        || [0.0; 3],
        |mut a, b| {
            add(&mut a, b);
            a
        },
    )
}

fn add(to: &mut Sums, [l1, squares, max]: Sums) {
    *to = [to[0] + l1, to[1] + squares, to[2].max(max)];
}

/// The loops that one would write without the library.
mod loops {
    use super::*;

    const L1: f32 = (LAMBDA * ALPHA) as f32;
    const TWICE_L2: f32 = (2.0 * LAMBDA * (1.0 - ALPHA)) as f32;
    const THRESHOLD: f32 = (STEP * LAMBDA * ALPHA) as f32;
    const SHRINK: f32 = (1.0 / (1.0 + 2.0 * STEP * LAMBDA * (1.0 - ALPHA))) as f32;
    const ADAM_STEP: f32 = (STEP * 1e-3) as f32;
    const ADAM_THRESHOLD: f32 = (STEP * 1e-3 * LAMBDA * ALPHA) as f32;
    const ADAM_SHRINK: f32 = (1.0 / (1.0 + 2e-3 * STEP * LAMBDA * (1.0 - ALPHA))) as f32;

    pub(super) fn run<E: Number>(
        operation: &str,
        set: InstructionSet,
        theta: &mut [E],
        gradient: &mut [E],
        first: &mut [E],
        second: &mut [E],
    ) -> Sums {
        match set {
            InstructionSet::Baseline => by_default(operation, theta, gradient, first, second),
            // SAFETY: the processor has the instructions of the sets that are available.
            InstructionSet::Avx2 => unsafe { avx2(operation, theta, gradient, first, second) },
            // SAFETY: as above.
            InstructionSet::Avx512 => unsafe { avx512(operation, theta, gradient, first, second) },
        }
    }

    #[inline(never)]
    fn by_default<E: Number>(
        name: &str,
        theta: &mut [E],
        gradient: &mut [E],
        first: &mut [E],
        second: &mut [E],
    ) -> Sums {
        one(name, theta, gradient, first, second)
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn avx2<E: Number>(name: &str, theta: &mut [E], gradient: &mut [E], first: &mut [E], second: &mut [E]) -> Sums {
        one(name, theta, gradient, first, second)
    }

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512<E: Number>(name: &str, theta: &mut [E], gradient: &mut [E], first: &mut [E], second: &mut [E]) -> Sums {
        one(name, theta, gradient, first, second)
    }

    #[inline(always)]
    fn one<E: Number>(name: &str, theta: &mut [E], gradient: &mut [E], first: &mut [E], second: &mut [E]) -> Sums {
        match name {
            "evaluate" => return evaluate(theta),
            "gradient" => gradient.iter_mut().zip(theta).for_each(|(g, x)| *g = E::from(slope(x.to()))),
            "gradient_add" => gradient.iter_mut().zip(theta).for_each(|(g, x)| *g = E::from(g.to() + slope(x.to()))),
            "prox" => theta.iter_mut().for_each(|x| *x = E::from(soft(x.to(), THRESHOLD) * SHRINK)),
            "sgd" => {
                for ((x, g), v) in theta.iter_mut().zip(gradient).zip(first) {
                    let next = MOMENTUM * v.to() + g.to();
                    *v = E::from(next);
                    *x = E::from(soft(x.to() - STEP as f32 * next, THRESHOLD) * SHRINK);
                }
            }
            _ => {
                let (first_scale, second_scale) = (corrected(0.9), corrected(0.999));
                for ((x, g), (m, v)) in theta.iter_mut().zip(gradient).zip(first.iter_mut().zip(second)) {
                    let g = g.to();
                    let (next_m, next_v) = (0.9 * m.to() + 0.1 * g, 0.999 * v.to() + 0.001 * g * g);
                    (*m, *v) = (E::from(next_m), E::from(next_v));
                    let moved = x.to() - ADAM_STEP * (next_m * first_scale) / ((next_v * second_scale).sqrt() + 1e-8);
                    *x = E::from(soft(moved, ADAM_THRESHOLD) * ADAM_SHRINK);
                }
            }
        }
        [0.0; 3]
    }

    fn corrected(beta: f64) -> f32 {
        (1.0 / (1.0 - beta.powi(1000))) as f32
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let sign = if x == 0.0 { 0.0 } else { x.signum() };
        L1 * sign + TWICE_L2 * x
    }

    #[inline(always)]
    fn soft(v: f32, threshold: f32) -> f32 {
        v - v.clamp(-threshold, threshold)
    }

    /// Σ|θ|, Σθ² and max |θ|, by lanes.
    #[inline(always)]
    fn evaluate<E: Number>(theta: &[E]) -> Sums {
        let (rows, rest) = theta.as_chunks::<32>();
        let [mut l1, mut squares, mut max] = [[0.0f32; 32]; 3];
        for row in rows {
            for i in 0..32 {
                let x = row[i].to().abs();
                l1[i] += x;
                squares[i] += x * x;
                max[i] = if x > max[i] { x } else { max[i] };
            }
        }
        for x in rest {
            let x = x.to().abs();
            l1[0] += x;
            squares[0] += x * x;
            max[0] = max[0].max(x);
        }
        [l1.iter().sum(), squares.iter().sum(), max.iter().fold(0.0, |a, b| a.max(*b))]
    }
}
