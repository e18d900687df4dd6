//! What the tests of proximal optimizers share: problems with a known minimizer, on the host and on a device.

use burn::grad_clipping::{GradientClipping, GradientClippingConfig};
use burn::lr_scheduler::module_lr_scheduler::ModuleLrSchedulerConfig;
use burn::lr_scheduler::step::StepLrSchedulerConfig;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer, MultiGradientsParams, SgdConfig,
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use penalty_burn::optim::{ProximalAdamConfig, ProximalSgdConfig, Statistics, WholeModule};
use penalty_burn::penalty::{Backend, Budget, Cpu, Gpu, Groups, HostSet, Parameter, Penalty};
use penalty_burn::{ByShape, Error, Regularizer, Rules, Wgpu, adaptive, mask};

use super::{Fresh, Net, Tied, linear, net, numbers, values, wait};

/// Where the steps run.
pub(crate) enum Place<'a> {
    Host,
    Wgpu(&'a Wgpu),
}

/// An optimizer's settings.
#[derive(Clone)]
pub(crate) enum Settings {
    Sgd(ProximalSgdConfig),
    Adam(ProximalAdamConfig),
}

/// Every how many steps the optimizers report on the host.
const EVERY: u64 = 20;

impl Place<'_> {
    pub(crate) fn regularizer(&self, rules: Rules) -> Regularizer {
        match self {
            Place::Host => Regularizer::host(rules),
            Place::Wgpu(wgpu) => Regularizer::wgpu(wgpu, rules),
        }
    }

    pub(crate) fn init<M: Module>(
        &self,
        settings: &Settings,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        // Steps that report are other kernels, which compile for seconds on a device; `reports_come_when_they_are_due` has them.
        let every = if matches!(self, Place::Host) { EVERY } else { 0 };
        self.init_reporting(every, settings, rules, module)
    }

    fn init_reporting<M: Module>(
        &self,
        every: u64,
        settings: &Settings,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        match (self, settings.reporting(every)) {
            (Place::Host, Settings::Sgd(sgd)) => sgd.init(rules, module),
            (Place::Host, Settings::Adam(adam)) => adam.init(rules, module),
            (Place::Wgpu(wgpu), Settings::Sgd(sgd)) => sgd.init_on(wgpu, rules, module),
            (Place::Wgpu(wgpu), Settings::Adam(adam)) => adam.init_on(wgpu, rules, module),
        }
    }

    /// The same by whole modules.
    fn whole<M: Module>(&self, every: u64, settings: &Settings, rules: &Rules, module: &M) -> WholeModule {
        let whole = match (self, settings.reporting(every)) {
            (Place::Host, Settings::Sgd(sgd)) => sgd.init_whole(rules, module),
            (Place::Host, Settings::Adam(adam)) => adam.init_whole(rules, module),
            (Place::Wgpu(wgpu), Settings::Sgd(sgd)) => sgd.init_whole_on(wgpu, rules, module),
            (Place::Wgpu(wgpu), Settings::Adam(adam)) => adam.init_whole_on(wgpu, rules, module),
        };
        whole.unwrap()
    }
}

impl Settings {
    fn reporting(&self, every: u64) -> Settings {
        match self.clone() {
            Settings::Sgd(sgd) => Settings::Sgd(sgd.with_report_every(every)),
            Settings::Adam(adam) => Settings::Adam(adam.with_report_every(every)),
        }
    }
}

/// f = ½‖θ − c‖² is strongly convex.
const CENTRE: [f32; 8] = [1.0, 0.4, -2.0, 0.1, -0.7, 3.0, 0.05, -0.12];

/// Every penalty of each weight alone. With f, the convex ones and MCP, SCAD and log-sum have one minimizer.
fn separable() -> Vec<Penalty> {
    let made = [
        Ok(Penalty::none()),
        Penalty::l1(0.5),
        Penalty::l2_squared(0.5),
        Penalty::elastic_net(0.5, 0.6),
        Penalty::huber(0.5, 0.3),
        Penalty::log_sum(0.3, 1.5),
        Penalty::mcp(0.3, 3.0),
        Penalty::scad(0.3, 3.7),
        Penalty::l_half(0.2),
        Penalty::l0(0.05),
        Penalty::nonnegative_l1(0.25),
        Penalty::interval(-0.5, 1.5),
    ];
    made.into_iter().map(Result::unwrap).collect()
}

/// Every penalty of groups, over rows of 4.
fn grouped() -> Vec<Penalty> {
    let rows = || Groups::rows(4).unwrap();
    let made = [
        Penalty::group_lasso(0.4, rows()),
        Penalty::sparse_group_lasso(0.4, 0.5, rows()),
        Penalty::l2_norm(0.6).and_then(|norm| norm.over(rows())),
        Penalty::linf_norm(0.6).and_then(|norm| norm.over(rows())),
        Penalty::l1_ball(1.0).and_then(|ball| ball.over(rows())),
        Penalty::l2_ball(1.0).and_then(|ball| ball.over(rows())),
        Penalty::simplex(1.0).and_then(|simplex| simplex.over(rows())),
        Penalty::top_k(2).and_then(|top| top.over(rows())),
        Penalty::n_of_m(2, 4),
    ];
    made.into_iter().map(Result::unwrap).collect()
}

