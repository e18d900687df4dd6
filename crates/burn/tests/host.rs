//! Tests rules, rejections and both routes on Flex. They need no device.

mod common;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use common::optim::{self, Place};
use common::{
    CENTRE, Fresh, MINIMIZER, Net, Tied, distance, end, gradient_values, linear, net, numbers, sgd_ends, values, wait,
};
use penalty_burn::optim::ProximalSgdConfig;
use penalty_burn::penalty::{Backend, Cpu, Groups, Penalty};
use penalty_burn::{ByShape, Error, Regularizer, Rules, sgd_prox_step};

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
    // Flex's tensors of the first step share no memory either.
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

    // Burn's optimizers step only the first occurrence. A prox makes both equal again; a rejected prox leaves them as they are.
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
    // Only the head takes part in the loss.
    let x = Tensor::<2>::ones([1, 150], &device);
    let mut gradients = GradientsParams::from_grads(net.layers[1].forward(x).sum().backward(), &net);
    assert_eq!(gradients.len(), 2);
    let pending = regularizer.add_gradients(&net, &mut gradients).unwrap();
    assert_eq!(pending.names().collect::<Vec<_>>(), ["embed.weight", "layers.1.weight"]);
    assert_eq!(wait(&pending).total.len, 6 * 37 + 150 * 3);
    assert_eq!(gradients.len(), 2);
}

#[test]
fn half_precision_is_penalized_and_other_types_are_rejected_by_name() {
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
    let rejected = Regularizer::host(Rules::new(l1(0.25))).prox(wide, 1.0).unwrap_err();
    assert_eq!(rejected.to_string(), "the weights of \"embed.weight\" must hold F32, F16 or BF16, found F64");
    assert_eq!(values(&rejected.module), before);
}

#[test]
fn what_is_rejected_stays_whole() {
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
    let rejected = regularizer.prox(net, -1.0).unwrap_err();
    assert_eq!(rejected.to_string(), "step must be a finite number ≥ 0, found -1");
    let net = rejected.module;
    assert_eq!(values(&net), before);
    assert!(net.embed.weight.is_require_grad());

    let mut gradients = net.gradients(&device);
    gradients.register(net.layers[1].weight.id, Tensor::<2>::ones([3, 150], &device.clone().inner()));
    let before = gradient_values(&net, &gradients);
    let error = regularizer.add_gradients(&net, &mut gradients).unwrap_err();
    let text = "the gradient of \"layers.1.weight\" must be F32 [150, 3], found F32 [3, 150]";
    assert_eq!(error.to_string(), text);
    assert_eq!(gradient_values(&net, &gradients), before);

    let rejected: Result<Net, Error> = (|| Ok(regularizer.prox(net, f64::NAN)?.0))();
    assert!(matches!(rejected, Err(Error::Penalty(_))));
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

#[test]
fn sgd_ends_at_the_minimizer() {
    let device = Device::flex().autodiff();
    common::sgd_ends_at_the_minimizer(&device, Regularizer::host);
    // Burn's default, with a dampening of 0.1, then with Nesterov, then without dampening, as most people use it.
    let momentum = MomentumConfig::new();
    for momentum in [momentum.clone(), momentum.clone().with_nesterov(true), momentum.clone().with_dampening(0.0)] {
        sgd_ends(&device, Regularizer::host, (350, 0.05), Some(momentum));
    }
    // With ½w‖θ‖² in the objective, w = 1, the minimizer is half as far from 0.
    let prox_step = sgd_prox_step(0.05, Some(&momentum)).unwrap();
    let decay = Some(WeightDecayConfig::new(1.0));
    let optimizer = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(decay).init();
    let theta = end(&device, optimizer, (350, 0.05, prox_step), Regularizer::host);
    assert!(distance(theta, MINIMIZER.map(|theta| theta / 2.0)) < 1e-5, "weight decay: found {theta:?}");
}

/// Tests what the documentation says about the other optimizers. The test pins down the text, not a goal.
#[test]
fn what_is_documented_to_minimize_another_objective_does() {
    let device = Device::flex().autodiff();
    let momentum = || SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_dampening(0.0)));
    let clipping = Some(GradientClippingConfig::Value(0.1));
    let others = [
        // f + R/10 has its minimum at c ∓ 0.05.
        ("momentum with the learning rate", momentum().init(), 0.05, [0.95, 0.35, -1.95, 0.05]),
        // The clipped gradient no longer holds weights against a prox that takes 0.5.
        ("clipping", SgdConfig::new().with_gradient_clipping(clipping).init(), 0.5, [0.0; 4]),
    ];
    for (name, optimizer, rate, want) in others {
        let theta = end(&device, optimizer, (400, rate, rate), Regularizer::host);
        assert!(distance(theta, want) < 1e-4, "{name}: found {theta:?}");
    }
    let scaled = [
        ("Adam", AdamConfig::new().init()),
        ("AdamW", AdamWConfig::new().init()),
        ("RMSprop", RmsPropConfig::new().init()),
    ];
    for (name, optimizer) in scaled {
        let theta = end(&device, optimizer, (1000, 0.01, 0.01), Regularizer::host);
        assert!(distance(theta, MINIMIZER) > 0.3, "{name}: found {theta:?}");
    }
}

