//! Computes an expression in Burn's tensor operations.

use std::mem::replace;

use burn_core::tensor::{Bool, DType, Tensor};
use penalty::Expression;
use penalty::expression::{Binary, Input, Node, Unary};

/// What a node stands for.
#[derive(Clone)]
enum Value<const D: usize> {
    Constant(f64),
    Number(Tensor<D>),
    Truth(Tensor<D, Bool>),
}

use Value::{Constant as C, Number as N, Truth as T};

/// The results of an expression on tensors of one shape, in `f32`.
pub(super) fn results<const D: usize>(expression: &Expression, input: impl Fn(Input) -> Tensor<D>) -> Vec<Tensor<D>> {
    let nodes = expression.nodes();
    let mut uses = vec![0; nodes.len()];
    nodes.iter().flat_map(Node::operands).chain(expression.results()).for_each(|used| uses[*used] += 1);
    let mut values: Vec<Value<D>> = Vec::with_capacity(nodes.len());
    // Burn computes in the memory of a tensor that nothing else holds, so the last use of a value takes it.
    let mut take = |values: &mut [Value<D>], at: usize| {
        uses[at] -= 1;
        if uses[at] == 0 { replace(&mut values[at], C(f64::NAN)) } else { values[at].clone() }
    };
    for node in nodes {
        let value = match *node {
            Node::Input(which) => N(input(which).cast(DType::F32)),
            Node::Constant(number) => C(number),
            Node::Unary(function, a) => unary(function, take(&mut values, a)),
            Node::Binary(function, [a, b]) => binary(function, take(&mut values, a), take(&mut values, b)),
            Node::Select([mask, yes, no]) => {
                select(take(&mut values, mask), take(&mut values, yes), take(&mut values, no))
            }
        };
        values.push(value);
    }
    let results = expression.results().iter().map(|result| match take(&mut values, *result) {
        N(number) => number,
        C(_) | T(_) => unreachable!("every result depends on the weight"),
    });
    results.collect()
}

fn unary<const D: usize>(function: Unary, a: Value<D>) -> Value<D> {
    match (function, a) {
        (Unary::Neg, N(a)) => N(a.neg()),
        (Unary::Abs, N(a)) => N(a.abs()),
        (Unary::Sqrt, N(a)) => N(a.sqrt()),
        (Unary::Ln, N(a)) => N(a.log()),
        (Unary::Ln1p, N(a)) => N(a.log1p()),
        (Unary::Not, T(a)) => T(a.bool_not()),
        _ => unreachable!("no function of constants, or of the wrong kind, is in an expression"),
    }
}

fn binary<const D: usize>(function: Binary, a: Value<D>, b: Value<D>) -> Value<D> {
    match (function, a, b) {
        (Binary::Add, N(a), N(b)) => N(a + b),
        (Binary::Add, N(a), C(b)) | (Binary::Add, C(b), N(a)) => N(a.add_scalar(b)),
        (Binary::Sub, N(a), N(b)) => N(a - b),
        (Binary::Sub, N(a), C(b)) => N(a.sub_scalar(b)),
        (Binary::Sub, C(a), N(b)) => N(b.neg().add_scalar(a)),
        (Binary::Mul, N(a), N(b)) => N(a * b),
        (Binary::Mul, N(a), C(b)) | (Binary::Mul, C(b), N(a)) => N(a.mul_scalar(b)),
        (Binary::Div, N(a), N(b)) => N(a / b),
        (Binary::Div, N(a), C(b)) => N(a.div_scalar(b)),
        (Binary::Div, C(a), N(b)) => N(b.recip().mul_scalar(a)),
        (Binary::Min, N(a), N(b)) => N(a.min_pair(b)),
        (Binary::Min, N(a), C(b)) | (Binary::Min, C(b), N(a)) => N(a.clamp_max(b)),
        (Binary::Max, N(a), N(b)) => N(a.max_pair(b)),
        (Binary::Max, N(a), C(b)) | (Binary::Max, C(b), N(a)) => N(a.clamp_min(b)),
        (Binary::Less, N(a), N(b)) => T(a.lower(b)),
        (Binary::Less, N(a), C(b)) => T(a.lower_elem(b)),
        (Binary::Less, C(a), N(b)) => T(b.greater_elem(a)),
        (Binary::LessEqual, N(a), N(b)) => T(a.lower_equal(b)),
        (Binary::LessEqual, N(a), C(b)) => T(a.lower_equal_elem(b)),
        (Binary::LessEqual, C(a), N(b)) => T(b.greater_equal_elem(a)),
        (Binary::Equal, N(a), N(b)) => T(a.equal(b)),
        (Binary::Equal, N(a), C(b)) | (Binary::Equal, C(b), N(a)) => T(a.equal_elem(b)),
        (Binary::And, T(a), T(b)) => T(a.bool_and(b)),
        (Binary::Or, T(a), T(b)) => T(a.bool_or(b)),
        _ => unreachable!("no function of constants, or of the wrong kind, is in an expression"),
    }
}

fn select<const D: usize>(mask: Value<D>, yes: Value<D>, no: Value<D>) -> Value<D> {
    let T(mask) = mask else { unreachable!("a selection is by a truth value that depends on the weight") };
    match (yes, no) {
        (N(yes), N(no)) => N(no.mask_where(mask, yes)),
        (C(yes), N(no)) => N(no.mask_fill(mask, yes)),
        (N(yes), C(no)) => N(yes.mask_fill(mask.bool_not(), no)),
        (C(yes), C(no)) => {
            let number = mask.clone().float().cast(DType::F32);
            N(number.mask_fill(mask.clone(), yes).mask_fill(mask.bool_not(), no))
        }
        _ => unreachable!("a selection is of numbers"),
    }
}
