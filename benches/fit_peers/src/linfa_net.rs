//! linfa-elasticnet: coordinate descent for the squared loss on one thread, each λ from the start. It has no path, no
//! cross-validation and no sparse designs. It does not centre columns, so we do. It looks at the duality gap, ½‖·‖²
//! against its tolerance times ‖y‖², once no coefficient changes by more than the tolerance times the largest one.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use ndarray::{Array1, Array2, Axis, ShapeBuilder};

use crate::{Answer, Result, Task};

pub(crate) fn contender(task: &Task) -> Result<Box<dyn FnMut() -> Result<Answer> + '_>> {
    Ok(Box::new(|| {
        let x = Array2::from_shape_vec((task.rows, task.cols).f(), task.x.clone())?;
        let means = x.mean_axis(Axis(0)).ok_or("no rows")?;
        let centred = DatasetBase::new(x - &means, Array1::from(task.y.clone()));
        task.each(|lambda| {
            let net = ElasticNet::params()
                .penalty(lambda)
                .l1_ratio(1.0)
                .tolerance(task.tolerance)
                .max_iterations(100_000)
                .fit(&centred)?;
            let intercept = net.intercept() - net.hyperplane().dot(&means);
            Ok(std::iter::once(intercept).chain(net.hyperplane().iter().copied()).collect())
        })
    }))
}
