//! Do all ranks fail, in time and without a part of an answer, if one of them is late, lost or disagrees?

mod common;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::*;
use penalty::exact::Transport;
use penalty::{Budget, Cpu, Dtype, Error, Groups, HostSet, Penalty, Reports, Result};
use penalty_mpi::{Layout, Tensor, Threads};

const SHORT: Duration = Duration::from_millis(50);

fn l1(len: u64) -> Vec<Tensor> {
    vec![tensor("weight", len, Dtype::F32, Penalty::l1(0.5))]
}

/// What the other ranks get if the last one does something else than an evaluation after the layout was agreed on.
fn evaluated(size: usize, timeout: Duration, last: impl Fn(HostSet<'static>) + Sync) -> Vec<Result<Reports>> {
    let layout = Layout::even(l1(20_000), size).expect("it has no groups");
    let mut found = on_ranks(size, timeout, |rank| {
        let at = rank.rank();
        let part = vec![0.5f32; layout.part(0, at).count()];
        let set = layout.set(Cpu::new(), Arc::new(rank)).expect("all ranks agree");
        if at + 1 == size {
            last(set);
            return None;
        }
        Some(set.evaluate(&[part[..].into()]))
    });
    found.pop();
    found.into_iter().map(|found| found.expect("only the last one does something else")).collect()
}

fn all_say(found: Vec<Result<Reports>>, expected: &str) {
    assert!(!found.is_empty());
    for found in found {
        let error = found.expect_err("one rank is missing");
        assert!(matches!(error, Error::Ranks { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_rank_that_stalls_is_an_error_on_every_other() {
    for size in [2, 3, 7] {
        // It stays until all others have their errors.
        let done = Barrier::new(size);
        let layout = Layout::even(l1(20_000), size).expect("it has no groups");
        let found = on_ranks(size, SHORT, |rank| {
            let part = vec![0.5f32; layout.part(0, rank.rank()).count()];
            let stalls = rank.rank() == 1;
            let set = HostSet::new(Cpu::new(), vec![penalty::Parameter::new("weight", Penalty::none())]);
            let cuts = (0..=size).map(|rank| layout.part(0, rank).start).take(size).chain([20_000]).collect();
            let set = set.across(Arc::new(rank), vec![cuts]).expect("the parts start at tiles");
            let found = if stalls { None } else { Some(set.evaluate(&[part[..].into()])) };
            done.wait();
            found
        });
        all_say(found.into_iter().flatten().collect(), "within 50ms");
    }
}

#[test]
fn a_rank_that_ends_is_an_error_on_every_other() {
    all_say(evaluated(4, TIMEOUT, drop), "rank 3 has ended");
}

#[test]
fn a_rank_that_panics_is_an_error_on_every_other() {
    let last = |set: HostSet<'static>| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _set = set;
            std::panic::resume_unwind(Box::new("planted"));
        }));
        assert!(caught.is_err());
    };
    all_say(evaluated(4, TIMEOUT, last), "rank 3 has ended");
}

#[test]
fn a_rank_that_rejects_its_slices_is_an_error_on_every_other() {
    all_say(evaluated(3, TIMEOUT, |set| assert!(set.evaluate(&[[0.5f32; 7][..].into()]).is_err())), "rank 2 has ended");
}

#[test]
fn a_rank_that_makes_another_call_is_an_error_on_every_one() {
    let last = |set: HostSet<'static>| {
        let mut part = vec![0.5f32; 20_000 - 12_288];
        let error = set.prune_in_place(&Budget::keep(5), &mut [(&mut part[..]).into()]).expect_err("others evaluate");
        assert!(error.to_string().contains("the same call"), "{error}");
        assert!(part.iter().all(|x| *x == 0.5), "nothing is pruned");
    };
    all_say(evaluated(3, TIMEOUT, last), "the same call");
}

/// After an error, the messages of later calls would not match.
#[test]
fn after_an_error_there_are_only_errors() {
    let ranks = Threads::connect(2, SHORT);
    let mut words = [1];
    assert!(ranks[0].sum_u64(&mut words).is_err());
    assert_eq!(words, [1], "no part of the sum");
    for rank in &ranks {
        assert!(rank.sum_u64(&mut [1]).is_err() && rank.max_u32(&mut [1]).is_err());
    }
}

#[test]
fn ranks_that_disagree_on_the_layout_all_say_so() {
    let changes: [fn(&mut Vec<Tensor>); 6] = [
        |tensors| tensors[0].name = "other".into(),
        |tensors| tensors[0].len += 1,
        |tensors| tensors[0].dtype = Dtype::BF16,
        |tensors| tensors[0].penalty = Penalty::l1(0.5000000000000001).expect("it is a penalty"),
        |tensors| tensors.push(tensors[0].clone()),
        |tensors| tensors.clear(),
    ];
    for change in changes {
        let found = on_ranks(3, TIMEOUT, |rank| {
            let mut tensors = l1(20_000);
            if rank.rank() == 1 {
                change(&mut tensors);
            }
            Layout::even(tensors, 3).and_then(|layout| layout.set(Cpu::new(), Arc::new(rank))).map(drop)
        });
        for found in found {
            let error = found.expect_err("they differ");
            let error = error.to_string();
            assert!(error.contains("expected the same names") && error.contains("on ranks [1]"), "{error}");
        }
    }
    let cuts = [[0, 4096, 20_000], [0, 8192, 20_000]];
    let found = on_ranks(2, TIMEOUT, |rank| {
        let cuts = vec![cuts[rank.rank()].to_vec()];
        Layout::new(l1(20_000), cuts).and_then(|layout| layout.agree(&rank))
    });
    assert!(found.iter().all(Result::is_err), "{found:?}");
}

#[test]
fn parts_that_would_change_bits_are_rejected_and_the_error_says_where_to_cut() {
    let rows = || Penalty::group_lasso(0.1, Groups::rows(48).expect("48 is not 0"));
    let columns = || Penalty::group_lasso(0.1, Groups::columns(48).expect("48 is not 0"));
    let lists = || Penalty::group_lasso(0.1, Groups::lists(&[vec![0, 2], vec![1]]).expect("they cover three weights"));
    let cases = [
        (Penalty::l1(1.0), vec![0, 5000, 48_000], "a multiple of 4096 elements, found 5000"),
        (Penalty::l1(1.0), vec![0, 4096], "the number of cuts must be"),
        (Penalty::l1(1.0), vec![4096, 8192, 48_000], "the number of cuts must be"),
        (Penalty::l1(1.0), vec![], "the number of cuts must be"),
        (Penalty::l1(1.0), vec![0, 49_152, 48_000], "the number of cuts must be"),
        (rows(), vec![0, 4096, 48_000], "be cut at multiples of 12288"),
        (columns(), vec![0, 12_288, 48_000], "not be cut"),
        (lists(), vec![0, 3, 3], "be runs, rows, columns, tiles or the whole tensor"),
    ];
    for (penalty, cuts, expected) in cases {
        let parameters = vec![penalty::Parameter::new("weight", penalty.expect("it is a penalty"))];
        let rank = Threads::connect(2, TIMEOUT).remove(0);
        let error = HostSet::new(Cpu::new(), parameters).across(Arc::new(rank), vec![cuts]).expect_err("it is wrong");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let rank = Threads::connect(1, TIMEOUT).remove(0);
    assert!(matches!(
        HostSet::new(Cpu::new(), vec![]).across(Arc::new(rank), vec![vec![]]),
        Err(Error::Missing { .. })
    ));
    assert!(matches!(Layout::new(l1(8192), vec![vec![0, 4096]]), Err(Error::InParameter { .. })));
    assert!(matches!(Layout::new(l1(8192), vec![]), Err(Error::Missing { .. })));
}

/// A rank that fails between the passes of a group's reduction leaves the weights of all others as they were.
#[test]
fn a_group_that_is_not_found_leaves_the_weights() {
    let tensors = vec![tensor("weight", 20_000, Dtype::F32, Penalty::l1_ball(1.0))];
    let layout = Layout::even(tensors, 3).expect("the group covers it");
    let found = on_ranks(3, TIMEOUT, |rank| {
        let mut part = vec![0.5f32; layout.part(0, rank.rank()).count()];
        let leaves = rank.rank() == 2;
        let set = layout.set(Cpu::new(), Arc::new(rank)).expect("all ranks agree");
        let found = if leaves { None } else { Some(set.prox_in_place(&mut [(&mut part[..]).into()], 1.0)) };
        (found, part.iter().all(|x| *x == 0.5))
    });
    for (found, unchanged) in found {
        assert!(unchanged);
        assert!(found.is_none_or(|found| matches!(found, Err(Error::Ranks { .. }))));
    }
}

/// Every call of a set that sends something, on tensors of several kinds.
fn every_call(set: &HostSet<'_>, parts: &mut [Weights]) -> [Result<()>; 5] {
    let radius = 0.7;
    [
        set.evaluate(&slices(parts)).map(drop),
        set.prox_in_place(&mut slices_mut(parts), radius).map(drop),
        set.prox_and_evaluate_in_place(&mut slices_mut(parts), radius).map(drop),
        set.prune_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop),
        set.prune_groups_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop),
    ]
}

