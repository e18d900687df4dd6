//! `penalty diff`.

use std::ops::Range;

use penalty::Penalty;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::args;
use crate::checkpoint::{Checkpoint, Skipped, Tensor};
use crate::error::Result;
use crate::json;
use crate::number::{Number, Type, with_number};
use crate::output;
use crate::read::{CPU_CHUNK, Chunk, Held, Progress};
use crate::report::{self, Table};

/// What differs between two tensors.
#[derive(Debug, Clone, Copy)]
struct Difference {
    largest: f64,
    sum: f64,
    zeros_gained: u64,
    zeros_lost: u64,
    nan_gained: u64,
    same: bool,
}

/// The tensors of one name.
enum Pair {
    Weights(Box<(Tensor, Tensor)>, Difference),
    /// Weights of other shapes, or of a type that is not read in one file only.
    Unlike(String),
    /// Bytes of types that are not read.
    Bytes(String, bool),
    Only(&'static str),
}

/// Whether both checkpoints have the same tensors, bit by bit.
pub(crate) fn run(args: &args::Diff) -> Result<bool> {
    let [mut a, mut b] = [Checkpoint::open(&args.a)?, Checkpoint::open(&args.b)?];
    args.selection.choose_of_both(&mut a, &mut b)?;
    let progress = Progress::new(a.tensors.iter().chain(&b.tensors).map(Tensor::bytes).sum());
    let mut names: Vec<&str> = a.names().collect();
    let of_a: std::collections::HashSet<&str> = names.iter().copied().collect();
    names.extend(b.names().filter(|name| !of_a.contains(name)));
    let pairs = names.iter().map(|name| Ok((*name, pair(name, &a, &b, &progress)?)));
    let pairs: Vec<(&str, Pair)> = pairs.collect::<Result<_>>()?;
    drop(progress);
    let same = pairs.iter().all(|(_, pair)| pair.is_same());

    let mut out = output::stdout();
    if args.json {
        let mut object = Map::new();
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        object.insert("bits_equal".to_owned(), json!(same));
        object.insert("tensors".to_owned(), pairs.iter().map(|(name, pair)| pair.json(name)).collect());
        out.json(object)?;
    } else {
        let headings = ["name", "type", "bits", "weights", "max|Δ|", "Σ|Δ|", "zeros +", "zeros −", "NaN +"];
        let mut table = Table::new(3, &headings);
        for (name, pair) in &pairs {
            table.row(pair.row(name));
        }
        table.print(&mut out)?;
    }
    out.flush()?;
    Ok(same)
}

fn pair(name: &str, a: &Checkpoint, b: &Checkpoint, progress: &Progress) -> Result<Pair> {
    let tensor = |of: &Checkpoint| of.tensors.iter().find(|tensor| tensor.names().any(|of| of == name)).cloned();
    let skipped = |of: &Checkpoint| of.skipped.iter().find(|skipped| skipped.names().any(|of| of == name)).cloned();
    Ok(match (tensor(a), skipped(a), tensor(b), skipped(b)) {
        (Some(a), _, Some(b), _) if a.shape == b.shape => {
            let difference = difference(&a, &b, progress)?;
            Pair::Weights(Box::new((a, b)), difference)
        }
        (Some(a), _, Some(b), _) => Pair::Unlike(format!("{} → {}", report::shape(&a), report::shape(&b))),
        (_, Some(a), _, Some(b)) if a.dtype == b.dtype => Pair::Bytes(a.dtype.clone(), same_bytes(&a, &b)?),
        (None, None, ..) => Pair::Only("B"),
        (.., None, None) => Pair::Only("A"),
        (a, skipped_a, b, skipped_b) => {
            let dtype = |tensor: Option<Tensor>, skipped: Option<Skipped>| {
                tensor.map(|tensor| tensor.type_name()).or(skipped.map(|skipped| skipped.dtype)).unwrap_or_default()
            };
            Pair::Unlike(format!("{} → {}", dtype(a, skipped_a), dtype(b, skipped_b)))
        }
    })
}

fn difference(a: &Tensor, b: &Tensor, progress: &Progress) -> Result<Difference> {
    let none = Penalty::none();
    let size = if a.row_major && b.row_major { CPU_CHUNK } else { a.len.max(1) };
    let of_range = |(left, right): &mut (Held, Held), start: u64| {
        let range: Range<u64> = start..a.len.min(start + size);
        let [first, second] = [a, b].map(|tensor| Chunk::new(0, tensor, &none, range.clone()));
        first.read(left)?;
        second.read(right)?;
        progress.add(first.file_bytes() + second.file_bytes());
        let (left, right) = (first.theta(left), second.theta(right));
        let of = Difference::new(numbers(a.dtype, left).zip(numbers(b.dtype, right)));
        Ok(Difference { same: a.type_name() == b.type_name() && left == right, ..of })
    };
    let starts: Vec<u64> = (0..a.len).step_by(size as usize).collect();
    let parts = starts.into_par_iter().map_init(<(Held, Held)>::default, of_range);
    let parts: Vec<Difference> = parts.collect::<Result<_>>()?;
    let none = Difference { same: a.type_name() == b.type_name(), ..Difference::new(std::iter::empty()) };
    Ok(parts.into_iter().fold(none, Difference::and))
}

fn numbers(dtype: Type, bytes: &[u8]) -> Box<dyn Iterator<Item = f64> + '_> {
    with_number!(dtype, N => Box::new(bytemuck::cast_slice::<u8, N>(bytes).iter().map(N::widened)))
}

