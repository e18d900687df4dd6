//! PyTorch's zip files, as `torch.save` writes them since version 1.6. `pytorch-reader` reads the pickle in them and executes
//! nothing.
//!
//! It gives a tensor's bytes and not their place. So we look whether its storage has just these bytes: then the tensor is read
//! from the file, as those of other formats are. A tensor that is no whole storage, such as a transposed one, goes to a
//! temporary file. One tensor is in memory at a time.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader, Tensor as Stored};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::source::{Source, plain};
use super::tensor::{Checkpoint, Layout, Part, Skipped, Tensor};
use crate::error::Result;
use crate::memory;
use crate::number::Type;

/// How many bytes are compared at a time.
const COMPARED: usize = 1 << 20;

/// How many bytes views may have beyond those of their storages, together. A small file can say any number.
const EXPANDED: u64 = 1 << 26;

/// A storage in a file.
struct Storage {
    /// The name of the file's entry.
    entry: String,
    /// Where its bytes begin; `None` if they are compressed, which `torch.save` never does.
    start: Option<u64>,
    len: u64,
}

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
    let mut archive = ZipArchive::new(BufReader::new(source.file.try_clone().ok()?)).ok()?;
    let has_pickle = archive.file_names().flatten().any(|name| name == "data.pkl" || name.ends_with("/data.pkl"));
    has_pickle.then(|| read(source, &mut archive))
}

fn read(source: &Arc<Source>, archive: &mut ZipArchive<BufReader<File>>) -> Result<Checkpoint> {
    let wrong = |error: PytorchError| source.error(format!("its pickle: {error}"));
    let mut tensors: Vec<Stored> =
        PytorchReader::new(&source.path).map_err(wrong)?.into_tensors().into_values().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let pickle = PytorchReader::read_pickle_data(&source.path, None).map_err(wrong)?;
    let unclear = |error: Box<dyn Error>| source.error(format!("its storages: {error}"));
    let (pickle_entry, storages) = storages(archive).map_err(|error| unclear(error.into()))?;
    let numbers = numbers(archive, &pickle_entry, &storages).map_err(unclear)?;
    let storage = |tensor: &Stored| numbers.get(&tensor.name).and_then(|number| storages.get(*number));
    let mut places = places(source, tensors, storage)?;
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
                let tied = place.tied.clone();
                checkpoint.skipped.push(Skipped { source, range, name, tied, dtype, reason });
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

/// The entry of the pickle that the reader reads, and the storages beside it.
fn storages(archive: &mut ZipArchive<BufReader<File>>) -> zip::result::ZipResult<(String, Vec<Storage>)> {
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.to_string()).collect();
    let folders = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = folders.filter(|folder| folder.is_empty() || folder.ends_with('/')).min_by_key(|folder| folder.len());
    let folder = folder.unwrap_or_default();
    let beside = format!("{folder}data/");
    let mut storages = Vec::new();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i)?;
        let name = entry.name()?;
        if name.starts_with(&beside) {
            let is_stored = entry.compression() == CompressionMethod::Stored;
            let start = entry.data_start().filter(|_| is_stored);
            storages.push(Storage { entry: name.to_string(), start, len: entry.size() });
        }
    }
    Ok((format!("{folder}data.pkl"), storages))
}

/// Which storage each tensor is in, by its number among the storages.
///
/// The reader knows and does not tell. But it fails in one way if a storage is missing, and in another if it is too short. So
/// it gets copies of the pickle, with storages that are empty or missing: over the copies, that spells a storage's number in
/// binary.
fn numbers(
    archive: &mut ZipArchive<BufReader<File>>,
    pickle_entry: &str,
    storages: &[Storage],
) -> Result<HashMap<String, usize>, Box<dyn Error>> {
    let mut pickle = Vec::new();
    archive.by_name(pickle_entry)?.read_to_end(&mut pickle)?;
    let mut numbers = HashMap::new();
    let digits = storages.len().next_power_of_two().ilog2().max(1);
    for digit in 0..digits {
        let mut copy = tempfile::NamedTempFile::new()?;
        let mut writer = ZipWriter::new(copy.as_file_mut());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(pickle_entry, options)?;
        writer.write_all(&pickle)?;
        for (_, storage) in storages.iter().enumerate().filter(|(number, _)| number >> digit & 1 == 1) {
            writer.start_file(storage.entry.as_str(), options)?;
        }
        writer.finish()?;
        for tensor in PytorchReader::new(copy.path())?.into_tensors().into_values() {
            let number = numbers.entry(tensor.name.clone()).or_default();
            if tensor.read().is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof) {
                *number |= 1 << digit;
            }
        }
    }
    Ok(numbers)
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

/// Finds each tensor's bytes. Names of the same storage are one tensor.
fn places<'a>(
    source: &Arc<Source>,
    tensors: Vec<Stored>,
    storage: impl Fn(&Stored) -> Option<&'a Storage>,
) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    // The places of those tensors that are whole storages, by where these begin.
    let mut whole: HashMap<u64, Vec<usize>> = HashMap::new();
    let (mut others, mut end) = (None::<File>, 0);
    let mut expanded = 0;
    let mut strided = Vec::new();
    for tensor in tensors {
        let name = tensor.name.clone();
        let len = tensor.byte_len() as u64;
        let storage = storage(&tensor).filter(|_| len > 0);
        expanded += storage.map_or(0, |storage| len.saturating_sub(storage.len));
        if expanded > EXPANDED {
            let reason = "is a view with more bytes than its storage: save it with .contiguous()";
            return Err(source.error(format!("its tensor {name:?} {reason}")));
        }
        memory::check(len)?;
        let bytes = tensor.read().map_err(|error| source.error(plain(&error)))?;
        let start = match storage {
            Some(&Storage { start: Some(start), len: all, .. }) if all == len && is_there(&bytes, source, start)? => {
                Some(start)
            }
            _ => None,
        };
        let mut place = Place { name, tensor, tied: Vec::new(), source: source.clone(), offset: 0 };
        let Some(start) = start else {
            let written = (|| {
                let file = match &mut others {
                    Some(file) => file,
                    empty => empty.insert(tempfile::tempfile()?),
                };
                file.write_all(&bytes)
            })();
            written.map_err(|error| source.error(format!("cannot be copied: {}", plain(&error))))?;
            place.offset = end;
            end += len;
            strided.push(places.len());
            places.push(place);
            continue;
        };
        let holders = whole.entry(start).or_default();
        let is_like = |holder: &&usize| {
            let of = &places[**holder].tensor;
            of.dtype() == place.tensor.dtype() && of.shape() == place.tensor.shape()
        };
        if let Some(&holder) = holders.iter().find(is_like) {
            places[holder].tied.push(place.name);
            continue;
        }
        // Another shape of it is a tensor of its own.
        place.offset = start;
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
        Skipped { source: source.clone(), range: 0..0, name, tied: Vec::new(), dtype, reason }
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
