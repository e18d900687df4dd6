//! A wgpu device of Burn's whose kernels are checked.

use burn_core::backend::DispatchDevice;
use burn_core::tensor::{Device, wgpu::WgpuSetup};
use burn_cubecl::CubeDevice;
use penalty::Gpu;

use crate::Error;

/// Burn's wgpu device, opened for this crate's kernels. Clones share it.
///
/// ```no_run
/// use burn::tensor::Device;
/// use penalty_burn::Wgpu;
///
/// let (device, setup) = Device::wgpu_options().init_with_setup()?; // before the device's first use
/// let wgpu = Wgpu::new(&device, &setup)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Wgpu {
    pub(crate) gpu: Gpu,
    /// Without autodiff.
    pub(crate) device: Device,
}

impl Wgpu {
    /// Opens the device and checks that its kernels give the right bits.
    ///
    /// Pass the device and the setup that `Device::wgpu_options().init_with_setup()` returns, or your own setup and the device that you
    /// initialized with it. [The crate](crate) says what the device must have. The device's error handlers stay as they are.
    ///
    /// ```no_run
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Wgpu;
    /// let (device, setup) = Device::wgpu_options().init_with_setup()?;
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotWgpu`] if the device is not a wgpu device, [`Error::Penalty`] if the kernels do not compile or run on it.
    pub fn new(device: &Device, setup: &WgpuSetup) -> Result<Wgpu, Error> {
        let device = device.clone().inner();
        if !matches!(device.as_dispatch(), DispatchDevice::Cube(CubeDevice::Wgpu(_))) {
            return Err(Error::NotWgpu { found: format!("{device:?}") });
        }
        Ok(Wgpu { gpu: Gpu::from_device(setup.device.clone(), setup.queue.clone())?, device })
    }
}
