//! Weights in a buffer, and the penalty and operands for tests of recording.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use penalty::gpu::Operand;
use penalty::{Gpu, Penalty, wgpu};

use super::cases::noise;
use super::device::{USAGES, buffer};
use super::oracle::Weight;

/// Changes every weight but 0, so a skipped weight shows.
pub(crate) fn penalty() -> Penalty {
    Penalty::keras(0.1, 0.25).expect("the λs are valid")
}

pub(crate) fn operand<E: Weight>(buffer: &wgpu::Buffer, offset: usize, len: usize) -> Operand<'_> {
    Operand { buffer, offset: offset as u64, len: len as u64, dtype: E::DTYPE }
}

/// Some `f32` weights in a separate buffer.
pub(crate) fn weights(gpu: &Gpu, len: usize, seed: u64) -> (Vec<f32>, wgpu::Buffer) {
    let weights = noise(len, seed);
    let buffer = buffer(gpu, bytemuck::cast_slice(&weights), USAGES);
    (weights, buffer)
}

pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
