//! A chart of bars as inline SVG.

use super::view::Drawing;
use maud::{Markup, html};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 86.0;
/// Room for the labels below.
const FOOT: f64 = 12.0;
/// Room for the numbers above.
const HEAD: f64 = 10.0;
/// More bars than this are labelled every other time or less.
const ROOM_FOR_LABELS: usize = 12;

/// The bars, the tallest as high as the room allows. Numbers stand above bars as long as there is room for them.
pub(super) fn bars(drawing: &Drawing) -> Markup {
    let tallest = drawing.bars.iter().map(|bar| bar.value).fold(1.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "some dozen bars")]
    let step = WIDTH / drawing.bars.len().max(1) as f64;
    let every = drawing.bars.len().div_ceil(ROOM_FOR_LABELS).max(1);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(drawing.name) {
            @for (i, bar) in drawing.bars.iter().enumerate() {
                @let left = step * index(i);
                @let high = (HEIGHT - FOOT - HEAD) * bar.value / tallest;
                @let top = HEIGHT - FOOT - high;
                rect x=(short(left + step * 0.1)) y=(short(top)) width=(short(step * 0.8)) height=(short(high)) {
                    title { (bar.label) " — " (bar.text) }
                }
                @if i % every == 0 {
                    text x=(short(left + step / 2.0)) y=(short(HEIGHT - 3.0)) { (bar.label) }
                    text.number x=(short(left + step / 2.0)) y=(short(top - 2.0)) { (bar.text) }
                }
            }
            line x1="0" x2=(short(WIDTH)) y1=(short(HEIGHT - FOOT)) y2=(short(HEIGHT - FOOT)) {}
        }
    }
}

fn index(i: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some dozen bars")]
    let i = i as f64;
    i
}

fn short(value: f64) -> String {
    format!("{value:.1}")
}
