//! Kernels: joined strings, compiled when first needed, one for each key.

use super::limits::at_least;
use super::{Gpu, lock, one_line};
use crate::formula::descriptor::Descriptor;
use crate::formula::group::threshold;
use crate::formula::rule::{Purpose, Rule};
use crate::formula::scalars::{Direction, Metric};
use crate::numeric::element::Dtype;
use crate::plan::operation::{Operation, Part};
use crate::{Error, Result};

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kernel {
    pub(super) operation: Operation,
    pub(super) subject: Subject,
    pub(super) part: Part,
    /// Of a part that knows groups.
    pub(super) groups: Option<Grouped>,
    /// Whether it sums the weights as it leaves them.
    pub(super) sums: bool,
    pub(super) dtype: Dtype,
    pub(super) access: Access,
    pub(super) bindings: Bindings,
}

/// Whose functions a kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Nobody's: it sums what every penalty's statistics are.
    Statistics,
    /// Nobody's: it takes an optimizer's step, whose prox another kernel does.
    StepOnly,
    Formula(&'static Descriptor),
}

impl Subject {
    /// The formula whose value has a sum of its own, or is a share of each group.
    fn formula(self) -> Option<&'static Descriptor> {
        match self {
            Subject::Formula(formula) => Some(formula),
            _ => None,
        }
    }
}

/// What groups are to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Grouped {
    /// Whether they are lists of indices, not tiles.
    pub(super) lists: bool,
    pub(super) team: Team,
}

/// Who finds a group's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Team {
    Thread,
    Workgroup,
    /// Many workgroups, in as many dispatches as sums are needed.
    Grid,
}

/// How four elements are loaded and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Access {
    /// At once: every range of the span is aligned to 16 bytes, and its length is a multiple of four.
    Vector,
    /// Word by word.
    Scalar,
}

/// What an operand is to a kernel: what it only reads, what it writes, the optimizer's state, also written, and the penalty's weights,
/// only read.
pub(super) const ROLES: [&str; 5] = ["SOURCE", "OUTPUT", "FIRST", "SECOND", "WEIGHTS"];
/// Which of them are only read.
pub(super) const READ: [bool; ROLES.len()] = [true, false, false, false, true];

/// Which operand lies in which binding. Operands of one buffer share one, as far as a binding reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Bindings {
    /// The binding of each role that there is.
    pub(super) of: [Option<u8>; ROLES.len()],
    /// Which bindings are writable: those that something is written to, and those of the same buffer, which wgpu refuses
    /// to bind read-only beside them.
    pub(super) writable: [bool; ROLES.len()],
}

impl Bindings {
    pub(super) fn count(&self) -> usize {
        self.of.iter().flatten().map(|&binding| usize::from(binding) + 1).max().unwrap_or(0)
    }

    /// The bindings' declarations, and how a word of a role is read and written.
    fn source(&self) -> String {
        let mut text = String::new();
        for (binding, writable) in self.writable.iter().enumerate().take(self.count()) {
            let access = if *writable { "read_write" } else { "read" };
            let at = FIRST_OPERAND + binding;
            text += &format!("@group(0) @binding({at}) var<storage, {access}> data{binding}: array<Word>;\n");
        }
        let (mut reads, mut writes) = (String::new(), String::new());
        for (role, (name, binding)) in (0..).zip(ROLES.iter().zip(self.of)) {
            text += &format!("const {name}: u32 = {role}u;\n");
            let Some(binding) = binding else { continue };
            reads += &format!("    if (operand == {name}) {{ return data{binding}[index]; }}\n");
            if self.writable[usize::from(binding)] {
                writes += &format!("    if (operand == {name}) {{ data{binding}[index] = word; }}\n");
            }
        }
        text += &format!("fn word_at(operand: u32, index: u32) -> Word {{\n{reads}    return Word();\n}}\n");
        text += &format!("fn set_word(operand: u32, index: u32, word: Word) {{\n{writes}}}\n");
        text
    }
}