/// The minimizer of f + R, which is R's prox at c with step 1: the library's tests hold it against an oracle.
fn minimizer(penalty: &Penalty) -> Vec<f32> {
    let mut theta = CENTRE.to_vec();
    Backend::Cpu(Cpu::new()).prox_in_place(penalty, &mut theta, 1.0).unwrap();
    theta
}

/// Where training ends from 1.5·c on, with this penalty.
fn end(device: &Device, place: &Place<'_>, settings: &Settings, penalty: &Penalty, steps: (i32, f64, f64)) -> Vec<f32> {
    end_of(device, place, settings, &Rules::new(penalty.clone()), CENTRE.map(|c| 1.5 * c), steps)
}

/// Where training ends from this start, by these rules. The learning rate fades by `decay` per step.
fn end_of(
    device: &Device,
    place: &Place<'_>,
    settings: &Settings,
    rules: &Rules,
    start: [f32; 8],
    (steps, rate, decay): (i32, f64, f64),
) -> Vec<f32> {
    let tensor = |values: [f32; 8]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 4]), device);
    let (centre, mut theta) = (tensor(CENTRE), Param::from_tensor(tensor(start)));
    let (mut optimizer, statistics) = place.init(settings, rules, &theta).unwrap();
    for k in 0..steps {
        let loss = (theta.val() - centre.clone()).powi_scalar(2).sum() * 0.5;
        let gradients = GradientsParams::from_grads(loss.backward(), &theta);
        theta = optimizer.step(rate * decay.powi(k), theta, gradients);
    }
    let latest = statistics.wait(Gpu::TIMEOUT).unwrap();
    let theta = theta.base().inner().into_data().try_into_vec::<f32>().unwrap();
    if let Some((_, last)) = latest.tensors.first().filter(|_| (steps - 1) % EVERY as i32 == 0) {
        assert_eq!(last.nonzero as usize, theta.iter().filter(|theta| **theta != 0.0).count());
    }
    assert_eq!(statistics.copies(), 0, "Burn's tensors are written where they lie");
    theta
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn assert_end(theta: &[f32], penalty: &Penalty, about: &str) {
    let want = minimizer(penalty);
    assert!(distance(theta, &want) < 1e-5, "{penalty}, {about}: expected {want:?}, found {theta:?}");
}

/// SGD with every kind of momentum ends at the minimizer for every penalty.
pub(crate) fn sgd_ends_at_the_minimizer(device: &Device, place: &Place<'_>) {
    let half = || MomentumConfig::new().with_momentum(0.5);
    let kinds = [None, Some(half()), Some(half().with_dampening(0.0).with_nesterov(true))];
    for (at, penalty) in separable().into_iter().chain(grouped()).enumerate() {
        // Each kernel compiles for a second on a device, so there every penalty takes turns with one kind.
        let kinds = match place {
            Place::Host => &kinds[..],
            Place::Wgpu(_) => &kinds[at % kinds.len()..][..1],
        };
        for momentum in kinds {
            let settings = Settings::Sgd(ProximalSgdConfig::new().with_momentum(momentum.clone()));
            let theta = end(device, place, &settings, &penalty, (61, 0.3, 1.0));
            assert_end(&theta, &penalty, &format!("{momentum:?}"));
        }
    }
}

/// AdamW's fixed points: −g − w(√v̂ + ε)θ is in ∂R, where v̂ = g² once the steps have settled.
pub(crate) fn adamw_ends_at_its_fixed_point(device: &Device, place: &Place<'_>) {
    let (lambda, decay, epsilon) = (0.3f32, 0.5f32, 0.1f32);
    let config = ProximalAdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(epsilon);
    let settings = Settings::Adam(config.with_weight_decay(decay));
    let theta = end(device, place, &settings, &Penalty::l1(lambda.into()).unwrap(), (301, 0.1, 1.0));
    assert!(theta.contains(&0.0) && theta.iter().any(|theta| *theta != 0.0));
    for (theta, c) in theta.into_iter().zip(CENTRE) {
        let g = theta - c;
        let left = -g - decay * (g.abs() + epsilon) * theta;
        let outside = if theta == 0.0 { (left.abs() - lambda).max(0.0) } else { (left - lambda.copysign(theta)).abs() };
        assert!(outside < 1e-5, "θ = {theta}, c = {c}: {left}");
    }
}

