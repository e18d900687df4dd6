//! Which bytes are partials, and for which penalties do partials give a value?

use penalty::exact::{Partial, TILE};
use penalty::{Backend, Error, Penalty, Result};

use crate::common::cases::noise;
use crate::common::custom::{Lawless, RIGHT, berhu, l1_with, pinball};

#[test]
fn bytes_that_no_partial_wrote_are_rejected() -> Result<()> {
    let bytes = Backend::cpu().partial(0, &[1.0f32, 0.0, f32::NAN, f32::INFINITY])?.to_bytes();
    assert_eq!(bytes.len(), Partial::BYTES);
    let text = |bytes: &[u8]| Partial::from_bytes(bytes).expect_err("it is no partial").to_string();
    assert_eq!(text(&[]), "not a serialized partial: expected 244 bytes, found 0");
    assert_eq!(text(&bytes[..243]), "not a serialized partial: expected 244 bytes, found 243");
    assert_eq!(text(&[&bytes[..], &[0]].concat()), "not a serialized partial: expected 244 bytes, found 245");
    let with = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        bytes
    };
    // After 32 limbs: the number of weights, then of non-zero, NaN and infinite ones, then the maximum's bits.
    assert_eq!(
        text(&with(136, 5)),
        "not a serialized partial: expected as many non-zero weights as weights at most, found 5"
    );
    assert_eq!(
        text(&with(144, 3)),
        "not a serialized partial: expected as many non-finite weights as non-zero ones at most, found 3"
    );
    assert_eq!(
        text(&with(163, 0xff)),
        "not a serialized partial: expected the bits of a finite maximum, found 4286578688"
    );
    // Sums of weights that are all zero, NaN or infinite; and the other way round.
    let sums = "not a serialized partial: expected sums and a maximum above 0 where a weight is finite and not 0, else 0, found";
    assert_eq!(text(&with(144, 2)), format!("{sums} 0"));
    assert_eq!(
        text(
            &Backend::cpu().partial(0, &[0.0f32]).map(|zero| [
                &zero.to_bytes()[..163],
                &[1],
                &zero.to_bytes()[164..]
            ]
            .concat())?
        ),
        format!("{sums} 0")
    );
    // After the 12 limbs of the term sum: which penalty it was made for.
    assert_eq!(text(&with(212, 4)), "not a serialized partial: expected 0, 1, 2 or 3 for whose sum it holds, found 4");
    assert_eq!(
        text(&with(212, 0)),
        "not a serialized partial: expected a sum of somebody's or of nobody's where there are weights, found 4"
    );
    let named = "not a serialized partial: expected the name of a penalty of this version, found";
    assert_eq!(text(&with(212, 2)), format!("{named} 0"));
    assert_eq!(text(&with(216, 7)), "not a serialized partial: expected 0 for the name of no penalty, found 7");
    let mut mcp = Backend::cpu().partial_for(&Penalty::mcp(0.1, 3.0)?, 0, &[1.0f32])?.to_bytes();
    mcp[216..224].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(text(&mcp), format!("{named} {}", u64::MAX));
    let mut empty = Partial::default().to_bytes();
    empty[164] = 1;
    assert_eq!(text(&empty), "not a serialized partial: expected a sum of 0 where there are no weights, found 0");
    Ok(())
}

#[test]
fn a_value_needs_its_own_sum() {
    let cpu = Backend::cpu();
    let weights = noise(TILE, 1);
    let [mcp, other] = [3.0, 4.0].map(|gamma| Penalty::mcp(0.1, gamma).expect("its parameters are valid"));
    let of = |penalty: &Penalty| cpu.partial_for(penalty, 0, &weights).expect("the CPU does not fail");
    let value = |partial: &Partial, penalty: &Penalty| partial.report(penalty).map(|report| report.value);
    let rejected = Err(Error::OtherPenalty { penalty: "mcp" });
    assert_eq!(value(&of(&mcp), &mcp), cpu.evaluate(&mcp, &weights).map(|report| report.value));
    assert_eq!(value(&of(&mcp), &other), rejected);
    assert_eq!(value(&of(&Penalty::none()), &mcp), rejected);
    // L1's value follows from the statistics, for any partial.
    let l1 = Penalty::l1(0.5).expect("its parameters are valid");
    assert_eq!(value(&of(&mcp), &l1), value(&of(&l1), &l1));
    let merged = |a: &Partial, b: &Partial| {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    };
    let twice = merged(&of(&mcp), &of(&mcp));
    let doubled: Vec<f32> = weights.iter().chain(&weights).copied().collect();
    assert_eq!(value(&twice, &mcp), cpu.evaluate(&mcp, &doubled).map(|report| report.value));
    assert_eq!(value(&merged(&of(&mcp), &of(&other)), &mcp), rejected);
    assert_eq!(merged(&of(&mcp), &Partial::default()), of(&mcp));
    assert_eq!(merged(&Partial::default(), &of(&mcp)), of(&mcp));
    assert_eq!(Partial::from_bytes(&of(&mcp).to_bytes()), Ok(of(&mcp)));
    // Without weights, every value is 0.
    assert_eq!(value(&Partial::default(), &mcp), Ok(0.0));
}

#[test]
fn partials_are_told_apart() {
    let cpu = Backend::cpu();
    let weights = noise(TILE, 1);
    let of = |penalty: &Penalty| cpu.partial_for(penalty, 0, &weights).expect("the CPU does not fail");
    let (pinball, other, berhu) = (pinball(0.5, 0.25), pinball(0.5, 0.5), berhu(0.5, 0.25));
    let value = |partial: &Partial, penalty: &Penalty| partial.report(penalty).map(|report| report.value);
    assert_eq!(value(&of(&pinball), &pinball), cpu.evaluate(&pinball, &weights).map(|report| report.value));
    for wrong in [&other, &berhu, &Penalty::mcp(0.5, 0.25).expect("its parameters are valid")] {
        let rejected = |penalty: &Penalty| matches!(value(&of(wrong), penalty), Err(Error::OtherPenalty { .. }));
        assert!(rejected(&pinball), "{wrong:?}");
    }
    // If the coefficients of the term agree, the formula makes the difference.
    let (l1, l0) = (l1_with::<RIGHT>(), Penalty::l0(0.5).expect("its parameters are valid"));
    let lawless = Penalty::custom::<Lawless<4>>([0.5, 0.0]).expect("its parameters are valid");
    for (made_for, asked) in [(&l1, &l0), (&l0, &l1), (&lawless, &l1)] {
        assert!(matches!(value(&of(made_for), asked), Err(Error::OtherPenalty { .. })), "{made_for:?}");
    }
    assert_eq!(Partial::from_bytes(&of(&pinball).to_bytes()), Ok(of(&pinball)));
    assert!(Penalty::all().all(|named| named.name != "pinball"));
    assert!(!self::pinball(0.0, 0.5).is_none());
}
