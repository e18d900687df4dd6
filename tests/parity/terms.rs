//! Do sums of penalties, and calls that also evaluate, have the bits of one call after the other?

use penalty::half::f16;
use penalty::{Backend, Penalty, Report, Result, Sum};

use crate::common::cases::noise;
use crate::common::compare::same_bits;
use crate::common::oracle::Weight;
use crate::common::trials::BackendTest;

pub(crate) const EVERYWHERE: &[BackendTest] = named![
    a_sum_has_the_bits_of_one_call_per_term,
    a_gradient_with_a_report_is_a_gradient_and_a_report,
    calls_that_await_have_the_bits_of_those_that_block,
];

pub(super) const LEN: usize = 10_000;

/// Penalties with and without a term sum, one formula twice, and a penalty that changes nothing.
pub(super) fn terms() -> Vec<Penalty> {
    let terms = [
        Penalty::l1(0.3),
        Penalty::huber(0.7, 0.5),
        Ok(Penalty::none()),
        Penalty::l1(0.01),
        Penalty::log_sum(0.2, 0.1),
        Penalty::l2_squared(0.4),
    ];
    terms.map(|term| term.expect("its parameters are valid")).into()
}

pub(super) fn sum() -> Sum {
    Sum::new(terms()).expect("the terms are separable")
}

/// Adds the gradient to another and reports, term by term.
fn one_by_one<E: Weight>(backend: &Backend, weights: &[E], gradient: &mut [E]) -> Result<Report> {
    let mut total = None;
    for term in terms() {
        backend.gradient_add(&term, weights, gradient)?;
        let report = backend.evaluate(&term, weights)?;
        total = Some(total.map_or(report, |total: Report| Report { value: total.value + report.value, ..total }));
    }
    Ok(total.expect("there are terms"))
}

fn a_sum_has_the_bits_of_one_call_per_term(backend: &Backend) {
    fn check<E: Weight>(backend: &Backend) {
        let elements = |seed| noise(LEN, seed).into_iter().map(E::nearest).collect::<Vec<E>>();
        let (weights, loss) = (elements(1), elements(2));
        let mut want = loss.clone();
        let report = one_by_one(&Backend::cpu(), &weights, &mut want).expect("the calls are valid");
        let ok = "the call is valid";
        assert_eq!(backend.evaluate(&sum(), &weights).expect(ok), report);
        let mut added = loss.clone();
        backend.gradient_add(&sum(), &weights, &mut added).expect(ok);
        same_bits(&want, &added).expect("gradient_add");
        let mut added = loss;
        assert_eq!(backend.evaluate_and_gradient_add(&sum(), &weights, &mut added).expect(ok), report);
        same_bits(&want, &added).expect("evaluate_and_gradient_add");
        // Writing equals adding to zeros, except that the first term is rounded alone.
        let mut want = Backend::cpu().gradient(&terms()[0], &weights).expect(ok);
        terms()[1..].iter().for_each(|term| Backend::cpu().gradient_add(term, &weights, &mut want).expect(ok));
        same_bits(&want, &backend.gradient(&sum(), &weights).expect(ok)).expect("gradient");
        let mut written = weights.clone();
        assert_eq!(backend.evaluate_and_gradient_into(&sum(), &weights, &mut written).expect(ok), report);
        same_bits(&want, &written).expect("evaluate_and_gradient_into");
    }
    check::<f32>(backend);
    check::<f16>(backend);
    // If any term is rejected, no term's gradient is added.
    let ball = Sum::new([Penalty::l1(1.0), Penalty::interval(0.0, 1.0)].map(|term| term.expect("it is valid")));
    let mut gradient = [1.0f32];
    let rejected = backend.gradient_add(&ball.expect("the terms are separable"), &[2.0f32], &mut gradient);
    assert_eq!(
        rejected.expect_err("a box has no gradient").to_string().split(':').next(),
        Some("interval has no gradient")
    );
    assert_eq!(gradient, [1.0]);
}

