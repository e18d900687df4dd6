//! `penalty devices`.

use penalty::gpu::{Options, adapters};
use penalty::{Backend, Gpu, wgpu};
use penalty_bandwidth::{cpu, gpu};
use serde_json::{Map, Value, json};

use crate::args;
use crate::backend::{Device, driver};
use crate::error::Result;
use crate::json;
use crate::output;
use crate::report::Table;

/// The number of bytes read to measure a bandwidth: more than a cache holds, and fewer on a software adapter.
const BYTES: u64 = 512 << 20;
const SOFTWARE_BYTES: u64 = 64 << 20;

/// One adapter, its self-check and its speed.
struct Row {
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    /// The outcome of the self-check, or why it did not run.
    check: String,
    /// The read bandwidth in GB/s, if the device runs kernels.
    read: Option<f64>,
}

pub(crate) fn run(args: &args::Devices) -> Result<()> {
    let processor = Device::of(&Backend::cpu());
    let read = cpu::bandwidth(BYTES as usize).read;
    let rows: Vec<Row> = adapters().iter().map(measure).collect();
    let mut out = output::stdout();
    if args.json {
        let mut object = Map::new();
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        object.insert("cpu".to_owned(), json!({"device": processor, "read_gb_per_second": read}));
        object.insert("adapters".to_owned(), rows.iter().map(Row::json).collect());
        out.json(object)?;
    } else {
        out.line(format_args!("{processor}, reads {read:.1} GB/s"))?;
        if rows.is_empty() {
            out.line("no adapters: wgpu needs a Vulkan, Metal, DirectX 12 or OpenGL driver")?;
        } else {
            table(&rows).print(&mut out)?;
        }
    }
    Ok(out.flush()?)
}

fn measure(adapter: &wgpu::Adapter) -> Row {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let opened = Gpu::open_adapter(adapter, &Options::default());
    let check = match &opened {
        Ok(gpu) => gpu.determinism().to_string(),
        Err(error) => error.to_string(),
    };
    let bytes = if info.device_type == wgpu::DeviceType::Cpu { SOFTWARE_BYTES } else { BYTES };
    let bytes = bytes.min(limits.max_buffer_size / 16 * 16);
    let bandwidth = opened.ok().and_then(|gpu| gpu::bandwidth(gpu.device(), gpu.queue(), bytes).ok());
    Row { info, limits, check, read: bandwidth.map(|bandwidth| bandwidth.read) }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "name": self.info.name,
            "backend": format!("{:?}", self.info.backend),
            "driver": driver(&self.info),
            "type": format!("{:?}", self.info.device_type),
            "limits": {
                "max_buffer_size": self.limits.max_buffer_size,
                "max_storage_buffer_binding_size": self.limits.max_storage_buffer_binding_size,
                "max_compute_workgroup_storage_size": self.limits.max_compute_workgroup_storage_size,
                "max_compute_workgroups_per_dimension": self.limits.max_compute_workgroups_per_dimension,
                "min_storage_buffer_offset_alignment": self.limits.min_storage_buffer_offset_alignment,
            },
            "self_check": self.check,
            "read_gb_per_second": self.read.map(json::number),
        })
    }
}

fn table(rows: &[Row]) -> Table {
    let headings = ["adapter", "backend", "driver", "type", "self-check", "buffer MiB", "binding MiB", "read GB/s"];
    let mut table = Table::new(5, &headings);
    for row in rows {
        let mebibytes = |bytes: u64| (bytes >> 20).to_string();
        table.row([
            row.info.name.clone(),
            format!("{:?}", row.info.backend),
            driver(&row.info),
            format!("{:?}", row.info.device_type),
            row.check.clone(),
            mebibytes(row.limits.max_buffer_size),
            mebibytes(row.limits.max_storage_buffer_binding_size),
            row.read.map_or("-".to_owned(), |read| format!("{read:.1}")),
        ]);
    }
    table
}
