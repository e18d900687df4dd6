//! PyTorch's zip files, as `torch.save` writes them since version 1.6. `pytorch-reader` reads the pickle in them and executes
//! nothing.
//!
//! It gives a tensor's bytes and not their place. So we look among the storages for the one that has these bytes: from then on
//! the tensor is read from the file, as those of other formats are. A tensor that is no whole storage, such as a transposed
//! one, goes to a temporary file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader, Tensor as Stored};
use serde_json::{Map, Value, json};
use zip::{CompressionMethod, ZipArchive};

use super::source::{Source, plain};
use super::tensor::{Checkpoint, Layout, Part, Skipped, Tensor};
use crate::error::Result;
use crate::number::Type;

/// How many bytes are compared at a time.
const COMPARED: usize = 1 << 20;

/// The storages in a file: their places, by their lengths and checksums.
struct Storages(HashMap<(u64, u32), Vec<u64>>);

/// A tensor, and where its bytes are.
struct Place {
    name: String,
    tensor: Stored,
    /// The other names of the tensor.
    tied: Vec<String>,
    source: Arc<Source>,
    offset: u64,
}

/// Opens a file if it is a zip that has a pickle.
pub(super) fn open(source: &Arc<Source>) -> Option<Result<Checkpoint>> {
    let archive = ZipArchive::new(BufReader::new(source.file.try_clone().ok()?)).ok()?;
    let has_pickle = archive.file_names().flatten().any(|name| name == "data.pkl" || name.ends_with("/data.pkl"));
    has_pickle.then(|| read(source, archive))
}

fn read(source: &Arc<Source>, archive: ZipArchive<BufReader<File>>) -> Result<Checkpoint> {
    let wrong = |error: PytorchError| source.error(format!("its pickle: {error}"));
    let mut tensors: Vec<Stored> =
        PytorchReader::new(&source.path).map_err(wrong)?.into_tensors().into_values().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let pickle = PytorchReader::read_pickle_data(&source.path, None).map_err(wrong)?;
    let storages = Storages::of(archive).map_err(|error| source.error(format!("its storages: {error}")))?;
    let mut places = places(source, tensors, &storages)?;
    // Larger types come first, so that every tensor begins at a multiple of its type's size; then the order of the file.
    places.sort_by_key(|place| (usize::MAX - place.tensor.dtype().size(), place.source.temporary, place.offset));

    let mut checkpoint = Checkpoint::default();
    let mut ranges = Vec::new();
    for place in &places {
        let range = place.offset..place.offset + place.tensor.byte_len() as u64;
        ranges.push((place.source.clone(), range.clone()));
        let (name, source) = (place.name.clone(), place.source.clone());
        let dtype = match place.tensor.dtype() {
            DType::F64 => Type::F64,
            DType::F32 => Type::F32,
            DType::F16 => Type::F16,
            DType::BF16 => Type::BF16,
            other => {
                let dtype = type_name(other).to_owned();
                let reason = format!("{dtype} is not F64, F32, F16 or BF16");
                checkpoint.skipped.push(Skipped { source, range, name, dtype, reason });
                continue;
            }
        };
        checkpoint.tensors.push(Tensor {
            source,
            name,
            tied: place.tied.clone(),
            dtype,
            float8: None,
            swapped: false,
            shape: place.tensor.shape().iter().map(|&side| side as u64).collect(),
            len: place.tensor.num_elements() as u64,
            offset: place.offset,
            row_major: true,
        });
    }
    checkpoint.skipped.extend(not_read(source, &pickle));
    let layout = Layout { head: header(&places), ranges };
    let place = written_as(Path::new(source.path.file_name().unwrap_or_default()));
    checkpoint.files.push(Part { source: source.clone(), place, layout });
    Ok(checkpoint)
}

impl Storages {
    fn of(mut archive: ZipArchive<BufReader<File>>) -> zip::result::ZipResult<Storages> {
        let mut places: HashMap<(u64, u32), Vec<u64>> = HashMap::new();
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i)?;
            // torch.save compresses none.
            if let (CompressionMethod::Stored, Some(start)) = (entry.compression(), entry.data_start()) {
                places.entry((entry.size(), entry.crc32())).or_default().push(start);
            }
        }
        Ok(Storages(places))
    }

    /// Where the storages are that consist of these bytes.
    fn that_are(&self, bytes: &[u8], source: &Source) -> Result<Vec<u64>> {
        let key = (bytes.len() as u64, crc32fast::hash(bytes));
        // A file may lack checksums.
        let candidates = [key, (key.0, 0)].into_iter().filter_map(|key| self.0.get(&key)).flatten();
        let mut found = Vec::new();
        for &start in candidates {
            if is_there(bytes, source, start)? && !found.contains(&start) {
                found.push(start);
            }
        }
        Ok(found)
    }
}

