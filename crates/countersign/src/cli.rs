//! What can be typed. Help, completions and the reference page come from these definitions alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A signature proves which key. Countersign proves that it was issued.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 yes or done, 1 refused or findings, 2 cannot tell or not available, \
                  64 usage or config error, 70 our fault.\n\nExample: countersign drill"
)]
pub(crate) struct Cli {
    /// Print one JSON document for machines instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the authority, the ledger and the gate
    ///
    /// The roles are the sections that the config has. Without a config: everything, on loopback, with two
    /// realms and demonstration clients, in ./countersign-data.
    #[command(after_help = "Example: countersign serve --listen 127.0.0.1:8420")]
    Serve(Serve),
    /// Replay the 2023 incident on a closed local copy, before and after
    #[command(after_help = "Exit code 1 if any attack gets through.\n\nExample: countersign drill --json")]
    Drill(Drill),
    /// Check a token offline against a policy and say which rule decided
    #[command(
        after_help = "Examples:\n  countersign verify --policy policy.toml --explain \"$TOKEN\"\n  \
                            countersign verify --policy policy.toml --batch tokens.ndjson"
    )]
    Verify(Verify),
    /// Issue, inspect or (for drills) forge a token of one's own authority
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look at the signing keys and move them through their life
    #[command(subcommand)]
    Key(KeyCommand),
    /// Look at the ledger, prove an entry, audit all of it
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check what this machine and data directory need: clock, fsync, permissions, keys
    #[command(after_help = "Example: countersign doctor --data ./countersign-data")]
    Doctor(Data),
    /// Find forged-token use in logs: runs the program countersign-hunt
    #[command(
        disable_help_flag = true,
        after_help = "Example: countersign hunt reconcile --decisions decisions.ndjson --ledger ledger --key ledger/key.vkey"
    )]
    Hunt {
        /// What countersign-hunt takes; see countersign hunt --help
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Print shell completions
    #[command(after_help = "Example: countersign completions bash > /etc/bash_completion.d/countersign")]
    Completions {
        /// The shell to print them for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file (TOML); without one, everything runs on loopback
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory; overrides the config [default: ./countersign-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on; overrides the config [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Keep the drill's data directory here instead of deleting it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Policy file (TOML): issuers, realms, key files, resources
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// The resource that the token is shown to; may be absent if the policy names just one
    #[arg(long, value_name = "NAME")]
    pub(crate) resource: Option<String>,
    /// Judge as of this time (unix seconds) instead of now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<u64>,
    /// Show every rule in order: passed, failed and why, or not reached
    #[arg(long)]
    pub(crate) explain: bool,
    /// Read one JSON object a line ({"id", "token", "at"?, "resource"?}), write one decision a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "explain"])]
    pub(crate) batch: Option<PathBuf>,
    /// The token, or - to read it from standard input
    #[arg(value_name = "TOKEN", required_unless_present = "batch")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "./countersign-data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show what a token says, without believing any of it
    #[command(after_help = "Example: countersign token inspect \"$TOKEN\"")]
    Inspect {
        /// The token, or - to read it from standard input
        token: String,
    },
    /// Sign a token with a key of your own data directory and do not record it: what a thief would do
    ///
    /// For drills. It reads the sealed keys of the named data directory, as somebody who copied that directory
    /// could, and signs whatever it is told. The gate must refuse the result.
    #[command(
        after_help = "Example: countersign token forge --key-of http://127.0.0.1:8420/consumer \\\n             \
                          --issuer http://127.0.0.1:8420/enterprise/2b1f6d0e-3c54-4a7e-9a39-6d0b5f7c1a01 \\\n             \
                          --audience https://mail.example --subject alice"
    )]
    Forge(Forge),
}

#[derive(Debug, Args)]
pub(crate) struct Forge {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Issuer whose active key is stolen
    #[arg(long, value_name = "URL")]
    pub(crate) key_of: String,
    /// Issuer that the token claims [default: the issuer whose key is stolen]
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Audience that the token claims
    #[arg(long, value_name = "URL")]
    pub(crate) audience: String,
    /// Subject that the token claims
    #[arg(long, value_name = "SUB")]
    pub(crate) subject: String,
    /// Scope that the token claims
    #[arg(long, value_name = "SCOPE", default_value = "mail.read")]
    pub(crate) scope: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyPlace {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Configuration file that the data directory is served with [default: the first run's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys of every issuer with their states
    List(Data),
    /// Show one key
    Show {
        #[command(flatten)]
        data: Data,
        /// The key id
        kid: String,
    },
    /// Let the staged key of an issuer sign and retire the one that signed until now (server stopped)
    #[command(after_help = "Example: countersign key activate http://127.0.0.1:8420/consumer")]
    Activate {
        #[command(flatten)]
        place: KeyPlace,
        /// The issuer
        issuer: String,
    },
    /// Mark a key as perhaps stolen: only tokens found in the ledger pass (server stopped)
    Suspect {
        #[command(flatten)]
        place: KeyPlace,
        /// The key id
        kid: String,
    },
    /// Distrust a key for good: every token it signed is refused (server stopped)
    Revoke {
        #[command(flatten)]
        place: KeyPlace,
        /// The key id
        kid: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show the log's origin, size, key and latest checkpoint, or one entry
    #[command(
        after_help = "Examples:\n  countersign ledger show\n  countersign ledger show --entry 17 --json"
    )]
    Show(LedgerShow),
    /// Prove that a token's fingerprint (hex) is recorded: a tlog-proof receipt
    ///
    /// The receipt carries the entry and, where there is one, a checkpoint that witnesses have cosigned. It is
    /// checked offline, for ever, by `check-proof` and by other programs that read tlog-proof.
    #[command(after_help = "Example: countersign ledger prove --fingerprint 9f86… > receipt.tlog-proof")]
    Prove(Prove),
    /// Check a tlog-proof receipt offline, against a key or a policy
    #[command(
        after_help = "Exit code 1 if the proof does not hold.\n\nExample: countersign ledger check-proof receipt.tlog-proof --key ledger.vkey"
    )]
    CheckProof(CheckProof),
    /// Check the whole log with a second, independent implementation
    #[command(
        after_help = "Examples:\n  countersign ledger audit\n  countersign ledger audit http://127.0.0.1:8420/ledger --key ledger.vkey --state ledger.audit"
    )]
    Audit(LedgerAudit),
    /// Follow any tlog-tiles log and show what it records, one line an entry
    ///
    /// Everything is verified before it is shown: the checkpoint's signature (and its witnesses, by policy), that it
    /// continues the one seen before, and each entry against the signed root. Entries of logs of another kind are shown
    /// by their leaf hash.
    #[command(
        after_help = "Exit codes: 0 all new entries shown (with --once), 1 the log misbehaved: forked, rolled back, bad \
                      signature, entries that are not what it signed, or stale (--age-max); 2 it could not be read; \
                      64 usage, or a state of another key; 70 the state could not be written.\n\n\
                      Examples:\n  countersign ledger watch --once --state monitor.state\n  \
                      countersign ledger watch https://login.example/ledger --policy policy.txt --state monitor.state \\\n             \
                      --issuer https://login.example/enterprise --json"
    )]
    Watch(Watch),
    /// Print a trust policy (tlog-policy) with a ledger's own keys, to add witnesses to
    #[command(after_help = "Example: countersign ledger policy ./countersign-data/ledger > policy.txt")]
    Policy {
        /// Ledger directory
        #[arg(value_name = "DIR", default_value = "./countersign-data/ledger")]
        directory: PathBuf,
    },
    /// Run a witness (tlog-witness) for the ledgers of a policy
    ///
    /// A witness remembers the largest tree of each ledger that it was shown, and cosigns only what continues it. Its
    /// keys are made at the first start and printed at each.
    #[command(
        after_help = "Example: countersign ledger witness --name witness.example/1 --logs logs.txt --data ./witness-data"
    )]
    Witness(RunWitness),
}

