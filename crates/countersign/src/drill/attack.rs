//! The attacks of the incident and its relatives, each against the plain verifier and against Countersign.

use countersign_token::Reason;
use serde_json::{Value, json};

use super::stage::{Answer, FILES, FILES_AUDIENCE, MAIL, MAIL_AUDIENCE, Stage, forge_as_of};
use crate::failure::Failure;

/// The user whose mail the intruder wants.
const VICTIM: &str = "alice";
const VICTIM_EMAIL: &str = "alice@contoso.example";
/// The intruder's own account, in a tenant of its own.
const INTRUDER: &str = "mallory";
/// Long enough to matter: the incident's intruder read mail for weeks.
const RENEWAL_SPAN_S: u64 = 24 * 3600;
/// The plain token service gives every token this life, also those that it exchanges.
const PLAIN_LIFETIME_S: u64 = 3600;
/// What the forger asks for: no longer than honest tokens live, so that only provenance can tell.
const FORGED_LIFETIME_S: u64 = 600;
/// Past every clock skew.
const AFTER_ROTATION_S: u64 = 120;
/// Shortly before each expiry, as a careful intruder would.
const RENEW_BEFORE_S: u64 = 300;

/// One attack (or the honest control) and what came of it.
pub(crate) struct Outcome {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) is_attack: bool,
    pub(crate) plain: Plain,
    pub(crate) ours: Ours,
    pub(crate) logged: Value,
}

/// What the plain verifier did.
pub(crate) struct Plain {
    pub(crate) accepted: bool,
    pub(crate) detail: String,
}

/// What Countersign did.
pub(crate) struct Ours {
    pub(crate) admitted: bool,
    pub(crate) status: u16,
    pub(crate) rule: Option<String>,
    pub(crate) detail: String,
}

/// The control first: a drill in which honest users are locked out proves nothing.
pub(crate) async fn all(stage: &Stage) -> Result<Vec<Outcome>, Failure> {
    Ok(vec![
        honest_token(stage).await?,
        stolen_consumer_key(stage).await?,
        retired_key(stage).await?,
        stolen_active_key(stage).await?,
        renewal_by_exchange(stage).await?,
        email_impersonation(stage).await?,
    ])
}

async fn honest_token(stage: &Stage) -> Result<Outcome, Failure> {
    let token = stage.issue(&stage.contoso, VICTIM, Some(VICTIM_EMAIL)).await?;
    judge(stage, "-", "control: an honestly issued token", false, &token).await
}

async fn stolen_consumer_key(stage: &Stage) -> Result<Outcome, Failure> {
    let key = stage.steal(&stage.consumer).await?;
    let token = stage.forge(&key, &stage.contoso, VICTIM, FORGED_LIFETIME_S)?;
    judge(
        stage,
        "a",
        "a stolen consumer key signs an enterprise token",
        true,
        &token,
    )
    .await
}

async fn retired_key(stage: &Stage) -> Result<Outcome, Failure> {
    let key = stage.steal(&stage.contoso).await?;
    stage.rotate(&stage.contoso).await?;
    stage.advance(AFTER_ROTATION_S);
    let token = stage.forge(&key, &stage.contoso, VICTIM, FORGED_LIFETIME_S)?;
    judge(stage, "b", "a retired key signs", true, &token).await
}

async fn stolen_active_key(stage: &Stage) -> Result<Outcome, Failure> {
    let key = stage.steal(&stage.fabrikam).await?;
    let token = stage.forge(&key, &stage.fabrikam, VICTIM, FORGED_LIFETIME_S)?;
    judge(
        stage,
        "c",
        "a stolen active enterprise key signs a perfect token",
        true,
        &token,
    )
    .await
}

