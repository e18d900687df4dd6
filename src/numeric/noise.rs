//! Numbers for tests: they look random, and are the same in every run.

/// Knuth's linear congruential generator modulo 2^64 (MMIX). Only the upper bits look random.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0
    }
}
