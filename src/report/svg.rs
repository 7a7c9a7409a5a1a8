//! The pictures of the page: bars over time, spans over time, the crossing of two lists of names, and proportions.
//! In: numbers and names. Out: SVG without script, style attribute or text of its own size: it is drawn in units of its
//! own and stretched, so that its words stand beside it in the page. Every picture has its words in `title` and `desc`.
//! Never decides a color: classes do.

use maud::{Markup, html};

/// Width of every picture, in units of its own.
const WIDTH: f64 = 1000.0;
/// A bar is never thinner than this, so that one call among millions is seen.
const THINNEST: f64 = 2.0;

/// The words of a picture, for those who do not see it.
#[derive(Clone, Copy)]
pub(super) struct Words<'w> {
    /// The id of its elements; one of the page.
    pub id: &'w str,
    pub title: &'w str,
    pub description: &'w str,
}

/// A bar of a chart: its place and length in units of the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub at: i64,
    pub value: u64,
    pub says: String,
}

/// The extent of an axis. Invariant: it is not empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    /// An axis of at least one step.
    pub(super) fn new(from: i64, to: i64, step: i64) -> Axis {
        Axis { from, to: to.max(from.saturating_add(step.max(1))) }
    }

    pub(super) fn ends(self) -> (i64, i64) {
        (self.from, self.to)
    }

    fn place(self, at: i64) -> f64 {
        let part = (at.clamp(self.from, self.to) - self.from) as f64 / (self.to - self.from) as f64;
        part * WIDTH
    }
}

/// A lane of bars whose heights grow with the root of their values, so that one refusal beside a thousand is seen.
pub(super) fn bars(words: Words<'_>, (axis, step): (Axis, i64), bars: &[Bar], ticks: &[i64]) -> Markup {
    const HEIGHT: f64 = 100.0;
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    picture(
        words,
        HEIGHT,
        html! {
            (grid(axis, ticks, HEIGHT))
            @for bar in bars {
                @let (from, to) = (axis.place(bar.at), axis.place(bar.at.saturating_add(step)));
                @let height = ((bar.value as f64 / most as f64).sqrt() * (HEIGHT - 4.0)).max(6.0);
                rect
                    .bar
                    x=(number(from))
                    y=(number(HEIGHT - height))
                    width=(number((to - from - 1.0).max(THINNEST)))
                    height=(number(height))
                {
                    title { (bar.says) }
                }
            }
        },
    )
}

/// A span of a lane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub from: i64,
    pub to: i64,
    /// The class of its color.
    pub class: &'static str,
    /// Its share of the lane's height, in hundredths: what is less sure is lower, so that color is not all that tells.
    pub height: u8,
    pub says: String,
}

/// A lane of spans.
pub(super) fn spans(words: Words<'_>, axis: Axis, spans: &[Span], ticks: &[i64]) -> Markup {
    const HEIGHT: f64 = 100.0;
    picture(
        words,
        HEIGHT,
        html! {
            (grid(axis, ticks, HEIGHT))
            @for span in spans {
                @let (from, to) = (axis.place(span.from), axis.place(span.to));
                @let height = f64::from(span.height.min(100));
                rect
                    class=(span.class)
                    x=(number(from))
                    y=(number(HEIGHT - height))
                    width=(number((to - from).max(THINNEST)))
                    height=(number(height))
                {
                    title { (span.says) }
                }
            }
        },
    )
}

/// Shares of a whole, side by side.
pub(super) fn shares(words: Words<'_>, parts: &[(&'static str, u64)]) -> Markup {
    const HEIGHT: f64 = 10.0;
    let whole = parts.iter().map(|(_, value)| *value).sum::<u64>().max(1) as f64;
    let mut before = 0;
    let mut placed = Vec::new();
    for (class, value) in parts.iter().filter(|(_, value)| *value > 0) {
        placed.push((*class, before as f64 / whole * WIDTH, *value as f64 / whole * WIDTH));
        before += value;
    }
    picture(
        words,
        HEIGHT,
        html! {
            @for (class, from, width) in placed {
                rect class=(class) x=(number(from)) y="0" width=(number(width.max(THINNEST))) height=(number(HEIGHT)) {}
            }
        },
    )
}

