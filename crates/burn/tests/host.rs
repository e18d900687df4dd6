//! Rules, refusals and both routes on Flex: no device is needed.

mod common;

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{Fresh, Net, Tied, gradient_values, linear, net, values, wait};
use penalty_burn::penalty::{Backend, Cpu, Penalty};
use penalty_burn::{Error, Regularizer, Rules};

fn l1(lambda: f64) -> Penalty {
    Penalty::l1(lambda).unwrap()
}

fn paths(rules: &Rules, net: &Net) -> Vec<String> {
    rules.select(net).unwrap().into_iter().map(|selected| selected.path).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn weights_are_penalized_and_biases_and_normalization_are_not() {
    let net = net(&Device::flex().autodiff());
    let weights = ["embed.weight", "layers.0.weight", "layers.1.weight"];
    assert_eq!(paths(&Rules::new(l1(1.0)), &net), weights);

    let device = Device::flex().autodiff();
    let before = values(&net);
    let (after, pending) = Regularizer::host(Rules::new(l1(0.3))).prox(net, 1.0).unwrap();
    assert_eq!(pending.names().collect::<Vec<_>>(), weights);
    for (path, bytes) in values(&after) {
        assert_eq!(bytes != before[&path], weights.contains(&path.as_str()), "{path}");
    }
    let mut gradients = after.gradients(&device);
    let before = gradient_values(&after, &gradients);
    assert!(before.contains_key("norm.gamma") && before.contains_key("embed.bias"));
    Regularizer::host(Rules::new(Penalty::l2_squared(0.3).unwrap())).add_gradients(&after, &mut gradients).unwrap();
    for (path, bytes) in gradient_values(&after, &gradients) {
        assert_eq!(bytes != before[&path], weights.contains(&path.as_str()), "{path}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let net = net(&Device::flex());
    let rules = Rules::new(l1(1.0)).exclude("^layers").unwrap().include(r"layers\.1").unwrap();
    assert_eq!(paths(&rules, &net), ["embed.weight", "layers.1.weight", "layers.1.bias"]);
    let rules = Rules::new(l1(1.0)).include("gamma|bias").unwrap().exclude("embed").unwrap();
    let expected =
        ["norm.gamma", "batch.gamma", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"];
    assert_eq!(paths(&rules, &net), expected);
    assert!(paths(&Rules::new(l1(1.0)).exclude("").unwrap(), &net).is_empty());
}

#[test]
fn different_patterns_have_different_penalties_that_change_from_step_to_step() {
    let net = net(&Device::flex());
    let rules = Rules::new(l1(0.25)).penalty_for("layers", Penalty::l2_squared(0.5).unwrap()).unwrap();
    let mut regularizer = Regularizer::host(rules.penalty_for(r"^layers\.1", l1(2.0)).unwrap());
    let expected = |penalties: [Penalty; 3]| {
        let values = values(&net);
        ["embed.weight", "layers.0.weight", "layers.1.weight"]
            .map(|path| floats(&values[path]))
            .into_iter()
            .zip(penalties)
            .map(|(weights, penalty)| Backend::Cpu(Cpu::new()).evaluate(&penalty, &weights).unwrap())
            .collect::<Vec<_>>()
    };
    let penalties = [l1(0.25), Penalty::l2_squared(0.5).unwrap(), l1(2.0)];
    assert_eq!(wait(&regularizer.evaluate(&net).unwrap()).tensors, expected(penalties.clone()));
    for (pattern, penalty) in regularizer.penalties_mut() {
        if pattern.is_empty() {
            *penalty = l1(7.0);
        }
    }
    let [_, b, c] = penalties;
    assert_eq!(wait(&regularizer.evaluate(&net).unwrap()).tensors, expected([l1(7.0), b, c]));
}

#[test]
fn both_routes_write_where_the_tensors_lie_and_do_what_the_library_does() {
    let device = Device::flex().autodiff();
    let mut net = net(&device);
    let penalty = Penalty::elastic_net(0.02, 0.7).unwrap();
    let cpu = Backend::Cpu(Cpu::new());
    let mut regularizer = Regularizer::host(Rules::new(penalty.clone()));
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..3 {
        let mut gradients = net.gradients(&device);
        let (weights, before) = (values(&net), gradient_values(&net, &gradients));
        let reports = wait(&regularizer.add_gradients(&net, &mut gradients).unwrap());
        let after = gradient_values(&net, &gradients);
        let (w, mut g) = (floats(&weights["layers.0.weight"]), floats(&before["layers.0.weight"]));
        cpu.gradient_add(&penalty, &w, &mut g).unwrap();
        assert_eq!(g, floats(&after["layers.0.weight"]));
        assert_eq!(reports.tensors[1], cpu.evaluate(&penalty, &w).unwrap());

        net = optimizer.step(0.1, net, gradients);
        let weights = values(&net);
        let (next, pending) = regularizer.prox(net, 0.5).unwrap();
        net = next;
        let mut w = floats(&weights["layers.0.weight"]);
        cpu.prox_in_place(&penalty, &mut w, 0.5).unwrap();
        assert_eq!(w, floats(&values(&net)["layers.0.weight"]));
        assert_eq!(wait(&pending).tensors[1], cpu.evaluate(&penalty, &w).unwrap());
        assert!(net.embed.weight.is_require_grad() && net.embed.weight.is_autodiff());
    }
    // Flex's tensors of the first step share memory with nothing either.
    assert_eq!(regularizer.copies(), 0);
}

#[test]
fn what_a_clone_or_a_graph_holds_keeps_its_values() {
    let device = Device::flex().autodiff();
    let net = net(&device);
    let mut regularizer = Regularizer::host(Rules::new(l1(0.3)));
    let (snapshot, before) = (net.clone(), values(&net));
    let loss = net.loss(&device);
    let (after, _) = regularizer.prox(net, 1.0).unwrap();
    assert_eq!((values(&snapshot), regularizer.copies()), (before, 3));
    assert_ne!(values(&after), values(&snapshot));
    let late = GradientsParams::from_grads(loss.backward(), &snapshot);
    assert_eq!(gradient_values(&snapshot, &late), gradient_values(&snapshot, &snapshot.gradients(&device)));
}

#[test]
fn a_shared_parameter_counts_once_and_stays_shared() {
    let device = Device::flex().autodiff();
    let a = linear(20, 20, &device);
    let tied = Tied { b: a.clone(), a };
    let mut regularizer = Regularizer::host(Rules::new(l1(0.25)));
    let pending = regularizer.evaluate(&tied).unwrap();
    assert_eq!(pending.names().collect::<Vec<_>>(), ["a.weight"]);
    assert_eq!(wait(&pending).total.len, 400);

    let x = Tensor::<2>::from_data(TensorData::new(common::numbers(40, 1), [2, 20]), &device);
    let gradients = || GradientsParams::from_grads(tied.b.forward(tied.a.forward(x.clone())).sum().backward(), &tied);
    let (mut once, plain) = (gradients(), gradients());
    regularizer.add_gradients(&tied, &mut once).unwrap();
    let penalized = once.get::<2>(tied.a.weight.id).unwrap() - plain.get::<2>(tied.a.weight.id).unwrap();
    assert!(penalized.abs().max().into_scalar::<f32>() < 0.251);

    let (tied, _) = regularizer.prox(tied, 1.0).unwrap();
    let after = values(&tied);
    assert!(after["a.weight"] == after["b.weight"] && floats(&after["a.weight"]).contains(&0.0));
    assert_eq!(tied.a.weight.id, tied.b.weight.id);

    // Burn's optimizers step only the first occurrence. A prox makes both one again; one that is refused leaves them.
    let tied = SgdConfig::new().init().step(0.1, tied, plain);
    let stepped = values(&tied);
    assert_ne!(stepped["a.weight"], stepped["b.weight"]);
    let tied = regularizer.prox(tied, -1.0).unwrap_err().module;
    assert_eq!(values(&tied), stepped);
    let (tied, _) = regularizer.prox(tied, 1.0).unwrap();
    assert_eq!(values(&tied)["a.weight"], values(&tied)["b.weight"]);
}

#[test]
fn parameters_without_a_gradient_get_none_and_frozen_ones_are_left_alone() {
    let device = Device::flex().autodiff();
    let mut net = net(&device);
    net.layers[0] = net.layers[0].clone().no_grad();
    let mut regularizer = Regularizer::host(Rules::new(l1(0.25)));
    // Only the head takes part.
    let x = Tensor::<2>::ones([1, 150], &device);
    let mut gradients = GradientsParams::from_grads(net.layers[1].forward(x).sum().backward(), &net);
    assert_eq!(gradients.len(), 2);
    let pending = regularizer.add_gradients(&net, &mut gradients).unwrap();
    assert_eq!(pending.names().collect::<Vec<_>>(), ["embed.weight", "layers.1.weight"]);
    assert_eq!(wait(&pending).total.len, 6 * 37 + 150 * 3);
    assert_eq!(gradients.len(), 2);
}

#[test]
fn half_precision_is_penalized_and_other_types_are_refused_by_name() {
    let device = Device::flex();
    let net = net(&device);
    for dtype in [DType::F16, DType::BF16] {
        let mut regularizer = Regularizer::host(Rules::new(l1(0.25)));
        let before = net.clone().map(&mut Fresh(device.clone(), dtype));
        let sum = wait(&regularizer.evaluate(&before).unwrap()).total.l1;
        let (after, pending) = regularizer.prox(before, 1.0).unwrap();
        let total = wait(&pending).total;
        assert!(total.l1 < sum && total.zeros() > 1000, "{total:?}");
        assert_eq!(after.embed.weight.dtype(), dtype);
    }
    let wide = net.clone().map(&mut Fresh(device, DType::F64));
    let before = values(&wide);
    let refused = Regularizer::host(Rules::new(l1(0.25))).prox(wide, 1.0).unwrap_err();
    assert_eq!(refused.to_string(), "the weights of \"embed.weight\" must hold F32, F16 or BF16, found F64");
    assert_eq!(values(&refused.module), before);
}

#[test]
fn what_is_refused_stays_whole() {
    let device = Device::flex().autodiff();
    let net = net(&device);
    let before = values(&net);
    for rules in [Rules::new(l1(1.0)).exclude("heda"), Rules::new(l1(1.0)).penalty_for("heda", l1(2.0))] {
        let error = Regularizer::host(rules.unwrap()).evaluate(&net).unwrap_err();
        assert!(
            error.to_string().starts_with("\"heda\" matches no float parameter; there are embed.weight, embed.bias,")
        );
    }
    let error = Rules::new(l1(1.0)).include("(").unwrap_err();
    assert_eq!(error.to_string(), "\"(\" is no regular expression: unclosed group");

    let mut regularizer = Regularizer::host(Rules::new(l1(1.0)));
    let refused = regularizer.prox(net, -1.0).unwrap_err();
    assert_eq!(refused.to_string(), "step must be a finite number ≥ 0, found -1");
    let net = refused.module;
    assert_eq!(values(&net), before);
    assert!(net.embed.weight.is_require_grad());

    let mut gradients = net.gradients(&device);
    gradients.register(net.layers[1].weight.id, Tensor::<2>::ones([3, 150], &device.clone().inner()));
    let before = gradient_values(&net, &gradients);
    let error = regularizer.add_gradients(&net, &mut gradients).unwrap_err();
    let text = "the gradient of \"layers.1.weight\" must be F32 [150, 3], found F32 [3, 150]";
    assert_eq!(error.to_string(), text);
    assert_eq!(gradient_values(&net, &gradients), before);

    let refused: Result<Net, Error> = (|| Ok(regularizer.prox(net, f64::NAN)?.0))();
    assert!(matches!(refused, Err(Error::Penalty(_))));
}

#[test]
fn another_module_and_one_with_nothing_to_penalize_are_taken_too() {
    let device = Device::flex();
    let mut regularizer = Regularizer::host(Rules::new(l1(1.0)));
    let net = net(&device);
    let first = wait(&regularizer.evaluate(&net).unwrap());
    assert_eq!(wait(&regularizer.evaluate(&net.layers).unwrap()).tensors[..], first.tensors[1..]);
    assert_eq!(wait(&regularizer.evaluate(&net).unwrap()), first);
    let nothing = wait(&regularizer.evaluate(&net.norm).unwrap());
    assert!(nothing.tensors.is_empty() && nothing.total.len == 0);
    let bare = Param::from_tensor(Tensor::<2>::ones([2, 3], &device));
    assert_eq!(wait(&regularizer.evaluate(&bare).unwrap()).total.value, 6.0);
    assert_eq!(net.embed.weight.shape().num_elements(), 222);
}

#[test]
fn a_regularizer_may_move_to_the_thread_that_trains() {
    fn sent<T: Send>() {}
    sent::<Regularizer>();
    sent::<penalty_burn::Pending>();
}
