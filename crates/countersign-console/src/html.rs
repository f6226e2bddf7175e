//! Writes HTML in which foreign text is inert, by type.
//!
//! [`Html`] is made here only. What is put inside an element is escaped unless it is `Html` already; names and values
//! of attributes are literals or numbers, so text that was read from somewhere cannot reach an attribute at all.

use std::fmt::Write as _;

/// Finished, balanced HTML.
pub(crate) struct Html(String);

impl Html {
    /// The whole document, `root` being its `html` element.
    pub(crate) fn document(root: &Self) -> String {
        format!("<!doctype html>\n{}\n", root.0)
    }

    /// A `style` element: the one place where text is not escaped, hence a literal.
    pub(crate) fn style(css: &'static str) -> Self {
        Self(format!("<style>{css}</style>"))
    }
}

/// What can stand inside an element.
pub(crate) trait Content {
    /// Appends it, escaped if it is not HTML yet.
    fn append(&self, out: &mut String);
}

/// An element that is being written: `tag("p").is("class", "note").holds("text")`.
pub(crate) struct Tag {
    name: &'static str,
    open: String,
}

/// Starts an element.
pub(crate) fn tag(name: &'static str) -> Tag {
    Tag {
        name,
        open: format!("<{name}"),
    }
}

impl Tag {
    /// Adds an attribute whose value is a literal.
    pub(crate) fn is(mut self, name: &'static str, value: &'static str) -> Self {
        self.attribute(name, value);
        self
    }

    /// Adds an attribute whose value is a number.
    pub(crate) fn counts(mut self, name: &'static str, value: u64) -> Self {
        self.attribute(name, &value.to_string());
        self
    }

    fn attribute(&mut self, name: &'static str, value: &str) {
        let _ = write!(self.open, " {name}=\"");
        escape(value, &mut self.open);
        self.open.push('"');
    }

    /// The element around `content`.
    pub(crate) fn holds(self, content: impl Content) -> Html {
        let Self { name, open: mut out } = self;
        out.push('>');
        content.append(&mut out);
        let _ = write!(out, "</{name}>");
        Html(out)
    }

    /// An element that has no content and no end, such as `meta`.
    pub(crate) fn alone(mut self) -> Html {
        self.open.push('>');
        Html(self.open)
    }
}

impl Content for Html {
    fn append(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

impl Content for str {
    fn append(&self, out: &mut String) {
        escape(self, out);
    }
}

impl Content for String {
    fn append(&self, out: &mut String) {
        escape(self, out);
    }
}

impl<T: Content + ?Sized> Content for &T {
    fn append(&self, out: &mut String) {
        (**self).append(out);
    }
}

impl<T: Content> Content for Option<T> {
    fn append(&self, out: &mut String) {
        if let Some(content) = self {
            content.append(out);
        }
    }
}

impl<T: Content> Content for Vec<T> {
    fn append(&self, out: &mut String) {
        for content in self {
            content.append(out);
        }
    }
}

macro_rules! tuples {
    ($(($($item:ident)+))+) => {$(
        impl<$($item: Content),+> Content for ($($item,)+) {
            #[expect(non_snake_case, reason = "the macro has one name for a type and its value")]
            fn append(&self, out: &mut String) {
                let ($($item,)+) = self;
                $($item.append(out);)+
            }
        }
    )+};
}

tuples! { (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) }

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            unseen if is_unseen(unseen) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(unseen));
            }
            plain => out.push(plain),
        }
    }
}

/// Characters that show nothing but change how their neighbours read: controls, direction marks and overrides,
/// zero-width characters, line separators, tags. They are written as `\u{202e}`, so that a name looks like what it is.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: impl Content, expect: &str) {
        assert_eq!(tag("p").holds(content).0, format!("<p>{expect}</p>"));
    }

    #[test]
    fn text_is_escaped_and_html_is_not_escaped_twice() {
        check(
            "<script>alert('1') && \"2\"</script>",
            "&lt;script&gt;alert(&#39;1&#39;) &amp;&amp; &quot;2&quot;&lt;/script&gt;",
        );
        check(tag("b").holds("a<b"), "<b>a&lt;b</b>");
        check(
            ("<", tag("i").holds("x"), Some(">"), None::<&str>),
            "&lt;<i>x</i>&gt;",
        );
        check(vec!["a".to_owned(), "&".to_owned()], "a&amp;");
    }

    #[test]
    fn characters_that_hide_are_shown() {
        check("a\u{202e}nimda\u{0}\n", "a\\u{202e}nimda\\u{0}\\u{a}");
        check("al\u{200b}ice", "al\\u{200b}ice");
        check("\u{2066}x\u{2069}\u{e0041}", "\\u{2066}x\\u{2069}\\u{e0041}");
        check("Grüße, 日本, naïve e\u{301}", "Grüße, 日本, naïve e\u{301}");
    }

    #[test]
    fn attributes() {
        let html = tag("td").is("class", "a \"b\"").counts("colspan", 3).holds("");
        assert_eq!(html.0, "<td class=\"a &quot;b&quot;\" colspan=\"3\"></td>");
        assert_eq!(
            tag("meta").is("charset", "utf-8").alone().0,
            "<meta charset=\"utf-8\">"
        );
    }
}
