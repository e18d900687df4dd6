//! Tests both routes on Burn's buffers, with fusion and through autodiff.

mod common;

use std::panic::AssertUnwindSafe;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuServer};
use common::adapters::{Opened, run};
use common::optim::{self, Place};
use common::{Fresh, Net, Tied, gradient_values, linear, net, values, wait};
use penalty_burn::penalty::custom::Elementwise;
use penalty_burn::penalty::{self, Groups, Penalty, wgpu};
use penalty_burn::{ByShape, Error, Regularizer, Rules, Wgpu};

const LEARNING_RATE: f64 = 0.05;

fn main() {
    run(&[
        ("sgd_and_adam_by_the_gradient_route_have_the_bits_of_burns_own_operations", gradient_route),
        ("sgd_and_adam_by_the_proximal_route_have_the_bits_of_burns_own_operations", proximal_route),
        ("sgd_ends_at_the_minimizer", sgd_ends_at_the_minimizer),
        ("the_host_and_the_device_have_the_same_bits", host_and_device),
        ("groups_are_those_of_each_parameters_shape", groups_by_shape),
        ("a_clone_keeps_its_values_and_costs_a_copy", clones),
        ("work_recorded_before_sees_the_old_values_and_work_after_the_new", recorded_work),
        ("a_shared_parameter_counts_once_and_stays_shared", shared),
        ("a_module_without_autodiff_is_taken", without_autodiff),
        ("half_precision_is_penalized", half_precision),
        ("what_is_rejected_stays_whole", rejections),
        ("nothing_waits_for_reports", reports),
        ("the_devices_error_handler_is_untouched", error_handler),
        ("proximal_sgd_ends_at_the_minimizer", |opened| optimized(opened, optim::sgd_ends_at_the_minimizer)),
        ("proximal_adam_ends_at_the_minimizer", |opened| optimized(opened, optim::adam_ends_at_the_minimizer)),
        ("proximal_adamw_ends_at_its_fixed_point", |opened| optimized(opened, optim::adamw_ends_at_its_fixed_point)),
        ("proximal_adam_in_the_plain_metric_ends_at_its_fixed_point", |opened| {
            optimized(opened, optim::adam_in_the_plain_metric_ends_at_its_fixed_point);
        }),
        ("a_resumed_run_has_the_bits_of_an_unbroken_one", |opened| {
            optimized(opened, optim::a_resumed_run_has_the_bits_of_an_unbroken_one);
        }),
        ("burns_state_is_taken_over", |opened| optimized(opened, optim::burns_state_is_taken_over)),
        ("burns_training_features_work", |opened| optimized(opened, optim::burns_training_features_work)),
        ("element_weights_masks_and_schedules_work", |opened| {
            optimized(opened, optim::element_weights_masks_and_schedules_work);
        }),
        ("whole_modules_have_the_bits_of_tensors", |opened| {
            optimized(opened, optim::whole_modules_have_the_bits_of_tensors);
        }),
        ("whole_modules_keep_shared_parameters_and_take_other_rules", |opened| {
            optimized(opened, optim::whole_modules_keep_shared_parameters_and_take_other_rules);
        }),
        ("without_its_buffers_a_device_takes_burns_operations", |opened| {
            optim::without_its_buffers_a_device_takes_burns_operations(&opened.device.clone().autodiff());
        }),
        ("sums_end_at_their_minimizers", |opened| optimized(opened, optim::sums_end_at_their_minimizers)),
        ("reports_come_when_they_are_due", |opened| optimized(opened, optim::reports_come_when_they_are_due)),
        ("a_module_is_pruned_to_a_budget", |opened| optimized(opened, optim::a_module_is_pruned_to_a_budget)),
        ("a_failed_step_changes_nothing_and_is_reported", |opened| {
            optimized(opened, optim::a_failed_step_changes_nothing_and_is_reported);
        }),
    ]);
}

