//! Pruning whole groups to a budget on the CPU, and the norms of groups.

use rayon::prelude::*;

use super::Cpu;
use super::budget::magnitude;
use crate::Result;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::penalty::groups::Geometry;
use crate::plan::budget::Budget;

/// A group of a tensor: Σθ², which is not rounded to `f32`, and how many weights it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) tensor: usize,
    pub(super) group: u64,
    pub(super) squared: f64,
    pub(super) size: u64,
}

impl Cpu {
    /// The norms of the groups of these tensors, in order. Weights for which `counts` does not hold, by the bits of their
    /// magnitudes, count as 0.
    pub(super) fn norms(
        &self,
        tensors: &[(Slice<'_>, Option<Geometry>)],
        counts: impl Fn(u32) -> bool + Sync,
    ) -> Vec<Norm> {
        let of_tensor = |(tensor, (slice, geometry)): (usize, &(Slice<'_>, Option<Geometry>))| {
            let Some(geometry) = geometry else { return Vec::new() };
            with_element!(slice.dtype(), E => {
                let elements = slice.elements::<E>();
                let norm = |group| {
                    let square = |member| {
                        let of = magnitude(&elements[geometry.index(group, member) as usize]);
                        let x = f64::from(f32::from_bits(if counts(of) { of } else { 0 }));
                        x * x
                    };
                    let size = geometry.size(group);
                    Norm { tensor, group, squared: (0..size).map(square).sum(), size }
                };
                (0..geometry.count).into_par_iter().map(norm).collect::<Vec<Norm>>()
            })
        };
        tensors.iter().enumerate().flat_map(of_tensor).collect()
    }

    /// Prunes groups of these tensors, those with the smallest ‖g‖₂/√n first. A tensor without groups stays as it is.
    pub(super) fn prune_groups(
        &self,
        budget: &Budget,
        weights: &mut [SliceMut<'_>],
        geometries: Vec<Option<Geometry>>,
    ) -> Result<()> {
        let grouped = |(slice, geometry): (&SliceMut<'_>, &Option<Geometry>)| match geometry {
            Some(_) => slice.as_slice().len() as u64,
            None => 0,
        };
        let lens: Vec<u64> = weights.iter().zip(&geometries).map(grouped).collect();
        let (mut left, mut quotas) = budget.quotas(&lens)?;
        let tensors: Vec<_> = weights.iter().map(SliceMut::as_slice).zip(geometries).collect();
        let mut norms = self.norms(&tensors, |_| true);
        // All NaN are the same, and above infinity.
        let key = |norm: &Norm| if norm.squared.is_nan() { f64::NAN } else { norm.squared / norm.size as f64 };
        norms.sort_by(|a, b| key(a).abs().total_cmp(&key(b).abs()));
        let mut dropped = Vec::new();
        let mut rest = Vec::new();
        for norm in norms {
            let quota = &mut quotas[norm.tensor];
            if norm.size <= quota.least {
                quota.least -= norm.size;
                quota.most -= norm.size;
                left -= norm.size;
                dropped.push(norm);
            } else {
                // What is left of it is smaller than the group, and no later one may take its place.
                quota.least = 0;
                rest.push(norm);
            }
        }
        for norm in rest {
            let quota = &mut quotas[norm.tensor];
            if norm.size > quota.most {
                quota.most = 0;
                continue;
            }
            if norm.size > left {
                break;
            }
            quota.most -= norm.size;
            left -= norm.size;
            dropped.push(norm);
        }
        let geometries: Vec<Option<Geometry>> = tensors.into_iter().map(|(_, geometry)| geometry).collect();
        for norm in dropped {
            let Some(geometry) = &geometries[norm.tensor] else { continue };
            with_element!(weights[norm.tensor].as_slice().dtype(), E => {
                let elements = weights[norm.tensor].reborrow().into_elements::<E>();
                (0..norm.size).for_each(|member| elements[geometry.index(norm.group, member) as usize] = bytemuck::Zeroable::zeroed());
            });
        }
        Ok(())
    }
}
