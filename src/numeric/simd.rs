//! Which vector instructions run the loops. Each loop is compiled once per instruction set, and chosen at run time.

/// The vector instructions that the CPU uses. All give the same bits.
///
/// ```
/// use penalty::cpu::InstructionSet;
/// use penalty::{Backend, Cpu, Penalty};
///
/// for set in InstructionSet::available() {
///     let backend = Backend::Cpu(Cpu::with_instructions(set)?);
///     assert_eq!(backend.evaluate(&Penalty::l1(0.5)?, &[1.0f32, -0.25])?.value, 0.625);
/// }
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// 256-bit vectors, fused multiply-add and conversions of `f16`, x86-64.
    Avx2,
    /// 512-bit vectors, x86-64.
    Avx512,
}

impl InstructionSet {
    /// The sets that this processor has, the best one last.
    ///
    /// ```
    /// use penalty::cpu::InstructionSet;
    ///
    /// assert_eq!(InstructionSet::available()[0], InstructionSet::Baseline);
    /// ```
    pub fn available() -> Vec<InstructionSet> {
        #[cfg(not(target_arch = "x86_64"))]
        return vec![InstructionSet::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let mut sets = vec![InstructionSet::Baseline];
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("f16c") {
                sets.push(InstructionSet::Avx2);
                if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                    sets.push(InstructionSet::Avx512);
                }
            }
            sets
        }
    }

    /// Runs a loop compiled for these instructions. The loop must be `#[inline(always)]` all the way down.
    #[inline]
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.run_knowing(
            #[inline(always)]
            |_| body(),
        )
    }

    /// The same for a loop that needs to know the instructions. To the compiler, they are a constant.
    #[inline]
    pub(crate) fn run_knowing<R>(self, body: impl FnOnce(InstructionSet) -> R) -> R {
        #[cfg(target_arch = "x86_64")]
        match self {
            InstructionSet::Baseline => body(InstructionSet::Baseline),
            // SAFETY: loops run with the set of a `Cpu`, which holds only sets that `available` found.
            InstructionSet::Avx2 => unsafe { avx2(body) },
            // SAFETY: as above.
            InstructionSet::Avx512 => unsafe { avx512(body) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        body(InstructionSet::Baseline)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn avx2<R>(body: impl FnOnce(InstructionSet) -> R) -> R {
    body(InstructionSet::Avx2)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<R>(body: impl FnOnce(InstructionSet) -> R) -> R {
    body(InstructionSet::Avx512)
}