/// In the plain metric, groups end where −g/(√v̂ + ε) is in ∂R: another such step changes nothing.
pub(crate) fn adam_in_the_plain_metric_ends_at_its_fixed_point(device: &Device, place: &Place<'_>) {
    let epsilon = 0.5f32;
    let config = ProximalAdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(epsilon);
    let settings = Settings::Adam(config.with_plain_metric(true));
    for penalty in grouped() {
        let theta = end(device, place, &settings, &penalty, (401, 0.5, 1.0));
        let step = 0.5;
        let stepped = |(theta, c): (&f32, f32)| theta - step * (theta - c) / ((theta - c).abs() + epsilon);
        let mut next: Vec<f32> = theta.iter().zip(CENTRE).map(stepped).collect();
        Backend::Cpu(Cpu::new()).prox_in_place(&penalty, &mut next, step.into()).unwrap();
        assert!(distance(&theta, &next) < 1e-5, "{penalty}: {theta:?}, then {next:?}");
    }
}

fn settings() -> [Settings; 3] {
    let momentum = MomentumConfig::new().with_nesterov(true);
    [
        Settings::Sgd(ProximalSgdConfig::new()),
        Settings::Sgd(ProximalSgdConfig::new().with_momentum(Some(momentum))),
        Settings::Adam(ProximalAdamConfig::new().with_weight_decay(0.01)),
    ]
}

fn rules() -> Rules {
    let rules = Rules::new(Penalty::elastic_net(0.01, 0.9).unwrap());
    rules.penalty_for("layers", Penalty::l1(0.02).unwrap()).unwrap()
}

/// A run that is stopped, written to bytes, read and resumed has the bits of an unbroken one.
pub(crate) fn a_resumed_run_has_the_bits_of_an_unbroken_one(device: &Device, place: &Place<'_>) {
    let step = |optimizer: &mut ModuleOptimizer, net: Net| {
        let gradients = net.gradients(device);
        optimizer.step(0.02, net, gradients)
    };
    for settings in settings() {
        let mut unbroken = net(device);
        let new = || place.init(&settings, &rules(), &net(device)).unwrap().0;
        let mut optimizer = new();
        for _ in 0..3 {
            unbroken = step(&mut optimizer, unbroken);
        }
        // Memory of its own, so that the two runs share nothing.
        let mut resumed = unbroken.clone().map(&mut Fresh(device.clone(), DType::F32));
        let mut restored = new().from_bytes(optimizer.into_bytes().unwrap()).unwrap();
        for _ in 0..3 {
            unbroken = step(&mut optimizer, unbroken);
            resumed = step(&mut restored, resumed);
        }
        assert_eq!(values(&unbroken), values(&resumed));
        let zeros = |net: &Net| net.embed.weight.val().equal_scalar(0.0).any().into_scalar::<bool>();
        assert!(zeros(&unbroken));
    }
}

/// On a device whose buffers the optimizer was not given, steps are Burn's operations. They give the host's results within rounding, for a
/// module as for its tensors.
pub(crate) fn without_its_buffers_a_device_takes_burns_operations(device: &Device) {
    let host = Device::flex().autodiff();
    let trained = |device: &Device, whole: bool, settings: &Settings| {
        let mut net = net(device);
        let (mut optimizer, statistics) = Place::Host.init(settings, &rules(), &net).unwrap();
        let mut together = Place::Host.whole(EVERY, settings, &rules(), &net);
        let statistics = if whole { together.statistics() } else { statistics };
        for _ in 0..3 {
            let gradients = net.gradients(device);
            net =
                if whole { together.step(0.02, net, gradients).unwrap() } else { optimizer.step(0.02, net, gradients) };
        }
        let latest = statistics.wait(Gpu::TIMEOUT).unwrap();
        assert!(latest.total.len > 0 && latest.total.value > 0.0);
        values(&net)
    };
    // Adam has all that SGD has, and quotients and roots besides. The devices round the loss's gradients differently; with a small ε, a
    // tiny gradient would make much of that.
    let adam = Settings::Adam(ProximalAdamConfig::new().with_epsilon(0.01));
    let expected = trained(&host, false, &adam);
    for whole in [false, true] {
        for (path, bytes) in trained(device, whole, &adam) {
            let (expected, found) = (floats(&expected[&path]), floats(&bytes));
            assert!(distance(&expected, &found) < 1e-5, "{path}: expected {expected:?}, found {found:?}");
            assert!(found.contains(&0.0) || !expected.contains(&0.0), "{path}");
        }
    }
}

