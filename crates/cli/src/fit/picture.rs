//! Pictures of fits, as SVG or PNG.

mod curve;
mod paths;
mod planes;
mod style;

use std::fs;
use std::path::Path;

use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use kuva::prelude::Figure;

use crate::error::{Error, Result};

pub(crate) use curve::curve;
pub(crate) use paths::paths;
pub(crate) use planes::{Panel, planes};

/// How many pixels of a PNG a unit of the picture has.
const SCALE: f32 = 2.0;

/// Rejects a name that says no format, before the work begins.
pub(super) fn check(path: &Path) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => Ok(()),
        _ => Err(Error::file(path, "expected a name that ends in .svg or .png")),
    }
}

/// Writes a picture in the format that the file's name says.
pub(super) fn write(path: &Path, figure: Figure) -> Result<()> {
    let scene = figure.render();
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => SvgBackend::new().render_scene(&scene).into_bytes(),
        Some("png") => {
            // A PNG lies on a page of its own colour.
            PngBackend::new().with_scale(SCALE).render_scene(&scene).map_err(|error| Error::file(path, error))?
        }
        _ => return check(path),
    };
    fs::write(path, bytes).map_err(|error| Error::file(path, error))
}
