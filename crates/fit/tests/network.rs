//! Does the example of a network print what docs/choosing-lambda.md shows?

use std::fs;

#[allow(dead_code, reason = "main is for the example alone")]
#[path = "../examples/network.rs"]
mod network;

#[test]
fn the_networks_lambda_is_the_one_shown() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/choosing-lambda.md")).unwrap();
    let (_, after) = page.split_once("--example network\n```\n\n```text\n").unwrap();
    let shown: Vec<&str> = after.split("```").next().unwrap().lines().collect();
    let found = network::run(network::EPOCHS).unwrap();
    assert_eq!(found.len(), shown.len());
    for (found, shown) in found.iter().zip(shown) {
        let number = |word: &str| word.trim_end_matches(',').parse::<f64>();
        for (a, b) in found.split_whitespace().zip(shown.split_whitespace()) {
            match (number(a), number(b)) {
                // Processors' exponentials and logarithms may differ in the last bit, which training carries on.
                (Ok(a), Ok(b)) => assert!((a - b).abs() <= 1e-2 * b.abs(), "found {found:?}, the page shows {shown:?}"),
                _ => assert_eq!(a, b, "found {found:?}, the page shows {shown:?}"),
            }
        }
        assert_eq!(found.split_whitespace().count(), shown.split_whitespace().count(), "{found:?}, not {shown:?}");
    }
}
