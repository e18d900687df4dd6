//! Which rows are held out together.

use crate::{Error, Result};

/// A partition of the rows into folds: each is held out once.
///
/// ```
/// use penalty_fit::Folds;
///
/// let folds = Folds::contiguous(7, 3)?;
/// assert_eq!(folds.fold(0).test, [0, 1, 2]);
/// assert_eq!(folds.fold(2).train, [0, 1, 2, 3, 4]);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    of: Vec<usize>,
    count: usize,
}

/// The rows of a fold.
///
/// ```
/// let fold = penalty_fit::Folds::contiguous(4, 2)?.fold(1);
/// assert_eq!((fold.index, fold.train, fold.test), (1, vec![0, 1], vec![2, 3]));
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Which fold it is.
    pub index: usize,
    /// The rows to train on, ascending.
    pub train: Vec<usize>,
    /// The rows held out, ascending.
    pub test: Vec<usize>,
}

impl Folds {
    /// Consecutive rows; the first folds have one more where the rows do not divide.
    ///
    /// ```
    /// use penalty_fit::Folds;
    ///
    /// let error = Folds::contiguous(3, 5).unwrap_err();
    /// assert_eq!(error.to_string(), "the folds must be from 2 to the number of rows, 3, found 5");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless there are from 2 to `rows` folds.
    pub fn contiguous(rows: usize, folds: usize) -> Result<Folds> {
        Folds::dealt(&(0..rows).collect::<Vec<_>>(), folds)
    }

    /// Rows in an order that a seed decides, the same on every machine.
    ///
    /// ```
    /// use penalty_fit::Folds;
    ///
    /// assert_eq!(Folds::shuffled(100, 5, 7)?, Folds::shuffled(100, 5, 7)?);
    /// assert_ne!(Folds::shuffled(100, 5, 7)?, Folds::shuffled(100, 5, 8)?);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`contiguous`](Folds::contiguous).
    pub fn shuffled(rows: usize, folds: usize, seed: u64) -> Result<Folds> {
        Folds::dealt(&shuffled((0..rows).collect(), seed), folds)
    }

    /// Shuffled rows, with each class spread evenly over the folds.
    ///
    /// ```
    /// use penalty_fit::Folds;
    ///
    /// let y = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    /// let fold = Folds::stratified(&y, 2, 1)?.fold(0);
    /// assert_eq!(fold.test.iter().filter(|row| y[**row] == 1.0).count(), 1);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`contiguous`](Folds::contiguous).
    pub fn stratified(y: &[f64], folds: usize, seed: u64) -> Result<Folds> {
        allowed(y.len(), folds)?;
        let mut order = shuffled((0..y.len()).collect(), seed);
        order.sort_by(|a, b| y[*a].total_cmp(&y[*b]));
        let mut of = vec![0; y.len()];
        order.into_iter().enumerate().for_each(|(place, row)| of[row] = place % folds);
        Ok(Folds { of, count: folds })
    }

    /// Rows of the same group stay together, such as those of one patient. Groups are dealt in the order of a seed, each
    /// to the fold with the fewest rows.
    ///
    /// ```
    /// use penalty_fit::Folds;
    ///
    /// let patients = [7, 7, 3, 3, 5, 5];
    /// let fold = Folds::grouped(&patients, 3, 1)?.fold(0);
    /// assert_eq!(patients[fold.test[0]], patients[fold.test[1]]);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless there are from 2 to as many folds as groups.
    pub fn grouped(groups: &[u64], folds: usize, seed: u64) -> Result<Folds> {
        let mut names = groups.to_vec();
        names.sort_unstable();
        names.dedup();
        if folds > names.len() {
            let expected = format!("at most the number of groups, {}", names.len());
            return Err(Error::Setting { name: "the folds", expected, found: folds.to_string() });
        }
        allowed(groups.len(), folds)?;
        let mut sizes = vec![0; folds];
        let mut fold_of = vec![0; names.len()];
        let size = |name: usize| groups.iter().filter(|group| **group == names[name]).count();
        for name in shuffled((0..names.len()).collect(), seed) {
            let fold = (0..folds).min_by_key(|fold| sizes[*fold]).unwrap_or(0);
            fold_of[name] = fold;
            sizes[fold] += size(name);
        }
        let of = groups.iter().map(|group| fold_of[names.partition_point(|name| name < group)]).collect();
        Ok(Folds { of, count: folds })
    }

    /// The fold of each row, counted from 0.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Folds::given(&[0, 1, 0, 1])?.fold(0).test, [0, 2]);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are fewer than 2 folds, or one has no rows.
    pub fn given(of: &[usize]) -> Result<Folds> {
        let count = of.iter().max().map_or(0, |max| max.saturating_add(1));
        allowed(of.len(), count)?;
        if let Some(empty) = (0..count).find(|fold| !of.contains(fold)) {
            let expected = "those of rows, each with one at least".into();
            return Err(Error::Setting { name: "the folds", expected, found: format!("no row in fold {empty}") });
        }
        Ok(Folds { of: of.to_vec(), count })
    }

    /// How many folds there are.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Folds::contiguous(10, 5)?.count(), 5);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many rows there are.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Folds::contiguous(10, 5)?.rows(), 10);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn rows(&self) -> usize {
        self.of.len()
    }

    /// The rows of a fold; of a fold that there is not, none is held out.
    ///
    /// ```
    /// assert_eq!(penalty_fit::Folds::contiguous(4, 2)?.fold(0).test, [0, 1]);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn fold(&self, index: usize) -> Fold {
        let (test, train) = (0..self.of.len()).partition(|row| self.of[*row] == index);
        Fold { index, train, test }
    }

    /// Rows in this order, cut into folds.
    fn dealt(order: &[usize], folds: usize) -> Result<Folds> {
        allowed(order.len(), folds)?;
        let (least, more) = (order.len() / folds, order.len() % folds);
        let mut of = vec![0; order.len()];
        let mut at = 0;
        for fold in 0..folds {
            let size = least + usize::from(fold < more);
            order[at..at + size].iter().for_each(|row| of[*row] = fold);
            at += size;
        }
        Ok(Folds { of, count: folds })
    }
}

fn allowed(rows: usize, folds: usize) -> Result<()> {
    if (2..=rows).contains(&folds) {
        return Ok(());
    }
    let expected = format!("from 2 to the number of rows, {rows}");
    Err(Error::Setting { name: "the folds", expected, found: folds.to_string() })
}

/// Fisher and Yates' shuffle by SplitMix64: written out, so that a seed means the same in every version.
fn shuffled(mut order: Vec<usize>, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for last in (1..order.len()).rev() {
        // The bias of a product of 64 bits is below 2^-32 for fewer than 2^32 rows.
        let other = ((u128::from(next()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, other);
    }
    order
}
