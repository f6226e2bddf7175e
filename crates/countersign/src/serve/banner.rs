//! What a start prints: what runs where, and commands that work as printed.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::Config;
use crate::instance::{Instance, Layout, Place, places};
use crate::printer::{Printer, Tone};

pub(crate) fn print(config: &Config, base_url: &str, instance: &Instance, printer: Printer) {
    let issuers = places(config, base_url);
    if printer.json() {
        printer.document(&json!({
            "event": "up",
            "base_url": base_url,
            "issuers": issuers.iter().map(|issuer| &issuer.url).collect::<Vec<_>>(),
            "ledger_size": instance.ledger.as_ref().map(countersign_ledger::Ledger::head),
            "gate": instance.gate.is_some(),
            "data": config.server.data,
        }));
        return;
    }
    let mut lines = vec![printer.paint(Tone::Strong, "Countersign is up."), String::new()];
    lines.extend(roles(config, base_url, &issuers, instance));
    if config.is_first_run() {
        lines.extend(try_it(config, base_url, &issuers));
    }
    lines.push(String::new());
    lines.push("Stop with Ctrl-C.".to_owned());
    printer.line(&lines.join("\n"));
}

fn roles(config: &Config, base_url: &str, issuers: &[Place], instance: &Instance) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, issuer) in issuers.iter().enumerate() {
        let label = if index == 0 { "authority" } else { "" };
        let tenant = issuer
            .tenant
            .as_ref()
            .map(|name| format!("  ({name})"))
            .unwrap_or_default();
        lines.push(format!("  {label:<10} {}{tenant}", issuer.url));
    }
    if let Some(ledger) = &instance.ledger {
        lines.push(format!(
            "  ledger     {base_url}/ledger  ({} entries)",
            ledger.head()
        ));
    }
    if let Some(gate) = &config.gate {
        let names: Vec<&str> = gate
            .resources
            .iter()
            .map(|resource| resource.name.as_str())
            .collect();
        lines.push(format!(
            "  gate       {base_url}/check?resource=NAME  ({})",
            names.join(", ")
        ));
    }
    if config.console.is_some() {
        lines.push(format!("  console    {base_url}/console"));
    }
    lines.push(format!("  data       {}", config.server.data.display()));
    lines
}

/// Five commands that show the point: a real token passes, a perfect forgery does not.
fn try_it(config: &Config, base_url: &str, issuers: &[Place]) -> Vec<String> {
    let Some(contoso) = issuers.get(1) else {
        return Vec::new();
    };
    let data = quoted(&config.server.data);
    let program = quoted(&program());
    let check = format!("'{base_url}/check?resource=mail'");
    let call = |variable: &str| {
        format!(
            "     curl -s -o /dev/null -w '%{{http_code}}\\n' -H \"Authorization: Bearer ${variable}\" {check}"
        )
    };
    vec![
        String::new(),
        "Try it in another terminal:".to_owned(),
        String::new(),
        "  1. get a token".to_owned(),
        format!(
            "     TOKEN=$(curl -s -u \"mail-app:$(cat {data}/clients/mail-app.secret)\" -d grant_type=client_credentials \
             {}/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
            contoso.url
        ),
        "  2. call the gate with it: 200".to_owned(),
        call("TOKEN"),
        "  3. steal a signing key and forge a perfect token".to_owned(),
        format!(
            "     FORGED=$({program} token forge --data {data} --key-of {} --audience https://mail.example --subject alice)",
            contoso.url
        ),
        "  4. call the gate with the forgery: 401".to_owned(),
        call("FORGED"),
        "  5. see why: its signature is good, but it was never issued".to_owned(),
        format!(
            "     tail -n 1 {}",
            quoted(&Layout(&config.server.data).decisions())
        ),
        String::new(),
        format!("The whole incident, before and after: {program} drill"),
    ]
}

/// This program, as it can be typed from here.
fn program() -> PathBuf {
    let name = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (name, here) {
        (Some(name), Some(here)) => name.strip_prefix(&here).map_or(name.clone(), Path::to_owned),
        _ => PathBuf::from("countersign"),
    }
}

/// A path as a shell takes it, whatever is in it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |each: char| each.is_ascii_alphanumeric() || "/._-+".contains(each);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::quoted;

    #[test]
    fn a_path_with_spaces_or_quotes_is_still_one_word() {
        assert_eq!(quoted(Path::new("./countersign-data")), "./countersign-data");
        assert_eq!(quoted(Path::new("my data/$HOME")), "'my data/$HOME'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
