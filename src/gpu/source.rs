//! Which strings make a kernel. Joined, they are its WGSL.

use super::kernel::{Access, Bindings, Grouped, Kernel, ROLES, Subject, Team};
use super::table::{self, FIRST_OPERAND};
use crate::formula::group::{norm, select, threshold};
use crate::formula::rule::{self, Purpose, Rule};
use crate::formula::scalars::{Direction, Metric};
use crate::numeric::element::Dtype;
use crate::numeric::wgsl::declarations;
use crate::numeric::{accumulator, bits, fixed, tile};
use crate::plan::operation::{Operation, Part};

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

/// The file of a rule, with its constants.
fn shader_of(rule: Rule) -> String {
    let (constants, file) = match rule {
        Rule::Shrink { .. } | Rule::Scale => (norm::CONSTANTS, shader!("formula/group/norm")),
        Rule::Soft | Rule::Clamp | Rule::Simplex => (threshold::CONSTANTS, shader!("formula/group/threshold")),
        Rule::Select => (select::CONSTANTS, shader!("formula/group/select")),
    };
    declarations(constants) + file
}

/// What every kernel begins with.
pub(super) fn prelude() -> String {
    declarations(table::CONSTANTS) + &declarations(bits::CONSTANTS) + shader!("gpu/prelude")
}

fn accumulator() -> String {
    declarations(accumulator::CONSTANTS) + shader!("numeric/accumulator")
}

/// The kernel that resolves results on the device.
pub(super) fn resolve() -> String {
    [prelude().as_str(), &accumulator(), shader!("gpu/resolve")].concat()
}

/// How a kernel reads its operands' elements, and how it writes them.
pub(super) fn elements(kernel: Kernel) -> String {
    let (read, write) = kernel.access();
    [read, write, &kernel.bindings.source(), kernel.element()].concat()
}