/// A run that Burn's optimizer began goes on with the proximal one.
pub(crate) fn burns_state_is_taken_over(device: &Device, place: &Place<'_>) {
    let rules = Rules::new(Penalty::none());
    let momentum = Some(MomentumConfig::new());
    let pairs: [(ModuleOptimizer, Settings); 2] = [
        (
            SgdConfig::new().with_momentum(momentum.clone()).init(),
            Settings::Sgd(ProximalSgdConfig::new().with_momentum(momentum)),
        ),
        (AdamConfig::new().init(), Settings::Adam(ProximalAdamConfig::new())),
    ];
    for (mut burns, settings) in pairs {
        let mut theirs = net(device);
        for _ in 0..3 {
            let gradients = theirs.gradients(device);
            theirs = burns.step(0.02, theirs, gradients);
        }
        let mut ours = theirs.clone().map(&mut Fresh(device.clone(), DType::F32));
        let proximal = place.init(&settings, &rules, &ours).unwrap().0;
        let mut proximal = proximal.load_record(burns.to_record());
        for _ in 0..3 {
            let gradients = theirs.gradients(device);
            theirs = burns.step(0.02, theirs, gradients);
            let gradients = ours.gradients(device);
            ours = proximal.step(0.02, ours, gradients);
        }
        for (path, bytes) in values(&ours) {
            let (ours, theirs) = (floats(&bytes), floats(&values(&theirs)[&path]));
            assert!(distance(&ours, &theirs) < 1e-5, "{path}");
        }
    }
}

/// Learning rates per group, clipped gradients, accumulated ones, and ones from several devices.
pub(crate) fn burns_training_features_work(device: &Device, place: &Place<'_>) {
    let fresh = || net(device);
    let trained = |settings: &Settings, gradients: &dyn Fn(&Net) -> GradientsParams| {
        let net = fresh();
        let (mut optimizer, statistics) = place.init(settings, &rules(), &net).unwrap();
        let gradients = gradients(&net);
        let net = optimizer.step(0.02, net, gradients);
        statistics.wait(Gpu::TIMEOUT).unwrap();
        values(&net)
    };
    let plain = Settings::Adam(ProximalAdamConfig::new());
    let once = trained(&plain, &|net| net.gradients(device));
    assert_ne!(once, values(&fresh()));

    // A group with another learning rate. Without one, nothing moves and the prox has the step 0.
    let net = fresh();
    let (mut optimizer, _) = place.init(&plain, &rules(), &net).unwrap();
    let base = ModuleLrSchedulerConfig::new(StepLrSchedulerConfig::new(0.02, 100).into());
    let slow = base.with_group(ParamGroup::from_predicate("layers"), StepLrSchedulerConfig::new(0.0, 100));
    let gradients = net.gradients(device);
    let moved = values(&optimizer.step(slow.init().unwrap().step(), net, gradients));
    for (path, bytes) in values(&fresh()) {
        assert_eq!(moved[&path], if path.starts_with("layers") { bytes } else { once[&path].clone() }, "{path}");
    }

    // Clipping by the optimizer is clipping before it.
    let clipping = GradientClippingConfig::Value(1e-3);
    let clipped = Settings::Sgd(ProximalSgdConfig::new().with_gradient_clipping(Some(clipping.clone())));
    let by_hand = |net: &Net| {
        let mut gradients = net.gradients(device);
        net.visit(&mut Clip(&mut gradients, clipping.init()));
        gradients
    };
    let sgd = Settings::Sgd(ProximalSgdConfig::new());
    assert_eq!(trained(&clipped, &|net| net.gradients(device)), trained(&sgd, &by_hand));
    assert_ne!(trained(&clipped, &|net| net.gradients(device)), trained(&sgd, &|net| net.gradients(device)));

    // Twice the gradients, accumulated and from two sources.
    let doubled = |net: &Net| {
        let mut accumulator = GradientsAccumulator::new();
        accumulator.accumulate(net, net.gradients(device));
        accumulator.accumulate(net, net.gradients(device));
        accumulator.grads()
    };
    let net = fresh();
    let (mut optimizer, _) = place.init(&plain, &rules(), &net).unwrap();
    let grads = [0, 1].map(|_| (net.gradients(device), device.clone().inner()));
    let multi = values(&optimizer.step_multi(0.02, net, MultiGradientsParams { grads: grads.into() }));
    assert_eq!(multi, trained(&plain, &doubled));
}

struct Clip<'a>(&'a mut GradientsParams, GradientClipping);

impl ModuleVisitor for Clip<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.0.remove::<D>(param.id) {
            self.0.register(param.id, self.1.clip_gradient(gradient));
        }
    }
}

/// Half precision has the bits of the library's step on the host.
pub(crate) fn half_precision_is_trained(device: &Device, place: &Place<'_>, dtype: DType) {
    let tensor = |seed| {
        let data = TensorData::new(numbers(1000, seed), [10, 100]).convert_dtype(dtype);
        Tensor::<2>::from_data(data, (&device.clone().inner(), dtype))
    };
    let penalty = Penalty::l1(0.5).unwrap();
    let theta = Param::from_tensor(tensor(1));
    let settings = Settings::Adam(ProximalAdamConfig::new());
    let (mut optimizer, statistics) = place.init(&settings, &Rules::new(penalty.clone()), &theta).unwrap();
    let mut gradients = GradientsParams::new();
    gradients.register(theta.id, tensor(2));
    let theta = optimizer.step(0.1, theta.map(|theta| Tensor::from_inner(theta).require_grad()), gradients);
    let found = theta.base().inner().into_data();
    assert_eq!(found.dtype(), dtype);
    let total = statistics.wait(Gpu::TIMEOUT).unwrap().total;
    let zeros = found.iter::<f32>().filter(|theta| *theta == 0.0).count();
    assert_eq!(total.zeros() as usize, zeros);
    assert!(zeros > 0 && zeros < 1000);
}

