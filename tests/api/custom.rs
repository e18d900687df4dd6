//! Which parameters and steps do custom penalties take?

use penalty::{Adam, Cpu, Error, HostSet, Metric, Parameter, Penalty, Result};

use crate::common::custom::{L1, Pinball, RIGHT, berhu, inner, pinball};

#[test]
fn parameters_and_steps_are_rejected() {
    let text = |result: Result<Penalty>| result.expect_err("it is rejected").to_string();
    assert_eq!(text(Penalty::custom::<Pinball>([1.0, 2.0])), "tau must be from 0 to 1, found 2");
    let expected = "the factor must be a number from 0 to half of f32::MAX, found -1";
    assert_eq!(text(Penalty::custom::<Pinball>([-1.0, 0.5])), expected);
    let expected = "the coefficients of the term must be numbers, found NaN";
    assert_eq!(text(Penalty::custom::<L1<RIGHT>>([1.0, f64::NAN])), expected);
    // Adam's metric needs a penalty with a prox in that metric.
    let adam = Adam { metric: Metric::Adam, ..Adam::default() };
    let step = |penalty: Penalty| {
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", penalty)]);
        let [mut weights, mut first, mut second] = [[1.0f32; 4]; 3];
        let states = [&mut weights, &mut first, &mut second].map(|slice| [(&mut slice[..]).into()]);
        let [mut weights, mut first, mut second] = states;
        set.adam_and_evaluate(&mut weights, &[(&[1.0f32; 4][..]).into()], &mut first, &mut second, &adam).map(drop)
    };
    assert_eq!(step(berhu(0.1, 0.5)), Ok(()));
    let rejected = Err(Error::NoMetricProx { penalty: "pinball" });
    assert_eq!(step(pinball(0.1, 0.5)).map_err(inner), rejected);
}
