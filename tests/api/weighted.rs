//! Which element weights fit a penalty?

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Cpu, Error, HostSet, Parameter, Penalty, Result};

use crate::common::weighted::l1;

#[test]
fn what_does_not_fit_is_rejected() {
    let cpu = Backend::cpu();
    let (weighted, plain) = (l1(0.5), Penalty::l1(0.5).expect("the λ is valid"));
    let text = |result: Result<()>| result.expect_err("it is rejected").to_string();
    let mut theta = [1f32, 2.0, 3.0];
    let missing = "weighted_l1 must be given element weights, found none";
    assert_eq!(text(cpu.evaluate(&weighted, &theta).map(drop)), missing);
    assert_eq!(text(cpu.evaluate_all(&weighted, &[theta]).map(drop)), missing);
    assert_eq!(text(cpu.partial_for(&weighted, 0, &theta).map(drop)), missing);
    assert_eq!(text(cpu.gradient(&weighted, &theta).map(drop)), missing);
    assert_eq!(text(cpu.prox_in_place(&weighted, &mut theta, 1.0)), missing);
    assert_eq!(text(cpu.prox(&l1(0.0), &theta, 1.0).map(drop)), missing, "also where λ is 0");
    assert_eq!(text(pollster::block_on(cpu.evaluate_async(&weighted, &theta)).map(drop)), missing);
    let surplus = text(plain.with_element_weights(&[1f32]).map(drop));
    assert_eq!(surplus, "l1 must be given no element weights, found some");

    for len in [0, 2, 4] {
        let element_weights = vec![1f32; len];
        let short = weighted.with_element_weights(&element_weights).expect("the weights are valid");
        let want = format!("the element weights must have 3 elements, found {len}");
        assert_eq!(text(cpu.evaluate(short, &theta).map(drop)), want);
        assert_eq!(text(cpu.gradient_add(short, &theta, &mut [0.0; 3])), want);
        assert_eq!(text(cpu.prox_and_evaluate_in_place(short, &mut theta, 1.0).map(drop)), want);
    }
    assert_eq!(theta, [1.0, 2.0, 3.0], "nothing is written");

    let mut element_weights = vec![1f32; 100 * TILE];
    element_weights[99 * TILE] = f32::NAN;
    element_weights[70 * TILE + 5] = -0.5;
    assert_eq!(
        weighted.with_element_weights(&element_weights).map(drop),
        Err(Error::ElementWeight { index: 70 * TILE as u64 + 5, found: -0.5 })
    );
    element_weights[70 * TILE + 5] = -0.0;
    assert_eq!(
        text(weighted.with_element_weights(&element_weights).map(drop)),
        format!("the element weights must be numbers ≥ 0, found NaN at index {}", 99 * TILE)
    );
    assert!(weighted.with_element_weights(&[-f32::from_bits(1)]).is_err());
    for bad in [f32::NEG_INFINITY, -f32::NAN, -1.0] {
        assert!(
            weighted.with_element_weights(&[bad]).is_err()
                && weighted.with_element_weights(&[bf16::from_f32(bad)]).is_err(),
            "{bad}"
        );
    }
    for good in [0.0, -0.0, f32::from_bits(1), f32::MAX, f32::INFINITY] {
        assert!(
            weighted.with_element_weights(&[good]).is_ok()
                && weighted.with_element_weights(&[f16::from_f32(good)]).is_ok(),
            "{good}"
        );
    }

    let parameters = || {
        let at = |name: &str, penalty: &Penalty| Parameter::new(name, penalty.clone());
        vec![at("a", &weighted), at("b", &plain)]
    };
    let slices = |theta: &[f32; 3]| -> Result<()> {
        HostSet::new(Cpu::new(), parameters()).evaluate(&[theta[..].into(), [0f32; 3][..].into()]).map(drop)
    };
    assert_eq!(text(slices(&theta)), format!("\"a\": {missing}"));
    let ones = [1f32; 3];
    let given = |element_weights: &[Option<penalty::Slice<'_>>]| {
        let set = HostSet::new(Cpu::new(), parameters()).with_element_weights(element_weights)?;
        set.evaluate(&[theta[..].into(), [0f32; 3][..].into()]).map(drop)
    };
    let one = || Some(ones[..].into());
    assert_eq!(given(&[one(), None]), Ok(()));
    assert_eq!(text(given(&[None, None])), format!("\"a\": {missing}"));
    assert_eq!(text(given(&[one(), one()])), format!("\"b\": {surplus}"));
    assert_eq!(text(given(&[one()])), "a set needs the element weights for each of the 2 tensors, found 1");
    assert_eq!(
        text(given(&[Some(ones[..2].into()), None])),
        "\"a\": the element weights must have 3 elements, found 2"
    );
    assert_eq!(
        text(given(&[Some([f16::ONE; 3][..].into()), None])),
        "\"a\": the element weights must hold F32, found F16"
    );
    assert_eq!(
        text(given(&[Some([1f32, -1.0, 0.0][..].into()), None])),
        "\"a\": the element weights must be numbers ≥ 0, found -1 at index 1"
    );
}
