//! Constants that Rust and WGSL share. Rust defines them once; every kernel that needs them declares them.

/// A constant with its name in WGSL.
pub(crate) enum Constant {
    U32(&'static str, u32),
    I32(&'static str, i32),
}

/// The WGSL that declares these constants.
pub(crate) fn declarations(constants: &[Constant]) -> String {
    let declaration = |constant: &Constant| match constant {
        Constant::U32(name, x) => format!("const {name}: u32 = {x}u;\n"),
        Constant::I32(name, x) => format!("const {name}: i32 = {x};\n"),
    };
    constants.iter().map(declaration).collect()
}