/// One square of a heat map: how dark it is and, below, how much of it was refused.
pub(super) fn heat(used: u64, refused: u64, most: u64) -> Markup {
    html! {
        svg.heat viewBox="0 0 40 24" preserveAspectRatio="none" aria-hidden="true" {
            rect class={ "warm" (level(used, most)) } x="0" y="0" width="40" height="24" {}
            @if refused > 0 {
                @let width = (refused as f64 / (used + refused) as f64 * 40.0).max(6.0);
                rect.refused x="0" y="21" width=(number(width)) height="3" {}
            }
        }
    }
}

/// The darkness of a number beside the greatest, from 0 to 5; steps are equal in the logarithm.
pub(super) fn level(value: u64, most: u64) -> u8 {
    if value == 0 {
        return 0;
    }
    let part = (value as f64).ln_1p() / (most.max(value) as f64).ln_1p();
    // A whole step may come out a hair too small.
    (1.0 + (part * 4.0 + 1e-9).floor()).min(5.0) as u8
}

/// The borders of days or months between the ends.
fn grid(axis: Axis, ticks: &[i64], height: f64) -> Markup {
    html! {
        @for tick in ticks {
            rect.tick x=(number(axis.place(*tick))) y="0" width="1" height=(number(height)) {}
        }
    }
}

fn picture(words: Words<'_>, height: f64, drawn: Markup) -> Markup {
    let (title, description) = (format!("{}-t", words.id), format!("{}-d", words.id));
    html! {
        svg viewBox={ "0 0 " (number(WIDTH)) " " (number(height)) }
            preserveAspectRatio="none"
            role="img"
            aria-labelledby=(title)
            aria-describedby=(description)
        {
            title id=(title) { (words.title) }
            desc id=(description) { (words.description) }
            (drawn)
        }
    }
}

/// A number with one decimal at most, the same on every machine.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words<'_> = Words { id: "x", title: "Use <b>", description: "1 & 2" };

    #[test]
    fn words_are_text_and_numbers_are_short() {
        let bar = Bar { at: 5, value: 4, says: "\"<script>\"".to_owned() };
        let svg = bars(WORDS, (Axis::new(0, 10, 1), 1), &[bar], &[5]).into_string();
        assert!(svg.contains("Use &lt;b&gt;") && svg.contains("1 &amp; 2") && svg.contains("&lt;script&gt;"), "{svg}");
        assert!(svg.contains("<rect class=\"bar\" x=\"500\" y=\"4\" width=\"99\" height=\"96\">"), "{svg}");
        assert!(!svg.contains("style=") && !svg.contains("foreignObject"));
    }

    #[test]
    fn an_axis_is_never_empty() {
        let axis = Axis::new(7, 7, 0);
        assert_eq!(
            (axis.ends(), number(axis.place(i64::MAX)), number(axis.place(i64::MIN))),
            ((7, 8), "1000".into(), "0".into())
        );
    }

    #[test]
    fn every_bar_is_seen() {
        let few = [(0, 1), (1, 1_000_000)].map(|(at, value)| Bar { at, value, says: String::new() });
        let svg = bars(WORDS, (Axis::new(0, 100_000, 1), 1), &few, &[]).into_string();
        assert!(svg.contains("width=\"2\" height=\"6\""), "{svg}");
    }

    #[test]
    fn darkness_grows_with_the_logarithm() {
        let levels = [0, 1, 9, 99, 999, 9_999].map(|value| level(value, 9_999));
        assert_eq!(levels, [0, 1, 2, 3, 4, 5]);
        assert_eq!((level(1, 1), level(5, 0)), (5, 5));
    }

    #[test]
    fn shares_fill_the_width() {
        let svg = shares(WORDS, &[("good", 3), ("bad", 0), ("untold", 1)]).into_string();
        assert!(svg.contains("x=\"750\" y=\"0\" width=\"250\"") && !svg.contains("class=\"bad\""), "{svg}");
    }
}
