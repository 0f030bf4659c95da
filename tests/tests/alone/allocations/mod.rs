//! What a load and an update of a session of eight keys allocate, the driver's share in it: budgets
//! that hold.

mod counted;
mod mongo;
mod redis;
