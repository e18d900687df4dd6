//! stub
#![allow(missing_docs)]
use crate::backend::*;
use crate::*;
use std::time::Duration;
#[derive(Debug, Clone)]
pub struct Gpu;
pub struct Poller;
#[derive(Debug, Clone)]
pub enum Choice {
    Hardware,
    Any,
    Named(String),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Determinism {
    NotGuaranteed,
    RunToRun,
    GpuToGpu,
}
impl Gpu {
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    pub fn open(_: &Choice) -> Result<Gpu> {
        Err(Error::NoAdapter { request: "stub".into(), found: "none".into() })
    }
    pub fn determinism(&self) -> Determinism {
        Determinism::GpuToGpu
    }
    pub fn adapter_info(&self) -> wgpu::AdapterInfo {
        unimplemented!()
    }
    pub(crate) async fn partials<E: Element>(&self, _: &[&[E]], _: Patience) -> Result<Vec<Partial>> {
        unimplemented!()
    }
    pub(crate) async fn update<E: Element>(
        &self,
        _: &Update<'_>,
        _: Option<&[E]>,
        _: &mut [E],
        _: Patience,
    ) -> Result<()> {
        unimplemented!()
    }
}