#[derive(Debug, Args)]
pub(crate) struct LedgerShow {
    #[command(flatten)]
    pub(crate) place: LedgerPlace,
    /// Show what the entry at this index says, verified against the signed root
    #[arg(long, value_name = "INDEX")]
    pub(crate) entry: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerAudit {
    #[command(flatten)]
    pub(crate) place: LedgerPlace,
    /// Remember here what was seen: an interrupted audit goes on from there, the next reads only what is new, and a log
    /// that shrank or changed its past is found
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Hash the entries without reading them: for logs of any other kind
    #[arg(long)]
    pub(crate) opaque: bool,
    /// Show how far it is, also where standard error is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerPlace {
    /// Ledger directory or URL
    #[arg(value_name = "DIR|URL", default_value = "./countersign-data/ledger")]
    pub(crate) place: String,
    /// File with the log's verifier key (vkey) [default for a directory: its own key.vkey]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Trust policy (tlog-policy): believe only what its logs sign and its quorum of witnesses cosigned
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) place: LedgerPlace,
    /// SHA-256 of the token's signing input, 64 hex digits
    #[arg(long, value_name = "HEX", required_unless_present = "index")]
    pub(crate) fingerprint: Option<String>,
    /// Index of the entry instead, for logs of any kind
    #[arg(long, value_name = "N", conflicts_with = "fingerprint")]
    pub(crate) index: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckProof {
    /// The tlog-proof
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// File with the log's verifier key (vkey)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Trust policy (tlog-policy): its logs, and the quorum of witnesses that must have cosigned
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Fingerprint that the entry must have, 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
    /// File with the entry, for proofs that do not carry it
    #[arg(long, value_name = "FILE")]
    pub(crate) entry: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) place: LedgerPlace,
    /// Remember here what was seen; a later run goes on from there, and finds a log that changed its past
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Show only what is about this issuer (the exact `iss`, tenant included)
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Show only what is about this signing key (RFC 7638 thumbprint, base64url)
    #[arg(long, value_name = "THUMBPRINT")]
    pub(crate) signing_key: Option<String>,
    /// Begin at this index instead of the first entry or the remembered one, if that is earlier
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// Show what is new and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) interval: u64,
    /// Fail if the checkpoint was last signed (by the freshness key or a witness of the policy) longer ago than this
    #[arg(long, value_name = "SECONDS")]
    pub(crate) age_max: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct RunWitness {
    /// The witness's name: a URL without scheme, for ever
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// File whose `log` lines (tlog-policy) are the ledgers to witness for
    #[arg(long, value_name = "FILE")]
    pub(crate) logs: PathBuf,
    /// Directory for its keys and its state
    #[arg(long, value_name = "DIR", default_value = "./witness-data")]
    pub(crate) data: PathBuf,
    /// Address to listen on (HTTP; put TLS in front of it)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8421")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration file and report every problem at once
    Check {
        /// Configuration file (TOML)
        file: PathBuf,
    },
    /// Print the configuration that runs when none is given
    Show,
}