/// Minimizes f + ½‖θ‖², which has its minimum at c/2, with a learning rate that fades out.
#[test]
fn the_gradient_route_ends_at_the_minimizer_with_any_optimizer() {
    let device = Device::flex().autodiff();
    let optimizers = [
        ("SGD", SgdConfig::new().init()),
        ("momentum", SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init()),
        ("Adam", AdamConfig::new().init()),
        ("AdamW without decay", AdamWConfig::new().with_weight_decay(0.0).init()),
        ("RMSprop", RmsPropConfig::new().init()),
    ];
    for (name, mut optimizer) in optimizers {
        let mut regularizer = Regularizer::host(Rules::new(Penalty::l2_squared(0.5).unwrap()));
        let centre = Tensor::<2>::from_data([CENTRE], &device);
        let mut theta = Param::from_tensor(Tensor::<2>::zeros([1, 4], &device));
        for k in 0..400 {
            let loss = (theta.val() - centre.clone()).powi_scalar(2).sum() * 0.5;
            let mut gradients = GradientsParams::from_grads(loss.backward(), &theta);
            regularizer.add_gradients(&theta, &mut gradients).unwrap();
            theta = optimizer.step(0.2 * 0.98f64.powi(k), theta, gradients);
        }
        let theta = theta.base().inner().into_data().try_into_vec::<f32>().unwrap().try_into().unwrap();
        assert!(distance(theta, CENTRE.map(|c| c / 2.0)) < 1e-5, "{name}: found {theta:?}");
    }
}

#[test]
fn the_proxs_step_follows_from_the_momentum() {
    let step = |momentum: &MomentumConfig| sgd_prox_step(0.1, Some(momentum)).map_err(|error| error.to_string());
    let close = |step: Result<f64, String>, want: f64| (step.unwrap() - want).abs() < 1e-6 * want;
    assert_eq!(sgd_prox_step(0.1, None), Ok(0.1));
    assert!(close(step(&MomentumConfig::new()), 0.9));
    assert!(close(step(&MomentumConfig::new().with_nesterov(true)), 0.91));
    assert!(close(step(&MomentumConfig::new().with_momentum(0.5).with_dampening(0.0)), 0.2));
    assert!(close(step(&MomentumConfig::new().with_momentum(0.5).with_dampening(0.5).with_nesterov(true)), 0.15));
    let error = step(&MomentumConfig::new().with_momentum(1.0)).unwrap_err();
    assert_eq!(error, "momentum must be from 0 to 1 − 2^-24, found 1");
    let error = step(&MomentumConfig::new().with_dampening(1.0)).unwrap_err();
    assert_eq!(error, "dampening must be from 0 to below 1, found 1");
    let error = sgd_prox_step(-0.1, None).unwrap_err().to_string();
    assert_eq!(error, "step must be a number from 0 to f32::MAX, found -0.1");
}

fn group_lasso(groups: Groups) -> Penalty {
    Penalty::group_lasso(0.1, groups).unwrap()
}

