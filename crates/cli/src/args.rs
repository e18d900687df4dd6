//! The command line.

mod asked;
pub(crate) mod fit;
mod values;

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use penalty::cpu::InstructionSet;
use penalty::{Backend, Cpu};
use regex::Regex;
use serde_json::{Value, json};

use asked::PenaltyArgs;
use values::{file, fraction, regex, step};

use crate::bench::shape::{self, Shapes};
use crate::groups;
use crate::named::{self, Asked};
use crate::prune::structure::{self, Structure};

const EVAL_EXAMPLES: &str = "\
Examples:
  penalty eval model.safetensors --l1 1e-4
  penalty eval model.safetensors.index.json --lambda 0.01 --alpha 0.5 --json
  penalty eval model.safetensors --penalty mcp:lambda=0.1,gamma=3
  penalty eval model.safetensors --penalty weighted-l1:lambda=0.1 --weights weights.safetensors
  penalty eval model.safetensors --penalty group-lasso:lambda=0.1 --groups rows --include 'weight$'
  penalty eval model.safetensors --l2 5e-4 --include 'weight$' --exclude norm --backend gpu";

const SHRINK_EXAMPLES: &str = "\
Examples:
  penalty shrink model.safetensors --out sparse.safetensors --l1 1e-3 --step 1
  penalty shrink model.safetensors --out sparse.safetensors --penalty l0:lambda=5e-5 --step 1
  penalty shrink model.safetensors --out sparse.safetensors --penalty group-lasso:lambda=0.1 --groups tiles:4x4 --step 1
  penalty shrink model.safetensors --out bounded.safetensors --project box:lower=-1,upper=1
  penalty shrink model.safetensors --out bounded.safetensors --project l1-ball:radius=10 --groups rows --include weight
  penalty shrink model.safetensors --out sparse.safetensors --keep n-of-m:n=2,m=4 --include 'weight$'
  penalty shrink model.safetensors --out sparse.safetensors --l1 0.05 --step 0.1 --include 'weight$' --dry-run";

const PRUNE_EXAMPLES: &str = "\
Examples:
  penalty prune model.safetensors --out sparse.safetensors --sparsity 0.5
  penalty prune model.safetensors.index.json --out sparse/ --sparsity 0.9 --min-per-tensor 0.01 --include 'weight$'
  penalty prune model/ --out sparse/ --structure 2:4 --exclude 'embed|lm_head'
  penalty prune gpt2.safetensors --out sparse.safetensors --structure 2:4 --dim 0 --include 'attn|mlp'
  penalty prune cnn.safetensors --out smaller.safetensors --structure filters --sparsity 0.3 --scope tensor
  penalty prune model.safetensors --sparsity 0.5 --scope row --dry-run";

const CHECK_EXAMPLES: &str = "\
Examples:
  penalty check sparse.safetensors --structure 2:4
  penalty check model.safetensors.index.json --structure 4:8 --include 'weight$' --json
  penalty check gpt2.safetensors --structure 2:4 --dim 0 --include 'attn|mlp'";

const DIFF_EXAMPLES: &str = "\
Examples:
  penalty diff model.safetensors sparse.safetensors
  penalty diff model/ sparse/ --include 'weight$' --json";

const DEVICES_EXAMPLES: &str = "\
Examples:
  penalty devices
  penalty devices --json";

const BENCH_HELP: &str = "\
Rows: each operation on F32 weights of every size; on weights of which 90 % are zero, on F16 and on BF16 at the largest
single tensor. On a device also, at the smallest, how long one call takes until its result is there, and how long the
host records a step. A row is printed as soon as it is measured. Its answers are checked first: on the CPU against plain
formulas, on a device bit by bit against the CPU. A row that fails says why, and the others go on.

