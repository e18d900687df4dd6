//! Do the caller's error handlers stay installed?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use penalty::wgpu::{self, BufferUsages, PollType};
use penalty::{Backend, Gpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::device::{TIMEOUT, USAGES, encoder, submit, without_hanging};
use crate::common::recorded::{operand, penalty};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![the_callers_error_handlers_stay,];

fn the_callers_error_handlers_stay(device: &Device) {
    let (errors, losses) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (raw, queue) = device.request(wgpu::Limits::default());
    let (counted, lost) = (errors.clone(), losses.clone());
    raw.on_uncaptured_error(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    raw.set_device_lost_callback(move |_, _| {
        lost.fetch_add(1, Ordering::SeqCst);
    });
    let gpu = Gpu::from_device(raw, queue).expect("the kernels need no more than the default limits");
    let descriptor = wgpu::BufferDescriptor { label: None, size: 4096, usage: USAGES, mapped_at_creation: false };
    let destroyed = gpu.device().create_buffer(&descriptor);
    destroyed.destroy();
    let bad = operand::<f32>(&destroyed, 0, 1024);
    let mut encoder = encoder(&gpu);
    gpu.record_prox_in_place(&mut encoder, &penalty(), &bad, 1.0).expect_err("the buffer is destroyed");
    gpu.record_evaluate(&mut encoder, &penalty(), &bad).expect_err("the buffer is destroyed");
    submit(&gpu, encoder);
    Backend::Gpu(gpu.clone()).prox(&penalty(), &[1.0f32], 0.5).expect("the device lives");
    assert_eq!(errors.load(Ordering::SeqCst), 0, "the library's errors are its own");
    // An error that the caller makes still reaches the caller's handler.
    let usage = BufferUsages::MAP_READ | BufferUsages::STORAGE;
    drop(gpu.device().create_buffer(&wgpu::BufferDescriptor { usage, ..descriptor }));
    assert_eq!(errors.load(Ordering::SeqCst), 1);
    gpu.device().destroy();
    let lost = without_hanging(move || {
        Backend::Gpu(gpu.clone()).evaluate(&penalty(), &[1.0f32]).expect_err("the device is gone");
        let began = Instant::now();
        while losses.load(Ordering::SeqCst) == 0 && began.elapsed() < TIMEOUT {
            // Polling a lost device may fail.
            let _ = gpu.device().poll(PollType::Poll);
        }
        losses.load(Ordering::SeqCst)
    });
    assert_eq!(lost, 1, "the caller's device-lost callback is called");
    assert_eq!(errors.load(Ordering::SeqCst), 1, "a lost device is no error of the caller's");
}
