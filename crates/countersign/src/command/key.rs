//! `countersign key`: the signing keys and their life.

use std::path::{Path, PathBuf};

use countersign_authority::{Authority, KeySummary, TransitionError, recorded};
use serde_json::{Value, json};

use crate::cli::{KeyCommand, KeyPlace};
use crate::clock;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::instance::Instance;
use crate::printer::{Printer, Tone};

pub(crate) fn run(arguments: &KeyCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        KeyCommand::List(data) => list(&data.data, printer),
        KeyCommand::Show { data, kid } => show(&data.data, kid, printer),
        KeyCommand::Activate { place, issuer } => transition(place, printer, async |authority, _| {
            authority
                .activate(issuer)
                .await
                .map(|_| format!("a new key signs for {issuer}; the last one is retired"))
        }),
        KeyCommand::Suspect { place, kid } => transition(place, printer, async |authority, keys| {
            let issuer = issuer_of(keys, kid)?;
            authority
                .suspect(issuer, kid)
                .await
                .map(|_| format!("{kid} is suspect: only its recorded tokens pass"))
        }),
        KeyCommand::Revoke { place, kid } => transition(place, printer, async |authority, keys| {
            let issuer = issuer_of(keys, kid)?;
            authority
                .revoke(issuer, kid)
                .await
                .map(|_| format!("{kid} is revoked: none of its tokens passes"))
        }),
    }
}

fn list(data: &Path, printer: Printer) -> Result<Exit, Failure> {
    let (_, keys) = keys(data)?;
    if printer.json() {
        printer.document(&Value::from(keys.iter().map(document).collect::<Vec<_>>()));
        return Ok(Exit::Done);
    }
    let mut issuer = "";
    for key in &keys {
        if key.issuer != issuer {
            issuer = &key.issuer;
            printer.line(&printer.paint(Tone::Strong, &format!("{issuer} ({})", key.realm)));
        }
        printer.line(&format!(
            "  {}  {:<8} {:<6} {}",
            key.key_id,
            key.state.as_str(),
            algorithm(key),
            window(key)
        ));
    }
    Ok(Exit::Done)
}

fn show(data: &Path, kid: &str, printer: Printer) -> Result<Exit, Failure> {
    let (_, keys) = keys(data)?;
    let key = keys.iter().find(|key| key.key_id == kid).ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "key_unknown",
            format!("no key {kid} in {}", data.display()),
        )
        .hint("list the keys: countersign key list")
    })?;
    if printer.json() {
        printer.document(&document(key));
    } else {
        printer.line(&format!("{:#}", document(key)));
    }
    Ok(Exit::Done)
}

/// What the state says, read beside a server that may be running.
fn keys(data: &Path) -> Result<(String, Vec<KeySummary>), Failure> {
    let found = crate::block_on(recorded(data))?
        .map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))?;
    let mut found = found.ok_or_else(|| {
        Failure::unavailable("data_missing", format!("{} holds no authority", data.display()))
            .hint("name the data directory with --data, or start one: countersign serve")
    })?;
    found
        .keys
        .sort_by(|left, right| (&left.issuer, left.created_at).cmp(&(&right.issuer, right.created_at)));
    Ok((found.base_url, found.keys))
}

/// Opens the authority alone, applies one change and closes it again.
fn transition(
    place: &KeyPlace,
    printer: Printer,
    change: impl AsyncFnOnce(&Authority, &[KeySummary]) -> Result<String, TransitionError>,
) -> Result<Exit, Failure> {
    let (base_url, keys) = keys(&place.data.data)?;
    let mut config = Config::load(place.config.as_deref())?;
    config.server.data = PathBuf::from(&place.data.data);
    config.gate = None;
    let said = crate::block_on(async {
        let instance = Instance::open(&config, &base_url, clock::system()).await?;
        let Some(authority) = &instance.authority else {
            return Err(Failure::usage(
                "authority_missing",
                "the config has no [authority]",
            ));
        };
        let result = change(authority, &keys).await;
        instance.close();
        result.map_err(|error| {
            let failure = Failure::new(Exit::Refused, error.code(), &error);
            failure.maybe_hint(error.hint())
        })
    })??;
    if printer.json() {
        printer.document(&json!({"done": true, "effect": said}));
    } else {
        printer.line(&said);
    }
    Ok(Exit::Done)
}

fn issuer_of<'a>(keys: &'a [KeySummary], kid: &str) -> Result<&'a str, TransitionError> {
    keys.iter()
        .find(|key| key.key_id == kid)
        .map(|key| key.issuer.as_str())
        .ok_or(TransitionError::KeyUnknown)
}

fn document(key: &KeySummary) -> Value {
    json!({
        "key_id": key.key_id,
        "issuer": key.issuer,
        "realm": key.realm,
        "algorithm": algorithm(key),
        "state": key.state.as_str(),
        "sign_from": key.sign_from,
        "sign_until": key.sign_until,
        "created_at": key.created_at,
        "changed_at": key.changed_at,
    })
}

fn algorithm(key: &KeySummary) -> &'static str {
    key.algorithm.as_str()
}

fn window(key: &KeySummary) -> String {
    match key.sign_until {
        Some(until) => format!("signed from {} until {until}", key.sign_from),
        None => format!("signs from {}", key.sign_from),
    }
}
