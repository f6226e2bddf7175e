use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_token::{IssuerName, IssuerRecord, KeyContext, KeyRecord, KeySet, KeyState};
use tokio::sync::watch;

use crate::config::{ForeignIssuer, KeyMetadata};
use crate::fetch::{FetchError, KeySource};

/// How many denied keys of one issuer are remembered after they left its set. More than any provider
/// publishes in a year; when it is reached, nothing is forgotten and no key is taken in that is not held already.
const DENIED_MAX: usize = 1024;

/// The keys of one foreign issuer, as far as they are known.
///
/// Who may fetch is decided here, under the lock, before anything is sent: one fetch at a time, and one
/// per cool-down for all the unknown key identifiers in the world together.
pub(crate) struct ForeignKeys {
    pub(crate) config: ForeignIssuer,
    pub(crate) source: KeySource,
    name: IssuerName,
    state: Mutex<State>,
    /// Counts finished attempts: whoever waits for the fetch in flight waits for the next number.
    attempts: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    held: Vec<Held>,
    /// The most restrictive state ever seen of a key that was denied. No later set undoes it.
    denied: BTreeMap<[u8; 32], KeyState>,
    fetched_at: Option<u64>,
    in_flight: bool,
    /// When the next fetch for an unknown key identifier may start.
    demand_from: u64,
    error: Option<FetchError>,
}

struct Held {
    key: KeyRecord,
    /// Since when fetched sets lack this key.
    absent_since: Option<u64>,
}

/// The answer to "may I fetch?".
pub(crate) enum Turn {
    /// Yes, and nobody else does until [`ForeignKeys::announce`]. The receiver is for waiting.
    Fetch(watch::Receiver<u64>),
    /// Somebody else is fetching: wait for that.
    Wait(watch::Receiver<u64>),
    /// No: the last fetch of this kind is too recent.
    Cooling,
}

/// Whether the keys may be relied on, and if not, whether they soon may be.
pub(crate) enum Standing {
    /// They may.
    Usable,
    /// Not yet: they are being fetched.
    UnderWay(watch::Receiver<u64>),
    /// They may not.
    Unusable,
}

/// What the health page says of a foreign issuer's keys.
pub(crate) struct KeySetHealth {
    pub(crate) keys: usize,
    pub(crate) age_seconds: Option<u64>,
    pub(crate) usable: bool,
    pub(crate) error: Option<FetchError>,
}

impl ForeignKeys {
    /// `None` if the configuration is not a sound one; validation has said so then.
    pub(crate) fn new(config: &ForeignIssuer, directory: &Path) -> Option<Self> {
        Some(Self {
            name: IssuerName::parse(&config.issuer).ok()?,
            source: KeySource::of(config, directory)?,
            config: config.clone(),
            state: Mutex::default(),
            attempts: watch::Sender::new(0),
        })
    }

    /// Asks for the regular fetch.
    pub(crate) fn turn_by_schedule(&self) -> Turn {
        let mut state = self.lock();
        self.take_turn(&mut state)
    }

    /// Asks for a fetch because a token names a key that is not known. The cool-down is claimed here,
    /// whatever comes of the fetch.
    pub(crate) fn turn_by_demand(&self, now: u64) -> Turn {
        let mut state = self.lock();
        if state.in_flight {
            return Turn::Wait(self.attempts.subscribe());
        }
        let cooldown = self.config.unknown_key_cooldown_seconds;
        // Further away than a turn that was just claimed: the clock was set back by much since.
        if (1..=cooldown.saturating_mul(2)).contains(&state.demand_from.saturating_sub(now)) {
            return Turn::Cooling;
        }
        state.demand_from = now.saturating_add(cooldown);
        self.take_turn(&mut state)
    }

    /// What can be said of the keys at this moment.
    pub(crate) fn standing(&self, now: u64) -> Standing {
        let state = self.lock();
        if state.usable(now, self.config.stale_max_seconds) {
            Standing::Usable
        } else if state.in_flight {
            Standing::UnderWay(self.attempts.subscribe())
        } else {
            Standing::Unusable
        }
    }