Columns, and their keys in JSON:
  operation   evaluate; gradient writes it, gradient_add adds to it; prox; sgd_momentum; adam_plain, and adam in its own
              metric: operation
  type        of the weights: type
  weights     of a tensor, or TENSORSxWEIGHTS: tensors, weights
  zeros       the share of weights that are zero: zeros, from 0 to 1
  measure     step: one of many in a row. latency: one call on an idle device, from the call to the result.
              recording: the host's part of a step: measure
  µs          by the host's clock, the fastest, the median and the slowest turn: microseconds
  device µs   by the device's clock, without submitting and waiting; - if it has none: device_microseconds
  dispatch µs by the device's clock, the kernels of one step alone, without the copies and barriers around them; - if it
              has no clock: dispatch_microseconds
  GB/s        the bytes that a perfect implementation moves, by the median time, the device's if there is one:
              bytes, gb_per_second
  machine     the same for a kernel of this program that only moves as many bytes (read, copy, scale or update):
              machine, machine_microseconds, machine_device_microseconds, machine_gb_per_second
  ratio       GB/s divided by the machine's: ratio
Each line of --json-lines also has version, backend, adapter, driver, determinism (the self-check's outcome; null on the
CPU) and error (null if there is none).

Examples:
  penalty bench --backend cpu
  penalty bench --backend cpu --instructions avx2 --sizes 2^26
  penalty bench --adapter nvidia --sizes 2^20..2^28,1000x65536
  penalty bench --backend gpu --sizes 2^24 --include 'adam' --json-lines";

const EXAMPLES: &str = "\
Examples:
  penalty eval model.safetensors --l1 1e-4                            the penalty of a checkpoint, tensor by tensor
  penalty shrink model.safetensors --out sparse.safetensors --l1 1e-3 --step 1
                                                                      small weights become exact zeros
  penalty prune model.safetensors --out sparse.safetensors --sparsity 0.5
                                                                      half of all weights, the smallest, become zero

Exit codes: 0 done; 1 failed; 2 usage; 3 no adapter, or none of that name. check: 1 also if a tensor does not conform. diff:
0 the same, 1 different, 2 failed.";

/// The help after eval's options: the names that they take, and examples.
fn eval_help() -> String {
    [&named::penalties_help(), groups::HELP, EVAL_EXAMPLES].join("\n")
}

/// The same for shrink.
fn shrink_help() -> String {
    let [penalties, projections, keeps] = [named::penalties_help(), named::projections_help(), named::keeps_help()];
    [&penalties, &projections, &keeps, groups::HELP, SHRINK_EXAMPLES].join("\n")
}

/// The same for prune.
fn prune_help() -> String {
    [structure::HELP, PRUNE_EXAMPLES].join("\n")
}

