//! x
pub(crate) fn command(_: &[String]) -> anyhow::Result<bool> {
    Ok(true)
}