/// What is rejected keeps its values, and says why.
pub(crate) fn a_failed_step_changes_nothing_and_is_reported(device: &Device, place: &Place<'_>) {
    for settings in settings() {
        let before = net(device);
        let (mut optimizer, statistics) = place.init(&settings, &rules(), &before).unwrap();
        let (values_before, gradients) = (values(&before), before.gradients(device));
        let after = optimizer.step(f64::NAN, before, gradients);
        assert_eq!(values(&after), values_before);
        let error = statistics.wait(Gpu::TIMEOUT).unwrap_err().to_string();
        assert_eq!(error, "step must be a number from 0 to f32::MAX, found NaN");
        // The next step counts as the first, and the error was read.
        let gradients = after.gradients(device);
        let after = optimizer.step(0.02, after, gradients);
        for _ in 0..20 {
            if statistics.wait(Gpu::TIMEOUT).is_ok() {
                break;
            }
        }
        let other = net(device);
        let (mut first, _) = place.init(&settings, &rules(), &other).unwrap();
        let gradients = other.gradients(device);
        assert_eq!(values(&after), values(&first.step(0.02, other, gradients)));
    }
}

/// Adam in its metric ends at the minimizer for every penalty that has a prox there, and rejects the others with the reason.
pub(crate) fn adam_ends_at_the_minimizer(device: &Device, place: &Place<'_>) {
    // Where MCP, SCAD and L0 are flat, the gradient fades, and with it the root in the metric. Then ε decides: with a small one, the
    // threshold grows beyond every weight.
    let settings = Settings::Adam(ProximalAdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1.0));
    for penalty in separable() {
        let theta = end(device, place, &settings, &penalty, (201, 0.3, 1.0));
        assert_end(&theta, &penalty, "ε = 1");
    }
    // With Burn's ε, and a learning rate that fades slowly enough for the second moment to follow.
    let burns = Settings::Adam(ProximalAdamConfig::new().with_beta_2(0.99));
    let l1 = Penalty::l1(0.5).unwrap();
    let theta = end(device, place, &burns, &l1, (1501, 0.1, 0.994));
    assert_end(&theta, &l1, "Burn's ε");
    let theta = Param::from_tensor(Tensor::<2>::zeros([2, 4], device));
    for penalty in grouped() {
        let rejected = place.init(&settings, &Rules::new(penalty.clone()), &theta).map(|_| ()).unwrap_err().to_string();
        assert!(rejected.contains(penalty.name()) && rejected.contains("metric"), "{penalty}: {rejected}");
    }
}

/// Sums of penalties whose prox follows from those of their terms, by both routes.
pub(crate) fn sums_end_at_their_minimizers(device: &Device, place: &Place<'_>) {
    let (l1, ridge) = (|| Penalty::l1(0.2).unwrap(), || Penalty::l2_squared(0.3).unwrap());
    let interval = Penalty::sum([l1(), ridge(), Penalty::interval(-0.5, 1.0).unwrap()]).unwrap();
    let norm = Penalty::sum([l1(), ridge(), Penalty::l2_norm(0.4).unwrap()]).unwrap();
    let rows = norm.over(Groups::rows(4).unwrap()).unwrap();
    let momentum = Some(MomentumConfig::new().with_momentum(0.5));
    let sgd = Settings::Sgd(ProximalSgdConfig::new().with_momentum(momentum));
    let adam = Settings::Adam(ProximalAdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1.0));
    for (settings, penalty) in [(&sgd, &interval), (&sgd, &rows), (&adam, &interval)] {
        let theta = end(device, place, settings, penalty, (201, 0.3, 1.0));
        assert_end(&theta, penalty, "by tensors");
    }
    // The rules' groups are those of the parameter's shape, and schedules scale both terms.
    let by_shape = Rules::grouped(norm, ByShape::Rows).scheduled("", |step| if step < 20 { 0.5 } else { 1.0 }).unwrap();
    let tensor = |values: [f32; 8]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 4]), device);
    let mut theta = Param::from_tensor(tensor(CENTRE.map(|c| 1.5 * c)));
    let mut whole = place.whole(0, &sgd, &by_shape, &theta);
    for _ in 0..121 {
        let loss = (theta.val() - tensor(CENTRE)).powi_scalar(2).sum() * 0.5;
        let gradients = GradientsParams::from_grads(loss.backward(), &theta);
        theta = whole.step(0.3, theta, gradients).unwrap();
    }
    assert_end(&theta.base().inner().into_data().try_into_vec::<f32>().unwrap(), &rows, "as a whole");
    let rejected = place.init(&adam, &Rules::new(rows), &theta).map(|_| ()).unwrap_err().to_string();
    assert!(rejected.contains("sum has no prox in closed form in Adam's metric"), "{rejected}");
}