/// The plain token service takes its own output again and again. Ours takes a token once, and what it gives ends
/// when that token ends: a second API, which could exchange it back, gets nothing.
async fn renewal_by_exchange(stage: &Stage) -> Result<Outcome, Failure> {
    let plain = plain_renewals(stage).await?;
    let token = stage.issue(&stage.contoso, VICTIM, None).await?;
    let exchanged = match stage.exchange("mail-frontend", &token, FILES_AUDIENCE).await? {
        Answer::Token(exchanged) => exchanged,
        Answer::Refused { rule, .. } => {
            return Err(Failure::fault(
                "drill_failed",
                format!("an honest first exchange was refused: {rule}"),
            ));
        }
    };
    let again = stage.exchange("files-api", &exchanged, MAIL_AUDIENCE).await?;
    stage.advance(RENEWAL_SPAN_S);
    let (gate_status, logged) = stage.check(&exchanged, FILES).await?;
    let (status, rule) = match &again {
        Answer::Token(_) => (200, None),
        Answer::Refused { status, rule } => (*status, Some(rule.clone())),
    };
    let at_the_gate = logged
        .get("reason")
        .and_then(Value::as_str)
        .unwrap_or("admitted")
        .to_owned();
    Ok(Outcome {
        id: "d",
        title: "a token is renewed by exchanging it again and again",
        is_attack: true,
        plain,
        ours: Ours {
            admitted: rule.is_none() || gate_status == 200,
            status,
            rule,
            detail: format!("no exchange back. After 24 h the gate says {gate_status} {at_the_gate}"),
        },
        logged,
    })
}

/// Renews through a token service of the same issuer that verifies with the plain verifier and signs for whoever
/// passes: the token API of the incident.
async fn plain_renewals(stage: &Stage) -> Result<Plain, Failure> {
    let signer = stage.steal(&stage.fabrikam).await?;
    let sign = |now| forge_as_of(now, &signer, &stage.fabrikam, VICTIM, PLAIN_LIFETIME_S);
    let mut now = stage.now();
    let end = now.saturating_add(RENEWAL_SPAN_S);
    let mut token = sign(now)?;
    let mut renewals = 0_u32;
    while now < end {
        now = now.saturating_add(PLAIN_LIFETIME_S - RENEW_BEFORE_S);
        if let Err(error) = stage.plain.verify(&token, now) {
            return Ok(Plain {
                accepted: false,
                detail: error,
            });
        }
        token = sign(now)?;
        renewals += 1;
    }
    let accepted = stage.plain.verify(&token, now).is_ok();
    Ok(Plain {
        accepted,
        detail: format!("{renewals} renewals; still alive after 24 h"),
    })
}

async fn email_impersonation(stage: &Stage) -> Result<Outcome, Failure> {
    let token = stage.issue(&stage.fabrikam, INTRUDER, Some(VICTIM_EMAIL)).await?;
    judge(
        stage,
        "e",
        "an e-mail claim from the intruder's own tenant impersonates (nOAuth)",
        true,
        &token,
    )
    .await
}

/// Shows one token to both and reads back what the decision log says of it.
async fn judge(
    stage: &Stage,
    id: &'static str,
    title: &'static str,
    is_attack: bool,
    token: &str,
) -> Result<Outcome, Failure> {
    let plain = match stage.plain.verify(token, stage.now()) {
        Ok(claims) => Plain {
            accepted: true,
            detail: stage.plain_detail(&claims),
        },
        Err(error) => Plain {
            accepted: false,
            detail: error,
        },
    };
    let (status, logged) = stage.check(token, MAIL).await?;
    let rule = logged.get("reason").and_then(Value::as_str).map(str::to_owned);
    let detail = rule.as_deref().map_or_else(|| admitted_detail(&logged), meaning);
    Ok(Outcome {
        id,
        title,
        is_attack,
        plain,
        ours: Ours {
            admitted: status == 200,
            status,
            rule,
            detail,
        },
        logged,
    })
}

fn admitted_detail(logged: &Value) -> String {
    format!(
        "recorded at ledger index {}",
        logged.get("ledger_index").unwrap_or(&json!(null))
    )
}

fn meaning(code: &str) -> String {
    let known = Reason::ALL.iter().find(|reason| reason.as_str() == code);
    known.map_or_else(String::new, |reason| reason.meaning().to_owned())
}
