//! `docs/reasons.md` is made from the enum: after a change on purpose, `UPDATE=1 cargo test -p countersign-token --test it reasons`.

use std::fmt::Write as _;
use std::path::PathBuf;

use countersign_token::Reason;

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons.md")
}

#[test]
fn the_page_has_exactly_the_codes_and_texts_of_the_enum() {
    if std::env::var_os("UPDATE").is_some() {
        renew();
    }
    let text = std::fs::read_to_string(page()).expect("docs/reasons.md");
    assert!(
        text == reasons_markdown(),
        "run: UPDATE=1 cargo test -p countersign-token --test it reasons"
    );
}

/// The page as it must be.
fn reasons_markdown() -> String {
    let mut page = String::from(
        "# Reason codes\n\n\
         Every refusal has exactly one reason: the first rule, in this order, that does not hold.\n\
         The codes are stable: scripts and alerts may rely on them. They stand in the decision log, in the output of\n\
         `countersign verify` and in this list, never in an answer to the sender of a token.\n\n\
         This page is made from `crates/countersign-token/src/reason.rs` by\n\
         `UPDATE=1 cargo test -p countersign-token --test it reasons`.\n",
    );
    for reason in Reason::ALL {
        write!(
            page,
            "\n## `{}`\n\n{}\n\n- **Cause**: {}\n- **Remedy**: {}\n",
            reason.as_str(),
            reason.meaning(),
            reason.cause(),
            reason.remedy()
        )
        .unwrap();
    }
    page
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page is made by the test that compares it"
)]
fn renew() {
    std::fs::write(page(), reasons_markdown()).unwrap();
}

#[test]
fn codes_others_rely_on_exist() {
    // The gate's own reasons; who checks them is the gate, what they are called is decided here.
    for (reason, code) in [
        (Reason::RequestMalformed, "request_malformed"),
        (Reason::RequestTooLarge, "request_too_large"),
        (Reason::AuthorizationRepeated, "authorization_repeated"),
        (
            Reason::AuthorizationSchemeUnsupported,
            "authorization_scheme_unsupported",
        ),
        (Reason::TokenInQuery, "token_in_query"),
        (Reason::ResourceUnknown, "resource_unknown"),
        (Reason::TokenMissing, "token_missing"),
        (Reason::NeverIssued, "never_issued"),
        (Reason::TokenDenied, "token_denied"),
        (Reason::ProvenanceUnknown, "provenance_unknown"),
        (Reason::KeysUnavailable, "keys_unavailable"),
        (Reason::DecisionUnlogged, "decision_unlogged"),
    ] {
        assert_eq!(reason.as_str(), code);
    }
}