/// Regularization penalties over checkpoint files: evaluate them, shrink weights to exact zeros, and prune to a budget.
#[derive(Debug, Parser)]
#[command(name = "penalty", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the penalty and the statistics of every tensor in checkpoint files.
    #[command(after_help = eval_help())]
    Eval(Box<Eval>),
    /// Apply the penalty's proximal step to a checkpoint, so that small weights become exact zeros.
    ///
    /// Every selected F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 tensor becomes argmin over x of step·R(x) + ½‖x − θ‖². With --l1 this is soft
    /// thresholding at step·λ. With --project it is the nearest point of the set. With --keep it is the largest
    /// weights, and zeros elsewhere. Types, order, names and metadata stay the same; all other tensors are copied byte
    /// for byte. What is read from PyTorch's files is written as safetensors; of tensors that share their weights, one is
    /// written, as safetensors.torch.save_model does. F64 is computed on the CPU.
    #[command(after_help = shrink_help())]
    Shrink(Box<Shrink>),
    /// Set the smallest weights of a checkpoint to zero, up to a budget.
    ///
    /// With --sparsity s, the ⌊s·n⌋ smallest magnitudes of all n selected weights become zero, as a stable sort would choose
    /// them: of equal magnitudes, the first in the order of files and tensors, then of indices. Magnitudes are compared
    /// exactly, and −0 is 0. Infinities are the largest. A NaN is never pruned: if a budget needs that, the command fails.
    /// With --structure, whole groups become zero, those with the smallest ‖g‖₂/√n first, while they have at most ⌊s·n⌋
    /// weights. All other weights keep every bit; types, order, names and metadata stay the same. Zeros do not make a file
    /// smaller: only a format for sparse tensors or a compressor does that.
    ///
    /// The search for the smallest weights runs on the CPU, whatever the backend, and so does all that concerns F64; a device
    /// computes the sums in the table. PyTorch's files are written as safetensors. Tensors that share their weights count once,
    /// and one of them is written, as safetensors.torch.save_model does.
    #[command(after_help = prune_help())]
    Prune(Box<Prune>),
    /// Say which tensors of a checkpoint have the structure n:m, and how many groups do not.
    ///
    /// The exit code is 1 if a tensor does not conform. Tensors of fewer than two dimensions are skipped.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Compare two checkpoints, tensor by tensor.
    ///
    /// For each name: max|Δ| and Σ|Δ| of the weights, how many became zero (zeros +) or were zero (zeros −), how many became
    /// NaN, and whether all bits are the same. A NaN has no Δ. Tensors of types without penalties are compared byte by
    /// byte. The exit code is 0 if all tensors are the same, 1 if some differ, and 2 if a checkpoint cannot be read.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(Diff),
    /// Fit a linear model of a column on the others, with a penalty on its coefficients.
    ///
    /// Minimizes the mean loss of the rows plus the penalty: with --loss squared 1/(2n)‖y − Xw − b‖² + R(w). The intercept b is
    /// not penalized. With --standardize, R is of the coefficients of standardized columns (coef); those of the columns as
    /// given (coef_raw) follow.
    Fit(Box<fit::Fit>),
    /// Fit a path: from a λ at which all coefficients are 0 down to a small one.
    Path(Box<fit::Path>),
    /// Choose λ by cross-validation: fit paths without some rows, and measure the error on these.
    Cv(Box<fit::Cv>),
    /// Predict by a model that fit or cv has written: one line for each row of the data, as CSV.
    Predict(fit::Predict),
    /// Draw why L1 gives exact zeros and L2 does not: what each allows, where a contour of the loss touches that, and the
    /// coefficients as λ grows.
    Geometry(Box<fit::Geometry>),
    /// List every adapter, the outcome of its self-check and its bandwidth.
    ///
    /// The self-check runs a built-in probe and compares the bits of its sums, gradients and proxes with the CPU's.
    /// gpu_to_gpu means the same bits everywhere, run_to_run the same bits on this device.
    #[command(after_help = DEVICES_EXAMPLES)]
    Devices(Devices),
    /// Time the operations on weights in memory, beside kernels that only move as many bytes.
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Checkpoints: a .safetensors file, the .index.json of a sharded checkpoint, a .npy file, a .pt or .bin file of PyTorch 1.6
    /// or later, or a folder that has a checkpoint
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) penalty: PenaltyArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options that conflict with --project and --keep.
const PENALTY_AND_STEP: [&str; 7] = ["l1", "l2", "lambda", "alpha", "named", "weights", "step"];

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("some_penalty").required(true).multiple(true)
    .args(["l1", "l2", "lambda", "named", "project", "keep"]))]
