use axum::http::StatusCode;
use countersign_ledger::Follower;
use serde::Serialize;

use crate::config::Mode;
use crate::decision_log::LogHealth;
use crate::fetch::FetchError;
use crate::gate::Gate;

/// The health page: what the gate's next decisions will rest on.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    /// `ok`; `degraded` when some requests are refused for want of keys or the ledger, or denials do not arrive;
    /// `refusing` when all are refused.
    status: &'static str,
    gate: String,
    /// The number of the trust bundle in force.
    bundle: Option<u64>,
    /// Why configured issuers are left out, if they are, or that no new bundle can come (`bundle_stopped`).
    trust_problem: Option<&'static str>,
    ledger: LedgerHealth,
    issuers: Vec<IssuerHealth>,
    decision_log: LogHealth,
}

#[derive(Debug, Serialize)]
struct LedgerHealth {
    /// `following`, `silent` (not heard yet, or not for so long that known tokens do not count any more), `stopped`
    /// (nothing can be told to be issued any more) or `none`.
    state: &'static str,
    /// How many entries have been taken in.
    position: Option<u64>,
}

#[derive(Debug, Serialize)]
struct IssuerHealth {
    issuer: String,
    realm: String,
    keys: usize,
    key_set_age_seconds: Option<u64>,
    /// `ok`, `stale` (the last fetch failed, the keys still count) or `unavailable`.
    state: &'static str,
    /// Why the last fetch failed.
    error: Option<&'static str>,
}

impl Health {
    pub(crate) fn of(gate: &Gate) -> Self {
        let now = gate.now();
        let trust = gate.trust().current();
        let issuers: Vec<IssuerHealth> = gate
            .trust()
            .all_foreign()
            .iter()
            .map(|keys| {
                let health = keys.health(now);
                IssuerHealth {
                    issuer: keys.config.issuer.clone(),
                    realm: keys.config.realm.clone(),
                    keys: health.keys,
                    key_set_age_seconds: health.age_seconds,
                    state: match (health.usable, health.error) {
                        (false, _) => "unavailable",
                        (true, Some(_)) => "stale",
                        (true, None) => "ok",
                    },
                    error: health.error.map(FetchError::code),
                }
            })
            .collect();
        let ledger = LedgerHealth {
            state: match gate.follower() {
                Some(follower) if !follower.is_following() => "stopped",
                Some(follower) if !follower.is_fresh() => "silent",
                Some(_) => "following",
                None => "none",
            },
            position: gate.follower().map(Follower::applied),
        };
        let decision_log = gate.log().health();
        let asks_ledger = gate
            .config()
            .resources
            .iter()
            .any(|resource| resource.mode != Mode::Off);
        // A closed channel does not undo what was denied before, so the gate goes on with what it knows.
        let stopped = (!gate.trust().is_following()).then_some("bundle_stopped");
        let trust_problem = trust.problem.or(stopped);
        let complete = trust_problem.is_none()
            && (ledger.state == "following" || !asks_ledger)
            && issuers.iter().all(|issuer| issuer.state == "ok");
        let status = match (decision_log.state, complete) {
            ("ok", true) => "ok",
            ("ok", false) => "degraded",
            _ => "refusing",
        };
        Self {
            status,
            gate: gate.config().name.clone(),
            bundle: trust.bundle,
            trust_problem,
            ledger,
            issuers,
            decision_log,
        }
    }

    /// 503 only when nobody gets in: then a load balancer should ask another gate.
    pub(crate) fn http_status(&self) -> StatusCode {
        if self.status == "refusing" {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        }
    }
}
