//! Every crate says what it is, in its manifest and at the top of its code.

use super::Finding;
use crate::workspace::{File, Workspace};

/// The manifests of workspace members, with their files.
pub(super) fn packages(workspace: &Workspace) -> impl Iterator<Item = (&File, toml::Table)> {
    let is_member = |path: &str| {
        path == "xtask/Cargo.toml" || (path.starts_with("crates/") && path.matches('/').count() == 2)
    };
    let manifests = workspace.with_extension("toml");
    let manifests = manifests.filter(move |file| file.path.ends_with("/Cargo.toml") && is_member(&file.path));
    manifests.filter_map(|file| Some((file, file.text.parse().ok()?)))
}

/// The package's name.
pub(super) fn name(manifest: &toml::Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

/// A description, the workspace's lints, and a folder of the same name.
pub(super) fn complete(workspace: &Workspace) -> Vec<Finding> {
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

/// Crates that are built by themselves, because what they depend on costs more than everything else.
pub(crate) const OWN_LANE: &[&str] = &["countersign-hunt"];

/// Every crate is a default member, or has a lane of its own: one that is neither would be tested by nobody.
pub(super) fn lanes(workspace: &Workspace) -> Vec<Finding> {
    const ROOT: &str = "Cargo.toml";
    let root = workspace
        .file(ROOT)
        .and_then(|file| file.text.parse::<toml::Table>().ok());
    let defaults = root
        .as_ref()
        .and_then(|it| it.get("workspace")?.get("default-members")?.as_array());
    let Some(defaults) = defaults else {
        return vec![Finding::of(ROOT, "has no default-members")];
    };
    let defaults: Vec<&str> = defaults.iter().filter_map(toml::Value::as_str).collect();
    let mut findings = Vec::new();
    for (file, manifest) in packages(workspace) {
        let folder = file.path.trim_end_matches("/Cargo.toml");
        let apart = name(&manifest).is_some_and(|name| OWN_LANE.contains(&name));
        if defaults.contains(&folder) == apart {
            let problem = if apart {
                "is a default member"
            } else {
                "is no default member"
            };
            findings.push(Finding::of(ROOT, format!("{folder} {problem}")));
        }
    }
    findings
}

/// `//!` on the first line of every library and binary, or its README in that place.
pub(super) fn headers(workspace: &Workspace) -> Vec<Finding> {
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
        let bare = roots.filter(|it| !it.text.starts_with("//!") && !it.text.starts_with(README_INSTEAD));
        findings.extend(bare.map(|it| Finding::at(&it.path, 1, "does not begin with a `//!` header")));
    }
    findings
}

/// How a library takes its README as its front page.
const README_INSTEAD: &str = "#![doc = include_str!(\"../README.md\")]\n";

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
    fn a_crate_outside_both_lanes_is_found() {
        let root = ("Cargo.toml", "[workspace]\ndefault-members = [\"crates/cat\"]\n");
        let hunt = (
            "crates/countersign-hunt/Cargo.toml",
            "[package]\nname = \"countersign-hunt\"\n",
        );
        let dog = ("crates/dog/Cargo.toml", "[package]\nname = \"dog\"\n");
        let cat = ("crates/cat/Cargo.toml", GOOD);
        assert_eq!(lanes(&Workspace::of(&[root, cat, hunt])), []);
        assert_eq!(lanes(&Workspace::of(&[root, cat, hunt, dog])).len(), 1);
        let mixed = (
            "Cargo.toml",
            "[workspace]\ndefault-members = [\"crates/countersign-hunt\"]\n",
        );
        assert_eq!(lanes(&Workspace::of(&[mixed, hunt])).len(), 1);
        assert_eq!(lanes(&Workspace::of(&[cat])).len(), 1);
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