#[test]
fn rows_and_columns_are_those_of_each_parameters_shape() {
    let net = net(&Device::flex());
    let cpu = Backend::Cpu(Cpu::new());
    let before = values(&net);
    for (by, of) in [(ByShape::Rows, Groups::rows as fn(u64) -> _), (ByShape::Columns, Groups::columns)] {
        let rules = Rules::grouped(group_lasso(Groups::whole()), by);
        // The penalty changes at each step: λ grows, and the penalty stays grouped.
        let mut regularizer = Regularizer::host(rules.clone());
        for lambda in [0.1, 0.2] {
            for (_, penalty) in regularizer.penalties_mut() {
                *penalty = Penalty::group_lasso(lambda, Groups::whole()).unwrap();
            }
            let (after, pending) = regularizer.prox(net.clone(), 1.0).unwrap();
            let after = values(&after);
            let columns = [("embed.weight", 37), ("layers.0.weight", 150), ("layers.1.weight", 3)];
            for ((path, columns), report) in columns.into_iter().zip(wait(&pending).tensors) {
                let penalty = Penalty::group_lasso(lambda, of(columns).unwrap()).unwrap();
                let want = cpu.prox(&penalty, &floats(&before[path]), 1.0).unwrap();
                assert_eq!(floats(&after[path]), want, "{by:?} {path}");
                assert_eq!(report, cpu.evaluate(&penalty, &want).unwrap());
            }
        }
        let selected = rules.select(&net).unwrap();
        assert_eq!(selected[2].penalty, group_lasso(of(3).unwrap()));
        // A tensor of more than two dimensions: 8 rows of 3·2·2 weights, with a different penalty.
        let kernel = Param::from_tensor(Tensor::<4>::ones([8, 3, 2, 2], &Device::flex()));
        let rules = rules.grouped_for("", Penalty::l2_ball(1.0).unwrap(), by).unwrap();
        let want = Penalty::l2_ball(1.0).unwrap().over(of(12).unwrap()).unwrap();
        assert_eq!(rules.select(&kernel).unwrap()[0].penalty, want);
    }
}

/// Burn's `Linear` stores [in, out].
#[test]
fn an_output_neuron_is_a_column() {
    let device = Device::flex();
    let mut layer = linear(4, 3, &device);
    // The second output's weights are small.
    let weights = [1.0, 0.01, -1.0].repeat(4);
    layer.weight = Param::from_data(TensorData::new(weights, [4, 3]), &device);
    let rules = Rules::grouped(group_lasso(Groups::whole()), ByShape::Columns);
    let (layer, pending) = Regularizer::host(rules).prox(layer, 1.0).unwrap();
    assert_eq!(wait(&pending).total.zeros(), 4);
    let out = layer.forward(Tensor::<2>::ones([1, 4], &device)).into_data().try_into_vec::<f32>().unwrap();
    let bias = layer.bias.as_ref().unwrap().base().into_data().try_into_vec::<f32>().unwrap();
    assert!(out[1] == bias[1] && out[0] != bias[0] && out[2] != bias[2], "{out:?}");
}

#[test]
fn groups_that_do_not_fit_a_shape_are_rejected_by_name() {
    let device = Device::flex().autodiff();
    let layer = linear(64, 32, &device);
    let before = values(&layer);
    let rejected = |rules: Rules, text: &str| {
        let mut regularizer = Regularizer::host(rules.clone());
        let x = Tensor::<2>::ones([1, 64], &device);
        let mut gradients = GradientsParams::from_grads(layer.forward(x).sum().backward(), &layer);
        let kept = gradient_values(&layer, &gradients);
        assert_eq!(rules.select(&layer).unwrap_err().to_string(), text);
        assert_eq!(regularizer.evaluate(&layer).unwrap_err().to_string(), text);
        assert_eq!(regularizer.add_gradients(&layer, &mut gradients).unwrap_err().to_string(), text);
        assert_eq!(gradient_values(&layer, &gradients), kept);
        let prox = regularizer.prox(layer.clone(), 1.0).unwrap_err();
        assert_eq!((prox.to_string().as_str(), values(&prox.module)), (text, before.clone()));
    };
    let taken = |groups| Rules::new(group_lasso(groups)).select(&layer).unwrap();
    // 64 divides the 2048 weights, so without a check two rows of 32 would make one group.
    let (groups, expected) =
        ("\"weight\": groups of", "must lie in a matrix of 64 columns: the tensor's shape [64, 32] has 32");
    for (of_64, of_32, what) in [
        (Groups::rows(64), Groups::rows(32), "rows of 64"),
        (Groups::columns(64), Groups::columns(32), "columns, 64 of them,"),
        (Groups::tiles(64, 2, 2), Groups::tiles(32, 2, 2), "tiles of 2x2 in 64 columns"),
    ] {
        rejected(Rules::new(group_lasso(of_64.unwrap())), &format!("{groups} {what} {expected}"));
        assert_eq!(taken(of_32.unwrap()).len(), 1);
    }
    // Runs may cross rows, except those of n of m.
    assert_eq!(taken(Groups::runs(64).unwrap()).len(), 1);
    let n_of_m = |m| Rules::new(Penalty::n_of_m(2, m).unwrap());
    assert_eq!(n_of_m(4).select(&layer).unwrap().len(), 1);
    let text = "\"weight\": groups of runs of 64 must lie in rows: the tensor's shape [64, 32] has 32";
    rejected(n_of_m(64), text);
    // A vector is not a matrix.
    let biased = |rules: Rules| rules.include("bias").unwrap();
    let by_rows = || Rules::grouped(group_lasso(Groups::whole()), ByShape::Rows);
    let text =
        "\"bias\": groups of rows of 32 must lie in a matrix of 32 columns: the tensor's shape [32] is no matrix";
    rejected(biased(Rules::new(group_lasso(Groups::rows(32).unwrap()))), text);
    let text = "\"bias\": rows by shape must lie in a matrix, of two dimensions or more: the tensor's shape is [32]";
    rejected(biased(by_rows()), text);
    assert_eq!(biased(by_rows()).penalty_for("bias", l1(0.1)).unwrap().select(&layer).unwrap().len(), 2);
    // These penalties have no groups, or already have groups.
    for (penalty, found) in [(l1(0.1), "group penalty"), (Penalty::n_of_m(2, 4).unwrap(), "groups of its own")] {
        let error = Rules::grouped(penalty, ByShape::Columns).select(&layer).unwrap_err().to_string();
        assert!(error.starts_with("\"weight\": ") && error.contains(found), "{error}");
    }
}

