//! Each rule alone, then any sequence of exchanges.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_000;
const MAIL: &str = "https://mail.example";
const FILES: &str = "https://files.example";

struct Case {
    subject: Result<Subject, Reason>,
    exchange: bool,
    resource: Option<&'static str>,
    client_tenant: Option<&'static str>,
    audiences: Vec<String>,
    subject_token_type: &'static str,
    requested_token_type: Option<&'static str>,
    actor_token: bool,
    targets: Vec<&'static str>,
    scope: Vec<&'static str>,
    subject_scopes: Vec<String>,
}

fn subject() -> Subject {
    Subject {
        fingerprint: [7; 32],
        realm: "enterprise".to_owned(),
        tenant: Some("contoso".to_owned()),
        subject: "alice".to_owned(),
        audience: vec![MAIL.to_owned()],
        scope: vec!["mail.read".to_owned()],
        session_id: Some("session".to_owned()),
        key_id: "key".to_owned(),
        expires_at: NOW + 100,
        record: Record::Recorded(IssuanceKind::Access),
    }
}

fn case() -> Case {
    Case {
        subject: Ok(subject()),
        exchange: true,
        resource: Some(MAIL),
        client_tenant: Some("contoso"),
        audiences: vec![FILES.to_owned()],
        subject_token_type: ACCESS_TOKEN_TYPE,
        requested_token_type: None,
        actor_token: false,
        targets: vec![FILES],
        scope: vec!["files.read"],
        subject_scopes: vec!["mail.read".to_owned()],
    }
}

fn run(case: &Case) -> Result<Grant, Refusal> {
    let scopes = ["files.read".to_owned(), "files.list".to_owned()];
    let client = Requester {
        id: "mail-frontend",
        realm: "enterprise",
        tenant: case.client_tenant,
        resource: case.resource,
        audiences: &case.audiences,
        scopes: &scopes,
        subject_scopes: &case.subject_scopes,
        exchange: case.exchange,
    };
    let request = ExchangeRequest {
        subject_token_type: case.subject_token_type,
        requested_token_type: case.requested_token_type,
        actor_token: case.actor_token,
        targets: &case.targets,
        scope: &case.scope,
    };
    let policy = Policy {
        issuer: "https://i.example",
        realm: "enterprise",
        tenant: Some("contoso"),
    };
    decide(
        case.subject.as_ref().map_err(|reason| *reason),
        &client,
        &request,
        &policy,
        NOW,
    )
}

fn check(expect: Rule, change: impl FnOnce(&mut Case)) {
    let mut case = case();
    change(&mut case);
    assert_eq!(run(&case), Err(Refusal { rule: expect }));
}

fn check_subject(expect: Rule, change: impl FnOnce(&mut Subject)) {
    check(expect, |case| change(case.subject.as_mut().unwrap()));
}

#[test]
fn a_primary_token_is_exchanged_for_one_registered_target() {
    let grant = run(&case()).unwrap();
    assert_eq!(
        (grant.subject.as_str(), grant.client_id.as_str()),
        ("alice", "mail-frontend")
    );
    assert_eq!(
        (grant.audience.as_str(), grant.scope),
        (FILES, vec!["files.read".to_owned()])
    );
    assert_eq!(grant.claims.session_id.as_deref(), Some("session"));
    assert_eq!(grant.claims.email, None);
    let exchanged = grant.exchanged.unwrap();
    assert_eq!(exchanged.actor, "mail-frontend");
    assert_eq!(exchanged.expires_at_max, NOW + 100);
    assert_eq!(
        exchanged.lineage,
        Lineage {
            parent: [7; 32],
            root: [7; 32]
        }
    );
}

#[test]
fn target_and_scope_have_defaults() {
    let mut case = case();
    case.targets.clear();
    case.scope.clear();
    let grant = run(&case).unwrap();
    assert_eq!((grant.audience.as_str(), grant.scope.len()), (FILES, 2));
}