/// A test of optimizers whose steps run on Burn's buffers.
fn optimized(opened: &Opened, test: impl Fn(&Device, &Place<'_>)) {
    test(&opened.device.clone().autodiff(), &Place::Wgpu(&opened.wgpu));
}

fn l1(lambda: f64) -> Penalty {
    Penalty::l1(lambda).unwrap()
}

fn regularizer(opened: &Opened, penalty: Penalty) -> Regularizer {
    Regularizer::wgpu(&opened.wgpu, Rules::new(penalty))
}

/// The buffer and the offset of each weight.
fn places(net: &Net) -> Vec<(wgpu::Buffer, u64)> {
    struct Places(Vec<(wgpu::Buffer, u64)>);
    impl ModuleVisitor for Places {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 2 {
                let fused = param.base().inner().try_into_primitive::<Cube>().unwrap();
                // Compiles only while Burn's fusion is on.
                let tensor = fused.client.clone().resolve_tensor_float::<burn_cubecl::CubeBackend>(fused);
                let resource = tensor.client.get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone()).unwrap();
                self.0.push((resource.resource().buffer.clone(), resource.resource().offset));
            }
        }
    }
    let mut places = Places(Vec::new());
    net.visit(&mut places);
    places.0
}

/// The gradient route by Burn's operations.
struct CustomGradient<'a>(&'a mut GradientsParams, f32);
impl ModuleVisitor for CustomGradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D >= 2 {
            let gradient = self.0.remove::<D>(param.id).unwrap();
            self.0.register(param.id, gradient + param.base().inner().sign() * self.1);
        }
    }
}

struct CustomProx {
    threshold: f32,
    factor: f32,
}
impl ModuleMapper for CustomProx {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        param.map(|v| {
            let v = v.inner();
            let clamped = v.clone().clamp(-self.threshold, self.threshold);
            Tensor::from_inner((v - clamped) * self.factor).require_grad()
        })
    }
}

fn optimizers() -> [fn() -> ModuleOptimizer; 2] {
    [|| SgdConfig::new().init(), || AdamConfig::new().init()]
}

/// Trains two copies of a module. Asserts that they stay equal, that nothing is copied and that tensors move.
fn twins(
    opened: &Opened,
    regularizer: &mut Regularizer,
    ours: impl Fn(&mut Regularizer, &mut ModuleOptimizer, Net, GradientsParams) -> Net,
    theirs: impl Fn(&mut ModuleOptimizer, Net, GradientsParams) -> Net,
) {
    let device = opened.device.clone().autodiff();
    for optimizer in optimizers() {
        let mut a = net(&device);
        let mut b = a.clone().map(&mut Fresh(device.clone(), DType::F32));
        let (mut step_a, mut step_b) = (optimizer(), optimizer());
        let mut seen = Vec::new();
        for _ in 0..8 {
            let gradients = a.gradients(&device);
            a = ours(regularizer, &mut step_a, a, gradients);
            let gradients = b.gradients(&device);
            b = theirs(&mut step_b, b, gradients);
            for place in places(&a) {
                if !seen.contains(&place) {
                    seen.push(place);
                }
            }
        }
        assert_eq!(values(&a), values(&b));
        assert!(seen.len() > 6, "three weights lay at {} places in 8 steps", seen.len());
    }
    assert_eq!(regularizer.copies(), 0);
}

fn gradient_route(opened: &Opened) {
    let lambda = 0.0123;
    twins(
        opened,
        &mut regularizer(opened, l1(lambda)),
        |regularizer, optimizer, net, mut gradients| {
            regularizer.add_gradients(&net, &mut gradients).unwrap();
            optimizer.step(LEARNING_RATE, net, gradients)
        },
        |optimizer, net, mut gradients| {
            net.visit(&mut CustomGradient(&mut gradients, lambda as f32));
            optimizer.step(LEARNING_RATE, net, gradients)
        },
    );
}