/// The binding of the first operand; before it come the parameters, the table and the results.
pub(super) const FIRST_OPERAND: usize = 3;
/// The bindings of the groups' numbers, of the lists of their indices, and of the journal of what a grid has summed.
pub(super) const NUMBERS: usize = 8;
pub(super) const LISTS: usize = 9;
pub(super) const JOURNAL: usize = 10;
/// One more than the last binding.
pub(super) const BINDINGS: usize = JOURNAL + 1;

/// The bytes of a dispatch's parameters.
pub(super) const PARAMETERS_BOUND: u64 = 32;

const PARAMETERS: wgpu::BindingType = wgpu::BindingType::Buffer {
    ty: wgpu::BufferBindingType::Uniform,
    has_dynamic_offset: true,
    min_binding_size: wgpu::BufferSize::new(PARAMETERS_BOUND),
};

pub(super) fn storage(read_only: bool, has_dynamic_offset: bool) -> wgpu::BindingType {
    let ty = wgpu::BufferBindingType::Storage { read_only };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None }
}

/// A compiled kernel.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

/// What a rule is called in `shaders/formula/rule.wgsl`, and the file that it is in.
fn shader_of(rule: Rule) -> (&'static str, &'static str) {
    match rule {
        Rule::Shrink { sized: false } => ("SHRINK", shader!("formula/group/norm")),
        Rule::Shrink { sized: true } => ("SHRINK_SIZED", shader!("formula/group/norm")),
        Rule::Scale => ("SCALE", shader!("formula/group/norm")),
        Rule::Soft => ("SOFT", shader!("formula/group/threshold")),
        Rule::Clamp => ("CLAMP", shader!("formula/group/threshold")),
        Rule::Simplex => ("SIMPLEX", shader!("formula/group/threshold")),
        Rule::Select => ("SELECT", shader!("formula/group/select")),
    }
}

impl Kernel {
    /// Whether it adds to the results.
    pub(super) fn has_results(self) -> bool {
        self.sums || self.part == Part::Find(Purpose::Value)
    }

