//! Does every operation on every penalty and type have the recorded bits on a device?

use penalty::{Backend, Gpu};

use crate::catalogue::as_recorded;
use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{self, Layout, record};
use crate::common::catalogue::{Entry, Hashes, Sample};
use crate::common::device::{TIMEOUT, contents, encoder, submit};
use crate::common::trials::sample;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![operations_have_their_recorded_bits];

fn operations_have_their_recorded_bits(device: &Device) {
    let one_in = sample();
    let run = |i, entry: &Entry| on_device(device.plain(), entry, Sample { one_in, from: i });
    as_recorded(one_in, run).unwrap_or_else(|wrong| panic!("{wrong}"));
}

fn on_device(gpu: &Gpu, entry: &Entry, sample: Sample) -> Hashes {
    [entry.slices(&Backend::Gpu(gpu.clone()), sample), on_a_set(gpu, entry, sample)].concat()
}

/// Every operation on a set of buffers.
fn on_a_set(gpu: &Gpu, entry: &Entry, sample: Sample) -> Hashes {
    entry.set(sample, |before, call| {
        let images = before.lay_out(Layout::PagePerRole);
        let buffers = images.upload(gpu);
        let mut set = buffers::set(gpu, before, &images, &buffers, 1);
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, call)?;
        submit(gpu, encoder);
        let reports = pending.map(|pending| pending.wait(TIMEOUT)).transpose()?;
        let pages: Vec<Vec<u8>> = buffers.iter().map(|buffer| contents(gpu, buffer)).collect();
        let mut bytes = Vec::new();
        for (ranges, tensors) in images.ranges.iter().zip(&before.words) {
            for (&(page, offset), words) in ranges.iter().zip(tensors) {
                bytes.extend_from_slice(&pages[page][offset..offset + 4 * words.len()]);
            }
        }
        Ok((bytes, reports))
    })
}
