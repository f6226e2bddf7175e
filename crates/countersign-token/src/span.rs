//! Pieces of a token's text, by their place in it: a token keeps one text and says where in it each part stands.

use crate::json::Text;

/// From one byte up to another. A token has at most 16 KiB, so the places are small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    begin: u32,
    end: u32,
}

impl Span {
    pub(crate) const EMPTY: Self = Self { begin: 0, end: 0 };

    pub(crate) fn new(begin: usize, end: usize) -> Self {
        // What does not fit stands nowhere: it would be read as an empty text.
        let small = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self {
            begin: small(begin),
            end: small(end),
        }
    }

    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.begin as usize..self.end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn of_mut(self, text: &mut str) -> Option<&mut str> {
        text.get_mut(self.begin as usize..self.end as usize)
    }

    pub(crate) fn length(self) -> usize {
        self.end.saturating_sub(self.begin) as usize
    }

    pub(crate) fn begin(self) -> usize {
        self.begin as usize
    }

    pub(crate) fn end(self) -> usize {
        self.end as usize
    }

    /// Its last bytes.
    pub(crate) fn last(self, bytes: usize) -> Self {
        Self::new((self.end as usize).saturating_sub(bytes), self.end as usize)
    }
}

/// How many entries of a list are kept without asking for memory. A token is rarely meant for more resources.
const NEAR: usize = 4;

/// A list of pieces.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    near: [Span; NEAR],
    near_count: usize,
    far: Vec<Span>,
}

impl Spans {
    pub(crate) fn push(&mut self, span: Span) {
        match self.near.get_mut(self.near_count) {
            Some(free) => {
                *free = span;
                self.near_count = self.near_count.saturating_add(1);
            }
            None => self.far.push(span),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Span> + Clone {
        self.near.iter().take(self.near_count).chain(&self.far).copied()
    }
}

/// Says where in a token's text the parts of a document stand. What does not stand there as it is meant, because it was
/// written with escapes, is added behind.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Where the text ends and the addition begins.
    end: usize,
    addition: String,
}

impl Keeper {
    /// Adds behind `text`.
    pub(crate) fn behind(text: &str) -> Self {
        Self {
            end: text.len(),
            ..Self::default()
        }
    }

    /// What belongs behind the text.
    pub(crate) fn addition(&self) -> &str {
        &self.addition
    }

    pub(crate) fn keep(&mut self, text: Text<'_>) -> Span {
        text.place().unwrap_or_else(|| self.add(&text.unescaped()))
    }

    pub(crate) fn add(&mut self, text: &str) -> Span {
        let begin = self.end.saturating_add(self.addition.len());
        self.addition.push_str(text);
        Span::new(begin, begin.saturating_add(text.len()))
    }
}
