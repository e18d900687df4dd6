//! Is there memory enough? The system ends a program that takes more, without a word.

use crate::error::{Error, Result};

/// Rejects work that the machine has no memory for.
pub(crate) fn check(needed: u64) -> Result<()> {
    match available() {
        Some(available) if needed > available => Err(Error::Memory { needed, available }),
        _ => Ok(()),
    }
}

/// The bytes that programs can still have, if the system says so.
pub(crate) fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_rejected_where_the_system_says_how_much_there_is() {
        assert!(check(1).is_ok());
        let found = available().map(|_| check(u64::MAX).is_err());
        assert_eq!(found, available().map(|_| true));
    }
}
