//! A policy or a configuration: no panic, every problem has its line, and a configuration that is read can be written
//! and read again.
#![no_main]

use std::path::Path;

use countersign::config::Config;
use countersign::config::document::Problem;
use countersign::policy::{Policy, PolicyError};
use countersign_token::{Check, ParsedToken, verify};
use libfuzzer_sys::fuzz_target;

/// What each key file holds: with every scope that a key can name, so that a policy may well be good.
const JWKS: &[u8] = include_bytes!("../../testdata/tokens/enterprise.jwks.json");

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Config::parse(text) {
        Err(problems) => check(text, &problems),
        Ok(config) => {
            let written = toml::to_string(&config).expect("every configuration can be shown");
            assert_eq!(Config::parse(&written), Ok(config));
        }
    }
    let read = |file: &Path| match file.to_str() {
        Some("folder/missing") => Err(std::io::ErrorKind::NotFound.into()),
        Some("folder/empty") => Ok(Vec::new()),
        _ => Ok(JWKS.to_vec()),
    };
    match Policy::parse(text, Path::new("folder"), &read) {
        Err(PolicyError::Unusable(problems)) => check(text, &problems),
        Err(PolicyError::Contradictory(_)) => {}
        Ok(policy) => {
            assert!(!policy.resource_names().is_empty());
            let unsigned = ParsedToken::parse("eyJhbGciOiJFUzI1NiJ9.e30.AA");
            if let (Some(resource), Ok(token)) = (policy.resource(None), unsigned) {
                let check = Check::new(&policy.registry, resource, 1_700_000_000);
                assert!(verify(&token, &check).is_err());
            }
        }
    }
});

/// There is a problem, each can be printed, and its line is one of the text.
fn check(text: &str, problems: &[Problem]) {
    let lines = text.split('\n').count();
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)));
        assert!(!problem.to_string().is_empty());
    }
}
