//! Colours and sizes. Each colour has a contrast of at least 3 against white and against GitHub's dark page.

use kuva::prelude::Theme;

/// penalty, with its best instructions and with others.
pub const OURS: [&str; 3] = ["#d9480f", "#1c7ed6", "#9c36b5"];
pub const PEERS: &str = "#868e96";
pub const MACHINE: &str = "#868e96";
const TEXT: &str = "#7d8590";
const LINES: &str = "#8b949e";

pub fn theme() -> Theme {
    Theme {
        background: "none".into(),
        axis_color: LINES.into(),
        grid_color: "#8b949e40".into(),
        tick_color: LINES.into(),
        text_color: TEXT.into(),
        legend_bg: "none".into(),
        legend_border: "none".into(),
        font_family: Some("sans-serif".into()),
        ..Theme::light()
    }
}
