//! Draws measurements as SVG: `cargo run -p penalty-figures -- FOLDER FILE…`, where the files hold JSON lines of
//! `penalty bench --json-lines` and of `scripts/compare.sh`. It prints the names of the figures that it writes to FOLDER.
//!
//! The figures have no background, and colours of middle lightness, so that they are legible on light and dark pages.

mod peers;
mod speed;
mod style;

use std::error::Error;
use std::fs;
use std::path::Path;

use kuva::backend::svg::SvgBackend;
use kuva::prelude::Figure;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("expected a folder for the figures, then files of JSON lines")?;
    let mut rows: Vec<Value> = Vec::new();
    for file in arguments {
        let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        for (at, line) in text.lines().enumerate() {
            rows.push(serde_json::from_str(line).map_err(|error| format!("{file}, line {}: {error}", at + 1))?);
        }
    }
    // Rows without times say why in their file.
    rows.retain(|row| row["error"].is_null());
    fs::create_dir_all(&folder)?;
    let figures: Vec<(String, Figure)> = speed::figures(&rows).into_iter().chain(peers::figures(&rows)).collect();
    for (name, figure) in figures {
        let path = Path::new(&folder).join(format!("{name}.svg"));
        fs::write(&path, SvgBackend.render_scene(&figure.render()))?;
        println!("{}", path.display());
    }
    Ok(())
}
