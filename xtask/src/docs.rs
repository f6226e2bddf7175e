//! `cargo xtask docs`: the reference pages that are made from the sources.
//!
//! The doc comments of the config structs are the only place where a key is described; the page follows them. It is
//! made from the source text, because this tool links no crate of the product.

mod configuration;
mod defaults;
mod items;

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;
use crate::{Usage, print, workspace};

/// The page that this command makes.
pub(crate) const CONFIGURATION: &str = "docs/configuration.md";

/// Runs the command; true means that the page is (now) what the sources say.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let only_check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(Usage("docs takes only --check".to_owned()).into()),
    };
    let root = workspace::root();
    let checkout = Workspace::load(&root)?;
    let page = configuration(&checkout)?;
    if is_current(&checkout, &page) {
        print::out(&format!("{CONFIGURATION} is current"));
        return Ok(true);
    }
    if only_check {
        print::out(&format!("{CONFIGURATION} is not what the sources say"));
        return Ok(false);
    }
    write(&root.join(CONFIGURATION), &page)?;
    print::out(&format!("wrote {CONFIGURATION}"));
    Ok(true)
}

/// The page as the sources say it.
pub(crate) fn configuration(checkout: &Workspace) -> Result<String> {
    configuration::page(checkout)
}

/// Whether the checkout has this page.
pub(crate) fn is_current(checkout: &Workspace, page: &str) -> bool {
    checkout.file(CONFIGURATION).is_some_and(|file| file.text == page)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer tool writes a page that git keeps"
)]
fn write(path: &std::path::Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
