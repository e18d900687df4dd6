//! The sizes that are timed: single tensors, and sets of equal tensors.

use std::fmt;

/// Tensors of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) tensors: usize,
    /// The weights of each tensor.
    pub(crate) weights: usize,
}

/// What `--sizes` asks for.
#[derive(Debug, Clone)]
pub(crate) struct Shapes(pub(crate) Vec<Shape>);

/// The most weights of a shape: as `f32`, 16 GiB.
const MOST: usize = 1 << 32;

impl Shape {
    pub(crate) const fn set(tensors: usize, weights: usize) -> Shape {
        Shape { tensors, weights }
    }

    pub(crate) const fn single(weights: usize) -> Shape {
        Shape::set(1, weights)
    }

    pub(crate) fn is_single(self) -> bool {
        self.tensors == 1
    }

    /// The weights of all tensors.
    pub(crate) fn total(self) -> usize {
        self.tensors * self.weights
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { tensors, weights } = *self;
        f.pad(&if self.is_single() { weights.to_string() } else { format!("{tensors}x{weights}") })
    }
}

/// Single tensors from `first` to `last`, each 16 times as long as the one before; `last` always ends the list.
pub(crate) fn between(first: usize, last: usize) -> impl Iterator<Item = Shape> {
    let smaller = std::iter::successors(Some(first), |n| n.checked_mul(16)).take_while(move |&n| n < last);
    smaller.chain([last]).map(Shape::single)
}

pub(crate) fn parse(text: &str) -> Result<Shapes, String> {
    let mut shapes = Vec::new();
    for part in text.split(',') {
        if let Some((first, last)) = part.split_once("..") {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("expected FROM ≤ TO, found {part}"));
            }
            shapes.extend(between(first, last));
        } else if let Some((tensors, weights)) = part.split_once('x') {
            let shape = Shape::set(number(tensors)?, number(weights)?);
            if shape.total() > MOST {
                return Err(format!("expected at most 2^32 weights in a set, found {part}"));
            }
            shapes.push(shape);
        } else {
            shapes.push(Shape::single(number(part)?));
        }
    }
    Ok(Shapes(shapes))
}

fn number(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let n = match text.strip_prefix("2^") {
        Some(exponent) => exponent.parse().ok().and_then(|exponent| 1usize.checked_shl(exponent)),
        None => text.parse().ok(),
    };
    let expected = "expected a number from 1 to 2^32, such as 1000000 or 2^20";
    n.filter(|n| (1..=MOST).contains(n)).ok_or_else(|| format!("{expected}, found {text:?}"))
}
