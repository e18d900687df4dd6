//! The commands on data: `penalty fit`, `path`, `cv`, `predict` and `geometry`.

mod coefficients;
mod cv;
mod data;
mod geometry;
mod model;
mod once;
mod path;
mod picture;
mod predict;
mod task;

pub(crate) use cv::run as cv;
pub(crate) use geometry::run as geometry;
pub(crate) use once::run as once;
pub(crate) use path::run as path;
pub(crate) use predict::run as predict;