    fn take_turn(&self, state: &mut State) -> Turn {
        if state.in_flight {
            return Turn::Wait(self.attempts.subscribe());
        }
        state.in_flight = true;
        Turn::Fetch(self.attempts.subscribe())
    }

    /// Takes in what the fetch brought; the turn is kept until [`ForeignKeys::announce`]. A failure changes no key.
    pub(crate) fn finish(&self, fetched: Result<Vec<u8>, FetchError>, now: u64) -> Result<(), FetchError> {
        let keys = fetched.and_then(|json| self.parse(&json));
        let mut state = self.lock();
        let result = keys.map(|keys| state.merge(&keys, now, self.config.refresh_seconds));
        state.error = result.err();
        result
    }

    /// Gives the turn back and tells those who waited, after the registry has the keys.
    pub(crate) fn announce(&self) {
        self.lock().in_flight = false;
        self.attempts
            .send_modify(|attempts| *attempts = attempts.wrapping_add(1));
    }

    fn parse(&self, json: &[u8]) -> Result<KeySet, FetchError> {
        let metadata = match self.config.key_metadata {
            KeyMetadata::Declared => countersign_token::KeyMetadata::Declared,
            KeyMetadata::Assumed => countersign_token::KeyMetadata::Assumed,
        };
        let context = KeyContext::new(&self.name, &self.config.realm, metadata);
        let keys = KeySet::parse(json, &context).map_err(|_| FetchError::KeySetMalformed)?;
        if keys.is_empty() {
            Err(FetchError::KeySetEmpty)
        } else {
            Ok(keys)
        }
    }

    /// The issuer with the keys known now.
    pub(crate) fn record(&self) -> IssuerRecord {
        let keys = self.lock().held.iter().map(|held| held.key.clone()).collect();
        self.config.to_record(self.name.clone(), KeySet::new(keys))
    }

    /// Whether the keys may be relied on: fetched once, and not too long ago.
    pub(crate) fn usable(&self, now: u64) -> bool {
        self.lock().usable(now, self.config.stale_max_seconds)
    }

    pub(crate) fn health(&self, now: u64) -> KeySetHealth {
        let state = self.lock();
        KeySetHealth {
            keys: state.held.len(),
            age_seconds: state.fetched_at.map(|at| now.saturating_sub(at)),
            usable: state.usable(now, self.config.stale_max_seconds),
            error: state.error,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, now: u64, stale_max: u64) -> bool {
        self.fetched_at
            .is_some_and(|at| now.saturating_sub(at) <= stale_max)
    }

    /// A key in the new set is taken in, under the most restrictive state it ever had. A key missing from it
    /// goes when it has been missing for a whole refresh interval: one odd answer of one server of
    /// the provider is no removal.
    fn merge(&mut self, fetched: &KeySet, now: u64, grace: u64) {
        let held = std::mem::take(&mut self.held);
        let known: BTreeSet<[u8; 32]> = held
            .iter()
            .map(|held| *held.key.thumbprint().as_bytes())
            .collect();
        let absent: Vec<Held> = held
            .into_iter()
            .filter(|held| fetched.key(held.key.id()).is_none())
            .map(|held| Held {
                absent_since: Some(held.absent_since.unwrap_or(now)),
                ..held
            })
            .filter(|held| {
                held.absent_since
                    .is_some_and(|since| now.saturating_sub(since) < grace)
            })
            .collect();
        for key in fetched.keys() {
            if let Some(key) = self.with_denial(key, &known) {
                self.held.push(Held {
                    key,
                    absent_since: None,
                });
            }
        }
        self.held.extend(absent);
        self.fetched_at = Some(now);
    }

    /// The key under the most restrictive state it ever had; `None` if there is no room to remember what it had.
    fn with_denial(&mut self, key: &KeyRecord, known: &BTreeSet<[u8; 32]>) -> Option<KeyRecord> {
        let thumbprint = *key.thumbprint().as_bytes();
        let before = self.denied.get(&thumbprint).copied();
        let is_full = self.denied.len() >= DENIED_MAX;
        if is_full && before.is_none() && !known.contains(&thumbprint) {
            return None;
        }
        let state = before.map_or(key.state(), |denied| key.state().most_restrictive(denied));
        if matches!(state, KeyState::Expired | KeyState::Suspect | KeyState::Revoked) {
            self.denied.insert(thumbprint, state);
        }
        Some(if state == key.state() {
            key.clone()
        } else {
            key.with_state(state)
        })
    }
}

#[cfg(test)]
mod tests {
    use countersign_token::{PublicKey, SigningWindow};

