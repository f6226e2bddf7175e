use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;
use countersign_ledger::{Clock, Follower, IssuanceKind, Provenance, Shown};
use countersign_token::{Check, KeyState, ParsedToken, Reason, Resource, VerifiedToken, dangerous};
use tokio::task::AbortHandle;

use crate::bearer::{bearer, query_carries_token};
use crate::clock::{ClockMs, rfc3339, seconds};
use crate::config::{Config, Mode, ProvenanceRule};
use crate::decision::{Decision, ProvenanceAnswer, Verdict};
use crate::decision_log::DecisionLog;
use crate::fetch::Fetcher;
use crate::foreign::{ForeignKeys, Standing};
use crate::forwarded::Forwarded;
use crate::start::{GateOptions, StartError};
use crate::trust::{Trust, TrustKeeper, finished};

/// The most header lines a request may have. Browsers behind a proxy send some thirty.
const HEADERS_MAX: usize = 96;

/// The most bytes all header lines together may have. nginx takes 32 KiB from a caller by default.
const HEADER_BYTES_MAX: usize = 48 * 1024;

/// How often a token is judged again because the trust changed while the ledger was asked. Trust changes by
/// the minute, an answer takes milliseconds: more than one repetition means that something is wrong.
const ROUNDS_MAX: usize = 3;

/// The request of a proxy: what the caller sent, and what the proxy's configuration asks.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// All header lines.
    pub headers: &'a HeaderMap,
    /// The query of the check URL, without the question mark: `resource=NAME`.
    pub query: Option<&'a str>,
}

