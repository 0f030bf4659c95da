//! What is cached of records, and how old what is shown may be.

mod dropped;
mod fail_over;
mod near;
mod site;
mod waiting;
