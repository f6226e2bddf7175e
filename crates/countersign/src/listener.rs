//! The HTTP/1.1 server: bounded in connections, header bytes and waiting time, drained on a signal.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;

/// More connections than a proxy's pool needs, fewer than a process's usual 1,024 files allow beside our own.
const CONNECTIONS_MAX: usize = 900;
/// A client that has not sent its header in this time is not a client.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for a 16 KiB token and a proxy's own headers.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Running requests get this long to end after the signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes the port before anything else is touched, so that a port in use leaves no trace.
pub(crate) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::unavailable("port_in_use", format!("another process listens on {address}"))
                .hint("stop it, or choose another address with --listen 127.0.0.1:PORT")
        }
        _ => Failure::unavailable("listen_failed", format!("cannot listen on {address}: {error}"))
            .hint("choose an address of this machine and a port above 1023 with --listen"),
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Serves until `stop` resolves, then lets running requests end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = pin!(stop);
    loop {
        let (place, stream) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        let connection = graceful.watch(connection(stream, router.clone()));
        tokio::spawn(async move {
            // A client that went away is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// The next connection that there is a place for. A failure to accept (no file left, say) passes; trying again at
/// once would only burn time.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed, so there is always a place sooner or later.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (place, stream),
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
        let _ = tokio::time::timeout(ACCEPT_PAUSE, pending::<()>()).await;
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

fn connection(stream: TcpStream, router: Router) -> Connection {
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
