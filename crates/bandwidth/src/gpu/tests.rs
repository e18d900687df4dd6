//! Checks the kernels' answers on every adapter, with one binding and with many.

use super::*;

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let wanted = std::env::var("PENALTY_ADAPTER").unwrap_or_default().to_lowercase();
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    adapters.retain(|adapter| {
        let computes = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        computes && describe(&adapter.get_info()).to_lowercase().contains(&wanted)
    });
    adapters
}

fn describe(info: &wgpu::AdapterInfo) -> String {
    let driver = [info.driver.trim(), info.driver_info.trim()].join(" ");
    format!("{} ({:?}, {})", info.name, info.backend, driver.trim())
}

fn answers(device: &wgpu::Device, queue: &wgpu::Queue, kernels: &Kernels, bytes: u64) -> Outcome {
    // The buffer is twice as large, to detect writes beyond the end.
    let data: Vec<u32> = (0..bytes / 2).map(|i| 0x3f80_0000 | ((i as u32).wrapping_mul(2_654_435_761) >> 9)).collect();
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let words_size = kernels.words_size(bytes);
    let (source, target) = (buffer(2 * bytes, usage), buffer(2 * bytes, usage));
    let words = buffer(words_size, usage);
    queue.write_buffer(&source, 0, bytemuck::cast_slice(&data));

    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    kernels.record_read(&mut encoder, &source, &words, bytes)?;
    kernels.record_copy(&mut encoder, &source, &target, bytes)?;
    // The targets of updates are as they were, and so is what lies beyond them.
    let others = [(); MOST_TARGETS - 1].map(|()| buffer(2 * bytes, usage));
    for other in &others {
        queue.write_buffer(other, 0, bytemuck::cast_slice(&data));
    }
    for targets in 1..=MOST_TARGETS {
        let targets: Vec<_> = std::iter::once(&target).chain(&others).take(targets).collect();
        kernels.record_update(&mut encoder, &source, &targets, bytes)?;
    }
    assert!(matches!(kernels.record_update(&mut encoder, &source, &[], bytes), Err(Error::Targets { found: 0 })));
    kernels.record_scale(&mut encoder, &source, bytes)?;
    let read_back = |encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer| {
        let to = buffer(from.size(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        encoder.copy_buffer_to_buffer(from, 0, &to, 0, from.size());
        to
    };
    let found = [&words, &target, &source, &others[0], &others[1]].map(|from| read_back(&mut encoder, from));
    let submission = queue.submit([encoder.finish()]);
    for buffer in &found {
        buffer.map_async(wgpu::MapMode::Read, .., |_| {});
    }
    device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(TIMEOUT) })?;
    let mut found_words = Vec::new();
    for buffer in &found {
        let mapped = buffer.get_mapped_range(..)?;
        found_words.push(bytemuck::pod_collect_to_vec::<u8, u32>(&mapped));
    }

    let half = data.len() / 2;
    let xor = |words: &[u32]| words.iter().fold(0, |sum, word| sum ^ word);
    assert_eq!(xor(&found_words[0]), xor(&data[..half]), "read {bytes}");
    assert!(found_words[1][..half] == data[..half], "copy {bytes}");
    assert!(found_words[1][half..].iter().all(|&word| word == 0), "copy {bytes}: beyond the end");
    let scaled = |word: &u32| (f32::from_bits(*word) * FACTOR).to_bits();
    assert!(
        found_words[2][..half].iter().eq(data[..half].iter().map(scaled).collect::<Vec<_>>().iter()),
        "scale {bytes}"
    );
    assert!(found_words[2][half..] == data[half..], "scale {bytes}: beyond the end");
    assert!(found_words[3] == data && found_words[4] == data, "update {bytes}");
    Ok(())
}

#[test]
fn answers_are_right_on_every_adapter() -> Outcome {
    let adapters = adapters();
    if adapters.is_empty() {
        assert!(std::env::var("PENALTY_REQUIRE_ADAPTER").as_deref() != Ok("1"), "no adapter, but one is required");
        println!("ignored: no adapter");
    }
    for adapter in adapters {
        println!("{}", describe(&adapter.get_info()));
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let kernels = Kernels::new(&device)?;
        for bytes in [16, 4096, (1 << 20) + 48, (5 << 20) + 16] {
            answers(&device, &queue, &kernels, bytes)?;
        }
        let windowed = Kernels::with_window(&device, 300_000)?;
        answers(&device, &queue, &windowed, (2 << 20) + 16)?;
        for bytes in [0, 8, 17] {
            assert!(matches!(bandwidth(&device, &queue, bytes), Err(Error::Size { .. })));
        }
        println!("  {:.1?}", bandwidth(&device, &queue, 1 << 24)?);
    }
    Ok(())
}
