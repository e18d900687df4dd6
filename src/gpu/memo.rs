//! Values that are made once each, when they are first needed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::lock::lock;
use crate::Result;

/// The values made so far. Threads make different values at the same time. A thread that needs a value which another
/// is making waits for it.
#[derive(Debug)]
pub(super) struct Memo<K, V> {
    /// Each value has a lock of its own, which is held while the value is made.
    values: Mutex<HashMap<K, Arc<Mutex<Option<V>>>>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Memo { values: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The value of a key. An error is not kept: the next caller tries again.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<V> {
        let value = lock(&self.values).entry(key).or_default().clone();
        let mut value = lock(&value);
        match &*value {
            Some(made) => Ok(made.clone()),
            None => Ok(value.insert(make()?).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::Error;

    #[test]
    fn different_values_are_made_at_the_same_time() {
        let (memo, both) = (Memo::default(), Barrier::new(2));
        thread::scope(|scope| {
            for key in 0..2 {
                let (memo, both) = (&memo, &both);
                scope.spawn(move || {
                    let made = memo.get(key, || {
                        // Each waits until the other is being made too.
                        both.wait();
                        Ok(10 * key)
                    });
                    assert_eq!(made, Ok(10 * key));
                });
            }
        });
    }

    #[test]
    fn a_value_is_made_once() {
        let (memo, made) = (Memo::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let value = memo.get("key", || {
                        thread::yield_now();
                        Ok(made.fetch_add(1, Ordering::Relaxed))
                    });
                    assert_eq!(value, Ok(0));
                });
            }
        });
    }

    #[test]
    fn errors_are_not_kept() {
        let memo = Memo::default();
        for reason in ["first", "second"] {
            let error = Error::Device(reason.into());
            assert_eq!(memo.get("key", || Err(error.clone())), Err(error));
        }
        assert_eq!(memo.get("key", || Ok(1)), Ok(1));
        assert_eq!(memo.get("key", || Err(Error::Device("third".into()))), Ok(1));
    }
}
