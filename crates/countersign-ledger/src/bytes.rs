//! Fixed-width fields off the front of a slice, without a way to read past its end.

/// Takes `N` bytes off the front of `input`, or leaves it untouched.
pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*field)
}

/// Takes one byte.
pub(crate) fn take_u8(input: &mut &[u8]) -> Option<u8> {
    take::<1>(input).map(u8::from_be_bytes)
}

/// Takes a big-endian `u16`.
pub(crate) fn take_u16(input: &mut &[u8]) -> Option<u16> {
    take::<2>(input).map(u16::from_be_bytes)
}

/// Takes a big-endian `u32`.
pub(crate) fn take_u32(input: &mut &[u8]) -> Option<u32> {
    take::<4>(input).map(u32::from_be_bytes)
}

/// Takes a big-endian `u64`.
pub(crate) fn take_u64(input: &mut &[u8]) -> Option<u64> {
    take::<8>(input).map(u64::from_be_bytes)
}

/// Takes `length` bytes off the front.
pub(crate) fn take_slice<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (field, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(field)
}

/// A length as the `u64` that offsets on disk are counted in.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A `u64` as a length in memory; what does not fit saturates and then fails the next bounds check.
pub(crate) fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The largest value of three bytes.
pub(crate) const U24_MAX: u64 = (1 << 24) - 1;
/// The largest value of five bytes.
#[cfg(test)]
pub(crate) const U40_MAX: u64 = (1 << 40) - 1;

/// Takes a big-endian `u24`.
pub(crate) fn take_u24(input: &mut &[u8]) -> Option<u64> {
    let field = take::<3>(input)?;
    Some(field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Takes a big-endian `u40`.
pub(crate) fn take_u40(input: &mut &[u8]) -> Option<u64> {
    let field = take::<5>(input)?;
    Some(field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Appends a big-endian `u24`; `None` and nothing appended when the value does not fit.
pub(crate) fn put_u24(out: &mut Vec<u8>, value: u64) -> Option<()> {
    let [0, 0, 0, 0, 0, field @ ..] = value.to_be_bytes() else {
        return None;
    };
    out.extend(field);
    Some(())
}

/// Appends a big-endian `u40`; `None` and nothing appended when the value does not fit.
pub(crate) fn put_u40(out: &mut Vec<u8>, value: u64) -> Option<()> {
    let [0, 0, 0, field @ ..] = value.to_be_bytes() else {
        return None;
    };
    out.extend(field);
    Some(())
}
