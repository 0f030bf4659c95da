//! Sessions that another program has damaged: a typed error or a miss, never a panic, and never
//! somebody else's session.

mod bench;
mod damages;
mod index;
mod packed;
mod random;
mod requests;
mod sessions;
