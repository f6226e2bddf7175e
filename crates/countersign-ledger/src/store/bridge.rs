//! Calls a server from blocking code: every request runs on a runtime of the store's own, under a time limit.

use std::future::Future;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Cause, StoreError};

/// Enough for requests that wait; the work is done by the server.
const THREADS: usize = 1;

/// The runtime of one store. It can be used from any thread, also from one that runs another runtime.
pub(super) struct Bridge {
    runtime: Option<Runtime>,
    limit: Duration,
}

impl Bridge {
    /// `limit`: after this a request counts as unanswered.
    pub(super) fn new(limit: Duration) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("ledger-store")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            limit,
        })
    }

    /// Blocks until `work` has ended, or the limit is reached; then `work` is dropped where it stands, and what it has
    /// sent may still be carried out.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let Some(runtime) = &self.runtime else {
            return Err(Unanswered::Stopped);
        };
        let (sender, receiver) = sync_channel(1);
        let task = runtime.spawn(async move {
            // Nobody listens any more when the limit was reached.
            let _ = sender.send(work.await);
        });
        receiver.recv_timeout(self.limit).map_err(|error| {
            task.abort();
            match error {
                RecvTimeoutError::Timeout => Unanswered::Late(self.limit),
                RecvTimeoutError::Disconnected => Unanswered::Stopped,
            }
        })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime dropped inside another one would panic.
            runtime.shutdown_background();
        }
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("the request was cut off")]
    Stopped,
}

impl From<Unanswered> for StoreError {
    fn from(error: Unanswered) -> Self {
        Self::Unavailable(Cause::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_or_given_up() {
        let hasty = Bridge::new(Duration::from_millis(50)).unwrap();
        let late = hasty.wait(std::future::pending::<()>()).unwrap_err();
        assert!(matches!(late, Unanswered::Late(_)), "{late}");
        let patient = Bridge::new(Duration::from_mins(1)).unwrap();
        let cut = patient
            .wait(async { panic!("a request that panics") })
            .unwrap_err();
        assert!(matches!(cut, Unanswered::Stopped), "{cut}");
    }

    #[tokio::test]
    async fn it_works_inside_another_runtime() {
        let bridge = Bridge::new(Duration::from_secs(5)).unwrap();
        assert_eq!(bridge.wait(async { 7 }).unwrap(), 7);
    }
}
