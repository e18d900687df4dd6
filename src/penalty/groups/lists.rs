//! Groups by lists of indices: which lists are groups, and how they are stored.

use std::fmt;

use crate::numeric::hash::fnv1a_of;
use crate::{Error, Result};

/// Lists are compared at every step and hashed for every partial. So the hash is kept, and `Eq` lets two references to
/// the same lists compare equal at once.
#[derive(PartialEq, Eq)]
pub(crate) struct Lists {
    /// Where each group begins among the members, and where the last group ends.
    pub(crate) first: Vec<u32>,
    /// The indices of all groups, one group after the other, ascending in each.
    pub(crate) members: Vec<u32>,
    /// The group of each index.
    pub(crate) group_of: Vec<u32>,
    /// The hash of 5, the number of lists, then each list with its length before it.
    pub(super) hash: u64,
}

impl Lists {
    /// # Errors
    ///
    /// [`Error::Groups`] if a list is empty, an index is missing or occurs twice, or there are 2^32 indices or more.
    pub(super) fn new<L: AsRef<[u64]>>(lists: &[L]) -> Result<Lists> {
        let len: usize = lists.iter().map(|list| list.as_ref().len()).sum();
        let reject = |expected: String, found: String| {
            Err(Error::Groups { groups: format!("{} lists of indices", lists.len()), expected, found })
        };
        if u32::try_from(len).is_err() {
            return reject("have fewer than 2^32 indices".into(), len.to_string());
        }
        const NOBODY: u32 = u32::MAX;
        let mut group_of = vec![NOBODY; len];
        let (mut first, mut members) = (vec![0], Vec::with_capacity(len));
        for (group, list) in lists.iter().enumerate() {
            for &index in list.as_ref() {
                match usize::try_from(index).ok().and_then(|index| group_of.get_mut(index)) {
                    Some(of) if *of == NOBODY => *of = group as u32,
                    Some(_) => return reject("have every index once".into(), format!("{index} twice")),
                    None => {
                        return reject(
                            format!("have the indices below {len}, which is how many there are"),
                            index.to_string(),
                        );
                    }
                }
                members.push(index as u32);
            }
            let begin = *first.last().unwrap_or(&0) as usize;
            if begin == members.len() {
                return reject("have an index each".into(), format!("none in the list {group}"));
            }
            members[begin..].sort_unstable();
            first.push(members.len() as u32);
        }
        let group = |ends: &[u32]| {
            let members = members[ends[0] as usize..ends[1] as usize].iter().copied().map(u64::from);
            std::iter::once(u64::from(ends[1] - ends[0])).chain(members)
        };
        let head = [5, lists.len() as u64].into_iter();
        let hash = fnv1a_of(head.chain(first.windows(2).flat_map(group)));
        Ok(Lists { first, members, group_of, hash })
    }

    /// How many groups there are.
    pub(super) fn count(&self) -> usize {
        self.first.len() - 1
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lists of {} indices", self.count(), self.members.len())
    }
}