fn of_several_kinds() -> Vec<Tensor> {
    vec![
        tensor("l1", 20_000, Dtype::F32, Penalty::l1(0.5)),
        tensor("norm", 12_000, Dtype::F16, Penalty::l2_norm(0.5)),
        tensor("simplex", 9000, Dtype::F32, Penalty::simplex(1.0)),
        tensor("top_k", 9000, Dtype::BF16, Penalty::top_k(100)),
    ]
}

/// A rank that ends before the first message, between two of them, or before the last one: the others may wait in it
/// already. None of them hangs, and none of them gets a result that needs the lost rank.
#[test]
fn a_rank_that_ends_between_any_two_messages_is_an_error_on_every_other() {
    let (tensors, size) = (of_several_kinds(), 3);
    let operands = of(&tensors, 3, true);
    let [_, layout] = layouts(&tensors, size);
    for ends_before in 0.. {
        let found = on_ranks(size, TIMEOUT, |rank| {
            let at = rank.rank();
            let rank = Arc::new(Watched::new(rank, if at == 1 { ends_before } else { usize::MAX }));
            let run = std::panic::AssertUnwindSafe(|| {
                let part = |(i, weights): (usize, &Weights)| weights.part(layout.part(i, at));
                let mut parts: Vec<Weights> = operands.iter().enumerate().map(part).collect();
                let set = layout.set(cpu_of(at), rank.clone())?;
                every_call(&set, &mut parts).into_iter().collect::<Result<()>>()
            });
            let found = std::panic::catch_unwind(run);
            drop(rank);
            found.map_err(|cause| assert!(cause.is::<Ended>(), "it ends where it is told to"))
        });
        if found[1].is_ok() {
            assert!(ends_before > 40, "the calls send {ends_before} messages");
            assert!(found.iter().all(|found| matches!(found, Ok(Ok(())))), "{found:?}");
            return;
        }
        for at in [0, 2] {
            let error = found[at].as_ref().expect("it does not end").as_ref().expect_err("rank 1 has ended");
            assert!(error.to_string().contains("rank 1 has ended"), "before message {ends_before}: {error}");
        }
    }
}