fn a_gradient_with_a_report_is_a_gradient_and_a_report(backend: &Backend) {
    let (weights, loss) = (noise(LEN, 3), noise(LEN, 4));
    let (cpu, ok) = (Backend::cpu(), "the call is valid");
    let norm = Penalty::l2_norm(0.5);
    for penalty in [Penalty::elastic_net(0.2, 0.5), Penalty::mcp(0.3, 3.0), Ok(Penalty::none()), norm] {
        let penalty = penalty.expect("its parameters are valid");
        let report = cpu.evaluate(&penalty, &weights).expect(ok);
        let mut want = loss.clone();
        cpu.gradient_add(&penalty, &weights, &mut want).expect(ok);
        let mut added = loss.clone();
        assert_eq!(backend.evaluate_and_gradient_add(&penalty, &weights, &mut added).expect(ok), report, "{penalty:?}");
        same_bits(&want, &added).unwrap_or_else(|error| panic!("{penalty:?}: {error}"));
        let mut written = loss.clone();
        assert_eq!(backend.evaluate_and_gradient_into(&penalty, &weights, &mut written).expect(ok), report);
        let want = cpu.gradient(&penalty, &weights).expect(ok);
        same_bits(&want, &written).unwrap_or_else(|error| panic!("{penalty:?}: {error}"));
    }
}

fn calls_that_await_have_the_bits_of_those_that_block(backend: &Backend) {
    #[cfg(feature = "gpu")]
    let _poller = match backend {
        Backend::Gpu(gpu) => Some(penalty::gpu::Poller::spawn(gpu, penalty::Gpu::TIMEOUT).expect("a thread starts")),
        Backend::Cpu(_) => None,
    };
    let weights = noise(LEN, 5);
    let l1 = Penalty::l1(0.25).expect("the λ is valid");
    let (cpu, ok) = (Backend::cpu(), "the call is valid");
    pollster::block_on(async {
        assert_eq!(backend.evaluate_async(&l1, &weights).await, cpu.evaluate(&l1, &weights));
        assert_eq!(backend.partial_async(0, &weights).await, cpu.partial(0, &weights));
        assert_eq!(backend.partial_for_async(&l1, 0, &weights).await, cpu.partial_for(&l1, 0, &weights));
        let lists = [&weights[..70], &weights[70..]];
        assert_eq!(backend.evaluate_all_async(&l1, &lists).await, cpu.evaluate_all(&l1, &lists));
        let gradient = cpu.gradient(&l1, &weights).expect(ok);
        same_bits(&gradient, &backend.gradient_async(&l1, &weights).await.expect(ok)).expect("gradient");
        let mut written = weights.clone();
        backend.gradient_into_async(&l1, &weights, &mut written).await.expect(ok);
        same_bits(&gradient, &written).expect("gradient_into");
        let report = backend.evaluate_and_gradient_into_async(&l1, &weights, &mut written).await;
        assert_eq!(report, cpu.evaluate(&l1, &weights));
        let (mut want, mut added) = (gradient.clone(), gradient);
        cpu.gradient_add(&l1, &weights, &mut want).expect(ok);
        backend.gradient_add_async(&l1, &weights, &mut added).await.expect(ok);
        same_bits(&want, &added).expect("gradient_add");
        cpu.gradient_add(&l1, &weights, &mut want).expect(ok);
        backend.evaluate_and_gradient_add_async(&l1, &weights, &mut added).await.expect(ok);
        same_bits(&want, &added).expect("evaluate_and_gradient_add");
        let shrunk = cpu.prox(&l1, &weights, 0.5).expect(ok);
        same_bits(&shrunk, &backend.prox_async(&l1, &weights, 0.5).await.expect(ok)).expect("prox");
        let mut in_place = weights.clone();
        backend.prox_in_place_async(&l1, &mut in_place, 0.5).await.expect(ok);
        same_bits(&shrunk, &in_place).expect("prox_in_place");
        let mut in_place = weights.clone();
        let report = backend.prox_and_evaluate_in_place_async(&l1, &mut in_place, 0.5).await;
        assert_eq!(report, cpu.evaluate(&l1, &shrunk));
        same_bits(&shrunk, &in_place).expect("prox_and_evaluate_in_place");
    });
}
