//! Groups that follow from a parameter's shape.

use penalty::Groups;

/// Makes each row, column or index along a dimension of a parameter a group, as in `penalty eval --groups`. A parameter of shape [a, b, c, …] is a matrix of a rows
/// and b·c·… columns.
///
/// The meaning of a row differs between Burn's layers:
///
/// | parameter | shape | a row | a column |
/// | --- | --- | --- | --- |
/// | `Linear`'s weight, in either `LinearLayout` | [in, out] | an input's outgoing weights | an output neuron |
/// | `Conv1d`'s, `Conv2d`'s, `Conv3d`'s weight | [out, in/groups, kernel…] | an output channel | |
/// | `ConvTranspose1d`'s, `ConvTranspose2d`'s, `ConvTranspose3d`'s weight | [in, out/groups, kernel…] | an input channel | |
/// | `Embedding`'s weight | [tokens, features] | a token | a feature |
///
/// PyTorch's `Linear` stores [out, in], so there an output neuron is a row.
///
/// A parameter of fewer than two dimensions, such as a bias, is not a matrix and is rejected by name. Leave it out, as rules do by default,
/// or give it a separate penalty.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::{ByShape, Rules};
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// // Each output neuron of `Linear`, whose weight is [in, out], is 0 or not as a whole.
/// let rules = Rules::grouped(Penalty::l2_norm(1e-3)?, ByShape::Columns);
/// assert_eq!(rules.select(&layer)?[0].penalty.groups(), Some(&penalty::Groups::columns(4)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByShape {
    /// Each row.
    Rows,
    /// Each column.
    Columns,
    /// Each index along this dimension, counted from 0: all weights with that index are a group. In the weights of convolutions,
    /// dimension 0 is the filters, as rows are, and dimension 1 is the input channels.
    Dim(usize),
    /// Runs of `len` weights along this dimension, counted from 0, for n:m sparsity: 2:4 is [`top_k`](penalty::Penalty::top_k) of 2 in runs of 4. Sparse tensor
    /// cores want them along the inputs: dimension 0 in `Linear`, dimension 1 in convolutions.
    Runs {
        /// The dimension, whose length is a multiple of `len`.
        dim: usize,
        /// How many weights a run has.
        len: u64,
    },
}

impl ByShape {
    /// The groups of a parameter of this shape.
    pub(crate) fn groups(self, shape: &[u64]) -> penalty::Result<Groups> {
        let columns = match shape {
            [_, rest @ ..] if !rest.is_empty() => rest.iter().product(),
            _ => {
                let expected = "lie in a matrix, of two dimensions or more".into();
                return Err(rejected(self, expected, format!("the tensor's shape is {shape:?}")));
            }
        };
        match self {
            ByShape::Rows => Groups::rows(columns),
            ByShape::Columns => Groups::columns(columns),
            ByShape::Dim(dim) if dim < shape.len() => {
                let (before, after) = (shape[..dim].iter().product(), shape[dim + 1..].iter().product());
                // Rows and columns have faster kernels than tiles.
                match (before, after) {
                    (1, _) => Groups::rows(after),
                    (_, 1) => Groups::columns(shape[dim]),
                    _ => Groups::tiles(shape[dim] * after, before, after),
                }
            }
            ByShape::Runs { dim, len } if dim < shape.len() => {
                if len == 0 || !shape[dim].is_multiple_of(len) {
                    let expected = format!("divide the {} weights along the dimension", shape[dim]);
                    return Err(rejected(self, expected, format!("runs of {len}")));
                }
                match shape[dim + 1..].iter().product() {
                    1 => Groups::runs(len),
                    after => Groups::tiles(after, len, 1),
                }
            }
            ByShape::Dim(_) | ByShape::Runs { .. } => {
                let expected = format!("lie along one of the {} dimensions, counted from 0", shape.len());
                Err(rejected(self, expected, format!("the tensor's shape is {shape:?}")))
            }
        }
    }
}

pub(crate) fn rejected(by: ByShape, expected: String, found: String) -> penalty::Error {
    let groups = match by {
        ByShape::Rows => "rows by shape".into(),
        ByShape::Columns => "columns by shape".into(),
        ByShape::Dim(dim) => format!("dimension {dim} by shape"),
        ByShape::Runs { dim, len } => format!("runs of {len} along dimension {dim}"),
    };
    penalty::Error::Groups { groups, expected, found }
}
