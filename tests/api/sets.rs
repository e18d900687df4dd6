//! Which slices does a set in host memory take?

use penalty::{Cpu, HostSet, Parameter, Penalty, half};

#[test]
fn a_host_set_rejects_what_does_not_fit() {
    let l1 = Penalty::l1(0.1).expect("the λ is valid");
    let parameters = vec![Parameter::new("a", l1.clone()), Parameter::new("b", l1)];
    let set = HostSet::new(Cpu::new(), parameters);
    let (a, b) = ([1.0f32, 2.0], [3.0f32, 4.0]);
    let reject = |slices: &[penalty::Slice<'_>], text: &str| {
        let error = set.evaluate(slices).map(drop).expect_err(text).to_string();
        assert!(error.contains(text), "expected {text:?} in {error:?}");
    };
    reject(&[(&a[..]).into()], "evaluating needs the weights for each of the 2 tensors, found 1");
    reject(&[(&a[..]).into(), (&a[..]).into()], "the weights of \"a\" and the weights of \"b\" overlap");
    let slices = [(&a[..]).into(), (&b[..]).into()];
    let (mut g, mut short, mut half) = ([0.0f32; 2], [0.0f32], [half::f16::ONE; 2]);
    let into = set.gradient_into(&slices, &mut [(&mut g[..]).into(), (&mut short[..]).into()]);
    assert_eq!(into.unwrap_err().to_string(), "\"b\": the gradient must have 2 elements, found 1");
    let into = set.gradient_into(&slices, &mut [(&mut g[..]).into(), (&mut half[..]).into()]);
    assert_eq!(into.unwrap_err().to_string(), "\"b\": the gradient must hold F32, found F16");
    assert_eq!((g, short), ([0.0; 2], [0.0]), "nothing is written");
    let reports = set.evaluate(&[(&a[..]).into(), (&b[..]).into()]).expect("the slices fit");
    assert_eq!(reports.total.l1, 10.0);
}