    /// Twins of the Rust files of the same stems.
    fn source(self) -> String {
        let operands = self.bindings.source();
        let element = match self.dtype {
            Dtype::F32 => shader!("numeric/element/f32"),
            Dtype::F16 => shader!("numeric/element/f16"),
            Dtype::BF16 => shader!("numeric/element/bf16"),
        };
        let of = self.subject.formula();
        let rule = of.and_then(|formula| formula.rule);
        let constants = rule.map_or(String::new(), |rule| self.rule(rule));
        let penalty = match self.subject {
            Subject::Statistics => String::new(),
            Subject::StepOnly => shader!("gpu/step_only").into(),
            Subject::Formula(formula) => formula.wgsl.join("\n"),
        };
        let geometry = match self.groups {
            None => "",
            Some(Grouped { lists: true, .. }) => shader!("penalty/groups/lists"),
            Some(_) => shader!("penalty/groups/tiles"),
        };
        if let Part::Find(purpose) = self.part {
            let read =
                if self.dtype.size() == 4 { shader!("gpu/access/element32") } else { shader!("gpu/access/element16") };
            let team = match self.groups.map(|groups| groups.team) {
                Some(Team::Grid) => &[shader!("gpu/team/gather"), shader!("gpu/team/grid")][..],
                Some(Team::Workgroup) => &[shader!("gpu/team/gather"), shader!("gpu/team/workgroup")],
                _ => &[shader!("gpu/team/thread")],
            };
            let shares = match purpose {
                Purpose::Value => [shader!("numeric/accumulator"), shader!("gpu/shares/present")].concat(),
                _ => shader!("gpu/shares/absent").to_owned(),
            };
            let formula =
                [shader!("numeric/bits"), shader!("numeric/arithmetic"), shader!("formula/pointwise"), &penalty]
                    .concat();
            let structure = rule.map_or("", |rule| shader_of(rule).1);
            let group = [shader!("numeric/fixed"), shader!("formula/group"), structure].concat();
            let run = shader!("gpu/find");
            let common = [shader!("gpu/prelude"), read, &operands, element, &constants, geometry];
            return [&common[..], team, &[&formula, &group, &shares, run]].concat().concat();
        }
        let (read, write) = match (self.access, self.dtype.size()) {
            (Access::Vector, 4) => (shader!("gpu/access/vector32"), shader!("gpu/access/vector32_write")),
            (Access::Vector, _) => (shader!("gpu/access/vector16"), shader!("gpu/access/vector16_write")),
            (Access::Scalar, 4) => (shader!("gpu/access/scalar32"), shader!("gpu/access/scalar32_write")),
            (Access::Scalar, _) => (shader!("gpu/access/scalar16"), shader!("gpu/access/scalar16_write")),
        };
        let formula = [shader!("numeric/bits"), shader!("numeric/arithmetic"), shader!("formula/pointwise"), &penalty];
        let operation = match self.operation {
            Operation::Evaluate => vec![shader!("gpu/operation/evaluate")],
            Operation::Gradient => vec![shader!("formula/pointwise/gradient"), shader!("gpu/operation/gradient")],
            Operation::AddGradient => {
                vec![shader!("formula/pointwise/gradient"), shader!("gpu/operation/add_gradient")]
            }
            Operation::Prox => vec![shader!("gpu/operation/prox")],
            Operation::Sgd(Direction::Gradient) => vec![shader!("formula/sgd/gradient"), shader!("gpu/operation/sgd")],
            Operation::Sgd(Direction::Momentum) => {
                vec![shader!("formula/sgd/momentum"), shader!("formula/sgd/heavy_ball"), shader!("gpu/operation/sgd")]
            }
            Operation::Sgd(Direction::Nesterov) => {
                vec![shader!("formula/sgd/momentum"), shader!("formula/sgd/nesterov"), shader!("gpu/operation/sgd")]
            }
            Operation::Adam(Metric::Plain) => {
                vec![shader!("formula/adam"), shader!("formula/adam/plain"), shader!("gpu/operation/adam")]
            }
            Operation::Adam(Metric::Adam) => {
                vec![shader!("formula/adam"), shader!("formula/adam/metric"), shader!("gpu/operation/adam")]
            }
        };
        let write = if self.operation == Operation::Evaluate { "" } else { write };
        let sums_terms = of.is_some_and(|formula| formula.sums_terms && rule.is_none());
        let own = match self.part {
            Part::Apply => shader!("penalty/element_weights/group"),
            _ if of.is_some_and(|formula| formula.weighted) => shader!("penalty/element_weights/present"),
            _ => shader!("penalty/element_weights/absent"),
        };
        let formula = if self.operation == Operation::Evaluate && !sums_terms { &[][..] } else { &formula[..] };
        let terms =
            if sums_terms { shader!("numeric/tile/terms_present") } else { shader!("numeric/tile/terms_absent") };
        let sums = [terms, shader!("numeric/tile"), shader!("numeric/accumulator"), shader!("gpu/evaluate")];
        let run = if self.sums { &sums[..] } else { &[shader!("gpu/update")] };
        let operands = self.bindings.source();
        let common = [shader!("gpu/prelude"), read, write, &operands, element, &constants, geometry];
        [&common[..], formula, &[own], &operation, run].concat().concat()
    }

    /// What a kernel of weights in groups is compiled for.
    fn rule(self, rule: Rule) -> String {
        let (rule, _) = shader_of(rule);
        let purpose = match self.part {
            Part::Find(Purpose::Value) => "VALUE",
            Part::Find(Purpose::Gradient) => "GRADIENT",
            Part::Find(Purpose::Prox) => "PROX",
            _ => "NONE",
        };
        let slack = threshold::slack(self.dtype);
        let chosen =
            format!("const RULE: u32 = {rule};\nconst PURPOSE: u32 = {purpose};\nconst SLACK: u32 = {slack}u;\n");
        [shader!("formula/rule"), &chosen].concat()
    }