/// If only the library compares groups with the length, its error names the parameter too.
#[test]
fn groups_that_do_not_cover_a_parameter_are_rejected_by_name() {
    let net = net(&Device::flex());
    let rules = Rules::new(group_lasso(Groups::runs(50).unwrap())).exclude("embed").unwrap();
    let mut regularizer = Regularizer::host(rules.clone());
    assert!(regularizer.evaluate(&net).is_ok());
    let rejected = Regularizer::host(rules.include("embed.weight").unwrap()).evaluate(&net).unwrap_err().to_string();
    assert!(rejected.starts_with("\"embed.weight\": groups of runs of 50 must cover the tensor"), "{rejected}");
}

fn on_flex(test: impl Fn(&Device, &Place<'_>)) {
    test(&Device::flex().autodiff(), &Place::Host);
}

#[test]
fn proximal_sgd_ends_at_the_minimizer() {
    on_flex(optim::sgd_ends_at_the_minimizer);
}

#[test]
fn proximal_adam_ends_at_the_minimizer() {
    on_flex(optim::adam_ends_at_the_minimizer);
}

#[test]
fn proximal_adamw_ends_at_its_fixed_point() {
    on_flex(optim::adamw_ends_at_its_fixed_point);
}

#[test]
fn proximal_adam_in_the_plain_metric_ends_at_its_fixed_point() {
    on_flex(optim::adam_in_the_plain_metric_ends_at_its_fixed_point);
}

#[test]
fn a_resumed_run_has_the_bits_of_an_unbroken_one() {
    on_flex(optim::a_resumed_run_has_the_bits_of_an_unbroken_one);
}

#[test]
fn burns_state_is_taken_over() {
    on_flex(optim::burns_state_is_taken_over);
}

#[test]
fn burns_training_features_work() {
    on_flex(optim::burns_training_features_work);
}

#[test]
fn half_precision_is_trained() {
    for dtype in [DType::F16, DType::BF16] {
        on_flex(|device, place| optim::half_precision_is_trained(device, place, dtype));
    }
}

#[test]
fn a_failed_step_changes_nothing_and_is_reported() {
    on_flex(optim::a_failed_step_changes_nothing_and_is_reported);
}

#[test]
fn element_weights_masks_and_schedules_work() {
    on_flex(optim::element_weights_masks_and_schedules_work);
}

/// What the documentation says of parameters that occur twice: Burn's own optimizers update the first place only, and so do ours.
#[test]
fn a_shared_parameter_is_updated_as_by_burns_optimizers() {
    let device = Device::flex().autodiff();
    let tied = || {
        let a = linear(4, 3, &device);
        Tied { b: a.clone(), a }
    };
    let step = |mut optimizer: ModuleOptimizer, tied: Tied| {
        let x = Tensor::<2>::ones([1, 4], &device);
        let loss = (tied.a.forward(x.clone()) + tied.b.forward(x)).powi_scalar(2).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &tied);
        values(&optimizer.step(0.1, tied, gradients))
    };
    let burns = step(SgdConfig::new().init(), tied());
    let ours = step(ProximalSgdConfig::new().init(&Rules::new(Penalty::none()), &tied()).unwrap().0, tied());
    let first = tied();
    let before = values(&first);
    for after in [burns, ours] {
        assert_ne!(after["a.weight"], before["a.weight"]);
        assert_eq!(after["b.weight"], before["b.weight"]);
    }
}

#[test]
fn whole_modules_have_the_bits_of_tensors() {
    on_flex(optim::whole_modules_have_the_bits_of_tensors);
}