fn proximal_route(opened: &Opened) {
    let penalty = Penalty::elastic_net(0.03, 0.75).unwrap();
    let threshold = (LEARNING_RATE * penalty.l1_factor()) as f32;
    let factor = (1.0 / (1.0 + 2.0 * LEARNING_RATE * penalty.l2_squared_factor())) as f32;
    let mut regularizer = regularizer(opened, penalty);
    twins(
        opened,
        &mut regularizer,
        |regularizer, optimizer, net, gradients| {
            let net = optimizer.step(LEARNING_RATE, net, gradients);
            let (net, _) = regularizer.prox(net, LEARNING_RATE).unwrap();
            assert!(net.embed.weight.is_require_grad() && net.embed.weight.is_autodiff());
            net
        },
        |optimizer, net, gradients| {
            optimizer.step(LEARNING_RATE, net, gradients).map(&mut CustomProx { threshold, factor })
        },
    );
    let device = opened.device.clone().autodiff();
    let (_, pending) = regularizer.prox(net(&device), LEARNING_RATE).unwrap();
    assert!(wait(&pending).total.zeros() > 100);
}

fn sgd_ends_at_the_minimizer(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    common::sgd_ends_at_the_minimizer(&device, |rules| Regularizer::wgpu(&opened.wgpu, rules));
}

fn groups_by_shape(opened: &Opened) {
    let flex = Device::flex();
    let host = net(&flex);
    for groups in [ByShape::Rows, ByShape::Columns] {
        let rules = || Rules::grouped(Penalty::group_lasso(0.1, Groups::whole()).unwrap(), groups);
        let (want, _) = Regularizer::host(rules()).prox(host.clone(), 1.0).unwrap();
        let device = host.clone().map(&mut Fresh(opened.device.clone(), DType::F32));
        let mut regularizer = Regularizer::wgpu(&opened.wgpu, rules());
        let (got, _) = regularizer.prox(device, 1.0).unwrap();
        assert_eq!(values(&got), values(&want), "{groups:?}");
        assert_ne!(values(&got), values(&host), "{groups:?}");
    }
    // Two rows of the last weight, [150, 3], hold as many weights as one row of 6.
    let penalty = Penalty::group_lasso(0.1, Groups::rows(6).unwrap()).unwrap();
    let rules = Rules::new(penalty).exclude("").unwrap().include(r"layers\.1\.weight").unwrap();
    let mut regularizer = Regularizer::wgpu(&opened.wgpu, rules);
    let device = host.map(&mut Fresh(opened.device.clone(), DType::F32));
    let before = values(&device);
    let rejected = regularizer.prox(device, 1.0).unwrap_err();
    let text =
        "\"layers.1.weight\": groups of rows of 6 must lie in a matrix of 6 columns: the tensor's shape [150, 3] has 3";
    assert_eq!((rejected.to_string(), values(&rejected.module)), (text.into(), before));
}

/// A custom penalty: λΣ max(θ, 0).
enum Positive {}

impl Elementwise for Positive {
    const NAME: &'static str = "positive";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> { return max(theta, vec4<f32>(0.0)); }
        fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
            return select(vec4<f32>(0.0), c[0], theta > vec4<f32>(0.0));
        }
        fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> { return opaque(v - clamp(v, vec4<f32>(0.0), c[0])); }";

    fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
        [0.0, lambda]
    }

    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        theta.max(0.0)
    }

    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        if theta > 0.0 { c[0] } else { 0.0 }
    }

    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        v - v.clamp(0.0, c[0])
    }
}

fn host_and_device(opened: &Opened) {
    let flex = Device::flex().autodiff();
    let device = opened.device.clone().autodiff();
    let rules = || {
        let rules = Rules::new(Penalty::elastic_net(0.02, 0.7).unwrap()).include("gamma").unwrap();
        let rules = rules.penalty_for("embed", Penalty::custom::<Positive>([0.01, 0.0]).unwrap()).unwrap();
        rules.penalty_for("layers", Penalty::l2_squared(0.3).unwrap()).unwrap()
    };
    let host = net(&flex);
    let gradients = host.gradients(&flex);
    let mut results = Vec::new();
    let ways = [
        (&flex, Regularizer::host(rules())),
        // The host works on copies of the device's tensors.
        (&device, Regularizer::host(rules())),
        (&device, Regularizer::wgpu(&opened.wgpu, rules())),
    ];
    for (device, mut regularizer) in ways {
        let mut net = host.clone().map(&mut Fresh(device.clone(), DType::F32));
        let mut moved = GradientsParams::new();
        net.visit(&mut Move(&gradients, &mut moved, device.clone().inner()));
        let first = wait(&regularizer.add_gradients(&net, &mut moved).unwrap());
        let gradients = gradient_values(&net, &moved);
        let pending;
        (net, pending) = regularizer.prox(net, 0.5).unwrap();
        let third = wait(&regularizer.evaluate(&net).unwrap());
        results.push((first, gradients, wait(&pending), values(&net), third));
    }
    assert_eq!(results[0].0.tensors.len(), 5);
    assert!(results[0] == results[1] && results[0] == results[2]);

    /// Copies the gradients to another device.
    struct Move<'a>(&'a GradientsParams, &'a mut GradientsParams, Device);
    impl ModuleVisitor for Move<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.register(param.id, Tensor::<D>::from_data(gradient.into_data(), &self.2));
            }
        }
    }
}

