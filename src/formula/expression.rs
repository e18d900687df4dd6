//! A step as data, for programs that compute in something else than slices and buffers.

/// What an optimizer's step with a penalty's prox computes for one weight: nodes that use earlier nodes, and which of them
/// are the results.
///
/// It is what the loops compute, traced with coefficients that are rounded to `f32`. Where no number is below 2^-120 in
/// magnitude, it agrees with the other calls within rounding. A tiny number stays as it is, where they make it +0. If a
/// weight, or what its step gives before the prox, is not finite, the prox does nothing.
///
/// ```
/// use penalty::expression::{Binary, Input, Node};
/// use penalty::{Dtype, Expression, Momentum, Penalty, Sgd};
///
/// let sgd = Sgd { step: 0.5, momentum: Momentum::None };
/// let step = Expression::sgd(&sgd, &Penalty::none(), Dtype::F32)?;
/// let expected = [
///     Node::Input(Input::Weight),
///     Node::Input(Input::Gradient),
///     Node::Constant(-0.5),
///     Node::Binary(Binary::Mul, [1, 2]),
///     Node::Binary(Binary::Add, [0, 3]), // θ − ½g
/// ];
/// assert_eq!(step.nodes(), expected);
/// assert_eq!(step.results(), [4]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    nodes: Vec<Node>,
    results: Vec<usize>,
}

/// A node of an [`Expression`], whose documentation shows some. A `usize` is the index of an earlier node.
///
/// ```
/// use penalty::expression::Node;
///
/// assert_eq!(Node::Select([0, 2, 1]).operands(), [0, 2, 1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// A number that the caller has for each weight.
    Input(Input),
    /// A number that is the same for all weights.
    Constant(f64),
    /// A function of one node.
    Unary(Unary, usize),
    /// A function of two nodes.
    Binary(Binary, [usize; 2]),
    /// The second node where the first holds, else the third. The one that is not selected may be NaN or infinite.
    Select([usize; 3]),
}

/// What the caller of an [`Expression`] has for each weight.
///
/// ```
/// use penalty::expression::{Input, Node};
/// use penalty::{Adam, Dtype, Expression, Penalty};
///
/// let adam = Expression::adam(&Adam::default(), &Penalty::weighted_l1(0.5)?, Dtype::F32)?;
/// for input in [Input::Weight, Input::Gradient, Input::First, Input::Second, Input::ElementWeight] {
///     assert!(adam.nodes().contains(&Node::Input(input)));
/// }
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The weight θ.
    Weight,
    /// The loss's gradient.
    Gradient,
    /// The momentum, or Adam's first moment.
    First,
    /// Adam's second moment.
    Second,
    /// The element weight, if the penalty [has some](crate::Penalty::is_weighted).
    ElementWeight,
}

/// A function of one node of an [`Expression`]. It takes and gives numbers unless it says otherwise.
///
/// ```
/// use penalty::expression::{Node, Unary};
/// use penalty::{Adam, Dtype, Expression, Penalty};
///
/// let adam = Expression::adam(&Adam::default(), &Penalty::none(), Dtype::F32)?;
/// assert!(adam.nodes().iter().any(|node| matches!(node, Node::Unary(Unary::Sqrt, _))));
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// −a.
    Neg,
    /// |a|.
    Abs,
    /// √a for a ≥ 0.
    Sqrt,
    /// ln a.
    Ln,
    /// ln(1 + a) for a ≥ 0.
    Ln1p,
    /// Whether a does not hold.
    Not,
}

/// A function of two nodes of an [`Expression`], whose documentation shows some. It takes and gives numbers unless it says
/// otherwise.
///
/// ```
/// use penalty::expression::{Binary, Node};
///
/// let product = Node::Binary(Binary::Mul, [1, 2]);
/// assert_eq!(product.operands(), [1, 2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a·b.
    Mul,
    /// a/b.
    Div,
    /// The smaller of a and b.
    Min,
    /// The larger of a and b.
    Max,
    /// Whether a < b.
    Less,
    /// Whether a ≤ b.
    LessEqual,
    /// Whether a = b.
    Equal,
    /// Whether a and b hold.
    And,
    /// Whether a or b holds.
    Or,
}

impl Expression {
    /// The nodes that the results need; each uses earlier ones only. No two are equal, and none has constant operands
    /// only.
    ///
    /// ```
    /// use penalty::{Adam, Dtype, Expression, Penalty};
    ///
    /// let step = Expression::adam(&Adam::default(), &Penalty::mcp(1.0, 3.0)?, Dtype::F32)?;
    /// assert!(step.nodes().iter().enumerate().all(|(at, node)| node.operands().iter().all(|operand| *operand < at)));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Which nodes are the next weight, and the next first and second state if the step has them.
    ///
    /// ```
    /// use penalty::{Dtype, Expression, Momentum, Penalty, Sgd};
    ///
    /// let sgd = Sgd { step: 0.1, momentum: Momentum::heavy_ball(0.9) };
    /// assert_eq!(Expression::sgd(&sgd, &Penalty::l1(0.1)?, Dtype::F32)?.results().len(), 2);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn results(&self) -> &[usize] {
        &self.results
    }

    /// Those of the nodes that the results need, in their order.
    pub(super) fn of(nodes: &[Node], results: &[usize]) -> Expression {
        let mut needed = vec![false; nodes.len()];
        results.iter().for_each(|result| needed[*result] = true);
        for (at, node) in nodes.iter().enumerate().rev() {
            if needed[at] {
                node.operands().iter().for_each(|operand| needed[*operand] = true);
            }
        }
        // Where each node ends up, if it is needed.
        let mut places = Vec::with_capacity(nodes.len());
        let mut kept: Vec<Node> = Vec::new();
        for (node, needed) in nodes.iter().zip(needed) {
            places.push(kept.len());
            if needed {
                let mut node = *node;
                node.operands_mut().iter_mut().for_each(|operand| *operand = places[*operand]);
                kept.push(node);
            }
        }
        Expression { nodes: kept, results: results.iter().map(|result| places[*result]).collect() }
    }
}

impl Node {
    /// The nodes that it uses.
    ///
    /// ```
    /// use penalty::expression::Node;
    ///
    /// assert_eq!(Node::Constant(1.0).operands(), []);
    /// ```
    pub fn operands(&self) -> &[usize] {
        match self {
            Node::Input(_) | Node::Constant(_) => &[],
            Node::Unary(_, a) => std::slice::from_ref(a),
            Node::Binary(_, both) => both,
            Node::Select(all) => all,
        }
    }

    fn operands_mut(&mut self) -> &mut [usize] {
        match self {
            Node::Input(_) | Node::Constant(_) => &mut [],
            Node::Unary(_, a) => std::slice::from_mut(a),
            Node::Binary(_, both) => both,
            Node::Select(all) => all,
        }
    }
}