/// A weighted penalty takes each weight's factor, a mask keeps pruned weights at 0, and a schedule changes λ.
pub(crate) fn element_weights_masks_and_schedules_work(device: &Device, place: &Place<'_>) {
    let tensor =
        |values: [f32; 8]| Param::from_tensor(Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 4]), device));
    let start = CENTRE.map(|c| 1.5 * c);
    // f = ½‖θ − c‖², and R = Σwᵢ|θᵢ| with w = 0.05/(|c| + 1e-6).
    let weights = adaptive(tensor(CENTRE), 1.0, 1e-6);
    let sgd = Settings::Sgd(ProximalSgdConfig::new());
    let lasso = Rules::new(Penalty::weighted_l1(0.05).unwrap()).element_weights(&weights);
    let theta = end_of(device, place, &sgd, &lasso, start, (101, 0.3, 1.0));
    let want = CENTRE.map(|c| c - (0.05 / (c.abs() + 1e-6)).min(c.abs()).copysign(c));
    assert!(distance(&theta, &want) < 1e-5, "expected {want:?}, found {theta:?}");

    // Pruned weights stay 0 under every optimizer; the others reach c.
    let half = |theta: Param<Tensor<2>>| {
        place.regularizer(Rules::new(Penalty::none())).prune(theta, &Budget::keep(4)).unwrap()
    };
    let (pruned, pending) = half(tensor(start));
    assert_eq!(wait(&pending).total.nonzero, 4);
    let masked = Rules::new(Penalty::mask()).element_weights(&mask(pruned.clone()));
    let kept = values(&pruned)[""].clone();
    let kept: Vec<f32> = floats(&kept);
    let want: Vec<f32> = CENTRE.iter().zip(&kept).map(|(c, kept)| if *kept == 0.0 { 0.0 } else { *c }).collect();
    let momentum = ProximalSgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.5)));
    let adam = ProximalAdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1.0);
    for settings in [sgd.clone(), Settings::Sgd(momentum), Settings::Adam(adam)] {
        let from = kept.clone().try_into().unwrap();
        let theta = end_of(device, place, &settings, &masked, from, (201, 0.3, 1.0));
        assert!(distance(&theta, &want) < 1e-5, "expected {want:?}, found {theta:?}");
    }

    // λ = 0 for ten steps, then 0.5: the first ten end at c, and the rest at the lasso's minimizer.
    let scheduled =
        || Rules::new(Penalty::l1(0.5).unwrap()).scheduled("", |step| if step < 40 { 0.0 } else { 1.0 }).unwrap();
    let theta = end_of(device, place, &sgd, &scheduled(), start, (40, 0.5, 1.0));
    assert!(distance(&theta, &CENTRE) < 1e-5, "{theta:?}");
    let theta = end_of(device, place, &sgd, &scheduled(), start, (121, 0.5, 1.0));
    assert_end(&theta, &Penalty::l1(0.5).unwrap(), "scheduled");
    let mut regularizer = place.regularizer(scheduled()).resumed_at(39);
    let (theta, _) = regularizer.prox(tensor(start), 1.0).unwrap();
    assert_eq!(values(&theta), values(&tensor(start)));
    let (theta, _) = regularizer.prox(theta, 1.0).unwrap();
    assert_ne!(values(&theta), values(&tensor(start)));
}

/// A budget over all layers, with bounds, is that of the library on the same weights.
pub(crate) fn a_module_is_pruned_to_a_budget(device: &Device, place: &Place<'_>) {
    let rules = Rules::new(Penalty::l1(1.0).unwrap()).prune_within("embed", 0.0..=0.25).unwrap();
    let before = net(device);
    let paths: Vec<String> = rules.select(&before).unwrap().into_iter().map(|selected| selected.path).collect();
    let mut expected: Vec<Vec<f32>> = paths.iter().map(|path| floats(&values(&before)[path])).collect();
    let budget = Budget::prune(0.6).unwrap();
    let bounds = paths.iter().map(|path| if path.starts_with("embed") { 0.0..=0.25 } else { 0.0..=1.0 }).collect();
    let slices = &mut expected.iter_mut().map(|weights| (&mut weights[..]).into()).collect::<Vec<_>>();
    Cpu::new().prune_in_place(&budget.clone().within(bounds).unwrap(), slices).unwrap();
    let untouched = values(&before);
    let mut regularizer = place.regularizer(rules);
    let (after, pending) = regularizer.prune(before, &budget).unwrap();
    let reports = wait(&pending);
    let total: usize = expected.iter().map(Vec::len).sum();
    assert_eq!(reports.total.zeros() as usize, (0.6 * total as f64) as usize);
    for (path, bytes) in values(&after) {
        match paths.iter().position(|penalized| *penalized == path) {
            Some(at) => assert_eq!(floats(&bytes), expected[at], "{path}"),
            None => assert_eq!(bytes, untouched[&path], "{path}"),
        }
    }
    // Whole columns, as the library prunes them on the host.
    let norm = Penalty::group_lasso(1.0, Groups::whole()).unwrap();
    let columns = Rules::grouped(norm, ByShape::Columns).exclude("layers").unwrap();
    let penalty = columns.select(&after).unwrap().remove(0).penalty;
    let mut expected = floats(&values(&after)["embed.weight"]);
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("embed.weight", penalty)]);
    let wanted = set.prune_groups_in_place(&Budget::keep(60), &mut [(&mut expected[..]).into()]).unwrap();
    let (after, pending) = place.regularizer(columns).prune_groups(after, &Budget::keep(60)).unwrap();
    assert_eq!(wait(&pending).total, wanted.total);
    assert_eq!(floats(&values(&after)["embed.weight"]), expected);
    let gone = (0..37).filter(|column| expected.chunks(37).all(|row| row[*column] == 0.0)).count();
    assert!(gone > 20, "{gone} of 37 neurons are gone");
    // What is impossible is rejected, with the module unchanged.
    let rules = Rules::new(Penalty::none()).prune_within("", 0.0..=0.5).unwrap();
    let Err(rejected) = place.regularizer(rules).prune(after.clone(), &budget) else { panic!("the bounds allow half") };
    assert!(rejected.error.to_string().contains("at most what the bounds allow"), "{}", rejected.error);
    assert_eq!(values(&rejected.module), values(&after));
}

