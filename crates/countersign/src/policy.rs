//! The policy of `countersign verify`: issuers with key files, and resources, in the words of the gate's section.

use std::path::Path;

use countersign_gate::{ForeignIssuer, ResourceConfig};
use countersign_token::{
    IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, Registry, RegistryError, Resource,
};
use serde::Deserialize;

use crate::config::document::{self, Problem};
use crate::config::{read_text, refused};
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
#[derive(Debug)]
pub struct Policy {
    /// The issuers, with their keys.
    pub registry: Registry,
    resources: Vec<Resource>,
}

impl Policy {
    /// Reads the policy and every key file that it names; all problems in one failure.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        let directory = file.parent().unwrap_or_else(|| Path::new("."));
        let read = |file: &Path| std::fs::read(file);
        Self::parse(&read_text(file)?, directory, &read).map_err(|error| match error {
            PolicyError::Unusable(problems) => refused(file, &problems).hint(
                // As for a config, but `config check` is not for policies.
                "correct them and verify again; the keys are those of [[gate.issuers]] and [[gate.resources]]",
            ),
            PolicyError::Contradictory(error) => {
                Failure::usage("policy_contradictory", format!("{}: {error}", file.display()))
                    .maybe_hint(error.hint())
            }
        })
    }

    /// Reads a policy that stands in `directory`.
    pub fn parse(text: &str, directory: &Path, read: ReadKeyFile<'_>) -> Result<Self, PolicyError> {
        let written: PolicyFile = document::read(text).map_err(PolicyError::Unusable)?;
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
            match record(issuer, name, directory, read) {
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
            let found = problems
                .into_iter()
                .map(|found| (found.path, found.message, found.hint.map(str::to_owned)));
            return Err(PolicyError::Unusable(document::located(text, found)));
        }
        let registry = Registry::new(records).map_err(PolicyError::Contradictory)?;
        let resources = gate.resources.iter().map(ResourceConfig::to_resource).collect();
        Ok(Self { registry, resources })
    }

    /// The resource by its name; without a name, the only one there is.
    pub fn resource(&self, name: Option<&str>) -> Option<&Resource> {
        match (name, self.resources.as_slice()) {
            (Some(name), resources) => resources.iter().find(|resource| resource.name == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The names there are, for a hint.
    pub fn resource_names(&self) -> String {
        self.resources
            .iter()
            .map(|resource| resource.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Gives the bytes of a key file.
pub type ReadKeyFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// Why a policy cannot be used.
#[derive(Debug)]
pub enum PolicyError {
    /// All that is wrong with the file and with the key files that it names.
    Unusable(Vec<Problem>),
    /// Its issuers cannot be trusted together.
    Contradictory(RegistryError),
}

/// Reads an issuer's key file. A bad key in it is left out, as everywhere; a file without a good one is refused.
fn record(
    issuer: &ForeignIssuer,
    name: IssuerName,
    directory: &Path,
    read: ReadKeyFile<'_>,
) -> Result<IssuerRecord, (String, &'static str)> {
    let file = issuer.jwks_file.as_ref().ok_or((
        "is missing".to_owned(),
        "verify works offline: save the issuer's key set and name the file here",
    ))?;
    let file = directory.join(file);
    let json = read(&file).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use super::{Policy, PolicyError};

    const JWKS: &[u8] = include_bytes!("../../../testdata/tokens/enterprise.jwks.json");
    const POLICY: &str = r#"
[[issuers]]
issuer = "https://id.example/enterprise/{tenantid}"
realm = "enterprise"
jwks_file = "enterprise.jwks.json"
key_metadata = "declared"
tenants = ["1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e"]

[[resources]]
name = "mail"
audience = "https://mail.example"
realm = "enterprise"
"#;

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        let read = |file: &Path| match file.to_str() {
            Some("keys/enterprise.jwks.json") => Ok(JWKS.to_vec()),
            Some("keys/none.jwks.json") => Ok(br#"{"keys":[]}"#.to_vec()),
            _ => Err(ErrorKind::NotFound.into()),
        };
        Policy::parse(text, Path::new("keys"), &read)
    }

    #[test]
    fn a_policy_is_read_with_the_key_files_beside_it() {
        let policy = parse(POLICY).unwrap();
        assert_eq!(policy.registry.issuers().len(), 1);
        assert_eq!(policy.resource(None).unwrap().name, "mail");
        assert_eq!(policy.resource_names(), "mail");
        assert!(policy.resource(Some("files")).is_none());
    }

    #[test]
    fn a_key_file_that_cannot_be_used_is_a_problem_of_its_line() {
        for (name, message) in [
            ("missing.jwks.json", "cannot read keys/missing.jwks.json"),
            ("none.jwks.json", "keys/none.jwks.json has no usable key"),
        ] {
            let Err(PolicyError::Unusable(problems)) = parse(&POLICY.replace("enterprise.jwks.json", name))
            else {
                panic!("{name} was taken");
            };
            let [problem] = problems.as_slice() else {
                panic!("{problems:?}")
            };
            assert_eq!(problem.line, Some(5), "{problem}");
            assert!(problem.message.contains(message), "{problem}");
        }
    }
}
