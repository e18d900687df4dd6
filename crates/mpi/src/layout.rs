//! Which part of each tensor each rank has.

use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;

use fnv::FnvHasher;
use penalty::exact::{Transport, agree};
use penalty::{Cpu, Dtype, Error, HostSet, Parameter, Penalty, Result};
#[cfg(feature = "gpu")]
use penalty::{
    Gpu,
    gpu::{Operands, SetAcross},
};

/// A tensor of a set that is spread over ranks.
///
/// ```
/// use penalty::{Dtype, Penalty};
/// use penalty_mpi::Tensor;
///
/// let weight = Tensor::new("layer1.weight", 1 << 20, Dtype::BF16, Penalty::l1(1e-4)?);
/// assert_eq!(weight.len, 1 << 20);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How many weights it has on all ranks.
    pub len: u64,
    /// Their type.
    pub dtype: Dtype,
    /// Its penalty.
    pub penalty: Penalty,
}

impl Tensor {
    /// A tensor of this name, number of weights, type and penalty.
    ///
    /// ```
    /// use penalty::{Dtype, Penalty};
    ///
    /// let bias = penalty_mpi::Tensor::new("layer1.bias", 64, Dtype::F32, Penalty::none());
    /// assert!(bias.penalty.is_none());
    /// ```
    pub fn new(name: impl Into<String>, len: u64, dtype: Dtype, penalty: Penalty) -> Tensor {
        Tensor { name: name.into(), len, dtype, penalty }
    }
}

/// Which part of each tensor each rank has: the same on all ranks.
///
/// ```
/// use penalty::{Dtype, Penalty};
/// use penalty_mpi::{Layout, Tensor};
///
/// let tensors = vec![
///     Tensor::new("weight", 20_000, Dtype::F32, Penalty::l1(0.1)?),
///     Tensor::new("bias", 100, Dtype::F32, Penalty::none()),
/// ];
/// let layout = Layout::even(tensors, 2)?;
/// assert_eq!([layout.part(0, 0), layout.part(0, 1)], [0..8192, 8192..20_000]);
/// assert_eq!([layout.part(1, 0), layout.part(1, 1)], [0..0, 0..100]); // smaller than a tile
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Layout {
    tensors: Vec<Tensor>,
    /// For each tensor, where the part of each rank starts, and its length.
    cuts: Vec<Vec<u64>>,
}

impl Layout {
    /// Gives each of so many ranks about the same number of weights, as if the tensors lay one after the other. Each part
    /// starts where the tensor's penalty [lets it](Penalty::parts_start_at). So a tensor whose groups are its columns
    /// is on one rank.
    ///
    /// ```
    /// use penalty::{Dtype, Groups, Penalty};
    /// use penalty_mpi::{Layout, Tensor};
    ///
    /// let columns = Penalty::group_lasso(0.1, Groups::columns(64)?)?;
    /// let layout = Layout::even(vec![Tensor::new("weight", 64_000, Dtype::F32, columns)], 2)?;
    /// assert_eq!([0, 1].map(|rank| layout.part(0, rank).count()), [0, 64_000]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InParameter`] with an [`Error::Groups`] if a penalty's groups do not cover its tensor.
    pub fn even(tensors: Vec<Tensor>, ranks: usize) -> Result<Layout> {
        let ranks = ranks.max(1) as u128;
        let all: u128 = tensors.iter().map(|tensor| u128::from(tensor.len)).sum();
        let mut before = 0;
        let cuts = tensors.iter().map(|tensor| {
            let unit = u128::from(about(tensor, tensor.penalty.parts_start_at(tensor.len))?);
            let len = u128::from(tensor.len);
            let start = |rank: u128| {
                // Rounded to the nearest start. The last rank's end is the tensor's.
                let place = (all * rank / ranks).saturating_sub(before).min(len);
                let start = ((place + unit / 2) / unit * unit).min(len);
                if place == len || rank == ranks { len as u64 } else { start as u64 }
            };
            let cuts = (0..=ranks).map(start).collect();
            before += len;
            Ok(cuts)
        });
        let cuts = cuts.collect::<Result<_>>()?;
        Ok(Layout { tensors, cuts })
    }

    /// Parts that are chosen elsewhere: for each tensor a list with the start of each rank's part, in the order of ranks,
    /// then its length. [`set`](Layout::set) checks them.
    ///
    /// ```
    /// use penalty::{Dtype, Penalty};
    /// use penalty_mpi::{Layout, Tensor};
    ///
    /// let tensors = vec![Tensor::new("weight", 20_000, Dtype::F32, Penalty::l1(0.1)?)];
    /// let layout = Layout::new(tensors, vec![vec![0, 4096, 20_000]])?;
    /// assert_eq!(layout.part(0, 1), 4096..20_000);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] unless there are cuts for each tensor. [`Error::InParameter`] with an [`Error::Length`] unless
    /// they end with its length.
    pub fn new(tensors: Vec<Tensor>, cuts: Vec<Vec<u64>>) -> Result<Layout> {
        if cuts.len() != tensors.len() {
            let (expected, found) = (tensors.len(), cuts.len());
            return Err(Error::Missing { operation: "a layout", operand: "the cuts", expected, found });
        }
        for (tensor, cuts) in tensors.iter().zip(&cuts) {
            let found = cuts.last().copied().unwrap_or(0);
            if found != tensor.len {
                let expected = tensor.len;
                about(tensor, Err(Error::Length { operand: "the parts of all ranks", expected, found }))?;
            }
        }
        Ok(Layout { tensors, cuts })
    }

