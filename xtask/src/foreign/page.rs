//! `docs/foreign-verifiers.md`

use std::fmt::Write as _;

use super::damage::Damage;
use super::tools::Verdict;

pub(super) const PATH: &str = "docs/foreign-verifiers.md";

/// One damage and what everybody said of it.
pub(super) struct Row {
    pub(super) damage: &'static Damage,
    pub(super) verdicts: Vec<(&'static str, Verdict)>,
}

pub(super) fn render(rows: &[Row]) -> String {
    let mut page = "<!-- Made by `cargo xtask foreign`. -->\n\
         # Who finds what\n\n\
         Our server writes a log of 66,000 tokens over HTTP, large enough for three levels of tiles. `cargo xtask test foreign` shows it,\n\
         whole and damaged, to code that we did not write, and to our own auditor. All of them accept it whole, by URL and as files. A time-out\n\
         (20 s) counts as a finding.\n\n\
         | verifier | version | what it does here |\n|---|---|---|\n\
         | Tessera `fsck` | v1.0.4, as a library, 128 workers | signature, every entry, every tile, root |\n\
         | `golang.org/x/mod/sumdb` | v0.33.0 | `note` opens the checkpoint, `tlog` authenticates every leaf, makes and checks proofs; also with the newest checkpoint seen before |\n\
         | torchwood client | v0.9.0 | reads every entry, each authenticated; also checks our receipts (`VerifyProof`) and policies |\n\
         | litewitness | torchwood v0.9.0 | cosigns what grows; answers 422 to a fork of one size, 400 or 409 to a rollback, also after a restart |\n\
         | `countersign ledger audit` | this repository | by URL; by URL with what an earlier audit remembers (`--state`); in the ledger's own directory, with its journal |\n\n\
         It audits a log that Tessera's POSIX driver wrote as well (`--opaque`: entries are hashed, not read) and finds the same damages in it.\n\n"
        .to_owned();
    let names: Vec<&str> = rows
        .first()
        .map(|row| row.verdicts.iter().map(|(name, _)| *name).collect())
        .unwrap_or_default();
    let _ = writeln!(page, "| damage | {} |", names.join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(names.len()));
    for row in rows {
        let words: Vec<&str> = row.verdicts.iter().map(|it| word(row.damage, it)).collect();
        let _ = writeln!(page, "| {} | {} |", row.damage.name, words.join(" | "));
    }
    page.push_str(
        "\n**Bold** is what a verifier does not see; an audit with a state reads only what is new. The last two rows are no damage to one who looks for the first time: a log that shrank, or of\n\
         which two exist, can be told only by one who remembers, hence witnesses and `--state`. An audit in the ledger's own directory\n\
         sees a rollback without memory, because the journal holds more than the checkpoint admits.\n\n\
         Not run: omniwitness, whose present version needs a module version that the module proxy does not serve; and `witnessctl`, for\n\
         the same reason, so that litewitness is told of the log through its database.\n",
    );
    page
}

fn word(damage: &Damage, (name, verdict): &(&str, Verdict)) -> &'static str {
    match verdict {
        Verdict::Passes if name.ends_with("state") && damage.without_memory => "not read again",
        Verdict::Passes => "**passes**",
        Verdict::Finds(_) => "finds it",
        Verdict::Hangs => "no answer in time",
        Verdict::Crashes => "falls over",
    }
}