/// Reports are of the weights that a step leaves: of the first step, and then of every second one.
pub(crate) fn reports_come_when_they_are_due(device: &Device, place: &Place<'_>) {
    let momentum = ProximalSgdConfig::new().with_momentum(Some(MomentumConfig::new()));
    for settings in [Settings::Sgd(momentum), Settings::Adam(ProximalAdamConfig::new())] {
        let mut net = net(device);
        let (mut optimizer, statistics) = place.init_reporting(2, &settings, &rules(), &net).unwrap();
        assert!(statistics.wait(Gpu::TIMEOUT).unwrap().tensors.is_empty());
        let mut due = Vec::new();
        for step in 0..4 {
            let gradients = net.gradients(device);
            net = optimizer.step(0.02, net, gradients);
            if step % 2 == 0 {
                let reports = wait(&place.regularizer(rules()).evaluate(&net).unwrap());
                let paths = rules().select(&net).unwrap().into_iter().map(|selected| selected.path);
                due = paths.zip(reports.tensors).collect();
            }
            let latest = statistics.wait(Gpu::TIMEOUT).unwrap();
            assert_eq!(latest.tensors, due, "step {step}");
            assert_eq!(latest.total.nonzero, due.iter().map(|(_, report)| report.nonzero).sum::<u64>());
        }
    }
}

/// Values in memory of their own, so that two runs share nothing.
fn apart(net: &Net, device: &Device) -> Net {
    net.clone().map(&mut Fresh(device.clone(), DType::F32))
}

/// Only the gradients of these parameters.
struct Only<'a>(&'a mut GradientsParams, &'a mut GradientsParams, usize);

impl ModuleVisitor for Only<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.2 += 1;
        if let Some(gradient) = self.0.remove::<D>(param.id).filter(|_| !self.2.is_multiple_of(3)) {
            self.1.register(param.id, gradient);
        }
    }
}

