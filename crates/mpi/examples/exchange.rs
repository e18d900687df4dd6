//! How long the two messages of a step take: the median over steps, for sets of some sizes. Rank 0 prints a table.
//!
//! `mpirun -n 4 cargo run --release -p penalty-mpi --features mpi --example exchange`

use std::error::Error;
use std::time::{Duration, Instant};

use penalty::exact::{Partial, Transport};
use penalty::{Backend, Penalty, Reports};
use penalty_mpi::Mpi;

const STEPS: usize = 300;

fn main() -> Result<(), Box<dyn Error>> {
    let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Serialized).ok_or("MPI runs already")?;
    let rank = Mpi::new(universe.world(), Duration::from_secs(60));
    let (none, partial) = (Penalty::none(), Backend::cpu().partial(0, &[0.5f32; 1000])?);
    if rank.rank() == 0 {
        println!(
            "{} ranks\n| tensors | bytes | µs, two messages | µs, all of it |\n| ---: | ---: | ---: | ---: |",
            rank.size()
        );
    }
    for tensors in [1, 10, 100, 1000] {
        let partials: Vec<Partial> = vec![partial.clone(); tensors];
        let all = median(|| Reports::across(&rank, partials.iter().map(|partial| (partial, &none))).map(drop))?;
        let (mut sums, mut largest) = (vec![1u64; 48 * tensors], vec![1u32; tensors]);
        let messages = median(|| {
            rank.sum_u64(&mut sums)?;
            rank.max_u32(&mut largest)
        })?;
        if rank.rank() == 0 {
            println!("| {tensors} | {} | {messages:.0} | {all:.0} |", 388 * tensors);
        }
    }
    Ok(())
}

/// Of a call's times, in µs.
fn median(mut call: impl FnMut() -> penalty::Result<()>) -> penalty::Result<f64> {
    let mut times = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let began = Instant::now();
        call()?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[STEPS / 2].as_secs_f64() * 1e6)
}
