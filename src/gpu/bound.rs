//! Where a set's operands lie, and which operands are rejected.

use super::device::Gpu;
use super::lists::{NAMES, Operands};
use super::operand::{Located, Operand};
use super::pipeline::storage;
use super::placement::{Placement, Window};
use super::slot_memory::entry;
use crate::Result;
use crate::plan::Segment;
use crate::plan::operands::{ELEMENT_WEIGHTS, Extent, disjoint, one_each, same_shape};

/// The operands that a set was given last.
#[derive(Debug, Clone)]
pub(super) struct BoundOperands {
    located: [Vec<Located>; NAMES.len()],
    /// Where each tensor's element weights lie, if it has any.
    element_weights: Vec<Option<Located>>,
    /// The buffers, each once, sorted. All are known to belong to this device.
    buffers: Vec<wgpu::Buffer>,
    extents: Vec<Extent<wgpu::Buffer>>,
    probe: wgpu::BindGroupLayout,
    /// Whether operands were given yet.
    given: bool,
}

impl BoundOperands {
    pub(super) fn new(gpu: &Gpu) -> Result<BoundOperands> {
        let entries = &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: storage(true, false),
            count: None,
        }];
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some("penalty probe"), entries };
        let probe = gpu.guarded(|| gpu.device().create_bind_group_layout(&descriptor))?;
        Ok(BoundOperands {
            located: Default::default(),
            element_weights: Vec::new(),
            buffers: Vec::new(),
            extents: Vec::new(),
            probe,
            given: false,
        })
    }

    /// How many operands a list has.
    pub(super) fn len_of(&self, list: usize) -> usize {
        self.located[list].len()
    }

    /// Whether a tensor has element weights.
    pub(super) fn has_element_weights(&self, at: usize) -> bool {
        self.element_weights.get(at).is_some_and(Option::is_some)
    }

    /// The same operands, with element weights only where this holds.
    pub(super) fn with_element_weights_where(&self, takes: impl Iterator<Item = bool>) -> BoundOperands {
        let mut bound = self.clone();
        for (weights, takes) in bound.element_weights.iter_mut().zip(takes) {
            weights.take_if(|_| !takes);
        }
        bound
    }

    /// These lists, in the roles of an operation.
    pub(super) fn placement(&self, lists: [Option<usize>; NAMES.len()]) -> Placement<'_> {
        let roles = lists.map(|list| list.map(|list| &self.located[list][..]));
        Placement { roles, element_weights: &self.element_weights }
    }

    /// Takes other operands, and says whether any has moved. If one is rejected, the previous ones stay.
    pub(super) fn rebind(&mut self, gpu: &Gpu, segments: &[Segment], operands: &Operands<'_>) -> Result<bool> {
        if self.given && self.holds(segments, operands) {
            return Ok(false);
        }
        self.validate(gpu, segments, operands)?;
        for (located, list) in self.located.iter_mut().zip(operands.lists()) {
            located.clear();
            located.extend(list.iter().map(Operand::located));
        }
        self.element_weights.clear();
        let located = |weights: &Option<Operand<'_>>| weights.as_ref().map(Operand::located);
        self.element_weights.extend(operands.element_weights.iter().map(located));
        self.given = true;
        Ok(true)
    }

    /// Whether the set already has these operands.
    fn holds(&self, segments: &[Segment], operands: &Operands<'_>) -> bool {
        let stays = |((o, l), s): ((&Operand<'_>, &Located), &Segment)| {
            o.offset == l.offset && *o.buffer == l.buffer && o.len == s.len && o.dtype == s.dtype
        };
        let stay = |(list, located): (&[Operand<'_>], &Vec<Located>)| {
            list.len() == located.len() && list.iter().zip(located).zip(segments).all(stays)
        };
        let weights_stay = |((o, l), s): ((&Option<Operand<'_>>, &Option<Located>), &Segment)| match (o, l) {
            (Some(o), Some(l)) => stays(((o, l), s)),
            (o, l) => o.is_none() && l.is_none(),
        };
        let (weights, located) = (operands.element_weights, &self.element_weights);
        operands.lists().into_iter().zip(&self.located).all(stay)
            && weights.len() == located.len()
            && weights.iter().zip(located).zip(segments).all(weights_stay)
    }

    fn validate(&mut self, gpu: &Gpu, segments: &[Segment], operands: &Operands<'_>) -> Result<()> {
        self.extents.clear();
        for (role, list) in operands.lists().into_iter().enumerate() {
            if role > 0 && list.is_empty() {
                continue;
            }
            one_each("a set", NAMES[role], segments.len(), list.len())?;
            for (at, operand) in list.iter().enumerate() {
                self.admit(NAMES[role], segments, at, operand)?;
            }
        }
        if !operands.element_weights.is_empty() {
            one_each("a set", ELEMENT_WEIGHTS, segments.len(), operands.element_weights.len())?;
        }
        for (at, weights) in operands.element_weights.iter().enumerate() {
            weights.as_ref().map_or(Ok(()), |weights| self.admit(ELEMENT_WEIGHTS, segments, at, weights))?;
        }
        disjoint(segments, &mut self.extents)?;
        // `disjoint` has sorted the extents by buffer.
        self.extents.dedup_by(|a, b| a.memory == b.memory);
        for extent in &self.extents {
            if self.buffers.binary_search(&extent.memory).is_err() {
                segments[extent.parameter].about(self.probe(gpu, &extent.memory))?;
            }
        }
        self.buffers.clear();
        self.buffers.extend(self.extents.drain(..).map(|extent| extent.memory));
        Ok(())
    }

    /// Rejects an operand that breaks a rule or differs from its tensor in length or type, and keeps its extent.
    fn admit(&mut self, name: &'static str, segments: &[Segment], at: usize, operand: &Operand<'_>) -> Result<()> {
        let segment = &segments[at];
        let same = || same_shape(name, (segment.len, segment.dtype), (operand.len, operand.dtype));
        segment.about(operand.validate(name).and_then(|()| same()))?;
        if segment.len > 0 {
            self.extents.push(Extent {
                memory: operand.buffer.clone(),
                start: operand.offset,
                end: operand.end(),
                operand: name,
                parameter: at,
            });
        }
        Ok(())
    }

    /// Rejects a buffer that is destroyed or belongs to another device.
    fn probe(&self, gpu: &Gpu, buffer: &wgpu::Buffer) -> Result<()> {
        gpu.guarded(|| {
            gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("penalty probe"),
                layout: &self.probe,
                entries: &[entry(0, buffer, Window { start: 0, end: 4 })],
            })
        })?;
        Ok(())
    }
}
