//! What stands between a follower and its ledger.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What is done to the connections.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Pass,
    /// Answers are held back.
    Stall,
    /// Every connection is closed at once.
    Refuse,
    /// In the answers these bytes become those.
    Replace([u8; 32], [u8; 32]),
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    upstream: String,
    open: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                mode: Mode::Pass,
                upstream: upstream.to_owned(),
                open: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                accepting.connect(client.unwrap());
            }
        });
        Self { address, shared }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.state.lock().unwrap().mode = mode;
        self.shared.changed.notify_all();
        if mode == Mode::Refuse {
            self.cut();
        }
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on another server answers.
    pub(crate) fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.shared.state.lock().unwrap().upstream);
        self.cut();
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.state.lock().unwrap();
        if state.mode == Mode::Refuse {
            return;
        }
        let server = TcpStream::connect(&state.upstream).unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            state.open.push(stream.try_clone().unwrap());
        }
        drop(state);
        let (up, down) = (
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        );
        thread::spawn(move || pump(up.0, up.1, |_| {}));
        let shared = Arc::clone(self);
        thread::spawn(move || pump(down.0, down.1, |bytes| shared.treat(bytes)));
    }

    /// Does to an answer what the mode says.
    fn treat(&self, bytes: &mut [u8]) {
        let state = self.state.lock().unwrap();
        let state = self
            .changed
            .wait_while(state, |state| state.mode == Mode::Stall)
            .unwrap();
        let Mode::Replace(from, to) = state.mode else {
            return;
        };
        let places: Vec<usize> = (0..bytes.len().saturating_sub(31))
            .filter(|at| bytes[*at..*at + 32] == from)
            .collect();
        for at in places {
            bytes[at..at + 32].copy_from_slice(&to);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut treat: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        treat(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
