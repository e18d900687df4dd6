//! Sums of penalties that have a prox, with their terms.

use penalty::{Groups, Penalty, Result};

/// The terms of every kind of sum whose prox takes two passes.
pub(crate) fn terms() -> Vec<Vec<Penalty>> {
    let rows = || Groups::rows(4);
    let ridge = || Penalty::l2_squared(0.3);
    let l1 = || Penalty::l1(0.2);
    let over = |penalty: Result<Penalty>| penalty?.over(rows()?);
    // Squared L2 with anything.
    let mut sums = Vec::new();
    for other in [
        Penalty::interval(-0.5, 1.5),
        Penalty::nonnegative_l1(0.25),
        Penalty::huber(0.5, 0.3),
        Penalty::log_sum(0.3, 1.5),
        Penalty::mcp(0.3, 3.0),
        Penalty::scad(0.3, 3.7),
        Penalty::l_half(0.2),
        Penalty::l0(0.04),
        Penalty::group_lasso(0.2, rows().expect("rows may have 4 weights")),
        Penalty::sparse_group_lasso(0.4, 0.5, rows().expect("rows may have 4 weights")),
        over(Penalty::l2_norm(0.6)),
        over(Penalty::linf_norm(0.6)),
        over(Penalty::l1_ball(1.0)),
        over(Penalty::l2_ball(1.0)),
        over(Penalty::simplex(1.0)),
        over(Penalty::top_k(2)),
        Penalty::n_of_m(2, 4),
        Penalty::weighted_l1(0.2),
        Ok(Penalty::mask()),
    ] {
        sums.push([ridge(), other].into_iter().collect());
    }
    // L1 before a norm or an interval, also with squared L2.
    let norms = || [over(Penalty::l2_norm(0.6)), over(Penalty::linf_norm(0.6))];
    let intervals = || [Penalty::interval(-0.5, 1.5), Penalty::interval(0.25, 2.0), Ok(Penalty::mask())];
    for other in norms().into_iter().chain(intervals()) {
        sums.push([l1(), other].into_iter().collect());
    }
    for other in norms().into_iter().chain(intervals()).chain([Penalty::nonnegative_l1(0.25)]) {
        sums.push([l1(), other, ridge()].into_iter().collect());
    }
    sums.into_iter().map(|sum: Result<Vec<Penalty>>| sum.expect("the parameters are valid")).collect()
}

pub(crate) fn sum(terms: &[Penalty]) -> Penalty {
    Penalty::sum(terms.iter().cloned()).expect("the sum has a prox")
}