    /// The bindings with their numbers.
    fn layout(self) -> Vec<(usize, wgpu::BindingType)> {
        let mut layout = vec![(0, PARAMETERS), (1, storage(true, true))];
        if self.has_results() {
            layout.push((2, storage(false, true)));
        }
        let operands = self.bindings.writable.iter().take(self.bindings.count());
        layout.extend((FIRST_OPERAND..).zip(operands.map(|&writable| storage(!writable, false))));
        if let Some(groups) = self.groups {
            layout.push((NUMBERS, storage(self.part == Part::Apply, false)));
            if groups.lists {
                layout.push((LISTS, storage(true, false)));
            }
            if groups.team == Team::Grid {
                layout.push((JOURNAL, storage(false, false)));
            }
        }
        layout
    }
}

impl Gpu {
    /// The compiled kernel, from the cache where it was compiled before.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline> {
        let mut pipelines = lock(&self.inner.pipelines);
        if let Some(pipeline) = pipelines.get(&kernel) {
            return Ok(pipeline.clone());
        }
        let custom = kernel.subject.formula().filter(|formula| formula.custom);
        // A compiler's messages repeat it.
        let label = custom.map_or_else(|| format!("penalty {kernel:?}"), |own| format!("penalty {own:?}"));
        // Nobody has proved anything of a user's functions.
        let checked = self.inner.checked || custom.is_some();
        let layout = kernel.layout();
        // All but the parameters.
        let (storage, most) = (layout.len() as u64 - 1, self.device().limits().max_storage_buffers_per_shader_stage);
        let limit = "the device's limit max_storage_buffers_per_shader_stage";
        at_least(limit, kernel.operation.name(), storage, most.into())?;
        let (pipeline, error) = self.scoped(|| self.compile(&label, kernel.source(), &layout, checked))?;
        match (custom, error) {
            (_, None) => {}
            (Some(own), Some(error @ wgpu::Error::Validation { .. })) => {
                return Err(Error::Wgsl { penalty: own.name, error: one_line(&error) });
            }
            (_, Some(error)) => return Err(Error::Device(one_line(&error))),
        }
        pipelines.insert(kernel, pipeline.clone());
        Ok(pipeline)
    }

    /// The kernel that finishes results on the device, compiled once too.
    pub(super) fn finish_pipeline(&self) -> Result<Pipeline> {
        let mut finish = lock(&self.inner.finish);
        if let Some(pipeline) = &*finish {
            return Ok(pipeline.clone());
        }
        let source = [shader!("gpu/prelude"), shader!("numeric/accumulator"), shader!("gpu/finish")].concat();
        let layout = [(0, PARAMETERS), (1, storage(true, true)), (2, storage(false, true)), (3, storage(false, false))];
        let pipeline = self.guarded(|| self.compile("penalty finish", source, &layout, self.inner.checked))?;
        Ok(finish.insert(pipeline).clone())
    }

    fn compile(&self, label: &str, source: String, layout: &[(usize, wgpu::BindingType)], checked: bool) -> Pipeline {
        let device = &self.inner.device;
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
        let module = if checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: what the checks would check is so by construction. Loops are bounded by the counts of spans, which
            // the layout cuts to their bindings' ranges (`layout::Layout`), as it does every index into the table;
            // indices into workgroup arrays are below the constants that the arrays are sized by.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let entries: Vec<wgpu::BindGroupLayoutEntry> = layout
            .iter()
            .map(|&(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty,
                count: None,
            })
            .collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // Every workgroup variable is written before it is read.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: checked,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}