    use super::*;

    fn issuer(more: &serde_json::Value) -> ForeignKeys {
        let mut config = serde_json::json!({"issuer": "https://a.example", "realm": "r", "discovery": true});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        ForeignKeys::new(&serde_json::from_value(config).unwrap(), Path::new("")).unwrap()
    }

    /// Whether a fetch may start now; if so, it ends at once.
    fn may_fetch(keys: &ForeignKeys, now: u64) -> bool {
        let may = matches!(keys.turn_by_demand(now), Turn::Fetch(_));
        if may {
            keys.announce();
        }
        may
    }

    #[test]
    fn the_cool_down_survives_a_clock_set_back() {
        let keys = issuer(&serde_json::json!({"unknown_key_cooldown_seconds": 30}));
        assert!(may_fetch(&keys, 2_000_000_000));
        assert!(!may_fetch(&keys, 2_000_000_029));
        // The clock was years ahead and is right now.
        assert!(may_fetch(&keys, 1_700_000_000));
        assert!(!may_fetch(&keys, 1_700_000_029));
        assert!(may_fetch(&keys, 1_700_000_030));
        // A second back, as time servers do.
        assert!(!may_fetch(&keys, 1_700_000_029));
        let keys = issuer(&serde_json::json!({"unknown_key_cooldown_seconds": u64::MAX}));
        assert!(may_fetch(&keys, u64::MAX) && !may_fetch(&keys, 0));
    }

    fn key(number: u16, state: KeyState) -> KeyRecord {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        // About every second number is a point of the curve.
        let public = (0..=u8::MAX).find_map(|attempt| {
            bytes[2] = attempt;
            PublicKey::from_ed25519(&bytes).ok()
        });
        let public = public.unwrap();
        let issuer = IssuerName::parse("https://a.example").unwrap();
        KeyRecord::new(public, issuer, "r", state, SigningWindow::OPEN)
    }

    #[test]
    fn no_denial_is_forgotten_for_want_of_room() {
        let mut state = State::default();
        let (mut now, fill) = (0, u16::try_from(DENIED_MAX).unwrap());
        let mut merge = |state: &mut State, keys: Vec<KeyRecord>| {
            now += 1_000;
            state.merge(&KeySet::new(keys), now, 0);
            state.held.iter().map(|held| held.key.state()).collect::<Vec<_>>()
        };
        let good = || key(fill + 1, KeyState::Active);
        let denied = (0..fill).map(|number| key(number, KeyState::Revoked));
        merge(&mut state, vec![good()]);
        merge(&mut state, denied.chain([good()]).collect());
        assert_eq!(state.denied.len(), DENIED_MAX);
        // A key held goes on; one that nobody could remember the denial of is never taken in.
        assert_eq!(
            merge(&mut state, vec![good(), key(fill + 2, KeyState::Revoked)]),
            [KeyState::Active]
        );
        assert_eq!(
            merge(&mut state, vec![good(), key(fill + 2, KeyState::Active)]),
            [KeyState::Active]
        );
        // What was denied stays so, and a key held can still be denied.
        assert_eq!(
            merge(
                &mut state,
                vec![key(3, KeyState::Active), good().with_state(KeyState::Revoked)]
            ),
            [KeyState::Revoked, KeyState::Revoked]
        );
        assert_eq!(merge(&mut state, vec![good()]), [KeyState::Revoked]);
    }
}
