//! Every crate says what it is, in its manifest and at the top of its code.

use super::Finding;
use crate::workspace::{File, Workspace};

/// The manifests of workspace members, with their files.
pub(crate) fn packages(workspace: &Workspace) -> impl Iterator<Item = (&File, toml::Table)> {
    let is_member = |path: &str| {
        path == "xtask/Cargo.toml" || (path.starts_with("crates/") && path.matches('/').count() == 2)
    };
    let manifests = workspace.with_extension("toml");
    let manifests = manifests.filter(move |file| file.path.ends_with("/Cargo.toml") && is_member(&file.path));
    manifests.filter_map(|file| Some((file, file.text.parse().ok()?)))
}

/// The package's name.
pub(crate) fn name(manifest: &toml::Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

/// A description, the workspace's lints, and a folder of the same name.
pub(crate) fn complete(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, manifest) in packages(workspace) {
        let package = manifest.get("package");
        let described = package
            .and_then(|it| it.get("description"))
            .and_then(toml::Value::as_str);
        if described.is_none_or(|it| it.trim().is_empty()) {
            findings.push(Finding::of(&file.path, "has no description"));
        }
        let lints = manifest
            .get("lints")
            .and_then(|it| it.get("workspace"))
            .and_then(toml::Value::as_bool);
        if lints != Some(true) {
            findings.push(Finding::of(&file.path, "lacks `[lints] workspace = true`"));
        }
        let folder = file.path.rsplit('/').nth(1);
        if name(&manifest) != folder {
            findings.push(Finding::of(&file.path, "the crate is not called as its folder"));
        }
    }
    findings
}

/// `//!` on the first line of every library and binary.
pub(crate) fn headers(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in packages(workspace) {
        let folder = file.path.trim_end_matches("Cargo.toml");
        let is_root = |path: &str| match path.strip_prefix(folder) {
            Some("src/lib.rs" | "src/main.rs") => true,
            Some(inner) => inner.starts_with("src/bin/"),
            None => false,
        };
        let mut roots = workspace.rust().filter(|it| is_root(&it.path)).peekable();
        if roots.peek().is_none() {
            findings.push(Finding::of(&file.path, "has neither src/lib.rs nor src/main.rs"));
        }
        let bare = roots.filter(|it| !it.text.starts_with("//!"));
        findings.extend(bare.map(|it| Finding::at(&it.path, 1, "does not begin with a `//!` header")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"cat\"\ndescription = \"Purrs.\"\n[lints]\nworkspace = true\n";

    #[test]
    fn an_incomplete_manifest_is_found() {
        assert_eq!(complete(&Workspace::of(&[("crates/cat/Cargo.toml", GOOD)])), []);
        for bad in [
            GOOD.replace("Purrs.", " "),
            GOOD.replace("description", "authors"),
            GOOD.replace("workspace = true", "workspace = false"),
            GOOD.replace("\"cat\"", "\"dog\""),
        ] {
            assert_eq!(
                complete(&Workspace::of(&[("crates/cat/Cargo.toml", &bad)])).len(),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_root_without_a_header_is_found() {
        let manifest = ("crates/cat/Cargo.toml", GOOD);
        assert_eq!(
            headers(&Workspace::of(&[
                manifest,
                ("crates/cat/src/lib.rs", "//! Purrs.\n")
            ])),
            []
        );
        assert_eq!(
            headers(&Workspace::of(&[manifest, ("crates/cat/src/lib.rs", "mod a;\n")])).len(),
            1
        );
        let bin = ("crates/cat/src/bin/kitten.rs", "fn main() {}");
        assert_eq!(
            headers(&Workspace::of(&[
                manifest,
                ("crates/cat/src/main.rs", "//! Purrs.\n"),
                bin
            ]))
            .len(),
            1
        );
        assert_eq!(headers(&Workspace::of(&[manifest])).len(), 1);
    }
}
