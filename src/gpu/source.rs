//! Which strings make a kernel: joined, they are its WGSL.

use super::kernel::{Access, Bindings, Grouped, Kernel, ROLES, Subject, Team};
use super::table::FIRST_OPERAND;
use crate::formula::group::threshold;
use crate::formula::rule::{Purpose, Rule};
use crate::formula::scalars::{Direction, Metric};
use crate::numeric::element::Dtype;
use crate::plan::operation::{Operation, Part};

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

/// Of the kernel that finishes results on the device.
pub(super) fn finish() -> String {
    [shader!("gpu/prelude"), shader!("numeric/accumulator"), shader!("gpu/finish")].concat()
}

impl Bindings {
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

impl Kernel {
    /// Twins of the Rust files of the same stems.
    pub(super) fn source(self) -> String {
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
}
