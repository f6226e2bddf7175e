//! The command as its users meet it: real processes, real files, real sockets.

mod crash;
mod process;