/// A whole module's steps have the bits of tensors' steps, whatever rates, clipping and gradients, and either goes on with the other's record.
pub(crate) fn whole_modules_have_the_bits_of_tensors(device: &Device, place: &Place<'_>) {
    let clipping = || Some(GradientClippingConfig::Value(0.01));
    let [plain, momentum, adam] = settings().map(|settings| match settings {
        Settings::Sgd(sgd) => Settings::Sgd(sgd.with_gradient_clipping(clipping())),
        Settings::Adam(adam) => Settings::Adam(adam.with_grad_clipping(clipping())),
    });
    let base = ModuleLrSchedulerConfig::new(StepLrSchedulerConfig::new(0.02, 100).into());
    let groups = base.with_group(ParamGroup::from_predicate("layers"), StepLrSchedulerConfig::new(0.01, 100));
    let rules = rules().scheduled("embed", |step| if step == 1 { 0.5 } else { 1.0 }).unwrap();
    for settings in [momentum, adam, plain] {
        let mut ours = net(device);
        let mut theirs = apart(&ours, device);
        let mut whole = place.whole(2, &settings, &rules, &ours);
        let (mut single, mut statistics) = place.init_reporting(2, &settings, &rules, &theirs).unwrap();
        let mut rates = groups.clone().init().unwrap();
        for step in 0..5 {
            // Some steps leave parameters out, and some have one rate for all.
            let given = |net: &Net| {
                let (mut all, mut some) = (net.gradients(device), GradientsParams::new());
                if step % 4 == 1 {
                    net.visit(&mut Only(&mut all, &mut some, 0));
                    return some;
                }
                all
            };
            let (a, b) = (given(&ours), given(&theirs));
            let rate = if step == 2 { 0.02.into() } else { rates.step() };
            ours = whole.step(rate.clone(), ours, a).unwrap();
            theirs = single.step(rate, theirs, b);
            assert_eq!(values(&ours), values(&theirs), "step {step}");
            assert_eq!(whole.statistics().wait(Gpu::TIMEOUT).unwrap(), statistics.wait(Gpu::TIMEOUT).unwrap());
            if step == 3 {
                // Each goes on with the other's record, by way of bytes.
                let record = whole.to_record().unwrap();
                let bytes = single.into_bytes().unwrap();
                (single, statistics) = place.init_reporting(2, &settings, &rules, &theirs).unwrap();
                single = single.load_record(record);
                let record = burn::optim::OptimizerRecord::from_bytes(bytes).unwrap();
                whole = place.whole(2, &settings, &rules, &ours).load_record(record).unwrap();
                (ours, theirs) = (apart(&ours, device), apart(&theirs, device));
            }
        }
        let multi = |net: &Net| MultiGradientsParams {
            grads: [0, 1].map(|_| (net.gradients(device), device.clone().inner())).into(),
        };
        let (a, b) = (multi(&ours), multi(&theirs));
        (ours, theirs) = (whole.step(0.02, ours, a).unwrap(), single.step_multi(0.02, theirs, b));
        assert_eq!(values(&ours), values(&theirs), "several sources");
        assert_eq!(whole.statistics().copies(), 0);

        // A failed step changes nothing and does not count, also if only some of the rates fail.
        let before = values(&ours);
        let nan = ModuleLrSchedulerConfig::new(StepLrSchedulerConfig::new(0.02, 100).into())
            .with_group(ParamGroup::from_predicate("layers"), StepLrSchedulerConfig::new(f64::MAX, 100));
        let gradients = ours.gradients(device);
        let rejected = whole.step(nan.init().unwrap().step(), ours, gradients).unwrap_err();
        assert!(rejected.error.to_string().contains("step must be a number from 0"), "{}", rejected.error);
        ours = rejected.module;
        assert_eq!(values(&ours), before);
        let (a, b) = (ours.gradients(device), theirs.gradients(device));
        (ours, theirs) = (whole.step(0.02, ours, a).unwrap(), single.step(0.02, theirs, b));
        assert_eq!(values(&ours), values(&theirs), "after a failed step");
    }
}

/// A shared parameter is stepped once and stays shared, and other rules apply from the next step on.
pub(crate) fn whole_modules_keep_shared_parameters_and_take_other_rules(device: &Device, place: &Place<'_>) {
    let a = linear(37, 150, device);
    let mut tied = Tied { b: a.clone(), a };
    let alone = linear(37, 150, device);
    let settings = Settings::Sgd(ProximalSgdConfig::new());
    let l1 = |lambda: f64| Rules::new(Penalty::l1(lambda).unwrap());
    let mut whole = place.whole(0, &settings, &l1(0.02), &tied);
    let (mut single, _) = place.init(&settings, &l1(0.02), &alone).unwrap();
    let x = || Tensor::<2>::from_data(TensorData::new(numbers(370, 1), [10, 37]), device);
    let loss = (tied.a.forward(x()) + tied.b.forward(x())).powi_scalar(2).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &tied);
    tied = whole.step(0.5, tied, gradients).unwrap();
    let loss = (alone.forward(x()) * 2.0).powi_scalar(2).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &alone);
    let alone = single.step(0.5, alone, gradients);
    let [a, b] = [&tied.a, &tied.b].map(values);
    assert_eq!(a, b);
    assert_ne!(a, values(&linear(37, 150, device)));
    let close = floats(&a["weight"]).iter().zip(floats(&values(&alone)["weight"])).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close, "one step of the sum of both gradients");

    // Pruned, then held there by a mask.
    let mut pruner = place.regularizer(Rules::new(Penalty::none()));
    (tied, _) = pruner.prune(tied, &Budget::prune(0.5).unwrap()).unwrap();
    whole.change_rules(Rules::new(Penalty::mask()).element_weights(&mask(tied.clone())), &tied).unwrap();
    let loss = (tied.a.forward(x()) - tied.b.forward(x() * 0.5)).powi_scalar(2).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &tied);
    let before = floats(&values(&tied)["a.weight"]);
    tied = whole.step(0.5, tied, gradients).unwrap();
    let after = floats(&values(&tied)["b.weight"]);
    assert_eq!(
        before.iter().map(|w| *w == 0.0).collect::<Vec<_>>(),
        after.iter().map(|w| *w == 0.0).collect::<Vec<_>>()
    );
    assert_ne!(before, after);
    let rejected = whole.change_rules(l1(0.1).exclude("typo").unwrap(), &tied).unwrap_err().to_string();
    assert!(rejected.contains("matches no float parameter"), "{rejected}");
}