fn clones(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let net = net(&device);
    let mut regularizer = regularizer(opened, l1(0.3));
    let (snapshot, before) = (net.clone(), values(&net));
    let (after, _) = regularizer.prox(net, 1.0).unwrap();
    assert_eq!((values(&snapshot), regularizer.copies()), (before, 3));
    assert_ne!(values(&after), values(&snapshot));

    // Something else holds this gradient.
    let mut gradients = after.gradients(&device);
    let looked_at = gradients.get::<2>(after.embed.weight.id).unwrap();
    let before = looked_at.to_data();
    regularizer.add_gradients(&after, &mut gradients).unwrap();
    assert_eq!((looked_at.to_data(), regularizer.copies()), (before, 4));
}

fn recorded_work(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let net = net(&device);
    let mut regularizer = regularizer(opened, l1(0.3));
    let old = net.embed.weight.base().inner().into_data().try_into_vec::<f32>().unwrap();
    // Burn has recorded this, but neither run nor read it.
    let before = net.embed.weight.base().inner() * 2.0;
    let loss = net.loss(&device);
    let expected = gradient_values(&net, &net.gradients(&device));
    let snapshot = net.clone();
    let (net, _) = regularizer.prox(net, 1.0).unwrap();
    let after = net.embed.weight.base().inner() * 2.0;
    let doubled = |v: &[f32]| v.iter().map(|v| 2.0 * v).collect::<Vec<_>>();
    assert_eq!(before.into_data().try_into_vec::<f32>().unwrap(), doubled(&old));
    let new = net.embed.weight.base().inner().into_data().try_into_vec::<f32>().unwrap();
    assert_eq!(after.into_data().try_into_vec::<f32>().unwrap(), doubled(&new));
    assert!(new.contains(&0.0) && !old.contains(&0.0));
    // The graph still holds the old weights.
    let late = GradientsParams::from_grads(loss.backward(), &snapshot);
    assert_eq!(gradient_values(&snapshot, &late), expected);
}

fn shared(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let a = linear(20, 20, &device);
    let tied = Tied { b: a.clone(), a };
    let mut regularizer = regularizer(opened, l1(0.25));
    let x = Tensor::<2>::ones([2, 20], &device);
    let gradients = || GradientsParams::from_grads(tied.b.forward(tied.a.forward(x.clone())).sum().backward(), &tied);
    let (mut once, plain) = (gradients(), gradients());
    let pending = regularizer.add_gradients(&tied, &mut once).unwrap();
    assert_eq!(pending.names().collect::<Vec<_>>(), ["a.weight"]);
    assert_eq!(wait(&pending).total.len, 400);
    let penalized = once.get::<2>(tied.a.weight.id).unwrap() - plain.get::<2>(tied.a.weight.id).unwrap();
    assert!(penalized.abs().max().into_scalar::<f32>() < 0.251);
    let (tied, _) = regularizer.prox(tied, 1.0).unwrap();
    let after = values(&tied);
    assert_eq!(after["a.weight"], after["b.weight"]);
}

