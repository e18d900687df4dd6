//! Do masked weights stay 0 through the steps of every optimizer, and are the others trained as without a mask?

use penalty::half::{bf16, f16};
use penalty::{Adam, Budget, Cpu, Element, HostSet, Metric, Momentum, Parameter, Penalty, Sgd};

use crate::common::cases::noise;
use crate::common::oracle::Weight;

const LEN: usize = 5000;

/// Prunes, then takes steps with a mask and, with weights that are not pruned away again, without a penalty.
fn pruned_weights_stay<E: Weight>() {
    let to = |numbers: Vec<f32>| numbers.into_iter().map(E::nearest).collect::<Vec<E>>();
    let cpu = Cpu::new();
    let mut pruned = to(noise(LEN, 1));
    cpu.prune_in_place(&Budget::prune(0.8).expect("it is a fraction"), &mut [(&mut pruned[..]).into()])
        .expect("it is valid");
    let mask = Penalty::mask_of(&pruned);
    let masked = HostSet::new(cpu.clone(), vec![Parameter::new("w", Penalty::mask())]);
    let masked = masked.with_element_weights(&[Some((&mask[..]).into())]).expect("they are numbers");
    let free = HostSet::new(cpu, vec![Parameter::new("w", Penalty::none())]);
    let states = || (pruned.clone(), to(vec![0.0; LEN]), to(vec![0.0; LEN]));
    type Step<'a, E> = &'a dyn Fn(&HostSet<'_>, &[E], &mut (Vec<E>, Vec<E>, Vec<E>), u64);
    let sgd = |momentum| {
        move |set: &HostSet<'_>, gradient: &[E], (theta, m, _): &mut (Vec<E>, Vec<E>, Vec<E>), _| {
            let sgd = Sgd { step: 0.05, momentum };
            let (theta, gradient, m) = ((&mut theta[..]).into(), gradient.into(), (&mut m[..]).into());
            set.sgd(&mut [theta], &[gradient], &mut [m], &sgd).expect("the step is valid");
        }
    };
    let adam = |metric| {
        move |set: &HostSet<'_>, gradient: &[E], (theta, m, v): &mut (Vec<E>, Vec<E>, Vec<E>), iteration| {
            let adam = Adam { step: 0.01, decay: 0.1, metric, iteration, ..Adam::default() };
            let (theta, gradient) = ((&mut theta[..]).into(), gradient.into());
            let (m, v) = ((&mut m[..]).into(), (&mut v[..]).into());
            set.adam(&mut [theta], &[gradient], &mut [m], &mut [v], &adam).expect("the step is valid");
        }
    };
    let steps: [Step<'_, E>; 5] = [
        &sgd(Momentum::None),
        &sgd(Momentum::heavy_ball(0.9)),
        &sgd(Momentum::nesterov(0.9)),
        &adam(Metric::Adam),
        &adam(Metric::Plain),
    ];
    for step in steps {
        let (mut with, mut without) = (states(), states());
        for iteration in 1..=5 {
            let gradient = to(noise(LEN, 10 + iteration));
            step(&masked, &gradient, &mut with, iteration);
            step(&free, &gradient, &mut without, iteration);
        }
        for (i, ((with, without), pruned)) in with.0.iter().zip(&without.0).zip(&pruned).enumerate() {
            let want = if pruned.to_u32() == 0 { 0 } else { without.to_u32() };
            assert_eq!(with.to_u32(), want, "weight {i}");
        }
        assert_eq!(with.0.iter().filter(|w| w.to_u32() != 0).count(), LEN / 5);
    }
}

#[test]
fn pruned_weights_stay_0_through_steps() {
    pruned_weights_stay::<f32>();
    pruned_weights_stay::<f16>();
    pruned_weights_stay::<bf16>();
}

#[test]
fn the_value_of_a_mask_says_whether_it_holds() {
    fn check<E: Element>(one: E, zero: E) {
        let mask = Penalty::mask_of(&[one, zero, one]);
        let penalty = Penalty::mask();
        let weighted = penalty.with_element_weights(&mask).expect("they are numbers");
        let cpu = penalty::Backend::cpu();
        assert_eq!(cpu.evaluate(weighted, &[one, zero, zero]).expect("it is valid").value, 0.0);
        assert_eq!(cpu.evaluate(weighted, &[one, one, zero]).expect("it is valid").value, f64::INFINITY);
        assert!(cpu.gradient(weighted, &[one, one, zero]).is_err());
    }
    check(1.0f32, 0.0);
    check(f16::ONE, f16::ZERO);
    check(bf16::ONE, bf16::ZERO);
}
