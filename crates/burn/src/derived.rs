//! Modules of element weights, made of a model.

use burn_core::module::{Module, ModuleMapper, Param};
use burn_core::tensor::Tensor;

/// The element weights of the adaptive lasso: 1/(|θ̂|^γ + ε) for each weight θ̂ of a first model (Zou 2006). Give them to
/// [`Rules::element_weights`](crate::Rules::element_weights), with [`Penalty::weighted_l1`](penalty::Penalty::weighted_l1) for the penalty. ε > 0
/// limits them where θ̂ is 0.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty_burn::adaptive;
///
/// let first: Linear = LinearConfig::new(8, 4).init(&Device::flex()); // trained without a penalty
/// let weights = adaptive(first, 1.0, 1e-3);
/// assert!(weights.weight.val().lower_equal_scalar(1000.0).all().into_scalar::<bool>());
/// ```
pub fn adaptive<M: Module>(first: M, gamma: f32, epsilon: f32) -> M {
    struct Adaptive(f32, f32);
    impl ModuleMapper for Adaptive {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|theta| theta.inner().abs().powf_scalar(self.0).add_scalar(self.1).recip())
        }
    }
    first.map(&mut Adaptive(gamma, epsilon))
}

/// A mask of the weights that are not 0: 1 for these, and 0 for the others. Give it to
/// [`Rules::element_weights`](crate::Rules::element_weights), with [`Penalty::mask`](penalty::Penalty::mask) for the penalty: then weights that were
/// pruned stay 0 in later steps.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty_burn::mask;
///
/// let pruned: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// assert_eq!(mask(pruned).weight.val().sum().into_scalar::<f32>(), 32.0);
/// ```
pub fn mask<M: Module>(pruned: M) -> M {
    struct Mask;
    impl ModuleMapper for Mask {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|theta| {
                let theta = theta.inner();
                let dtype = theta.dtype();
                theta.not_equal_scalar(0.0).float().cast(dtype)
            })
        }
    }
    pruned.map(&mut Mask)
}