/// Whether a file has these bytes at a place.
fn is_there(bytes: &[u8], source: &Source, start: u64) -> Result<bool> {
    let mut buffer = vec![0; COMPARED.min(bytes.len())];
    for (part, at) in bytes.chunks(COMPARED).zip((start..).step_by(COMPARED)) {
        let buffer = &mut buffer[..part.len()];
        source.read_at(buffer, at)?;
        if buffer != part {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Finds each tensor's bytes. Names that share a storage are one tensor.
fn places(source: &Arc<Source>, tensors: Vec<Stored>, storages: &Storages) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    // The places of those tensors whose bytes are the same, by the first of the storages that have these bytes.
    let mut taken: HashMap<u64, Vec<usize>> = HashMap::new();
    let (mut others, mut end) = (None::<File>, 0);
    let mut strided = Vec::new();
    for tensor in tensors {
        let name = tensor.name.clone();
        let bytes = tensor.read().map_err(|error| source.error(plain(&error)))?;
        let found = if bytes.is_empty() { Vec::new() } else { storages.that_are(&bytes, source)? };
        let mut place = Place { name, tensor, tied: Vec::new(), source: source.clone(), offset: 0 };
        let Some(first) = found.first() else {
            let written = (|| {
                let file = match &mut others {
                    Some(file) => file,
                    empty => empty.insert(tempfile::tempfile()?),
                };
                file.write_all(&bytes)
            })();
            written.map_err(|error| source.error(format!("cannot be copied: {}", plain(&error))))?;
            place.offset = end;
            end += bytes.len() as u64;
            strided.push(places.len());
            places.push(place);
            continue;
        };
        let holders = taken.entry(*first).or_default();
        let is_like = |holder: &&usize| {
            let of = &places[**holder].tensor;
            of.dtype() == place.tensor.dtype() && of.shape() == place.tensor.shape()
        };
        match (holders.iter().find(is_like), found.as_slice()) {
            // The only storage with these bytes is that of a tensor that we have.
            (Some(&holder), [_]) => {
                places[holder].tied.push(place.name);
                continue;
            }
            // Another shape of it is a tensor of its own.
            (_, [only]) => place.offset = *only,
            (_, several) => match several.get(holders.len()) {
                Some(free) => place.offset = *free,
                None => {
                    let names: Vec<&str> = holders.iter().map(|holder| places[*holder].name.as_str()).collect();
                    let reason = format!(
                        "its tensor {:?} shares its storage with one of {names:?}, and these have the same bytes, so it cannot \
                         be told with which",
                        place.name
                    );
                    return Err(source.error(reason));
                }
            },
        }
        holders.push(places.len());
        places.push(place);
    }
    if let Some(mut file) = others {
        file.rewind().map_err(|error| source.error(plain(&error)))?;
        let path = source.path.clone();
        let copy = Arc::new(Source { path, file, len: end, temporary: true });
        strided.into_iter().for_each(|i| places[i].source = copy.clone());
    }
    Ok(places)
}

/// What a pickle has besides tensors that could have run code.
fn not_read(source: &Arc<Source>, pickle: &PickleValue) -> Vec<Skipped> {
    fn walk(value: &PickleValue, name: String, found: &mut Vec<(String, String)>) {
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            PickleValue::Dict(entries) => entries.iter().for_each(|(key, value)| walk(value, below(key), found)),
            PickleValue::List(items) => {
                items.iter().enumerate().for_each(|(i, item)| walk(item, below(&i.to_string()), found));
            }
            // Types of the library itself, such as torch.Size, are no surprise.
            PickleValue::Unsupported(of) if of != "int" && !of.starts_with("torch.") => found.push((name, of.clone())),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(pickle, String::new(), &mut found);
    found.sort();
    let skipped = |(name, dtype): (String, String)| {
        let reason = format!("is no tensor but calls {dtype}, which is not run");
        Skipped { source: source.clone(), range: 0..0, name, dtype, reason }
    };
    found.into_iter().map(skipped).collect()
}

/// The beginning of a safetensors file with these tensors. Of tied ones it has one, and says so in the metadata, as
/// `safetensors.torch.save_model` does.
fn header(places: &[Place]) -> Vec<u8> {
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), json!("pt"));
    let mut header = Map::new();
    let mut at = 0;
    for place in places {
        metadata.extend(place.tied.iter().map(|tied| (tied.clone(), json!(place.name))));
        let end = at + place.tensor.byte_len();
        let (dtype, shape) = (type_name(place.tensor.dtype()), place.tensor.shape());
        header.insert(place.name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend(text);
    head
}

/// The name of what a PyTorch file becomes: `pytorch_model-1.bin` is written as `model-1.safetensors`.
pub(super) fn written_as(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("pytorch_").unwrap_or(&name);
    let endings = [".bin.index.json", ".bin", ".pt", ".pth"];
    let Some(ending) = endings.into_iter().find(|ending| name.ends_with(ending)) else {
        return place.with_file_name(format!("{name}.safetensors"));
    };
    let after = if ending == ".bin.index.json" { ".index.json" } else { "" };
    place.with_file_name(format!("{}.safetensors{after}", &name[..name.len() - ending.len()]))
}

/// The type's name in safetensors.
fn type_name(of: DType) -> &'static str {
    match of {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::U16 => "U16",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}
