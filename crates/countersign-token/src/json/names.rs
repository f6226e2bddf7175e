//! The names of an object's members, so that none stands twice.

use super::{Fault, Text, unescape};
use crate::limits::JSON_MEMBERS_MAX;
use crate::span::Span;

/// How many names are remembered without asking for memory. Entra's largest tokens have below 50 members.
const NAMES_NEAR: usize = 48;

/// The names seen in each object that is open, as written: those of the outermost first.
pub(super) struct Names {
    near: [Span; NAMES_NEAR],
    far: Vec<Span>,
    count: usize,
    object: Object,
}

/// The innermost object that is open.
#[derive(Clone, Copy)]
pub(super) struct Object {
    /// Where its names begin.
    first: usize,
    /// One bit for each name's [`trace`]: a name whose bit is not there is a new one.
    traces: u64,
}

impl Names {
    pub(super) const fn new() -> Self {
        Self {
            near: [Span::EMPTY; NAMES_NEAR],
            far: Vec::new(),
            count: 0,
            object: Object { first: 0, traces: 0 },
        }
    }

    /// Enters an object and returns the one around it.
    pub(super) fn enter(&mut self) -> Object {
        let inner = Object {
            first: self.count,
            traces: 0,
        };
        std::mem::replace(&mut self.object, inner)
    }

    pub(super) fn leave(&mut self, outer: Object) {
        self.count = self.object.first;
        self.far.truncate(self.count.saturating_sub(NAMES_NEAR));
        self.object = outer;
    }

    #[expect(clippy::inline_always, reason = "measured: a tenth of reading a token")]
    #[inline(always)]
    pub(super) fn add(&mut self, name: Text<'_>) -> Result<(), Fault> {
        let trace = trace(name);
        let is_new = self.object.traces & trace == 0;
        self.object.traces |= trace;
        if !is_new && self.has(name) {
            return Err(Fault::Repeated);
        }
        if self.count.wrapping_sub(self.object.first) >= JSON_MEMBERS_MAX {
            return Err(Fault::TooComplex);
        }
        match self.near.get_mut(self.count) {
            Some(free) => *free = name.place,
            None => self.far.push(name.place),
        }
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    #[cold]
    fn has(&self, name: Text<'_>) -> bool {
        let first = self.object.first;
        let near = self.near.get(first..self.count.min(NAMES_NEAR));
        let far = self.far.get(first.saturating_sub(NAMES_NEAR)..);
        let mut seen = near.into_iter().chain(far).flatten();
        // Where nothing was written with escapes, equal names are equally long.
        if self.object.traces == u64::MAX {
            let meant = name.unescaped();
            seen.any(|place| unescape(place.of(name.around)) == meant)
        } else {
            seen.any(|place| place.length() == name.place.length() && place.of(name.around) == name.raw())
        }
    }
}

/// One of 64 bits, the same for equal names. What cannot be told quickly sets every bit.
#[inline]
fn trace(name: Text<'_>) -> u64 {
    let (begin, length) = (name.place.begin(), name.place.length());
    let around = name.around.as_bytes();
    let first = around.get(begin..).and_then(<[u8]>::first_chunk);
    let (Some(first), false) = (first, name.is_escaped) else {
        return u64::MAX;
    };
    let mut word = u64::from_le_bytes(*first);
    if length < 8 {
        // What stands behind the name is cut off.
        word &= !(u64::MAX << (length << 3));
    } else if let Some(last) = name.raw().as_bytes().last_chunk() {
        word ^= u64::from_le_bytes(*last).rotate_left(29);
    }
    1 << (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}