impl Bindings {
    /// The bindings' declarations, and the functions that read and write a word of a role.
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
    /// The WGSL of this kernel. Its files are twins of the Rust files with the same stems.
    pub(super) fn source(self) -> String {
        let operands = self.bindings.source();
        let element = self.element();
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
                Purpose::Value => accumulator() + shader!("gpu/shares/present"),
                _ => shader!("gpu/shares/absent").to_owned(),
            };
            let formula =
                [shader!("numeric/bits"), shader!("numeric/arithmetic"), shader!("formula/pointwise"), &penalty]
                    .concat();
            let fixed = declarations(fixed::CONSTANTS) + shader!("numeric/fixed");
            let structure = rule.map_or_else(String::new, shader_of);
            let group = [&fixed, shader!("formula/group"), &structure].concat();
            let run = shader!("gpu/find");
            let common = [&prelude(), read, &operands, element, &constants, geometry];
            return [&common[..], team, &[&formula, &group, &shares, run]].concat().concat();
        }
        let (read, write) = self.access();
        let formula = [shader!("numeric/bits"), shader!("numeric/arithmetic"), shader!("formula/pointwise"), &penalty];
        let operation = match self.operation {
            Operation::Evaluate => vec![shader!("gpu/operation/evaluate")],
            Operation::Gradient => vec![shader!("formula/pointwise/gradient"), shader!("gpu/operation/gradient")],
            Operation::AddGradient => {
                vec![shader!("formula/pointwise/gradient"), shader!("gpu/operation/add_gradient")]
            }
            Operation::Prox => vec![shader!("gpu/operation/prox")],
            Operation::Sgd(direction) => {
                let directions: &[&str] = match direction {
                    Direction::Gradient => &[shader!("formula/sgd/gradient")],
                    Direction::Momentum => &[shader!("formula/sgd/momentum"), shader!("formula/sgd/heavy_ball")],
                    Direction::Nesterov => &[shader!("formula/sgd/momentum"), shader!("formula/sgd/nesterov")],
                };
                [&[shader!("formula/usual")], directions, &[shader!("gpu/operation/sgd")]].concat()
            }
            Operation::Adam(metric) => {
                let metric = match metric {
                    Metric::Plain => shader!("formula/adam/plain"),
                    Metric::Adam => shader!("formula/adam/metric"),
                };
                vec![shader!("formula/usual"), shader!("formula/adam"), metric, shader!("gpu/operation/adam")]
            }
        };
        let write = if self.operation == Operation::Evaluate { "" } else { write };
        let sums_terms = of.is_some_and(|formula| formula.sums_terms && rule.is_none());
        let element_coefficients = match self.part {
            Part::Apply => shader!("penalty/element_weights/group"),
            _ if of.is_some_and(|formula| formula.weighted) => shader!("penalty/element_weights/present"),
            _ => shader!("penalty/element_weights/absent"),
        };
        let formula = if self.operation == Operation::Evaluate && !sums_terms { &[][..] } else { &formula[..] };
        let terms =
            if sums_terms { shader!("numeric/tile/terms_present") } else { shader!("numeric/tile/terms_absent") };
        let tile = declarations(tile::CONSTANTS) + terms + shader!("numeric/tile");
        let accumulator = accumulator();
        let sums = [tile.as_str(), &accumulator, shader!("gpu/evaluate")];
        let run = match self.operation {
            _ if self.sums => &sums[..],
            Operation::Sgd(_) | Operation::Adam(_) => &[shader!("gpu/steps")],
            _ => &[shader!("gpu/update")],
        };
        let operands = self.bindings.source();
        let common = [&prelude(), read, write, &operands, element, &constants, geometry];
        [&common[..], formula, &[element_coefficients], &operation, run].concat().concat()
    }

    /// How an element becomes the bits of an `f32`, and back.
    fn element(self) -> &'static str {
        match self.dtype {
            Dtype::F32 => shader!("numeric/element/f32"),
            Dtype::F16 => shader!("numeric/element/f16"),
            Dtype::BF16 => shader!("numeric/element/bf16"),
        }
    }

    /// How four elements are read, and how they are written.
    fn access(self) -> (&'static str, &'static str) {
        match (self.access, self.dtype.size()) {
            (Access::Vector, 4) => (shader!("gpu/access/vector32"), shader!("gpu/access/vector32_write")),
            (Access::Vector, _) => (shader!("gpu/access/vector16"), shader!("gpu/access/vector16_write")),
            (Access::Scalar, 4) => (shader!("gpu/access/scalar32"), shader!("gpu/access/scalar32_write")),
            (Access::Scalar, _) => (shader!("gpu/access/scalar16"), shader!("gpu/access/scalar16_write")),
        }
    }

    /// The constants that a group penalty's kernel is compiled with.
    fn rule(self, rule: Rule) -> String {
        let purpose = if let Part::Find(purpose) = self.part { purpose.constant() } else { "NONE" };
        let rule = rule.constant();
        let slack = threshold::slack(self.dtype);
        let chosen =
            format!("const RULE: u32 = {rule};\nconst PURPOSE: u32 = {purpose};\nconst SLACK: u32 = {slack}u;\n");
        declarations(&rule::constants()) + &chosen
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;
    use wgpu::naga;

    use super::*;
    use crate::gpu::kernel::READ;
    use crate::penalty::catalogue;

    const OPERATIONS: [Operation; 9] = [
        Operation::Evaluate,
        Operation::Gradient,
        Operation::AddGradient,
        Operation::Prox,
        Operation::Sgd(Direction::Gradient),
        Operation::Sgd(Direction::Momentum),
        Operation::Sgd(Direction::Nesterov),
        Operation::Adam(Metric::Plain),
        Operation::Adam(Metric::Adam),
    ];

    /// The bindings of an operation: one for each operand, and all operands in one buffer.
    fn bindings(operation: Operation, weighted: bool) -> [Bindings; 2] {
        let operands = match operation {
            Operation::Evaluate => 1,
            Operation::Sgd(Direction::Momentum | Direction::Nesterov) => 3,
            Operation::Adam(_) => 4,
            _ => 2,
        };
        let has = |role: usize| role < operands || (weighted && role == 4);
        let (mut apart, mut together) = (Bindings::default(), Bindings::default());
        for role in (0..ROLES.len()).filter(|&role| has(role)) {
            let binding = apart.count();
            apart.of[role] = Some(binding as u8);
            apart.writable[binding] = !READ[role];
            together.of[role] = Some(0);
            together.writable[0] |= !READ[role];
        }
        [apart, together]
    }

    /// Every kernel of a subject: each operation and part, type, access, kind of groups and team, with sums and
    /// without.
    fn kernels(subject: Subject) -> Vec<Kernel> {
        let formula = subject.formula();
        let rule = formula.and_then(|formula| formula.rule);
        let has_gradient = formula.is_some_and(|formula| (formula.has_gradient)([1.0, 1.0]));
        let mut kernels = Vec::new();
        for operation in OPERATIONS {
            let adds = matches!(operation, Operation::Gradient | Operation::AddGradient);
            let steps = matches!(operation, Operation::Sgd(_) | Operation::Adam(_));
            let exists = match subject {
                Subject::Statistics => operation == Operation::Evaluate,
                Subject::StepOnly => steps && operation != Operation::Adam(Metric::Adam),
                // For group penalties, kernels without a formula evaluate and step.
                Subject::Formula(_) if rule.is_some() => (adds && has_gradient) || operation == Operation::Prox,
                Subject::Formula(_) => !adds || has_gradient,
            };
            let groups = [Team::Thread, Team::Workgroup, Team::Grid]
                .into_iter()
                .flat_map(|team| [false, true].map(|lists| Grouped { lists, team }));
            let parts: Vec<(Part, Option<Grouped>)> = match rule {
                None => vec![(Part::Each, None)],
                Some(_) if operation == Operation::Prox => {
                    let found = |grouped| [Purpose::Value, Purpose::Prox].map(|purpose| (purpose, grouped));
                    let finds = groups.flat_map(found).map(|(purpose, grouped)| (Part::Find(purpose), Some(grouped)));
                    let applies = [false, true].map(|lists| (Part::Apply, Some(Grouped { lists, team: Team::Thread })));
                    finds.chain(applies).collect()
                }
                Some(_) => {
                    let finds = groups.map(|grouped| (Part::Find(Purpose::Gradient), Some(grouped)));
                    let applies = [false, true].map(|lists| (Part::Apply, Some(Grouped { lists, team: Team::Thread })));
                    finds.chain(applies).collect()
                }
            };
            for (part, groups) in parts.into_iter().filter(|_| exists) {
                let operation = if matches!(part, Part::Find(_)) { Operation::Evaluate } else { operation };
                let weighted = formula.is_some_and(|formula| formula.weighted);
                for bindings in bindings(operation, weighted) {
                    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
                        for access in [Access::Vector, Access::Scalar] {
                            let sums: &[bool] = match (part, operation) {
                                (Part::Find(_), _) => &[false],
                                (_, Operation::Evaluate) => &[true],
                                _ => &[false, true],
                            };
                            kernels.extend(sums.iter().map(|&sums| Kernel {
                                operation,
                                subject,
                                part,
                                groups,
                                sums,
                                dtype,
                                access,
                                bindings,
                            }));
                        }
                    }
                }
            }
        }
        kernels
    }

    fn check(source: &str) -> Result<(), String> {
        let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
        let flags = naga::valid::ValidationFlags::all();
        let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty());
        validator.validate(&module).map(drop).map_err(|error| error.emit_to_string(source))
    }

    #[test]
    fn every_kernel_is_valid_without_any_capability_of_a_device() {
        let formulas = catalogue::formulas().map(Subject::Formula);
        let subjects: Vec<Subject> = [Subject::Statistics, Subject::StepOnly].into_iter().chain(formulas).collect();
        let kernels: Vec<Kernel> = subjects.into_iter().flat_map(kernels).collect();
        assert!(kernels.len() > 4000, "only {} kernels", kernels.len());
        // Kernels may differ in fields that do not change the source.
        let sources: std::collections::BTreeMap<String, Kernel> =
            kernels.into_iter().map(|kernel| (kernel.source(), kernel)).collect();
        let wrong: Vec<String> = sources
            .into_par_iter()
            .filter_map(|(source, kernel)| check(&source).err().map(|error| format!("{kernel:?}: {error}")))
            .collect();
        assert_eq!(wrong.first(), None, "{} kernels are not valid", wrong.len());
        check(&resolve()).expect("it is valid");
    }

    #[test]
    fn a_kernel_that_is_not_valid_is_found() {
        let prox = catalogue::formulas().next().map(|formula| kernels(Subject::Formula(formula))).unwrap_or_default();
        let source = prox.first().expect("a formula has kernels").source();
        assert_eq!(check(&source), Ok(()));
        assert!(check(&source.replacen("TILE", "TYLE", 1)).is_err());
    }
}
