//! The penalty of a fit: scaled by λ and by penalty factors, with signs, over single features or groups of them.

use penalty::{GroupProx, Groups, Penalty, ProxAt};

use crate::{Error, Problem, Result, Sign};

/// What makes a regularizer of each λ.
pub(crate) struct Template {
    penalty: Penalty,
    /// The distinct penalty factors, and which one each block has.
    factors: Vec<f64>,
    factor_of: Vec<u32>,
    signs: Option<Vec<Sign>>,
    groups: Option<Vec<Vec<usize>>>,
    features: usize,
}

/// R at a λ: a sum over blocks, which are features or groups of features.
pub(crate) struct Regularizer<'a> {
    template: &'a Template,
    /// For each distinct factor.
    penalties: Vec<Penalty>,
    kinds: Vec<Kind>,
}

/// What is known of a block's penalty beside its prox.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// l1·|w| + l2·w².
    ElasticNet { l1: f64, l2: f64 },
    /// l1·Σ|w| + norm·‖w‖₂, with the root of the size in the norm's factor if it is sized.
    Group { l1: f64, norm: f64, sized: bool },
    /// Only the prox is known.
    Other,
}

/// The prox of one coefficient at a step.
#[derive(Clone, Copy)]
pub(crate) struct CoordinateProx {
    prox: ProxAt,
    sign: Sign,
}

impl CoordinateProx {
    /// A penalty that is even and rises with |w| has its least value under a sign constraint at 0, if not inside.
    #[inline(always)]
    pub(crate) fn of(&self, v: f64) -> f64 {
        self.sign.clamp(self.prox.of(v))
    }
}

impl Sign {
    #[inline(always)]
    pub(crate) fn clamp(self, w: f64) -> f64 {
        match self {
            Sign::Any => w,
            Sign::NonNegative => w.max(0.0),
            Sign::NonPositive => w.min(0.0),
        }
    }
}

impl Template {
    /// Checks that a problem can have this penalty.
    pub(crate) fn new(problem: &Problem<'_>, penalty: &Penalty) -> Result<Template> {
        let features = problem.x.cols();
        let unsupported = |asked, reason| Error::Unsupported { penalty: penalty.name(), asked, reason };
        if penalty.is_weighted() {
            return Err(unsupported(
                "be fitted",
                "its element weights are the problem's penalty factors; use l1 or elastic_net",
            ));
        }
        let groups = penalty.groups().map(|groups| groups.members(features)).transpose()?;
        let signs = problem.signs.filter(|signs| signs.iter().any(|sign| *sign != Sign::Any));
        if groups.is_some() && signs.is_some() {
            return Err(unsupported("have sign constraints", "its prox under them has no closed form"));
        }
        let (mut factors, mut factor_of) = (vec![1.0], Vec::new());
        if let Some(given) = problem.factors {
            factors.clear();
            let blocks = groups.as_ref().map_or(features, Vec::len);
            for block in 0..blocks {
                let first = groups.as_ref().map_or(block, |groups| groups[block][0]);
                let factor: f64 = given[first];
                if groups.as_ref().is_some_and(|groups| groups[block].iter().any(|j| given[*j] != factor)) {
                    return Err(unsupported("have several penalty factors in one group", "a group has one norm"));
                }
                let known = factors.iter().position(|known| *known == factor).filter(|_| factors.len() < 64);
                factor_of.push(known.unwrap_or(factors.len()) as u32);
                if known.is_none() {
                    factors.push(factor);
                }
            }
        }
        let signs = signs.map(<[Sign]>::to_vec);
        Ok(Template { penalty: penalty.clone(), factors, factor_of, signs, groups, features })
    }

