//! Names of tiles and entry bundles, exactly as C2SP tlog-tiles writes them, and the widths a tree size asks for.

use std::fmt;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// The highest level a path may name.
const LEVEL_MAX: u8 = 63;

/// What a path names: hashes of one level, or entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Row {
    /// `tile/<level>/…`: 32-byte hashes.
    Level(u8),
    /// `tile/entries/…`: length-prefixed entries.
    Entries,
}

/// One tile or bundle of a certain width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileName {
    /// Hashes of which level, or entries.
    pub row: Row,
    /// Position in its row.
    pub index: u64,
    /// 1 to 256; 256 is full.
    pub width: u16,
}

impl TileName {
    /// The full tile at this place.
    pub fn full(row: Row, index: u64) -> Self {
        Self {
            row,
            index,
            width: TILE_WIDTH,
        }
    }

    /// Whether this is a full tile.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Reads a path below the ledger's prefix, such as `tile/0/x001/067.p/12`. `None` for anything but the one
    /// spelling that tlog-tiles gives a tile.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (row, rest) = rest.split_once('/')?;
        let row = if row == "entries" {
            Row::Entries
        } else {
            Row::Level(parse_level(row)?)
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, parse_width(width)?),
            None => (rest, TILE_WIDTH),
        };
        Some(Self {
            row,
            index: parse_index(index)?,
            width,
        })
    }

    /// The directory that holds all partial widths of this tile, relative to the ledger.
    pub(crate) fn partial_directory(&self) -> String {
        format!(
            "{}.p",
            Self {
                width: TILE_WIDTH,
                ..*self
            }
        )
    }
}

impl fmt::Display for TileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Row::Level(level) => write!(f, "tile/{level}/")?,
            Row::Entries => f.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
        let groups = padded.len().div_euclid(3);
        for (position, group) in (1..).zip(padded.as_bytes().chunks(3)) {
            let mark = if position < groups { "x" } else { "" };
            let slash = if position < groups { "/" } else { "" };
            write!(f, "{mark}{}{slash}", String::from_utf8_lossy(group))?;
        }
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

/// How many hashes a tree of `size` leaves has at tile level `level`.
pub(crate) fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0)
}

fn parse_level(text: &str) -> Option<u8> {
    let level = parse_canonical(text)?;
    u8::try_from(level).ok().filter(|level| *level <= LEVEL_MAX)
}

fn parse_width(text: &str) -> Option<u16> {
    let width = parse_canonical(text)?;
    u16::try_from(width)
        .ok()
        .filter(|width| (1..TILE_WIDTH).contains(width))
}

/// A decimal number without sign or leading zeros.
fn parse_canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn parse_index(text: &str) -> Option<u64> {
    let mut digits = String::new();
    let mut groups = text.split('/').peekable();
    while let Some(group) = groups.next() {
        let group = if groups.peek().is_some() {
            group.strip_prefix('x')?
        } else {
            group
        };
        if group.len() != 3 || !group.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.push_str(group);
    }
    // One spelling only: the leading group may be 000 when it is the only one.
    if digits.len() > 3 && digits.starts_with("000") {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_of_the_specification() {
        for (row, index, width, path) in [
            (Row::Level(0), 0, 256, "tile/0/000"),
            (Row::Level(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (Row::Level(1), 5, 12, "tile/1/005.p/12"),
            (Row::Entries, 999, 256, "tile/entries/999"),
            (Row::Entries, 1000, 255, "tile/entries/x001/000.p/255"),
            (Row::Level(63), 7, 1, "tile/63/007.p/1"),
        ] {
            let name = TileName { row, index, width };
            assert_eq!(name.to_string(), path);
            assert_eq!(TileName::parse(path), Some(name));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/1/",
            "tile/0/000/",
            "/tile/0/000",
            "tile//000",
            "tile/entries/../../key",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/data/000",
            "tile/0/٠٠٠",
        ] {
            assert_eq!(TileName::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_spelled_the_one_way(level in 0u8..=63, index in any::<u64>(), width in 1u16..=256) {
            let name = TileName { row: Row::Level(level), index, width };
            prop_assert_eq!(TileName::parse(&name.to_string()), Some(name));
        }
    }
}
