//! `countersign serve`: config, then port, then data, then requests until a signal.

mod banner;

use std::io::IsTerminal;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::Serve;
use crate::clock;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::instance::Instance;
use crate::listener;
use crate::printer::Printer;

pub(crate) fn run(arguments: &Serve, printer: Printer) -> Result<Exit, Failure> {
    let mut config = Config::load(arguments.config.as_deref())?;
    if let Some(data) = &arguments.data {
        config.server.data.clone_from(data);
    }
    if let Some(listen) = arguments.listen {
        config.server.listen = listen;
    }
    if let Some((path, message, hint)) = config.server.base_url_problem() {
        return Err(Failure::usage("config_invalid", format!("{path}: {message}")).maybe_hint(hint));
    }
    start_log();
    let listener = listener::bind(config.server.listen)?;
    if let Ok(address) = listener.local_addr() {
        // Port 0 asked for any port; issuers are named after the one that was given.
        config.server.listen = address;
    }
    crate::block_on(serve(config, listener, printer))?
}

async fn serve(config: Config, listener: std::net::TcpListener, printer: Printer) -> Result<Exit, Failure> {
    let base_url = config.server.base_url();
    let instance = Instance::open(&config, &base_url, clock::system()).await?;
    let listener = TcpListener::from_std(listener).map_err(|error| {
        Failure::fault(
            "listen_failed",
            format!("cannot use the listening socket: {error}"),
        )
    })?;
    let stop = stop_signal()?;
    banner::print(&config, &base_url, &instance, printer);
    listener::serve(listener, instance.router(), stop).await;
    printer.note("stopping: publishing the last checkpoint");
    instance.close();
    Ok(Exit::Done)
}

/// Resolves on SIGINT or SIGTERM.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::fault("signal_failed", format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Events go to standard error; `RUST_LOG` chooses which (warnings and above by default).
pub(crate) fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
