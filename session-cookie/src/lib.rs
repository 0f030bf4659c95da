#![doc = include_str!("../docs/manual.md")]

// Imports run down this list, and never up:
//
// store        the contract, and its settings
// scope        the keys of each scope
// seal         sealing and opening
// cut_off      what ends sessions that nobody can delete
mod cut_off;
mod scope;
mod seal;
mod store;

pub use cut_off::CutOff;
pub use seal::Sealing;
pub use store::CookieStore;

#[cfg(test)]
mod golden;