pub(crate) struct Shrink {
    /// The checkpoint: .safetensors, .npy or PyTorch's .pt or .bin, the .index.json of a sharded one, or a folder that has one
    /// of them
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The file to write: a new name, or with --force an existing regular file. If OUT is a symbolic link, the link
    /// stays and the file that it leads to is written. A sharded checkpoint is written to a folder, which gets the shards
    /// and the index and, if FILE is a folder, also its files without weights, such as config.json. That of a folder with one
    /// file is a folder if OUT ends in /
    #[arg(long, value_name = "OUT", value_parser = PathBufValueParser::new().try_map(file))]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) penalty: PenaltyArgs,
    /// Replace the weights by the nearest point of a set, NAME:key=value,…: one of those listed below; takes no --step
    #[arg(long, value_name = "SET", value_parser = named::projection, conflicts_with_all = PENALTY_AND_STEP)]
    project: Option<Asked>,
    /// Keep the largest weights and set the others to zero, NAME:key=value,…: one of those listed below; takes no
    /// --step
    #[arg(long, value_name = "CHOICE", value_parser = named::keep, conflicts_with_all = PENALTY_AND_STEP,
          conflicts_with = "project")]
    keep: Option<Asked>,
    /// The step size η that multiplies λ: a finite number ≥ 0
    #[arg(long, value_name = "η", value_parser = step, allow_negative_numbers = true,
          required_unless_present_any = ["project", "keep"])]
    pub(crate) step: Option<f64>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Overwrite OUT
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// The checkpoint: .safetensors, .npy or PyTorch's .pt or .bin, the .index.json of a sharded one, or a folder that has one
    /// of them
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// What to write: a file, or for a sharded checkpoint a folder, which gets the shards and the index and, if MODEL is a folder,
    /// also its files without weights, such as config.json. That of a folder with one file is a folder if OUT ends in /. A new
    /// name, or with --force an existing one
    #[arg(long, value_name = "OUT", value_parser = PathBufValueParser::new().try_map(file),
          required_unless_present = "dry_run")]
    pub(crate) out: Option<PathBuf>,
    /// The fraction of weights that are zero afterwards, from 0 to 1; n:m takes none
    #[arg(long, value_name = "S", value_parser = fraction, allow_negative_numbers = true)]
    pub(crate) sparsity: Option<f64>,
    /// What the fraction is of: all selected tensors together, each tensor, or each row of each tensor
    #[arg(long, value_enum, default_value = "model")]
    pub(crate) scope: Scope,
    /// Which weights are pruned together, as explained below
    #[arg(long, value_name = "STRUCTURE", value_parser = structure::parse, default_value = "none")]
    pub(crate) structure: Structure,
    /// The dimension of n:m, counted from 0; the default is 1
    #[arg(long, value_name = "D")]
    pub(crate) dim: Option<usize>,
    /// Let the last group of n:m be shorter if m does not divide the dimension
    #[arg(long)]
    pub(crate) pad: bool,
    /// The fraction of its weights that each tensor keeps in any case, from 0 to 1
    #[arg(long, value_name = "F", value_parser = fraction, allow_negative_numbers = true)]
    pub(crate) min_per_tensor: Option<f64>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace OUT. A folder is replaced in one step, if it has no other files
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// The same, with the rows and filters of each tensor that are entirely zero afterwards: zero_rows
    #[arg(long)]
    pub(crate) report: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The checkpoint: .safetensors, .npy or PyTorch's .pt or .bin, the .index.json of a sharded one, or a folder that has one
    /// of them
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// What groups are to be: n:m, of m consecutive weights along a dimension at most n are not zero
    #[arg(long, value_name = "N:M", value_parser = structure::pattern)]
    pub(crate) structure: Structure,
    /// The dimension, counted from 0
    #[arg(long, value_name = "D", default_value = "1")]
    pub(crate) dim: usize,
    /// Let the last group be shorter if m does not divide the dimension
    #[arg(long)]
    pub(crate) pad: bool,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first checkpoint: .safetensors or .npy, an .index.json, or a folder that has one of them
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The second
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    Model,
    Tensor,
    Row,
}

impl Prune {
    /// The options for the JSON output.
    pub(crate) fn description(&self) -> Value {
        let is_pattern = self.structure.is_pattern();
        let scope = self.scope.to_possible_value().map(|value| value.get_name().to_owned());
        json!({
            "sparsity": self.sparsity,
            "scope": scope.filter(|_| !is_pattern),
            "structure": self.structure.to_string(),
            "dim": is_pattern.then(|| self.dim.unwrap_or(1)),
            "pad": self.pad,
            "min_per_tensor": self.min_per_tensor,
        })
    }