    /// Which weights of a tensor a rank has. None if there is no such tensor or rank.
    ///
    /// ```
    /// use penalty::{Dtype, Penalty};
    /// use penalty_mpi::{Layout, Tensor};
    ///
    /// let layout = Layout::even(vec![Tensor::new("weight", 8192, Dtype::F32, Penalty::none())], 2)?;
    /// assert_eq!(layout.part(0, 1), 4096..8192);
    /// assert_eq!(layout.part(0, 2), 0..0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn part(&self, tensor: usize, rank: usize) -> Range<u64> {
        match self.cuts.get(tensor).and_then(|cuts| cuts.get(rank..rank + 2)) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }

    /// The cuts of each tensor, as [`new`](Layout::new) takes them.
    ///
    /// ```
    /// use penalty::{Dtype, Penalty};
    /// use penalty_mpi::{Layout, Tensor};
    ///
    /// let layout = Layout::even(vec![Tensor::new("weight", 8192, Dtype::F32, Penalty::none())], 2)?;
    /// assert_eq!(layout.cuts(), [[0, 4096, 8192]]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn cuts(&self) -> &[Vec<u64>] {
        &self.cuts
    }

    /// Compares the layout with those of all other ranks: names, lengths, types, penalties and parts, by a hash.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use penalty_mpi::{Layout, Threads};
    ///
    /// let layout = Layout::even(vec![], 1)?;
    /// layout.agree(&Threads::connect(1, Duration::from_secs(30))[0])?;
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Ranks`] on every rank if two of them differ, and the transport's.
    pub fn agree(&self, transport: &dyn Transport) -> Result<()> {
        agree(transport, "the same names, lengths, types, penalties and parts", self.hash())
    }

    /// A set of this rank's parts, once all ranks [agree](Layout::agree) on the layout.
    ///
    /// The example of the [crate](crate) shows how it is used. Its calls are those of [`HostSet`], and
    /// [`HostSet::across`] says what they exchange.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use penalty::{Cpu, Dtype, Penalty};
    /// use penalty_mpi::{Layout, Tensor, Threads};
    ///
    /// let layout = Layout::even(vec![Tensor::new("weight", 2, Dtype::F32, Penalty::l1(0.5)?)], 1)?;
    /// let alone = Threads::connect(1, Duration::from_secs(30)).remove(0);
    /// let set = layout.set(Cpu::new(), Arc::new(alone))?;
    /// assert_eq!(set.evaluate(&[[1.0f32, -2.0][..].into()])?.total.value, 1.5);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`agree`](Layout::agree) and [`HostSet::across`].
    pub fn set<'w>(&self, cpu: Cpu, transport: Arc<dyn Transport>) -> Result<HostSet<'w>> {
        self.agree(&*transport)?;
        HostSet::new(cpu, self.parameters()).across(transport, self.cuts.clone())
    }

    /// The same for parts on a device, which are the operands. It needs the feature `gpu`.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use penalty::exact::Transport;
    /// use penalty::gpu::{Operand, Operands};
    /// use penalty::{Gpu, Result};
    /// use penalty_mpi::Layout;
    ///
    /// fn shrink(layout: &Layout, gpu: &Gpu, transport: Arc<dyn Transport>, parts: &[Operand]) -> Result<f64> {
    ///     let mut set = layout.set_on(gpu, &Operands { weights: parts, ..Operands::default() }, transport)?;
    ///     Ok(set.prox_and_evaluate_in_place(0.1)?.total.value) // of all ranks
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`agree`](Layout::agree) and [`SetAcross::new`].
    #[cfg(feature = "gpu")]
    pub fn set_on(&self, gpu: &Gpu, operands: &Operands<'_>, transport: Arc<dyn Transport>) -> Result<SetAcross> {
        self.agree(&*transport)?;
        SetAcross::new(gpu, self.parameters(), operands, transport, self.cuts.clone())
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.tensors.iter().map(|tensor| Parameter::new(&*tensor.name, tensor.penalty.clone())).collect()
    }

    fn hash(&self) -> u64 {
        let mut hasher = FnvHasher::default();
        for (Tensor { name, len, dtype, penalty }, cuts) in self.tensors.iter().zip(&self.cuts) {
            for text in [name.as_str(), &dtype.to_string(), &penalty.to_string()] {
                hasher.write_u64(text.len() as u64);
                hasher.write(text.as_bytes());
            }
            [*len, cuts.len() as u64].iter().chain(cuts).for_each(|word| hasher.write_u64(*word));
        }
        hasher.finish()
    }
}

fn about<T>(tensor: &Tensor, result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::InParameter { parameter: format!("{:?}", tensor.name), error: Box::new(error) })
}
