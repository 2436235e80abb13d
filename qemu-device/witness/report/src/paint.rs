// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Colours and size of text in pictures as attributes, for readers that show no style sheet.
//!
//! A server may forbid style sheets inside a page, as Jenkins does, and a page may be moved without
//! the file beside it. A shape without a colour is then black, or not there, and larger text covers
//! what is beside it. A style sheet overrides these attributes.

/// The style sheet, which has the colours.
pub(crate) const STYLE: &str = include_str!("page.css");

/// Size of text, as in the style sheet.
const TEXT: &str = " font-size=\"11px\"";

/// Classes with their fill and their stroke: names of the style sheet's colours, or `none`.
const CLASSES: &[(&str, Option<&str>, Option<&str>)] = &[
    ("lane", None, Some("line")),
    ("one", None, Some("soft")),
    ("soft", Some("soft"), None),
    ("trapped", Some("trapped"), None),
    ("shared", Some("shared"), None),
    ("guest", Some("guest"), None),
    ("driver-cell", Some("none"), Some("driver")),
    ("program-cell", Some("none"), Some("program")),
    ("device-cell", Some("none"), Some("device")),
    ("work", Some("shared"), Some("device")),
    ("goal", Some("guest"), None),
    ("met", Some("good"), Some("good")),
    ("missed", Some("bad"), Some("bad")),
    ("free", Some("device"), Some("device")),
    ("driver", Some("driver"), None),
    ("kernel", Some("kernel"), None),
    ("device", Some("device"), None),
    ("program", Some("program"), None),
];

/// Adds the colours of the light page to each element of a picture that has a known class, and the
/// size of text to the picture.
pub(crate) fn painted(picture: &str) -> String {
    let mut parts = picture.split('<');
    let mut painted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        painted.push('<');
        let part = match part.strip_prefix("svg") {
            Some(rest) => {
                painted.push_str("svg");
                painted.push_str(TEXT);
                rest
            }
            None => part,
        };
        match part.split_once("class=\"") {
            // Text of the guest can only come after the end of the tag.
            Some((before, after)) if !before.contains('>') => {
                painted.push_str(before);
                painted.push_str(&attributes(before.starts_with("text"), after));
                painted.push_str("class=\"");
                painted.push_str(after);
            }
            _ => painted.push_str(part),
        }
    }
    painted
}

/// Returns the attributes for the classes that a text begins with.
fn attributes(is_text: bool, classes: &str) -> String {
    let classes = classes.split('"').next().unwrap_or_default();
    let known = |name: &str| CLASSES.iter().find(|(class, ..)| *class == name);
    let Some((_, fill, stroke)) = classes.split(' ').find_map(known) else {
        return String::new();
    };
    let fill = fill
        .and_then(colour)
        .map(|colour| format!("fill=\"{colour}\" "));
    // A stroke makes letters thick.
    let stroke = stroke.filter(|_| !is_text).and_then(colour);
    let stroke = stroke.map(|colour| format!("stroke=\"{colour}\" "));
    fill.unwrap_or_default() + &stroke.unwrap_or_default()
}

/// Returns a colour of the style sheet. The first one of a name is that of the light page.
fn colour(name: &str) -> Option<&str> {
    if name == "none" {
        return Some(name);
    }
    let (_, value) = STYLE.split_once(&format!("--{name}: "))?;
    value.split(';').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_colour_of_the_style_sheet() {
        for (class, fill, stroke) in CLASSES {
            let names = [fill, stroke].into_iter().flatten();
            for name in names.clone() {
                assert!(
                    colour(name).is_some_and(|c| c == "none" || c.starts_with('#')),
                    "{name}"
                );
            }
            assert!(names.count() > 0, "{class}");
        }
    }

    #[test]
    fn shape_has_fill_and_stroke_and_text_has_its_fill_alone() {
        let picture = r#"<svg><line class="lane"/><text class="met" x="1">a</text><rect class="part driver"/></svg>"#;

        assert_eq!(
            painted(picture),
            concat!(
                r##"<svg font-size="11px"><line stroke="#d5dae0" class="lane"/><text fill="#12703a" class="met" x="1">a</text>"##,
                r##"<rect fill="#b35900" class="part driver"/></svg>"##
            )
        );
    }

    #[test]
    fn text_has_the_size_of_the_style_sheet() {
        let size = TEXT.trim().trim_matches(|c| c == '"');
        let size = size.replace("=\"", ": ");

        assert!(
            STYLE.contains(&format!("svg text {{ fill: var(--text); {size}; }}")),
            "{size}"
        );
    }

    #[test]
    fn text_of_the_guest_stays_as_it_is() {
        let picture = r#"<title>x class="met"</title><rect class="unknown"/>"#;

        assert_eq!(painted(picture), picture);
    }
}
