//! A rank whose words another program adds up: the one that has started it, through its pipes.
//!
//! `scripts/torch_ranks.py` is such a program. Under `torchrun` it carries the words by `torch.distributed`:
//!
//! ```text
//! cargo build --release -p penalty-mpi --example pipe
//! torchrun --nproc-per-node 3 scripts/torch_ranks.py target/release/examples/pipe
//! ```
//!
//! This program asks on its standard output: `s` or `m` for a sum or a maximum, how many words there are in four bytes, and
//! the words, all little-endian. The answer on its standard input is as many words. An input that ends is an error, so the
//! other program sets the time that a rank is waited for.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use penalty::exact::Transport;
use penalty::{Budget, Cpu, Dtype, Error, Penalty, Reports, Result, SliceMut};
use penalty_mpi::{Layout, Tensor};

/// A transport over the pipes of this process.
#[derive(Debug)]
struct Pipe {
    rank: usize,
    size: usize,
    /// One exchange at a time.
    turn: Mutex<()>,
}

impl Pipe {
    fn exchange(&self, kind: u8, bytes: &mut [u8], words: usize) -> Result<()> {
        let _turn = self.turn.lock();
        let mut exchanged = || {
            let mut output = io::stdout().lock();
            output.write_all(&[kind])?;
            output.write_all(&(words as u32).to_le_bytes())?;
            output.write_all(bytes)?;
            output.flush()?;
            io::stdin().lock().read_exact(bytes)
        };
        exchanged().map_err(|error| Error::Ranks { rank: self.rank, size: self.size, problem: error.to_string() })
    }
}

impl Transport for Pipe {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_u64(&self, words: &mut [u64]) -> Result<()> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.exchange(b's', &mut bytes, words.len())?;
        words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        Ok(())
    }

    fn max_u32(&self, words: &mut [u32]) -> Result<()> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.exchange(b'm', &mut bytes, words.len())?;
        words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
        Ok(())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse()).collect::<std::result::Result<_, _>>()?;
    let &[rank, size] = &numbers[..] else { return Err("usage: pipe RANK SIZE".into()) };
    let reports = shrink(Arc::new(Pipe { rank, size, turn: Mutex::new(()) }))?;
    if rank == 0 {
        for report in reports {
            eprintln!(
                "R(θ) = {:e}, Σ|θ| = {:e}, {} weights are 0",
                report.total.value,
                report.total.l1,
                report.total.zeros()
            );
        }
    }
    Ok(())
}

/// A step of a separable penalty and of a ball that is spread over all ranks, then a global budget.
fn shrink(transport: Arc<Pipe>) -> Result<Vec<Reports>> {
    let tensors = vec![
        Tensor::new("l1", 100_000, Dtype::F32, Penalty::l1(0.3)?),
        Tensor::new("ball", 100_000, Dtype::F32, Penalty::l1_ball(50.0)?),
    ];
    let layout = Layout::even(tensors, transport.size)?;
    let weight = |at: u64| ((at * 2_654_435_761 % 4_294_967_291) as f32 / 2_147_483_648.0 - 1.0).powi(3);
    let mut parts: Vec<Vec<f32>> = (0..2).map(|i| layout.part(i, transport.rank).map(weight).collect()).collect();
    let set = layout.set(Cpu::new(), transport)?;
    let mut slices: Vec<SliceMut<'_>> = parts.iter_mut().map(|part| part[..].as_mut().into()).collect();
    Ok(vec![set.prox_and_evaluate_in_place(&mut slices, 0.5)?, set.prune_in_place(&Budget::prune(0.9)?, &mut slices)?])
}
