//! A number that records what is done with it: a formula that runs on symbols gives its [`Expression`].

use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use super::expression::{Binary, Expression, Input, Node, Unary};
use super::{Coefficients, Formula, PerWeight};
use crate::numeric::float::Float;

/// The nodes that symbols have recorded.
#[derive(Debug, Default)]
pub(crate) struct Graph(RefCell<Vec<Node>>);

/// A number: known now, or a node of a graph.
#[derive(Clone, Copy)]
pub(crate) enum Symbol<'g> {
    Constant(f64),
    Node(&'g Graph, usize),
}

/// A truth value: known now, or a node of a graph.
#[derive(Clone, Copy)]
pub(crate) enum Truth<'g> {
    Constant(bool),
    Node(&'g Graph, usize),
}

/// A prox in symbols: of v, in the metric d if there is one, with an element weight and coefficients.
pub(crate) type Prox = for<'g> fn([Symbol<'g>; 2], Option<Symbol<'g>>, &Coefficients) -> Symbol<'g>;

/// [`Prox`] of a formula.
pub(super) fn prox<'g, F: Separable>(
    [v, element_weight]: [Symbol<'g>; 2],
    d: Option<Symbol<'g>>,
    c: &Coefficients,
) -> Symbol<'g> {
    let mut c = c.map(|c| Symbol::of(c.into()));
    if F::WEIGHTED {
        c[4] = element_weight;
    }
    match d {
        None => F::prox(v, &c),
        Some(d) => F::metric_prox(v, d, &c),
    }
}

/// The formula of a separable penalty, which has [`PerWeight`] for every [`Float`].
pub(crate) trait Separable: Formula + PerWeight<f64> + for<'g> PerWeight<Symbol<'g>> {}

impl<P: Formula + PerWeight<f64> + for<'g> PerWeight<Symbol<'g>>> Separable for P {}

impl Graph {
    pub(crate) fn input(&self, input: Input) -> Symbol<'_> {
        Symbol::Node(self, self.add(Node::Input(input)))
    }

    /// How the results come about.
    pub(crate) fn expression<const N: usize>(&self, results: [Symbol<'_>; N]) -> Expression {
        let results = results.map(|result| self.index(result));
        Expression::of(&self.0.borrow(), &results)
    }

    /// A node's index. A node that is there already is not added again.
    fn add(&self, node: Node) -> usize {
        let mut nodes = self.0.borrow_mut();
        nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
            nodes.push(node);
            nodes.len() - 1
        })
    }

    fn index(&self, symbol: Symbol<'_>) -> usize {
        match symbol {
            Symbol::Constant(number) => self.add(Node::Constant(number)),
            Symbol::Node(_, index) => index,
        }
    }
}

impl<'g> Symbol<'g> {
    fn is(self, number: f64) -> bool {
        matches!(self, Symbol::Constant(known) if known == number)
    }

    fn is_same(self, other: Symbol<'g>) -> bool {
        match (self, other) {
            (Symbol::Node(_, a), Symbol::Node(_, b)) => a == b,
            (Symbol::Constant(a), other) => other.is(a),
            _ => false,
        }
    }

    fn unary(self, function: Unary, known: fn(f64) -> f64) -> Symbol<'g> {
        match self {
            Symbol::Constant(number) => Symbol::Constant(known(number)),
            Symbol::Node(graph, index) => Symbol::Node(graph, graph.add(Node::Unary(function, index))),
        }
    }

    /// The node of a function of two symbols, or what is known of both.
    fn binary(self, other: Symbol<'g>, function: Binary) -> Result<(&'g Graph, usize), [f64; 2]> {
        match (self, other) {
            (Symbol::Constant(a), Symbol::Constant(b)) => Err([a, b]),
            (Symbol::Node(graph, _), _) | (_, Symbol::Node(graph, _)) => {
                Ok((graph, graph.add(Node::Binary(function, [graph.index(self), graph.index(other)]))))
            }
        }
    }

    fn number(self, other: Symbol<'g>, function: Binary, known: fn(f64, f64) -> f64) -> Symbol<'g> {
        match self.binary(other, function) {
            Ok((graph, index)) => Symbol::Node(graph, index),
            Err([a, b]) => Symbol::Constant(known(a, b)),
        }
    }

    fn truth(self, other: Symbol<'g>, function: Binary, known: fn(&f64, &f64) -> bool) -> Truth<'g> {
        match self.binary(other, function) {
            Ok((graph, index)) => Truth::Node(graph, index),
            Err([a, b]) => Truth::Constant(known(&a, &b)),
        }
    }
}

impl Neg for Symbol<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.unary(Unary::Neg, |a| -a)
    }
}

