//! The pages about the corpus.

use std::fmt::Write as _;

use super::case::Case;
use super::table::{CLASSES, DIFFERENT, ROWS, Row};
use super::world::NOW;

pub(super) const PATH: &str = "docs/corpus.md";
const MADE: &str = "<!-- Made by `cargo xtask corpus`. -->\n";

/// `testdata/tokens/README.md`
pub(super) fn readme(cases: &[Case]) -> String {
    format!(
        "{MADE}# Bad tokens\n\n\
         {} tokens, {} of them to be refused, with the one answer to each, for any verifier of JWT access tokens. What goes wrong in\n\
         each row, and who saw it, stands in [docs/corpus.md](../../docs/corpus.md); what some libraries make of them in\n\
         [docs/peers.md](../../docs/peers.md).\n\n\
         **All keys here are known to everybody.** Never trust one of them outside a test.\n\n\
         | file | |\n|---|---|\n\
         | `cases.ndjson` | one case a line |\n\
         | `policy.toml` | whom to trust, as `countersign verify` reads it |\n\
         | `policy.json` | the same for programs that do not read TOML |\n\
         | `*.jwks.json` | the key sets that the policy names, as the issuers would publish them; some hold bad keys on purpose |\n\
         | `test-only-private-keys.jwks.json` | the private keys that signed, for cases of your own |\n\
         | `different.json` | where Countersign itself answers otherwise than published |\n\
         | `signatures.json` | the signatures, kept so that the corpus can be made again byte by byte |\n\n\
         ## A case\n\n\
         | member | |\n|---|---|\n\
         | `id` | the row and a name: `H03-unknown`; stable |\n\
         | `class`, `title`, `source` | what goes wrong, and who asks for the refusal or was bitten |\n\
         | `basis` | `rfc`: a specification of JOSE or JWT demands this answer. `profile`: that of a profile does (RFC 9068, 9449, 8705, OAuth). `policy`: they leave the choice or say nothing, and this is ours |\n\
         | `at` | the time to judge at, in unix seconds: always {NOW} |\n\
         | `resource` | the resource of the policy that the token is shown to |\n\
         | `expect` | `admit` or `refuse` |\n\
         | `reason` | the [reason](../../docs/reasons.md) Countersign gives, or `null` |\n\
         | `token` | what is shown |\n\
         | `request` | rows D only: what came beside the token, [as `countersign verify` reads it](../../docs/verify.md#many-tokens). A proof counts once, in the order of the cases; a token without a `request` came alone |\n\n\
         ## Run it\n\n\
         With Countersign, from this folder (`jq` takes the members that a batch has):\n\n\
         ```sh\n\
         jq -c '{{id, token, at, resource, request}}' cases.ndjson | countersign verify --policy policy.toml --batch -\n\
         ```\n\n\
         With another verifier: for each case find the issuer in `policy.json` whose `issuer` is the token's `iss` (`{{tenantid}}`\n\
         stands for one of its `tenants`) and whose `realm` is the resource's, verify with its key set, its audience the resource's,\n\
         with 30 s of clock difference, at the time `at`. Compare admit or refuse with `expect`; a verifier that has no\n\
         word for a rule of basis `policy` is not wrong. `tests/peers/verify` has runners to start from.\n\n\
         The corpus is part of this repository and under its licence, Apache-2.0: take it, run it, send cases that are missing.\n",
        cases.len(),
        refused(cases),
    )
}

fn refused(cases: &[Case]) -> usize {
    cases.iter().filter(|case| case.reason.is_some()).count()
}

/// `docs/corpus.md`
pub(super) fn page(cases: &[Case]) -> String {
    let with_cases = ROWS.iter().filter(|row| count(row, cases) > 0).count();
    let elsewhere = ROWS
        .iter()
        .filter(|row| count(row, cases) == 0 && !row.elsewhere.is_empty())
        .count();
    let mut page = format!(
        "{MADE}# The bad-token corpus\n\n\
         {} rows of what can be wrong with a token, {} cases in [testdata/tokens](../testdata/tokens/README.md): {} to be refused, {} good ones\n\
         beside them. {with_cases} rows have cases that are tokens; {elsewhere} more cannot be a token alone and are tested where the rest of\n\
         the situation is; {}.\n\n\
         `cargo xtask corpus` makes the files, `cargo xtask corpus --check` compares them. Every case runs through the library\n\
         (`crates/countersign-token/tests/it/published.rs::every_case_is_answered_as_published`) and through the program\n\
         (`crates/countersign/tests/it/corpus.rs::every_case_is_answered_as_published`); both compare the decision and the reason.\n\
         What other libraries answer stands in [peers.md](peers.md).\n\n\
         The keys are fixed, and so is the time ({NOW}). ECDSA signatures are random, so each signature is kept in `signatures.json` under\n\
         the hash of its key and message and taken from there if it verifies; everything else follows from the sources. That is\n\
         why the check can compare bytes, and why a changed case changes no other.\n\n\
         WP: the vectors of Wycheproof for JWS (JWK: for keys), by their numbers. Other sources are advisories, RFCs, and the projects where it\n\
         was seen.\n",
        ROWS.len(),
        cases.len(),
        refused(cases),
        cases.len() - refused(cases),
        match ROWS.len() - with_cases - elsewhere {
            0 => "every row is covered".to_owned(),
            count => format!("{count} are not covered yet"),
        },
    );
    page.push_str("\n## Where Countersign answers otherwise\n\n");
    page.push_str(if DIFFERENT.is_empty() {
        "Nowhere.\n"
    } else {
        "| case | answer | why |\n|---|---|---|\n"
    });
    for (case, answer, why) in DIFFERENT {
        let _ = writeln!(page, "| {case} | {answer} | {why} |");
    }
    for (letter, _, title) in CLASSES {
        let _ = write!(
            page,
            "\n## {letter}: {title}\n\n| row | what | seen or asked for by | cases | reasons | also tested by |\n|---|---|---|--:|---|---|\n"
        );
        for row in ROWS.iter().filter(|row| row.id.starts_with(*letter)) {
            let tests: Vec<_> = row.elsewhere.iter().map(|test| format!("`{test}`")).collect();
            let tests = if count(row, cases) + tests.len() == 0 {
                "**not covered yet**".to_owned()
            } else {
                tests.join(" ")
            };
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {tests} |",
                row.id,
                row.title,
                row.source,
                count(row, cases),
                reasons(row, cases)
            );
        }
    }
    page
}

fn count(row: &Row, cases: &[Case]) -> usize {
    cases.iter().filter(|case| case.row() == row.id).count()
}

/// The reasons of a row, the most frequent first.
fn reasons(row: &Row, cases: &[Case]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for case in cases.iter().filter(|case| case.row() == row.id) {
        let reason = case.reason.unwrap_or("(admitted)");
        match counts.iter_mut().find(|it| it.0 == reason) {
            Some(found) => found.1 += 1,
            None => counts.push((reason, 1)),
        }
    }
    counts.sort_by_key(|it| std::cmp::Reverse(it.1));
    let link = |(reason, _): (&str, usize)| {
        if reason.starts_with('(') {
            reason.to_owned()
        } else {
            format!("[`{reason}`](reasons.md#{reason})")
        }
    };
    counts.into_iter().map(link).collect::<Vec<_>>().join(" ")
}