/// λ, a penalty, a step or a budget that one rank has changed since the layout was agreed on.
#[test]
fn ranks_that_disagree_on_a_call_all_say_who() {
    type Change = fn(&mut HostSet<'_>, &mut [Weights]) -> Result<()>;
    fn changed(set: &mut HostSet<'_>, at: usize, penalty: Result<Penalty>) {
        *set.penalties_mut().nth(at).expect("it is there").1 = penalty.expect("it is a penalty");
    }
    fn both(lambda: f64, of_norm: f64) -> Result<Penalty> {
        Penalty::sum([Penalty::l1(lambda)?, Penalty::l2_norm(of_norm)?])
    }
    let tensors = of_several_kinds();
    // What most ranks do, what rank 2 does, and what they disagree on.
    let evaluate: Change = |set, parts| set.evaluate(&slices(parts)).map(drop);
    let shrink: Change = |set, parts| set.prox_in_place(&mut slices_mut(parts), 1.0);
    let prune: Change = |set, parts| set.prune_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop);
    let separable = vec![tensor("l1", 20_000, Dtype::F32, Penalty::l1(0.5))];
    let sums = vec![tensor("l1 and a norm", 20_000, Dtype::F32, both(0.25, 0.5))];
    // λ off by a bit, another formula, another step, another bound, either part of a sum, another budget, another kind of
    // pruning, other groups.
    let cases: [(&[Tensor], Change, Change, &str); 10] = [
        (
            &separable,
            evaluate,
            |set, parts| {
                changed(set, 0, Penalty::l1(0.5000000000000001));
                set.evaluate(&slices(parts)).map(drop)
            },
            "the same penalties",
        ),
        (
            &separable,
            evaluate,
            |set, parts| {
                changed(set, 0, Penalty::l2_squared(0.5));
                set.evaluate(&slices(parts)).map(drop)
            },
            "the same penalties",
        ),
        (&tensors, shrink, |set, parts| set.prox_in_place(&mut slices_mut(parts), 1.0000000000000002), "the same call"),
        (
            &tensors,
            shrink,
            |set, parts| {
                changed(set, 2, Penalty::simplex(2.0));
                set.prox_in_place(&mut slices_mut(parts), 1.0)
            },
            "the same call",
        ),
        (&tensors, shrink, evaluate, "the same call"),
        (
            &sums,
            shrink,
            |set, parts| {
                changed(set, 0, both(0.125, 0.5));
                set.prox_in_place(&mut slices_mut(parts), 1.0)
            },
            "the same call",
        ),
        (
            &sums,
            shrink,
            |set, parts| {
                changed(set, 0, both(0.25, 1.0));
                set.prox_in_place(&mut slices_mut(parts), 1.0)
            },
            "the same call",
        ),
        (
            &tensors,
            prune,
            |set, parts| set.prune_in_place(&Budget::keep(9001), &mut slices_mut(parts)).map(drop),
            "the same budget",
        ),
        (
            &tensors,
            prune,
            |set, parts| set.prune_groups_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop),
            "the same budget",
        ),
        (
            &tensors,
            |set, parts| set.prune_groups_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop),
            |set, parts| {
                changed(set, 0, Penalty::group_lasso(0.5, Groups::whole()));
                set.prune_groups_in_place(&Budget::keep(9000), &mut slices_mut(parts)).map(drop)
            },
            "the same budget",
        ),
    ];
    for (tensors, most, one, expected) in cases {
        let (size, operands) = (4, of(tensors, 4, false));
        let [_, layout] = layouts(tensors, size);
        let found = on_ranks(size, TIMEOUT, |rank| {
            let at = rank.rank();
            let part = |(i, weights): (usize, &Weights)| weights.part(layout.part(i, at));
            let mut parts: Vec<Weights> = operands.iter().enumerate().map(part).collect();
            let before: Vec<Vec<u32>> = parts.iter().map(Weights::bits).collect();
            let mut set = layout.set(Cpu::new(), Arc::new(rank)).expect("all ranks agree");
            let found = if at == 2 { one(&mut set, &mut parts) } else { most(&mut set, &mut parts) };
            assert!(parts.iter().map(Weights::bits).eq(before), "no weight has changed");
            found
        });
        for found in found {
            let error = found.expect_err("rank 2 does something else").to_string();
            assert!(error.contains(expected) && error.contains("on ranks [2]"), "{error}");
        }
    }
}