impl Add for Symbol<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if other.is(0.0) { self } else { self.number(other, Binary::Add, |a, b| a + b) }
    }
}

impl Sub for Symbol<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.number(other, Binary::Sub, |a, b| a - b)
    }
}

impl Mul for Symbol<'_> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        if other.is(1.0) { self } else { self.number(other, Binary::Mul, |a, b| a * b) }
    }
}

impl Div for Symbol<'_> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        self.number(other, Binary::Div, |a, b| a / b)
    }
}

impl<'g> Truth<'g> {
    fn and_or(self, other: Truth<'g>, function: Binary) -> Truth<'g> {
        match (self, other) {
            // True or anything is true, and false and anything is false. The other one of the two decides nothing.
            (Truth::Constant(known), rest) | (rest, Truth::Constant(known)) => {
                if known == (function == Binary::Or) {
                    Truth::Constant(known)
                } else {
                    rest
                }
            }
            (Truth::Node(graph, a), Truth::Node(_, b)) => Truth::Node(graph, graph.add(Node::Binary(function, [a, b]))),
        }
    }
}

impl BitAnd for Truth<'_> {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.and_or(other, Binary::And)
    }
}

impl BitOr for Truth<'_> {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and_or(other, Binary::Or)
    }
}

impl Not for Truth<'_> {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Truth::Constant(known) => Truth::Constant(!known),
            Truth::Node(graph, index) => Truth::Node(graph, graph.add(Node::Unary(Unary::Not, index))),
        }
    }
}

/// The formulas take the detours of `f32`, since what computes an expression may have no more than that.
impl<'g> Float for Symbol<'g> {
    type Mask = Truth<'g>;

    const ZERO: Self = Symbol::Constant(0.0);
    const ONE: Self = Symbol::Constant(1.0);
    const MAX: Self = Symbol::Constant(f32::MAX as f64);
    const INFINITY: Self = Symbol::Constant(f64::INFINITY);
    const DOUBLE: bool = false;

    fn of(constant: f64) -> Self {
        Symbol::Constant(constant)
    }

    fn less(a: Self, b: Self) -> Truth<'g> {
        a.truth(b, Binary::Less, f64::lt)
    }

    fn at_most(a: Self, b: Self) -> Truth<'g> {
        a.truth(b, Binary::LessEqual, f64::le)
    }

    fn equal(a: Self, b: Self) -> Truth<'g> {
        a.truth(b, Binary::Equal, f64::eq)
    }

    fn select(mask: Truth<'g>, yes: Self, no: Self) -> Self {
        match mask {
            Truth::Constant(true) => yes,
            Truth::Constant(false) => no,
            Truth::Node(..) if yes.is_same(no) => yes,
            Truth::Node(graph, mask) => {
                Symbol::Node(graph, graph.add(Node::Select([mask, graph.index(yes), graph.index(no)])))
            }
        }
    }

    fn abs(self) -> Self {
        self.unary(Unary::Abs, f64::abs)
    }

    fn quotient(a: Self, b: Self) -> Self {
        // b > 0.
        if a.is(0.0) {
            a
        } else if a.is_same(b) {
            Symbol::ONE
        } else {
            a / b
        }
    }

    fn root(x: Self) -> Self {
        x.unary(Unary::Sqrt, f64::sqrt)
    }

    fn ln(x: Self, lost: Self) -> Self {
        x.unary(Unary::Ln, f64::ln) + lost / x
    }

    fn ln_1p(u: Self) -> Self {
        u.unary(Unary::Ln1p, f64::ln_1p)
    }

    fn flush(x: Self) -> Self {
        x
    }

    fn bounded(x: Self) -> Self {
        x.number(Symbol::MAX, Binary::Min, f64::min)
    }

    fn threshold(v: Self, t: Self) -> Self {
        if t.is(0.0) {
            return v;
        }
        v - (-t).number(v.number(t, Binary::Min, f64::min), Binary::Max, f64::max)
    }

    fn signed(magnitude: Self, like: Self) -> Self {
        Symbol::select(Symbol::less(like, Symbol::ZERO), -magnitude, magnitude)
    }
}