    /// The penalty scaled by λ.
    pub(crate) fn at(&self, lambda: f64) -> Result<Regularizer<'_>> {
        let scaled = |factor: &f64| -> Result<Penalty> {
            let scaled =
                if lambda * factor == 1.0 { self.penalty.clone() } else { self.penalty.scaled(lambda * factor)? };
            // Each group is then one call's whole tensor.
            Ok(if self.groups.is_some() { scaled.over(Groups::whole())? } else { scaled })
        };
        let penalties: Vec<Penalty> = self.factors.iter().map(scaled).collect::<Result<_>>()?;
        let kinds = penalties.iter().map(Kind::of).collect();
        Ok(Regularizer { template: self, penalties, kinds })
    }

    pub(crate) fn penalty(&self) -> &Penalty {
        &self.penalty
    }

    pub(crate) fn features(&self) -> usize {
        self.features
    }

    pub(crate) fn blocks(&self) -> usize {
        self.groups.as_ref().map_or(self.features, Vec::len)
    }

    /// The features of a block.
    pub(crate) fn members(&self, block: usize) -> impl Iterator<Item = usize> + '_ {
        let group = self.groups.as_ref().map(|groups| &groups[block]);
        let single = group.is_none().then_some(block);
        single.into_iter().chain(group.into_iter().flatten().copied())
    }

    pub(crate) fn has_groups(&self) -> bool {
        self.groups.is_some()
    }

    pub(crate) fn sign(&self, feature: usize) -> Sign {
        self.signs.as_ref().map_or(Sign::Any, |signs| signs[feature])
    }

    pub(crate) fn has_signs(&self) -> bool {
        self.signs.is_some()
    }

    fn class(&self, block: usize) -> usize {
        self.factor_of.get(block).map_or(0, |class| *class as usize)
    }

    /// The blocks that no λ penalizes.
    pub(crate) fn unpenalized(&self) -> Vec<usize> {
        (0..self.blocks()).filter(|block| self.is_free(*block)).collect()
    }

    pub(crate) fn is_free(&self, block: usize) -> bool {
        self.factors[self.class(block)] == 0.0
    }
}

impl Kind {
    fn of(penalty: &Penalty) -> Kind {
        let (l1, l2) = (penalty.l1_factor(), penalty.l2_squared_factor());
        let of = |name: &str| penalty.parameters().iter().find(|(key, _)| *key == name).map_or(0.0, |(_, x)| *x);
        match penalty.name() {
            _ if penalty.is_elastic_net() => Kind::ElasticNet { l1, l2 },
            "l2_norm" => Kind::Group { l1, norm: of("lambda"), sized: false },
            "group_lasso" => Kind::Group { l1, norm: of("lambda"), sized: true },
            "sparse_group_lasso" => Kind::Group { l1, norm: of("lambda") * (1.0 - of("alpha")), sized: true },
            _ => Kind::Other,
        }
    }
}

