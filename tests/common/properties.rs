//! What group penalties do, in `f64`, by sorting.

use penalty::{Groups, Penalty};

pub(crate) fn of(penalty: penalty::Result<Penalty>) -> Penalty {
    penalty.expect("its parameters are valid")
}

pub(crate) fn wide(weights: &[f32]) -> Vec<f64> {
    weights.iter().map(|&w| w.into()).collect()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

pub(crate) fn largest(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).fold(0.0, f64::max)
}

/// The projection on the simplex by sorting (Held, Wolfe, Crowder 1974).
fn onto_simplex(v: &[f64], radius: f64) -> Vec<f64> {
    let mut sorted = v.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut threshold) = (0.0, 0.0);
    for (i, x) in sorted.iter().enumerate() {
        sum += x;
        let t = (sum - radius) / (i + 1) as f64;
        if i == 0 || *x > t {
            threshold = t;
        }
    }
    v.iter().map(|x| (x - threshold).max(0.0)).collect()
}

fn onto_l1_ball(v: &[f64], radius: f64) -> Vec<f64> {
    let sizes: Vec<f64> = v.iter().map(|x| x.abs()).collect();
    if sizes.iter().sum::<f64>() <= radius {
        return v.to_vec();
    }
    onto_simplex(&sizes, radius).iter().zip(v).map(|(x, v)| x * v.signum()).collect()
}

fn shrunk(v: &[f64], soft: f64, bound: f64) -> Vec<f64> {
    let u: Vec<f64> = v.iter().map(|x| x.signum() * (x.abs() - soft).max(0.0)).collect();
    let factor = if norm(&u) > bound { 1.0 - bound / norm(&u) } else { 0.0 };
    u.iter().map(|x| x * factor).collect()
}

fn kept(v: &[f32], k: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..v.len()).collect();
    order.sort_by(|&a, &b| v[b].abs().total_cmp(&v[a].abs()).then(a.cmp(&b)));
    let mut x = vec![0.0; v.len()];
    order.iter().take(k).for_each(|&i| x[i] = v[i].into());
    x
}

/// The prox of one group with a step.
type GroupProx = Box<dyn Fn(&[f32], f64) -> Vec<f64>>;
type GroupValue = Box<dyn Fn(&[f64]) -> f64>;

/// A penalty over runs, and its prox and value in `f64`.
pub(crate) struct Properties {
    pub(crate) name: &'static str,
    pub(crate) penalty: Penalty,
    pub(crate) prox: GroupProx,
    pub(crate) value: GroupValue,
    pub(crate) convex: bool,
    pub(crate) projects: bool,
}

/// Each rule with a bound, over runs of this many weights.
pub(crate) fn properties(bound: f64, alpha: f64, run: usize) -> Vec<Properties> {
    let groups = Groups::runs(run as u64).expect("it is valid");
    let root = (run as f64).sqrt();
    let over = |penalty: penalty::Result<Penalty>| of(of(penalty).over(groups.clone()));
    let inside = move |is: bool| if is { 0.0 } else { f64::INFINITY };
    let k = (bound.ceil() as usize).max(1);
    let (l1, l2) = (bound * alpha, bound * (1.0 - alpha) * root);
    vec![
        Properties {
            name: "l2_norm",
            penalty: over(Penalty::l2_norm(bound)),
            prox: Box::new(move |v, step| shrunk(&wide(v), 0.0, step * bound)),
            value: Box::new(move |x| bound * norm(x)),
            convex: true,
            projects: false,
        },
        Properties {
            name: "sparse_group_lasso",
            penalty: over(Penalty::sparse_group_lasso(bound, alpha, Groups::whole())),
            prox: Box::new(move |v, step| shrunk(&wide(v), step * l1, step * l2)),
            value: Box::new(move |x| l1 * x.iter().map(|x| x.abs()).sum::<f64>() + l2 * norm(x)),
            convex: true,
            projects: false,
        },
        Properties {
            name: "linf_norm",
            penalty: over(Penalty::linf_norm(bound)),
            prox: Box::new(move |v, step| {
                let v = wide(v);
                onto_l1_ball(&v, step * bound).iter().zip(&v).map(|(p, v)| v - p).collect()
            }),
            value: Box::new(move |x| bound * largest(x)),
            convex: true,
            projects: false,
        },
        Properties {
            name: "l2_ball",
            penalty: over(Penalty::l2_ball(bound)),
            prox: Box::new(move |v, _| {
                let v = wide(v);
                let factor = (bound / norm(&v)).min(1.0);
                v.iter().map(|x| x * factor).collect()
            }),
            value: Box::new(move |x| inside(norm(x) <= bound)),
            convex: true,
            projects: true,
        },
        Properties {
            name: "l1_ball",
            penalty: over(Penalty::l1_ball(bound)),
            prox: Box::new(move |v, _| onto_l1_ball(&wide(v), bound)),
            value: Box::new(move |x| inside(x.iter().map(|x| x.abs()).sum::<f64>() <= bound)),
            convex: true,
            projects: true,
        },
        Properties {
            name: "simplex",
            penalty: over(Penalty::simplex(bound)),
            prox: Box::new(move |v, _| onto_simplex(&wide(v), bound)),
            value: Box::new(move |x| {
                let sum: f64 = x.iter().sum();
                inside(x.iter().all(|x| *x >= 0.0) && sum <= bound && sum >= bound * (1.0 - 2f64.powi(-20)))
            }),
            convex: true,
            projects: true,
        },
        Properties {
            name: "top_k",
            penalty: over(Penalty::top_k(k as u64)),
            prox: Box::new(move |v, _| kept(v, k)),
            value: Box::new(move |x| inside(x.iter().filter(|x| **x != 0.0).count() <= k)),
            convex: false,
            projects: true,
        },
    ]
}
