//! Do serialized partials keep their bytes from release to release?

use penalty::custom::Elementwise;
use penalty::exact::Partial;
use penalty::{Backend, Groups, Penalty};

/// Θ² as a custom penalty.
enum Square {}

impl Elementwise for Square {
    const NAME: &'static str = "square";
    const WGSL: &'static str = "";

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [f64::NEG_INFINITY, f64::INFINITY]
    }

    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        theta * theta
    }

    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        2.0 * c[0] * theta
    }

    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        v / (1.0 + 2.0 * c[0])
    }
}

/// A partial for every formula and every kind of groups, with its name in `tests/data/partials.txt`.
fn serialized() -> penalty::Result<Vec<(&'static str, Vec<u8>)>> {
    let theta = [0.5f32, -2.0, 0.0, 1.0, -0.125, 3.0, 0.25, -1.0];
    let over = |penalty: penalty::Result<Penalty>, groups: penalty::Result<Groups>| penalty?.over(groups?);
    let penalties = [
        ("nothing", Ok(Penalty::none())),
        ("elastic_net", Penalty::elastic_net(0.5, 0.25)),
        ("l0", Penalty::l0(0.5)),
        ("l_half", Penalty::l_half(0.5)),
        ("log_sum", Penalty::log_sum(0.5, 0.25)),
        ("mcp", Penalty::mcp(0.5, 3.0)),
        ("scad", Penalty::scad(0.5, 3.5)),
        ("huber", Penalty::huber(0.5, 0.25)),
        ("nonnegative_l1", Penalty::nonnegative_l1(0.5)),
        ("box", Penalty::interval(-1.0, 2.0)),
        ("weighted_l1", Penalty::weighted_l1(0.5)),
        ("l2_norm of all", Penalty::l2_norm(0.5)),
        ("group_lasso of runs", over(Penalty::group_lasso(0.5, Groups::whole()), Groups::runs(2))),
        ("l2_ball of rows", over(Penalty::l2_ball(2.5), Groups::rows(4))),
        ("linf_norm of columns", over(Penalty::linf_norm(0.5), Groups::columns(2))),
        ("l1_ball of tiles", over(Penalty::l1_ball(1.5), Groups::tiles(4, 2, 2))),
        ("simplex of all", Penalty::simplex(1.0)),
        ("top_k of lists", over(Penalty::top_k(3), Groups::lists(&[vec![7, 1, 2], vec![4, 5, 6, 0, 3]]))),
        ("square, a user's own", Penalty::custom::<Square>([0.5, 0.25])),
    ];
    let mut partials = Vec::new();
    for (name, penalty) in penalties {
        let penalty = penalty?;
        let weights: &[f32] = if name == "nothing" { &[] } else { &theta };
        let partial = if penalty.is_weighted() {
            Backend::cpu().partial_for(
                penalty.with_element_weights(&[1.0f32, 2.0, 0.0, 0.5, 1.0, 1.0, 4.0, 0.25])?,
                0,
                weights,
            )?
        } else {
            Backend::cpu().partial_for(&penalty, 0, weights)?
        };
        partials.push((name, partial.to_bytes().to_vec()));
    }
    Ok(partials)
}

/// One release may read what another has written.
#[test]
fn serialized_partials_stay_as_they_are() -> penalty::Result<()> {
    let golden: Vec<(&str, &str)> =
        include_str!("../data/partials.txt").lines().filter_map(|line| line.split_once(": ")).collect();
    let found = serialized()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (i, (name, bytes)) in found.iter().enumerate() {
        let hex = hex(bytes);
        assert_eq!(golden.get(i), Some(&(*name, &hex[..])));
        assert_eq!(Partial::from_bytes(bytes).map(|partial| partial.to_bytes().to_vec()).as_ref(), Ok(bytes));
    }
    assert_eq!(golden.len(), found.len());
    Ok(())
}

/// After the sums, the counts and the term sum come the fields that say which penalty the partial was made for.
#[test]
fn corrupt_partials_are_rejected_or_come_back_as_they_are() -> penalty::Result<()> {
    const KIND: usize = 212;
    const NAME: std::ops::Range<usize> = 216..224;
    for (name, bytes) in serialized()? {
        let built_in = bytes[KIND] == 2;
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut corrupt = bytes.clone();
                corrupt[at] ^= flip;
                match Partial::from_bytes(&corrupt) {
                    Ok(partial) => {
                        assert_eq!(partial.to_bytes().to_vec(), corrupt, "{name}: {at}");
                        assert!(!(built_in && NAME.contains(&at)), "{name}: an unknown name at {at}");
                        let _ = partial.report(&Penalty::none())?;
                    }
                    Err(error) => assert!(error.to_string().starts_with("not a serialized partial: "), "{error}"),
                }
            }
            assert!(Partial::from_bytes(&bytes[..at]).is_err());
        }
    }
    Ok(())
}
