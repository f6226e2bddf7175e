//! `countersign token`: look into a token without believing it, or forge one as a thief of the data directory would.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::verify::token_text;
use crate::cli::{Forge, TokenCommand};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};
use crate::thief::StolenKey;

pub(crate) fn run(arguments: &TokenCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        TokenCommand::Inspect { token } => inspect(&token_text(token)?, printer),
        TokenCommand::Forge(arguments) => forge(arguments, printer),
    }
}

fn inspect(token: &str, printer: Printer) -> Result<Exit, Failure> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload)) = (parts.next().and_then(decoded), parts.next().and_then(decoded))
    else {
        return Err(Failure::usage("token_malformed", "this is not a compact JWS").hint(
            "a token has three parts of base64url text, separated by dots; check that all of it was copied",
        ));
    };
    if printer.json() {
        printer.document(&json!({"verified": false, "header": header, "claims": payload}));
        return Ok(Exit::Done);
    }
    printer.line(&printer.paint(Tone::Warn, "nothing below is verified: anybody can write a token"));
    printer.line(&format!("header {}", printable(&header)));
    printer.line(&format!("claims {}", printable(&payload)));
    Ok(Exit::Done)
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Pretty JSON without any character that a terminal could take for a command.
fn printable(value: &Value) -> String {
    let text = format!("{value:#}");
    text.chars()
        .map(|each| {
            if each.is_control() && each != '\n' {
                '\u{fffd}'
            } else {
                each
            }
        })
        .collect()
}

fn forge(arguments: &Forge, printer: Printer) -> Result<Exit, Failure> {
    let key = crate::block_on(StolenKey::take(&arguments.data.data, &arguments.key_of))??;
    let issuer = arguments.issuer.as_deref().unwrap_or(&arguments.key_of);
    let token = key.sign(&crate::thief::Lie {
        issuer,
        subject: &arguments.subject,
        audience: &arguments.audience,
        scope: &arguments.scope,
        now: clock::now(),
        lifetime: 600,
    })?;
    if printer.json() {
        printer.document(&json!({"access_token": token, "recorded": false}));
    } else {
        printer.line(&token);
    }
    Ok(Exit::Done)
}
