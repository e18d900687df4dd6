//! What runs a tensor's steps, kept from one to the next.

use std::sync::{Arc, Mutex};

use crate::host::Host;
use crate::operations::Operations;
#[cfg(feature = "wgpu")]
use crate::wgpu;

/// What runs a tensor's steps. It is kept from step to step with the tensor's state. Clones of a state share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runners(pub(super) Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) host: Option<Host>,
    pub(super) operations: Option<Operations>,
    #[cfg(feature = "wgpu")]
    pub(super) wgpu: Option<wgpu::Device>,
}