impl Difference {
    fn new(pairs: impl Iterator<Item = (f64, f64)>) -> Difference {
        let mut of = Difference { largest: 0.0, sum: 0.0, zeros_gained: 0, zeros_lost: 0, nan_gained: 0, same: true };
        for (a, b) in pairs {
            // A NaN has no distance, and equal infinities have none from each other.
            let delta = if a == b || a.is_nan() || b.is_nan() { 0.0 } else { (b - a).abs() };
            of.largest = of.largest.max(delta);
            of.sum += delta;
            of.zeros_gained += u64::from(a != 0.0 && b == 0.0);
            of.zeros_lost += u64::from(a == 0.0 && b != 0.0);
            of.nan_gained += u64::from(!a.is_nan() && b.is_nan());
        }
        of
    }

    fn and(self, other: Difference) -> Difference {
        Difference {
            largest: self.largest.max(other.largest),
            sum: self.sum + other.sum,
            zeros_gained: self.zeros_gained + other.zeros_gained,
            zeros_lost: self.zeros_lost + other.zeros_lost,
            nan_gained: self.nan_gained + other.nan_gained,
            same: self.same && other.same,
        }
    }
}

fn same_bytes(a: &Skipped, b: &Skipped) -> Result<bool> {
    let len = |of: &Skipped| of.range.end - of.range.start;
    if len(a) != len(b) {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for at in (0..len(a)).step_by(1 << 20) {
        let part = (len(a) - at).min(1 << 20) as usize;
        for (of, buffer) in [(a, &mut left), (b, &mut right)] {
            buffer.resize(part, 0);
            of.source.read_at(buffer, of.range.start + at)?;
        }
        if left != right {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Pair {
    fn is_same(&self) -> bool {
        match self {
            Pair::Weights(_, difference) => difference.same,
            Pair::Bytes(_, same) => *same,
            Pair::Unlike(_) | Pair::Only(_) => false,
        }
    }

    /// The types, if they are the same only one; or how else the tensors differ.
    fn kind(&self) -> String {
        match self {
            Pair::Weights(tensors, _) if tensors.0.type_name() == tensors.1.type_name() => tensors.0.type_name(),
            Pair::Weights(tensors, _) => format!("{} → {}", tensors.0.type_name(), tensors.1.type_name()),
            Pair::Bytes(dtype, _) => dtype.clone(),
            Pair::Unlike(how) => how.clone(),
            Pair::Only(side) => format!("only in {side}"),
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let same = if self.is_same() { "same" } else { "differ" };
        let mut row = vec![name.to_owned(), self.kind(), same.to_owned()];
        match self {
            Pair::Weights(tensors, of) => {
                row.extend([tensors.0.len.to_string(), report::short(of.largest), report::short(of.sum)]);
                row.extend([of.zeros_gained, of.zeros_lost, of.nan_gained].map(|count| count.to_string()));
            }
            _ => row.extend(std::iter::repeat_n("-".to_owned(), 6)),
        }
        row
    }

    fn json(&self, name: &str) -> Value {
        let mut object = json!({"name": name, "kind": self.kind(), "bits_equal": self.is_same()});
        if let Pair::Weights(tensors, of) = self {
            object["len"] = json!(tensors.0.len);
            object["max_abs"] = json::number(of.largest);
            object["l1"] = json::number(of.sum);
            object["zeros_gained"] = json!(of.zeros_gained);
            object["zeros_lost"] = json!(of.zeros_lost);
            object["nan_gained"] = json!(of.nan_gained);
        }
        object
    }
}