    /// Rejects options that mean nothing together.
    fn validate(&self) -> Result<(), String> {
        let structure = self.structure;
        let is_pattern = structure.is_pattern();
        let says = |message: String| Err(message);
        if is_pattern && self.sparsity.is_some() {
            return says(format!(
                "--structure {structure} says how many weights stay, and --sparsity says so too: give one"
            ));
        }
        if !is_pattern && self.sparsity.is_none() {
            return says(format!("--structure {structure} needs --sparsity S, the fraction of weights to prune"));
        }
        if !is_pattern && (self.dim.is_some() || self.pad) {
            return says(format!("--dim and --pad are for --structure n:m, and this one is {structure}"));
        }
        if is_pattern && self.scope != Scope::Model {
            return says(format!("--scope is for a budget, and --structure {structure} needs none"));
        }
        if structure != Structure::None && self.scope == Scope::Row {
            return says(format!("--scope row is for single weights, and --structure is {structure}"));
        }
        if self.min_per_tensor.is_some() && (is_pattern || self.scope != Scope::Model) {
            return says("--min-per-tensor is for a budget of the whole model, --scope model".into());
        }
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Devices {
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// The sizes, separated by commas: a number of weights, FROM..TO in steps of a factor of 16, or TENSORSxWEIGHTS for a
    /// set. The default is 2^10..2^28,1000x65536,10000x16; less on a software adapter, or if memory is short
    #[arg(long, value_name = "SIZES", value_parser = shape::parse)]
    pub(crate) sizes: Option<Shapes>,
    /// Only rows whose name matches, such as 'adam F32 1000x65536 dense step' or 'prox F16 268435456 zeros latency'
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub(crate) include: Option<Regex>,
    /// The CPU's vector instructions; the default is the best that it has. The machine's kernels always use those
    #[arg(long, value_enum, conflicts_with = "adapter")]
    instructions: Option<Instructions>,
    /// Print each row as one JSON object on a line
    #[arg(long)]
    pub(crate) json_lines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Instructions {
    Baseline,
    Avx2,
    Avx512,
}

impl Bench {
    /// The backend; with --instructions, the CPU.
    pub(crate) fn open(&self) -> penalty::Result<Backend> {
        let set = match self.instructions {
            None => return self.backend.open_for_its_own_weights(),
            Some(Instructions::Baseline) => InstructionSet::Baseline,
            Some(Instructions::Avx2) => InstructionSet::Avx2,
            Some(Instructions::Avx512) => InstructionSet::Avx512,
        };
        Cpu::with_instructions(set).map(Backend::Cpu)
    }
}

impl Shrink {
    /// The requested penalty, or the one whose prox is the requested projection or choice.
    pub(crate) fn asked(&self) -> penalty::Result<Asked> {
        match self.project.as_ref().or(self.keep.as_ref()) {
            Some(asked) => Ok(asked.clone().over(self.penalty.groups)),
            None => self.penalty.asked(),
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Only tensors whose name matches; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub(crate) include: Vec<Regex>,
    /// Skip tensors whose name matches; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub(crate) exclude: Vec<Regex>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Device")]
pub(crate) struct BackendArgs {
    /// auto takes the CPU, which has read a file sooner than any GPU has its copy. F64 tensors are computed on the CPU, in f64, whatever is asked for; bench, whose weights are on the device,
    /// takes a hardware GPU if there is one. A software adapter is used only with gpu or --adapter
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) backend: BackendName,
    /// The first adapter whose name, driver or backend contains TEXT
    #[arg(long, value_name = "TEXT")]
    pub(crate) adapter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    Auto,
    Cpu,
    Gpu,
}

impl Cli {
    /// Checks what the parser cannot: options whose values contradict each other.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let penalty = |penalty: &PenaltyArgs, asked: penalty::Result<Asked>| {
            penalty.validate()?;
            asked.map_err(|error| error.to_string())?.validate()
        };
        let backend = match &self.command {
            Command::Eval(eval) => {
                penalty(&eval.penalty, eval.penalty.asked())?;
                &eval.backend
            }
            Command::Shrink(shrink) => {
                penalty(&shrink.penalty, shrink.asked())?;
                &shrink.backend
            }
            Command::Prune(prune) => {
                prune.validate()?;
                &prune.backend
            }
            Command::Bench(bench) => {
                if bench.instructions.is_some() && bench.backend.backend == BackendName::Gpu {
                    return Err(
                        "--instructions is for the CPU, and --backend gpu asks for a device: give one of them".into()
                    );
                }
                &bench.backend
            }
            Command::Fit(fit) => return fit.formula.asked().map(drop).map_err(|error| error.to_string()),
            Command::Path(_) | Command::Cv(_) | Command::Predict(_) | Command::Geometry(_) => return Ok(()),
            Command::Check(_) | Command::Diff(_) | Command::Devices(_) | Command::Completions { .. } => return Ok(()),
        };
        if backend.backend == BackendName::Cpu && backend.adapter.is_some() {
            return Err("--adapter names a GPU adapter, and --backend cpu asks for none: give one of them".into());
        }
        Ok(())
    }
}