/// Decides which requests pass. Cheap to clone: all clones are one gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    config: Config,
    resources: Vec<(Resource, Mode)>,
    trust: Arc<TrustKeeper>,
    follower: Option<Follower>,
    log: DecisionLog,
    clock_ms: ClockMs,
    tasks: Vec<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Gate {
    /// Starts the gate, inside a tokio runtime. Key sets are fetched in the background: an unreachable
    /// provider does not keep the gate from starting, its tokens are refused until it answers.
    pub fn start(options: GateOptions) -> Result<Self, StartError> {
        let GateOptions {
            config,
            directory,
            bundle,
            follower,
            clock_ms,
        } = options;
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let path = directory.join(&config.decision_log);
        let log = DecisionLog::open(&path).map_err(|source| StartError::DecisionLog { path, source })?;
        let foreign = config
            .issuers
            .iter()
            .filter_map(|issuer| ForeignKeys::new(issuer, &directory));
        let foreign = foreign.map(Arc::new).collect();
        let fetcher = Fetcher::new().map_err(StartError::Client)?;
        let clock = Arc::clone(&clock_ms);
        let clock: Clock = Arc::new(move || seconds(clock()));
        let follower = match &config.ledger {
            Some(ledger) => {
                let following = Follower::start_remote(&ledger.to_options(), Arc::clone(&clock));
                Some(following.map_err(StartError::Ledger)?)
            }
            None => follower,
        };
        let trust = Arc::new(TrustKeeper::new(bundle, foreign, fetcher, clock).map_err(StartError::Trust)?);
        let mut tasks = vec![runtime.spawn(Arc::clone(&trust).follow_bundle()).abort_handle()];
        for keys in trust.all_foreign() {
            let task = Arc::clone(&trust).follow_key_set(Arc::clone(keys), keys.turn_by_schedule());
            tasks.push(runtime.spawn(task).abort_handle());
        }
        let resources = config
            .resources
            .iter()
            .map(|resource| (resource.to_resource(), resource.mode))
            .collect();
        Ok(Self(Arc::new(Inner {
            config,
            resources,
            trust,
            follower,
            log,
            clock_ms,
            tasks,
        })))
    }

    /// Decides one request and writes the decision to the log. What cannot be logged is refused.
    pub async fn decide(&self, request: &Request<'_>) -> Decision {
        let started = Instant::now();
        let gate = &*self.0;
        let now_ms = (gate.clock_ms)();
        let forwarded = Forwarded::read(gate.config.dialect, request.headers);
        let mut decision = Decision::new(rfc3339(now_ms), &gate.config.name, forwarded);
        match gate.judge(request, seconds(now_ms), &mut decision).await {
            Ok(remark) => {
                decision.decision = Verdict::Admit;
                decision.reason = remark;
            }
            Err(reason) => decision.reason = Some(reason),
        }
        decision.duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if gate.log.append(&decision.to_line()).is_err() {
            decision.decision = Verdict::Refuse;
            decision.reason = Some(Reason::DecisionUnlogged);
        }
        decision
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn trust(&self) -> &Arc<TrustKeeper> {
        &self.0.trust
    }

    pub(crate) fn follower(&self) -> Option<&Follower> {
        self.0.follower.as_ref()
    }

    pub(crate) fn log(&self) -> &DecisionLog {
        &self.0.log
    }

    pub(crate) fn now(&self) -> u64 {
        seconds((self.0.clock_ms)())
    }
}

impl Inner {
    /// Cheap and unforgeable rules first, the ledger last. `Ok` may carry the reason that `observe` let pass.
    async fn judge(
        &self,
        request: &Request<'_>,
        now: u64,
        decision: &mut Decision,
    ) -> Result<Option<Reason>, Reason> {
        within_limits(request.headers)?;
        let (resource, mode) = self.resource(request.query)?;
        decision.resource = Some(resource.name.clone());
        decision.mode = Some(*mode);
        let mut queries =
            Forwarded::queries(self.config.dialect, request.headers).chain(request.query.map(str::as_bytes));
        if queries.any(query_carries_token) {
            return Err(Reason::TokenInQuery);
        }
        let text = bearer(request.headers)?;
        let token = ParsedToken::parse(text).map_err(|refusal| refusal.reason)?;
        decision.fingerprint = Some(token.fingerprint().to_string());
        for _ in 0..ROUNDS_MAX {
            let (verified, recorded, trust) = self.verify(&token, resource, now, decision).await?;
            let mode = effective_mode(*mode, verified.key_state(), recorded);
            decision.mode = Some(mode);
            let remark = self.provenance(&verified, mode, decision).await;
            decision.note_verified(verified);
            let remark = remark?;
            // The ledger may have taken its time, and the key may have been denied meanwhile.
            if Arc::ptr_eq(&trust, &self.trust.current()) {
                return Ok(remark);
            }
        }
        Err(Reason::ProvenanceUnknown)
    }

    /// The resource the proxy asks for. One parameter: a second one could be the caller's.
    fn resource(&self, query: Option<&str>) -> Result<&(Resource, Mode), Reason> {
        let pairs = query.unwrap_or_default().split('&');
        let mut names = pairs.filter_map(|pair| pair.strip_prefix("resource="));
        match (names.next(), names.next(), self.resources.as_slice()) {
            (None, _, [single]) => Ok(single),
            (Some(name), None, resources) => resources
                .iter()
                .find(|(resource, _)| resource.name == name)
                .ok_or(Reason::ResourceUnknown),
            _ => Err(Reason::ResourceUnknown),
        }
    }

    /// The token rules against the trust in force, and whether this issuer's issuances are recorded at all;
    /// with the trust that said so.
    async fn verify(
        &self,
        token: &ParsedToken,
        resource: &Resource,
        now: u64,
        decision: &mut Decision,
    ) -> Result<(VerifiedToken, ProvenanceRule, Arc<Trust>), Reason> {
        let mut looked_again = false;
        loop {
            let trust = self.trust.current();
            decision.bundle = trust.bundle;
            let check = Check::new(&trust.registry, resource, now);
            let result = countersign_token::verify(token, &check).map_err(|refusal| refusal.reason);
            let foreign = self.foreign_of(&trust, token);
            if let Some(keys) = foreign
                && !looked_again
                && self.keys_may_change(keys, &result, now).await
            {
                looked_again = true;
                continue;
            }
            let result = match foreign {
                Some(keys) if depends_on_keys(&result) && !keys.usable(now) => Err(Reason::KeysUnavailable),
                _ => result,
            };
            let rule = foreign.map_or(ProvenanceRule::Required, |keys| keys.config.provenance);
            return match result {
                Ok(verified) => Ok((verified, rule, trust)),
                Err(reason) => {
                    decision.note_unverified(token, &trust.registry);
                    Err(reason)
                }
            };
        }
    }

    /// The foreign issuer this token claims to be from. The claim selects; it proves nothing.
    fn foreign_of(&self, trust: &Trust, token: &ParsedToken) -> Option<&Arc<ForeignKeys>> {
        let (record, _) = trust
            .registry
            .issuer(dangerous::Unverified::of(token).issuer()?)?;
        self.trust.foreign(trust, record)
    }

    /// Whether it is worth looking again. Only a missing key ever causes a fetch, never a bad signature.
    async fn keys_may_change(
        &self,
        keys: &Arc<ForeignKeys>,
        result: &Result<VerifiedToken, Reason>,
        now: u64,
    ) -> bool {
        // A new key whose id another issuer uses already looks like that issuer's key until it is fetched.
        if !depends_on_keys(result) && !matches!(result, Err(Reason::KeyRealmMismatch)) {
            return false;
        }
        match keys.standing(now) {
            Standing::Usable => result.is_err() && self.trust.after_unknown_key(keys, now).await,
            Standing::UnderWay(attempts) => finished(attempts).await,
            Standing::Unusable => false,
        }
    }

    /// Asks the ledger, now that the signature is proved, and weighs its answer by the mode.
    async fn provenance(
        &self,
        token: &VerifiedToken,
        mode: Mode,
        decision: &mut Decision,
    ) -> Result<Option<Reason>, Reason> {
        let told = match mode {
            Mode::Off => Told::from(ProvenanceAnswer::NotAsked),
            Mode::Observe | Mode::Enforce => self.ask_ledger(token).await,
        };
        let answer = told.answer;
        decision.provenance = Some(answer);
        decision.ledger_index = told.index;
        if told.is_denied {
            // Somebody took it back: unlike a token that the ledger does not know, no mode lets it pass.
            return Err(Reason::TokenDenied);
        }
        let reason = match answer {
            ProvenanceAnswer::NotAsked | ProvenanceAnswer::Recorded => return Ok(None),
            ProvenanceAnswer::NotRecorded => Reason::NeverIssued,
            ProvenanceAnswer::CannotTell => Reason::ProvenanceUnknown,
        };
        if mode == Mode::Observe {
            Ok(Some(reason))
        } else {
            Err(reason)
        }
    }

    async fn ask_ledger(&self, token: &VerifiedToken) -> Told {
        let Some(follower) = &self.follower else {
            return ProvenanceAnswer::CannotTell.into();
        };
        let fingerprint = token.fingerprint();
        let provenance = follower.provenance(fingerprint.as_bytes(), token.expires_at());
        let (answer, index, is_denied) = match provenance.await {
            Provenance::Recorded { index, kind } => match kind {
                IssuanceKind::Access | IssuanceKind::Exchanged | IssuanceKind::Foreign => {
                    (ProvenanceAnswer::Recorded, index, false)
                }
                // Issued, but as something that opens no door: never as an access token.
                IssuanceKind::Id | IssuanceKind::Refresh => (ProvenanceAnswer::NotRecorded, index, false),
            },
            Provenance::Denied { index } => (ProvenanceAnswer::Recorded, index, true),
            Provenance::NotRecorded => (ProvenanceAnswer::NotRecorded, None, false),
            Provenance::CannotTell => (ProvenanceAnswer::CannotTell, None, false),
        };
        let shown = Shown {
            issuer: token.issuer(),
            key: *token.key_thumbprint().as_bytes(),
            session: token.session_id(),
            issued_at: token.issued_at(),
        };
        Told {
            answer,
            index,
            is_denied: is_denied || follower.denies(&shown),
        }
    }
}

/// What the ledger told of a token.
struct Told {
    answer: ProvenanceAnswer,
    index: Option<u64>,
    is_denied: bool,
}

impl From<ProvenanceAnswer> for Told {
    fn from(answer: ProvenanceAnswer) -> Self {
        Self {
            answer,
            index: None,
            is_denied: false,
        }
    }
}

/// A suspect key counts only with the record, whatever the resource or the issuer's entry says.
fn effective_mode(mode: Mode, state: KeyState, rule: ProvenanceRule) -> Mode {
    match (state, rule) {
        (KeyState::Suspect, _) => Mode::Enforce,
        (_, ProvenanceRule::Off) => Mode::Off,
        (_, ProvenanceRule::Required) => mode,
    }
}

/// Whether other keys could have led to another result.
fn depends_on_keys(result: &Result<VerifiedToken, Reason>) -> bool {
    matches!(result, Ok(_) | Err(Reason::KeyUnknown))
}

fn within_limits(headers: &HeaderMap) -> Result<(), Reason> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(Reason::RequestTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_key_needs_the_record_whatever_the_mode() {
        for mode in [Mode::Off, Mode::Observe, Mode::Enforce] {
            for rule in [ProvenanceRule::Off, ProvenanceRule::Required] {
                assert_eq!(effective_mode(mode, KeyState::Suspect, rule), Mode::Enforce);
            }
            assert_eq!(
                effective_mode(mode, KeyState::Active, ProvenanceRule::Off),
                Mode::Off
            );
            assert_eq!(
                effective_mode(mode, KeyState::Active, ProvenanceRule::Required),
                mode
            );
        }
    }

    #[test]
    fn too_many_or_too_long_headers_are_refused() {
        let mut headers = HeaderMap::new();
        for _ in 0..HEADERS_MAX {
            headers.append("x-filler", "a".parse().unwrap());
        }
        assert_eq!(within_limits(&headers), Ok(()));
        headers.append("x-filler", "a".parse().unwrap());
        assert_eq!(within_limits(&headers), Err(Reason::RequestTooLarge));
        let mut headers = HeaderMap::new();
        headers.append("x-filler", "a".repeat(HEADER_BYTES_MAX).parse().unwrap());
        assert_eq!(within_limits(&headers), Err(Reason::RequestTooLarge));
    }
}
