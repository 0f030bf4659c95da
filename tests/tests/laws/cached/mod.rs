//! What is cached of records, and how old what is shown may be.

mod near;
mod site;
