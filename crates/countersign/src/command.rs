//! One file a subcommand.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod hunt;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod token;
pub(crate) mod verify;
