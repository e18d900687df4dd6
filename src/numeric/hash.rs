//! A hash that is the same on every machine and in every release: FNV-1a of 64 bits.

/// The hash of some bytes.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The hash of some integers, taken as little-endian bytes.
pub(crate) fn fnv1a_of(integers: impl IntoIterator<Item = u64>) -> u64 {
    fnv1a(integers.into_iter().flat_map(u64::to_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors that the authors (Fowler, Noll, Vo) published.
    #[test]
    fn published_values_come_out() {
        assert_eq!(fnv1a([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(*b"foobar"), 0x8594_4171_f739_67e8);
    }
}
