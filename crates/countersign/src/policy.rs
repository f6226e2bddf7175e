//! The policy of `countersign verify`: issuers with key files, and resources, in the words of the gate's section.

use std::path::Path;

use countersign_gate::{ForeignIssuer, ResourceConfig};
use countersign_token::{IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, Registry, Resource};
use serde::Deserialize;

use crate::config::{Problem, line_of, read, read_text, refused};
use crate::failure::Failure;

/// A policy file as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    /// Who is trusted, each with `jwks_file` (relative to the policy file).
    issuers: Vec<ForeignIssuer>,
    /// To what tokens may be shown.
    resources: Vec<ResourceConfig>,
}

/// A policy, loaded: keys parsed, nothing left to read.
pub(crate) struct Policy {
    pub(crate) registry: Registry,
    resources: Vec<Resource>,
}

impl Policy {
    /// Reads the policy and every key file that it names; all problems in one failure.
    pub(crate) fn load(file: &Path) -> Result<Self, Failure> {
        let text = read_text(file)?;
        let written: PolicyFile = read(&text).map_err(|problems| unusable(file, &problems))?;
        let directory = file.parent().unwrap_or_else(|| Path::new("."));
        let gate = countersign_gate::Config {
            issuers: written.issuers,
            resources: written.resources,
            ..countersign_gate::Config::first_run()
        };
        let mut problems = gate.validate();
        let mut records = Vec::new();
        for (index, issuer) in gate.issuers.iter().enumerate() {
            // An unreadable name is among the problems already.
            let Ok(name) = IssuerName::parse(&issuer.issuer) else {
                continue;
            };
            match record(issuer, name, directory) {
                Ok(record) => records.push(record),
                Err((message, hint)) => {
                    let entry = format!("issuers[{index}]");
                    // The gate would point at discovery, which is not for offline.
                    problems.retain(|problem| problem.path != entry);
                    let path = format!("{entry}.jwks_file");
                    problems.push(countersign_gate::Problem {
                        path,
                        message,
                        hint: Some(hint),
                    });
                }
            }
        }
        if !problems.is_empty() {
            return Err(unusable(file, &located(&text, problems)));
        }
        let registry = Registry::new(records).map_err(|error| {
            Failure::usage("policy_contradictory", format!("{}: {error}", file.display()))
                .maybe_hint(error.hint())
        })?;
        let resources = gate.resources.iter().map(ResourceConfig::to_resource).collect();
        Ok(Self { registry, resources })
    }

    /// The resource by its name; without a name, the only one there is.
    pub(crate) fn resource(&self, name: Option<&str>) -> Option<&Resource> {
        match (name, self.resources.as_slice()) {
            (Some(name), resources) => resources.iter().find(|resource| resource.name == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The names there are, for a hint.
    pub(crate) fn resource_names(&self) -> String {
        self.resources
            .iter()
            .map(|resource| resource.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// As for a config, but `config check` is not for policies.
fn unusable(file: &Path, problems: &[Problem]) -> Failure {
    refused(file, problems)
        .hint("correct them and verify again; the keys are those of [[gate.issuers]] and [[gate.resources]]")
}

/// Reads an issuer's key file. A bad key in it is left out, as everywhere; a file without a good one is refused.
fn record(
    issuer: &ForeignIssuer,
    name: IssuerName,
    directory: &Path,
) -> Result<IssuerRecord, (String, &'static str)> {
    let file = issuer.jwks_file.as_ref().ok_or((
        "is missing".to_owned(),
        "verify works offline: save the issuer's key set and name the file here",
    ))?;
    let file = directory.join(file);
    let json = std::fs::read(&file).map_err(|error| {
        (
            format!("cannot read {}: {error}", file.display()),
            "name a file that you may read",
        )
    })?;
    let metadata = match issuer.key_metadata {
        countersign_gate::config::KeyMetadata::Declared => KeyMetadata::Declared,
        countersign_gate::config::KeyMetadata::Assumed => KeyMetadata::Assumed,
    };
    let context = KeyContext::new(&name, &issuer.realm, metadata);
    let keys = KeySet::parse(&json, &context)
        .map_err(|error| (format!("{}: {error}", file.display()), "save the key set again"))?;
    if keys.is_empty() {
        let hint =
            "with key_metadata = \"assumed\" a key needs no issuer, realm, state and window of its own";
        return Err((format!("{} has no usable key", file.display()), hint));
    }
    Ok(issuer.to_record(name, keys))
}

fn located(text: &str, problems: Vec<countersign_gate::Problem>) -> Vec<Problem> {
    let place = |found: countersign_gate::Problem| Problem {
        line: line_of(text, &found.path),
        message: format!("{}: {}", found.path, found.message),
        hint: found.hint.map(str::to_owned),
    };
    problems.into_iter().map(place).collect()
}