#[test]
fn parts_are_even_and_start_where_they_may() {
    let tensors = |len| {
        vec![
            tensor("a", len, Dtype::F32, Penalty::l1(1.0)),
            tensor("b", 48 * len, Dtype::F32, Penalty::group_lasso(0.1, Groups::rows(48).expect("48 is not 0"))),
            tensor("c", 48 * len, Dtype::F32, Penalty::group_lasso(0.1, Groups::columns(48).expect("48 is not 0"))),
        ]
    };
    for (size, len) in [1, 2, 3, 7, 64].into_iter().flat_map(|size| [0, 1, 5000, 1 << 20].map(|len| (size, len))) {
        let layout = Layout::even(tensors(len), size).expect("the groups cover the tensors");
        for (i, tensor) in tensors(len).iter().enumerate() {
            let unit = tensor.penalty.parts_start_at(tensor.len).expect("the groups cover it");
            let mut end = 0;
            for part in (0..size).map(|rank| layout.part(i, rank)) {
                assert!(
                    part.start == end && (part.start % unit == 0 || part.start == tensor.len),
                    "{part:?} of {unit}"
                );
                end = part.end;
            }
            assert_eq!(end, tensor.len);
        }
        let of_rank = |rank: usize| (0..2).map(|i| layout.part(i, rank).count() as u64).sum::<u64>();
        let most = (0..size).map(of_rank).max().unwrap_or(0);
        assert!(most <= 49 * len / size as u64 + 2 * 12_288 + 48 * len, "{most}");
    }
}
