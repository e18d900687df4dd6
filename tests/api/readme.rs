//! Does the documentation name the version of wgpu that `Cargo.toml` has?

#[test]
fn the_wgpu_version_that_a_caller_must_use_is_stated() {
    let manifest = include_str!("../../Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("wgpu = { version = \""))
        .and_then(|rest| rest.split('"').next());
    let stated = format!("wgpu {}", version.expect("the workspace says which version of wgpu it has"));
    for (file, text) in [
        ("README.md", include_str!("../../README.md")),
        ("src/gpu.rs", include_str!("../../src/gpu.rs")),
        ("docs/encoder.md", include_str!("../../docs/encoder.md")),
    ] {
        assert!(text.contains(&stated), "{file} does not say {stated}");
    }
}
