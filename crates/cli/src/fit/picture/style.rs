//! Colours, dashes and sizes. Each colour has a contrast of at least 3 against white and against a dark page, and no line is told
//! from another by its colour alone.

use kuva::prelude::{Layout, LinePlot, LineStyle, Plot, Theme};

/// Colours of middle lightness that also differ for colour-blind readers (after Okabe and Ito 2008).
const COLORS: [&str; 6] = ["#0f7bb8", "#c8500a", "#0b8a66", "#b0578d", "#8a7400", "#7a6fd0"];
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];
pub(super) const QUIET: &str = "#868e96";
const TEXT: &str = "#7d8590";

/// The colour of the series with this index.
pub(super) fn color(at: usize) -> &'static str {
    COLORS[at % COLORS.len()]
}

/// A line that differs from others by colour and by dashes.
pub(super) fn line(points: Vec<(f64, f64)>, at: usize) -> LinePlot {
    let line = LinePlot::new().with_data(points).with_color(color(at)).with_stroke_width(2.0);
    match DASHES[(at / 2) % DASHES.len()] {
        "" => line,
        dashes => line.with_line_style(LineStyle::Custom(dashes.to_owned())),
    }
}

/// A panel.
pub(super) fn layout(plots: &[Plot], title: String, x: &str, y: &str) -> Layout {
    let theme = Theme {
        background: "none".into(),
        axis_color: TEXT.into(),
        grid_color: "#8b949e40".into(),
        tick_color: TEXT.into(),
        text_color: TEXT.into(),
        legend_bg: "none".into(),
        legend_border: "none".into(),
        font_family: Some("sans-serif".into()),
        ..Theme::light()
    };
    Layout::auto_from_plots(plots)
        .with_theme(theme)
        .with_title(title)
        .with_title_size(15)
        .with_x_label(x)
        .with_y_label(y)
}