fn without_autodiff(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let net = net(&device).valid();
    let mut regularizer = regularizer(opened, l1(0.3));
    let value = wait(&regularizer.evaluate(&net).unwrap());
    let (net, pending) = regularizer.prox(net, 1.0).unwrap();
    assert!(wait(&pending).total.value < value.total.value);
    assert!(!net.embed.weight.is_require_grad() && net.train().embed.weight.is_require_grad());
}

fn half_precision(opened: &Opened) {
    let flex = Device::flex();
    for dtype in [DType::F16, DType::BF16] {
        if !opened.device.supports_dtype(dtype) {
            println!("Burn does not support {dtype:?} on {}", opened.name);
            continue;
        }
        let host = net(&flex).map(&mut Fresh(flex.clone(), dtype));
        let device = host.clone().map(&mut Fresh(opened.device.clone(), dtype));
        let (host, expected) = Regularizer::host(Rules::new(l1(0.3))).prox(host, 1.0).unwrap();
        let (device, found) = regularizer(opened, l1(0.3)).prox(device, 1.0).unwrap();
        assert_eq!((wait(&found), values(&device)), (wait(&expected), values(&host)));
        assert_eq!(device.embed.weight.dtype(), dtype);
    }
}

fn rejections(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let mut regularizer = regularizer(opened, l1(0.3));
    let net = net(&device);
    let before = values(&net);
    let rejected = regularizer.prox(net, -1.0).unwrap_err();
    assert_eq!(rejected.to_string(), "step must be a finite number ≥ 0, found -1");
    let net = rejected.module;
    assert_eq!((values(&net), net.embed.weight.is_require_grad()), (before, true));

    let mut gradients = net.gradients(&device);
    gradients.register(net.layers[1].weight.id, Tensor::<2>::ones([150, 3], &Device::flex()));
    let before = gradient_values(&net, &gradients);
    let error = regularizer.add_gradients(&net, &mut gradients).unwrap_err();
    assert!(matches!(&error, Error::Device { parameter, .. } if parameter == "layers.1.weight"), "{error}");
    assert_eq!(gradient_values(&net, &gradients), before);

    let elsewhere = common::net(&Device::flex());
    let before = values(&elsewhere);
    let rejected = regularizer.prox(elsewhere, 1.0).unwrap_err();
    assert!(matches!(&rejected.error, Error::Device { parameter, .. } if parameter == "embed.weight"));
    assert_eq!(values(&rejected.module), before);

    let error = Wgpu::new(&Device::flex(), &opened.setup).unwrap_err();
    assert!(matches!(error, Error::NotWgpu { .. }), "{error}");
}

fn reports(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let mut regularizer = regularizer(opened, l1(0.01));
    let mut net = net(&device);
    // Runs more steps than there are slots, and reads none.
    let mut kept = Vec::new();
    for _ in 0..40 {
        let pending;
        (net, pending) = regularizer.prox(net, 0.1).unwrap();
        kept.push(pending);
    }
    let values: Vec<f64> = kept[24..].iter().map(|pending| wait(pending).total.value).collect();
    assert!(values.is_sorted_by(|a, b| a > b), "{values:?}");
    let old = kept[0].wait(penalty::Gpu::TIMEOUT).unwrap_err();
    assert!(matches!(old, Error::Penalty(penalty::Error::SlotReused { .. })), "{old}");
    assert_eq!(pollster::block_on(kept[39].read()).unwrap(), wait(&kept[39]));
}

fn error_handler(opened: &Opened) {
    let device = opened.device.clone().autodiff();
    let mut regularizer = regularizer(opened, l1(0.3));
    let (after, _) = regularizer.prox(net(&device), 1.0).unwrap();
    // A buffer may not be mapped for both, so this fails. Burn installed its handler first, so Burn's handler must panic with its text.
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let heard =
        std::panic::catch_unwind(AssertUnwindSafe(|| opened.setup.device.create_buffer(&descriptor))).unwrap_err();
    std::panic::set_hook(hook);
    let text = heard.downcast::<String>().unwrap();
    assert!(text.starts_with("wgpu error: ") && text.contains("MAP_WRITE"), "{text}");
    // The regularizer still works.
    assert!(regularizer.prox(after, 1.0).is_ok());
}