#[test]
fn whole_modules_keep_shared_parameters_and_take_other_rules() {
    on_flex(optim::whole_modules_keep_shared_parameters_and_take_other_rules);
}

#[test]
fn sums_end_at_their_minimizers() {
    on_flex(optim::sums_end_at_their_minimizers);
}

#[test]
fn reports_come_when_they_are_due() {
    on_flex(optim::reports_come_when_they_are_due);
}

#[test]
fn a_module_is_pruned_to_a_budget() {
    on_flex(optim::a_module_is_pruned_to_a_budget);
}

/// On [2, 3, 2, 2], filters are rows, and each of three input channels has two blocks of four weights.
#[test]
fn dimensions_are_groups() {
    let weight = |len: usize| TensorData::new(numbers(len, 1), [2, 3, 2, 2]);
    let conv = Param::from_tensor(Tensor::<4>::from_data(weight(24), &Device::flex()));
    let norm = || Penalty::l2_norm(0.5).unwrap();
    let groups = |dim| Rules::grouped(norm(), ByShape::Dim(dim)).select(&conv).unwrap().remove(0).penalty;
    assert_eq!(groups(0), norm().over(Groups::rows(12).unwrap()).unwrap());
    let lists: Vec<Vec<u64>> = (0..3).map(|channel| (0..24).filter(|at| at / 4 % 3 == channel).collect()).collect();
    let cpu = Backend::Cpu(Cpu::new());
    let by_list = norm().over(Groups::lists(&lists).unwrap()).unwrap();
    let theta = numbers(24, 1);
    assert_eq!(cpu.prox(&groups(1), &theta, 1.0).unwrap(), cpu.prox(&by_list, &theta, 1.0).unwrap());
    // 2:4 along the inputs of a layer: at most 2 of 4 in each column.
    let layer = linear(8, 3, &Device::flex());
    let two_of_four = Rules::grouped(Penalty::top_k(2).unwrap(), ByShape::Runs { dim: 0, len: 4 });
    let (layer, _) = Regularizer::host(two_of_four).prox(layer, 1.0).unwrap();
    let weights = layer.weight.base().inner().into_data().try_into_vec::<f32>().unwrap();
    for (run, column) in (0..2).flat_map(|run| (0..3).map(move |column| (run, column))) {
        assert_eq!((0..4).filter(|at| weights[(4 * run + at) * 3 + column] != 0.0).count(), 2);
    }
    let error = Rules::grouped(norm(), ByShape::Runs { dim: 1, len: 4 }).select(&conv).unwrap_err().to_string();
    assert!(error.contains("divide the 3 weights") && error.contains("runs of 4"), "{error}");
    let error = Rules::grouped(norm(), ByShape::Dim(4)).select(&conv).unwrap_err().to_string();
    assert!(error.contains("one of the 4 dimensions") && error.contains("[2, 3, 2, 2]"), "{error}");
}

#[test]
fn a_table_says_what_applies_and_what_does_not() {
    let net = net(&Device::flex().autodiff());
    let rules = Rules::new(l1(0.5)).exclude("^embed").unwrap().scheduled("layers.1", |_| 1.0).unwrap();
    let table = rules.table(&net).unwrap().to_string();
    let line = |path: &str| {
        table.lines().find(|line| line.starts_with(path)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("embed.weight"), "embed.weight [6, 37] F32 none: excluded");
    assert_eq!(line("norm.gamma"), "norm.gamma [37] F32 none: in a normalization layer");
    assert_eq!(line("layers.0.bias"), "layers.0.bias [150] F32 none: of rank 1");
    assert_eq!(line("layers.0.weight"), "layers.0.weight [37, 150] F32 l1:lambda=0.5");
    assert_eq!(line("layers.1.weight"), "layers.1.weight [150, 3] F32 l1:lambda=0.5, scheduled");
}

#[test]
fn rules_without_element_weights_for_a_weighted_penalty_are_rejected() {
    let net = net(&Device::flex());
    let weighted = Rules::new(Penalty::weighted_l1(0.5).unwrap());
    let error = Regularizer::host(weighted.clone()).evaluate(&net).unwrap_err().to_string();
    let expected =
        "\"embed.weight\" has a weighted penalty and 222 weights: expected as many element weights, found none";
    assert_eq!(error, expected);
    let other = linear(2, 3, &Device::flex());
    let error = Regularizer::host(weighted.element_weights(&other)).evaluate(&linear(2, 4, &Device::flex()));
    assert!(error.unwrap_err().to_string().ends_with("8 weights: expected as many element weights, found 6"));
}
