//! Which groups does a device reject? May groups change from step to step?

use penalty::{Adam, Dtype, Error, Groups, Metric, Penalty};

use crate::common;

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal_step_by_step};
use crate::common::grouped::{ADAM, tensors};
use crate::common::rejected::{NOT_COVERED, half_covered, lists_cover_one_length, rejections};
use crate::common::tensors::{Call, Tensors};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    groups_may_change_from_step_to_step,
    a_layout_that_fails_leaves_nothing_behind,
    a_device_rejects_what_the_cpu_does,
    a_penalty_may_become_one_of_another_formula,
    lists_cover_the_length_that_they_were_made_for,
];

fn lists_cover_the_length_that_they_were_made_for(device: &Device) {
    lists_cover_one_length(&device.backend());
}

fn groups_may_change_from_step_to_step(device: &Device) {
    let groups = [Groups::runs(4), Groups::columns(2), Groups::runs(1), Groups::columns(4)];
    let lasso = |groups: penalty::Result<Groups>| Penalty::group_lasso(0.1, groups.expect("they are valid"));
    let steps = [Penalty::l1(0.2)].into_iter().chain(groups.map(lasso)).chain([Penalty::l1(0.1)]);
    let steps: Vec<Penalty> = steps.map(|penalty| penalty.expect("its parameters are valid")).collect();
    equal_step_by_step(device.plain(), Tensors::of(Dtype::F32, &[960, 72, 4]), &steps);
}

/// The set laid out these lists when it rejected another tensor. It uploads them once nothing is rejected.
fn a_layout_that_fails_leaves_nothing_behind(device: &Device) {
    let lists = |at: u64| {
        let lists = Groups::lists(&[(0..at).collect::<Vec<u64>>(), (at..96).collect()]);
        Penalty::group_lasso(0.3, lists.expect("they are valid")).expect("it is valid")
    };
    let norm = Penalty::l2_norm(0.5).expect("it is valid");
    let uncovered = norm.over(Groups::rows(5).expect("it is valid")).expect("it takes weights together");
    let mut tensors = Tensors::with(&[96, 96], |_| Dtype::F32, &[lists(50), norm.clone()]);
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::buffers::set(device.plain(), &tensors, &images, &buffers, 2);
    for (penalties, covered) in
        [([lists(50), norm.clone()], true), ([lists(46), uncovered], false), ([lists(46), norm], true)]
    {
        set.penalties_mut().zip(&penalties).for_each(|((_, to), from)| *to = from.clone());
        tensors.parameters.iter_mut().zip(penalties).for_each(|(parameter, penalty)| parameter.penalty = penalty);
        let mut encoder = common::device::encoder(device.plain());
        let recorded = common::buffers::record(&mut set, &mut encoder, Call::Evaluate);
        assert_eq!(recorded.is_ok(), covered);
        if let Ok(Some(pending)) = recorded {
            common::device::submit(device.plain(), encoder);
            let want = tensors.host(Call::Evaluate).expect("it is covered").expect("it reports");
            let got = pending.wait(common::device::TIMEOUT).expect("it was submitted");
            common::tensors::reports_equal(&want, &got, &"another list");
        }
    }
}

fn a_device_rejects_what_the_cpu_does(device: &Device) {
    rejections(&device.backend());
    let uncovered = half_covered();
    let images = uncovered.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::buffers::set(device.plain(), &uncovered, &images, &buffers, 1);
    let mut encoder = common::device::encoder(device.plain());
    let rejected = common::buffers::record(&mut set, &mut encoder, Call::Evaluate).map(|_| ());
    let want = format!("\"tensor 1\": {NOT_COVERED}");
    assert_eq!(rejected.expect_err("the second is not covered").to_string(), want);
    // Adam's metric differs from weight to weight.
    let tensors = tensors(Dtype::F32);
    let adam = Adam { metric: Metric::Adam, ..ADAM };
    let error = Box::new(Error::NoMetricProx { penalty: "group_lasso" });
    let rejected = Error::InParameter { parameter: "\"tensor 0\"".into(), error };
    assert_eq!(tensors.clone().host(Call::AdamAndEvaluate(adam)), Err(rejected.clone()));
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::buffers::set(device.plain(), &tensors, &images, &buffers, 1);
    let mut encoder = common::device::encoder(device.plain());
    assert_eq!(common::buffers::record(&mut set, &mut encoder, Call::AdamAndEvaluate(adam)).map(|_| ()), Err(rejected));
}

fn a_penalty_may_become_one_of_another_formula(device: &Device) {
    let steps = [Penalty::mcp(0.1, 3.0), Penalty::l1(0.2), Penalty::mcp(0.3, 2.0), Penalty::mcp(0.4, 1.0)];
    let steps = steps.map(|penalty| penalty.expect("its parameters are valid"));
    equal_step_by_step(device.plain(), Tensors::of(Dtype::F32, &[5000, 72, 4]), &steps);
}
