//! HTML in which every text is escaped.

use std::fmt::{self, Display, Write};

/// A part of a document.
pub(super) struct Node(String);

impl Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a text.
pub(super) fn text(text: impl Display) -> Node {
    Node(escaped(&text.to_string()))
}

/// Makes an element. Names are those of this module's callers, values may be anything.
pub(super) fn element(
    name: &str,
    attributes: &[(&str, &str)],
    children: impl IntoIterator<Item = Node>,
) -> Node {
    let mut html = format!("<{name}");
    for (attribute, value) in attributes {
        let _ = write!(html, " {attribute}=\"{}\"", escaped(value));
    }
    html.push('>');
    html.extend(children.into_iter().map(|child| child.0));
    let _ = write!(html, "</{name}>");
    Node(html)
}

/// Makes an element that has a text and nothing else.
pub(super) fn words(name: &str, class: &str, words: impl Display) -> Node {
    let attributes = [("class", class)];
    element(name, if class.is_empty() { &[] } else { &attributes }, [text(words)])
}

/// Escapes a text for HTML, also inside quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns JSON that can be put into a `<script>` element: without anything that ends one.
pub(super) fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text_between_tags_and_inside_quotes() {
        let hostile = "</b><script>'\"&";
        let node = element("b", &[("title", hostile)], [text(hostile)]);
        let escaped = "&lt;/b&gt;&lt;script&gt;&#39;&quot;&amp;";
        assert_eq!(node.to_string(), format!("<b title=\"{escaped}\">{escaped}</b>"));
    }

    #[test]
    fn json_in_a_script_ends_no_script_and_means_the_same() {
        let hostile = "</script><!--<script>";
        let json = in_script(&serde_json::to_string(hostile).unwrap());
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}