impl Regularizer<'_> {
    pub(crate) fn template(&self) -> &Template {
        self.template
    }

    pub(crate) fn kind(&self, block: usize) -> Kind {
        self.kinds[self.template.class(block)]
    }

    /// Whether R is convex. What a user's penalty is, nobody knows.
    pub(crate) fn is_convex(&self) -> bool {
        const CONVEX: [&str; 8] =
            ["huber", "nonnegative_l1", "interval", "box", "linf_norm", "l1_ball", "l2_ball", "simplex"];
        self.kinds.iter().all(|kind| *kind != Kind::Other) || CONVEX.contains(&self.template.penalty.name())
    }

    /// Whether every block is an elastic net.
    pub(crate) fn is_elastic_net(&self) -> bool {
        self.kinds.iter().all(|kind| matches!(kind, Kind::ElasticNet { .. }))
    }

    pub(crate) fn prox(&self, feature: usize, step: f64) -> Result<CoordinateProx> {
        let prox = self.penalties[self.template.class(feature)].prox_with(step)?;
        Ok(CoordinateProx { prox, sign: self.template.sign(feature) })
    }

    pub(crate) fn group_prox(&self, block: usize, step: f64) -> Result<GroupProx> {
        Ok(self.penalties[self.template.class(block)].group_prox_with(step)?)
    }

    /// R(w), without the sign constraints.
    pub(crate) fn value(&self, w: &[f64]) -> Result<f64> {
        let template = self.template;
        if self.penalties.len() == 1 && !template.has_groups() {
            if let Kind::ElasticNet { l1, l2 } = self.kinds[0] {
                return Ok(w.iter().map(|w| l1 * w.abs() + l2 * w * w).sum());
            }
            return Ok(self.penalties[0].value_of(w)?);
        }
        let mut group = Vec::new();
        (0..template.blocks()).try_fold(0.0, |sum, block| {
            group.clear();
            group.extend(template.members(block).map(|j| w[j]));
            Ok(sum + self.block_value(block, &group)?)
        })
    }

    /// The value of one block.
    pub(crate) fn block_value(&self, block: usize, w: &[f64]) -> Result<f64> {
        match self.kind(block) {
            Kind::ElasticNet { l1, l2 } => Ok(w.iter().map(|w| l1 * w.abs() + l2 * w * w).sum()),
            _ => Ok(self.penalties[self.template.class(block)].value_of(w)?),
        }
    }

    /// What a prox step of one block at curvature `l` changes, times √l: 0 where the block is optimal given the others.
    /// `c` is the negative slope of the loss.
    pub(crate) fn residual(&self, block: usize, w: &[f64], c: &[f64], l: f64) -> Result<f64> {
        if l == 0.0 {
            return Ok(0.0);
        }
        if let ([w], [c], Kind::ElasticNet { l1, l2 }, false) = (w, c, self.kind(block), self.template.has_signs()) {
            // Most features stay 0.
            if *w == 0.0 && c.abs() <= l1 {
                return Ok(0.0);
            }
            let v = w + c / l;
            let t = l1 / l;
            let next = (v - v.max(-t).min(t)) / (1.0 + 2.0 * l2 / l);
            return Ok((next - w).abs() * l.sqrt());
        }
        if !self.template.has_groups() {
            let next = self.prox(block, 1.0 / l)?.of(w[0] + c[0] / l);
            return Ok((next - w[0]).abs() * l.sqrt());
        }
        let mut next: Vec<f64> = w.iter().zip(c).map(|(w, c)| w + c / l).collect();
        self.group_prox(block, 1.0 / l)?.apply(&mut next);
        Ok((next.iter().zip(w).map(|(next, w)| (next - w) * (next - w)).sum::<f64>() * l).sqrt())
    }

    /// The largest s ≤ 1 for which s·c is in the domain of the conjugate of a block; `None` if that is not known. A block
    /// whose conjugate is finite everywhere has 1.
    pub(crate) fn feasible(&self, block: usize, c: &[f64]) -> Option<f64> {
        let within = |bound: f64, x: f64| if x <= bound { 1.0 } else { bound / x };
        match self.kind(block) {
            Kind::ElasticNet { l2, .. } if l2 > 0.0 => Some(1.0),
            // Without a penalty, the slope must be 0.
            Kind::ElasticNet { l1: 0.0, .. } => None,
            Kind::ElasticNet { l1, .. } => Some(within(l1, self.template.sign(block).clamp(c[0]).abs())),
            Kind::Group { l1, norm, sized } => {
                let norm = if sized { norm * (c.len() as f64).sqrt() } else { norm };
                if l1 == 0.0 && norm == 0.0 {
                    return None;
                }
                let excess = |s: f64| {
                    let soft = |c: &f64| ((s * c).abs() - l1).max(0.0);
                    c.iter().map(|c| soft(c) * soft(c)).sum::<f64>().sqrt() - norm
                };
                if excess(1.0) <= 0.0 {
                    return Some(1.0);
                }
                let (mut low, mut high) = (0.0, 1.0);
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    if excess(middle) <= 0.0 { low = middle } else { high = middle }
                }
                Some(low)
            }
            Kind::Other => None,
        }
    }

    /// Whether a conjugate has values between 0 and infinity.
    pub(crate) fn has_conjugates(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, Kind::ElasticNet { l2, .. } if *l2 > 0.0))
    }

    /// The conjugate of a single feature's elastic net at c.
    pub(crate) fn conjugate(&self, feature: usize, c: f64) -> f64 {
        match self.kind(feature) {
            Kind::ElasticNet { l1, l2 } if l2 > 0.0 => {
                let over = (self.template.sign(feature).clamp(c).abs() - l1).max(0.0);
                over * over / (4.0 * l2)
            }
            _ => 0.0,
        }
    }
}
