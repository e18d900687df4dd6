//! `penalty check`.

use std::ops::Range;

use penalty::Penalty;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::args;
use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::Result;
use crate::number::{Number, with_number};
use crate::output;
use crate::prune::structure::{Layers, leave, named};
use crate::read::{CPU_CHUNK, Chunk, Held, Progress};
use crate::report::{self, Table};

/// Whether every tensor conforms.
pub(crate) fn run(args: &args::Check) -> Result<bool> {
    let mut checkpoint = Checkpoint::open(&args.model)?;
    args.selection.choose(&mut checkpoint, std::slice::from_ref(&args.model))?;
    leave(&mut checkpoint, &args.model, args.structure)?;
    let of = |tensor: &Tensor| {
        let layers = args.structure.layers(tensor, args.dim, args.pad);
        layers.transpose().map(|layers| layers.map_err(|reason| named(tensor, reason)))
    };
    let layers: Vec<Layers> = checkpoint.tensors.iter().filter_map(of).collect::<Result<_>>()?;
    let progress = Progress::new(checkpoint.tensors.iter().map(Tensor::bytes).sum());
    let counts = checkpoint.tensors.iter().zip(layers).map(|(tensor, layers)| count(tensor, layers, &progress));
    let counts: Vec<Groups> = counts.collect::<Result<_>>()?;
    drop(progress);
    let wrong = counts.iter().filter(|groups| groups.wrong > 0).count();

    let mut out = output::stdout();
    let pairs = || checkpoint.tensors.iter().zip(&counts);
    if args.json {
        let mut object = Map::new();
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        let (structure, dim) = (args.structure.to_string(), args.dim);
        object.insert("check".to_owned(), json!({"structure": structure, "dim": dim, "pad": args.pad}));
        object.insert("conforms".to_owned(), json!(wrong == 0));
        let each = pairs().map(|(tensor, groups)| {
            let mut object = report::identity(tensor);
            object.insert("groups".to_owned(), json!(groups.all));
            object.insert("wrong_groups".to_owned(), json!(groups.wrong));
            Value::Object(object)
        });
        object.insert("tensors".to_owned(), each.collect());
        object.insert("skipped".to_owned(), report::skipped(&checkpoint.skipped));
        out.json(object)?;
    } else {
        let mut table = Table::new(4, &["name", "shape", "type", "conforms", "groups", "wrong groups"]);
        for (tensor, groups) in pairs() {
            let conforms = if groups.wrong == 0 { "yes" } else { "no" };
            let text = [tensor.name.clone(), report::shape(tensor), tensor.type_name(), conforms.to_owned()];
            table.row(text.into_iter().chain([groups.all, groups.wrong].map(|count| count.to_string())));
        }
        table.print(&mut out)?;
        report::name_skipped(&mut out, &checkpoint.skipped)?;
        out.line(match wrong {
            0 => format!("every tensor is {} along dimension {}", args.structure, args.dim),
            wrong => format!("{wrong} of {} tensors are not {}", counts.len(), args.structure),
        })?;
    }
    out.flush()?;
    Ok(wrong == 0)
}

/// How many groups a tensor has, and how many of them have too many weights that are not 0.
#[derive(Debug, Default)]
struct Groups {
    all: u64,
    wrong: u64,
}

fn count(tensor: &Tensor, layers: Layers, progress: &Progress) -> Result<Groups> {
    let none = Penalty::none();
    let size = if tensor.row_major { CPU_CHUNK } else { u64::MAX };
    let of_range = |held: &mut Held, range: Range<u64>| {
        let start = range.start;
        let chunk = Chunk::new(0, tensor, &none, range);
        chunk.read(held)?;
        let bytes = chunk.theta(held);
        progress.add(chunk.file_bytes());
        Ok(with_number!(tensor.dtype, N => count_groups::<N>(layers, start, bytemuck::cast_slice(bytes))))
    };
    let add = |a: Groups, b: Groups| Ok(Groups { all: a.all + b.all, wrong: a.wrong + b.wrong });
    let parts = layers.parts(0, tensor.len, size).into_par_iter();
    parts.map_init(Held::default, of_range).try_reduce(Groups::default, add)
}

fn count_groups<N: Number>(layers: Layers, start: u64, mut weights: &[N]) -> Groups {
    let (mut groups, mut at) = (Groups::default(), start);
    while !weights.is_empty() {
        let (block, after) = weights.split_at((layers.block(at) as usize).min(weights.len()));
        (at, weights) = (at + block.len() as u64, after);
        for column in 0..layers.inner as usize {
            let members = block[column..].iter().step_by(layers.inner as usize);
            let kept = members.filter(|weight| !weight.is_zero()).count() as u64;
            groups.all += 1;
            groups.wrong += u64::from(kept > layers.n);
        }
    }
    groups
}