#[test]
fn every_rule_refuses() {
    check(Rule::ExchangeNotAllowed, |case| case.exchange = false);
    check(Rule::ClientOfOtherIssuer, |case| {
        case.client_tenant = Some("fabrikam");
    });
    check(Rule::SubjectTypeUnsupported, |case| {
        case.subject_token_type = "urn:ietf:params:oauth:token-type:id_token";
    });
    check(Rule::RequestedTypeUnsupported, |case| {
        case.requested_token_type = Some("urn:ietf:params:oauth:token-type:refresh_token");
    });
    check(Rule::ActorTokenUnsupported, |case| case.actor_token = true);
    check(Rule::TargetMissing, |case| {
        case.targets.clear();
        case.audiences.push("https://x.example".to_owned());
    });
    check(Rule::TargetSeveral, |case| case.targets.push(FILES));
    check(Rule::TargetNotRegistered, |case| {
        case.targets = vec!["https://x.example"];
    });
    check(Rule::SelfExchange, |case| case.targets = vec![MAIL]);
    check_subject(Rule::SelfExchange, |subject| {
        subject.audience.push(FILES.to_owned());
    });
    check(Rule::SubjectNotVerified, |case| {
        case.subject = Err(Reason::ALL[0]);
    });
    check_subject(Rule::SubjectOfOtherRealm, |subject| {
        subject.realm = "consumer".to_owned();
    });
    check_subject(Rule::SubjectOfOtherTenant, |subject| {
        subject.tenant = Some("fabrikam".to_owned());
    });
    check_subject(Rule::SubjectOfOtherTenant, |subject| subject.tenant = None);
    check_subject(Rule::SubjectNotForClient, |subject| {
        subject.audience = vec!["https://x.example".to_owned()];
    });
    check(Rule::SubjectNotForClient, |case| case.resource = None);
    check_subject(Rule::SubjectExpired, |subject| subject.expires_at = NOW);
    check_subject(Rule::SubjectNeverIssued, |subject| {
        subject.record = Record::NotRecorded;
    });
    check_subject(Rule::SubjectDenied, |subject| {
        subject.record = Record::Denied;
    });
    check_subject(Rule::SubjectProvenanceUnknown, |subject| {
        subject.record = Record::CannotTell;
    });
    check_subject(Rule::SubjectNotPrimary, |subject| {
        subject.record = Record::Recorded(IssuanceKind::Exchanged);
    });
    check_subject(Rule::SubjectNotAccessToken, |subject| {
        subject.record = Record::Recorded(IssuanceKind::Id);
    });
    check_subject(Rule::SubjectScopeMissing, |subject| subject.scope.clear());
    check_subject(Rule::SubjectScopeMissing, |subject| {
        subject.scope = vec!["mail.send".to_owned(), "files.read".to_owned()];
    });
    check(Rule::ScopeNotGranted, |case| {
        case.scope = vec!["files.read", "files.write"];
    });
    check(Rule::ScopeNotGranted, |case| case.subject_scopes.clear());
    check(Rule::ScopeNotGranted, |case| {
        case.subject_scopes.clear();
        case.scope.clear();
    });
}

#[test]
fn without_subject_scopes_only_carried_scopes_are_handed_on() {
    let mut case = case();
    case.subject_scopes.clear();
    case.subject.as_mut().unwrap().scope = vec!["files.list".to_owned(), "files.write".to_owned()];
    case.scope = vec!["files.list"];
    assert_eq!(run(&case).unwrap().scope, ["files.list"]);
    case.scope = vec![];
    assert_eq!(run(&case).unwrap().scope, ["files.list"]);
    for wider in ["files.read", "files.write"] {
        case.scope = vec!["files.list", wider];
        assert_eq!(run(&case).unwrap_err().rule, Rule::ScopeNotGranted);
    }
}

#[test]
fn rule_names_are_unique_and_documented() {
    let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    let page = include_str!("../../../../docs/endpoints.md");
    let documented = |name: &&&str| !page.contains(&format!("| `{name}` |"));
    assert_eq!(names.iter().filter(documented).count(), 0);
}

/// A token of the small world in which sequences of exchanges are played.
#[derive(Clone)]
struct Token {
    subject: Subject,
    root_expires_at: u64,
    depth: u32,
}

proptest! {
    /// Whatever clients ask for, in whatever order and time, nothing outlives its root and nothing is exchanged twice.
    #[test]
    fn nothing_outlives_its_root(
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, 0_usize..4, 0_u64..400), 1..60),
        lifetime in 1_u64..3_600,
    ) {
        let names = [MAIL, FILES, "https://print.example"].map(ToOwned::to_owned);
        let mut now = NOW;
        let mut tokens = vec![Token { subject: subject(), root_expires_at: NOW + 100, depth: 0 }];
        for (step, (token, client, target, pause)) in steps.into_iter().enumerate() {
            now += pause;
            let parent = token.get(&tokens).clone();
            let audiences: Vec<String> = names.iter().filter(|name| **name != names[client]).cloned().collect();
            let requester = Requester {
                id: "client",
                realm: "enterprise",
                tenant: Some("contoso"),
                resource: Some(&names[client]),
                audiences: &audiences,
                scopes: &[],
                subject_scopes: &[],
                exchange: true,
            };
            let targets: Vec<&str> = names.get(target).map(String::as_str).into_iter().collect();
            let request = ExchangeRequest {
                subject_token_type: ACCESS_TOKEN_TYPE,
                requested_token_type: None,
                actor_token: false,
                targets: &targets,
                scope: &[],
            };
            let policy = Policy { issuer: "https://i.example", realm: "enterprise", tenant: Some("contoso") };
            let Ok(grant) = decide(Ok(&parent.subject), &requester, &request, &policy, now) else { continue };
            let expires_at = crate::issue::expiry(&grant, now, lifetime, 3_600).unwrap();
            prop_assert!(expires_at <= parent.root_expires_at);
            prop_assert!(parent.depth == 0);
            prop_assert_eq!(&grant.subject, &parent.subject.subject);
            tokens.push(Token {
                subject: Subject {
                    fingerprint: [u8::try_from(step % 256).unwrap(); 32],
                    audience: vec![grant.audience],
                    expires_at,
                    record: Record::Recorded(IssuanceKind::Exchanged),
                    ..parent.subject
                },
                root_expires_at: parent.root_expires_at,
                depth: parent.depth + 1,
            });
            // Time does not bring a dead root back: offer a fresh root now and then.
            if step % 7 == 0 {
                let fresh = Subject { expires_at: now + lifetime, ..subject() };
                tokens.push(Token { root_expires_at: fresh.expires_at, subject: fresh, depth: 0 });
            }
        }
    }
}
