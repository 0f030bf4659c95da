//! How sessions lie in MongoDB: what a person sees, any name of a value, limits, and documents that
//! another program has damaged.

mod bench;
mod damages;
mod golden;
mod limits;
mod names;
mod random;
mod scans;
mod sessions;
