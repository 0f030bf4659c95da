//! The tables of `session-http/docs/capacity.md`.
//!
//! The page has each of them between two comments, `<!-- capacity NAME -->` and `<!-- end -->`.

mod format;
mod tables;

use crate::cost::Costs;

/// Where the page is, from the root of the repository.
pub const PATH: &str = "session-http/docs/capacity.md";

const END: &str = "<!-- end -->";

/// Puts the tables into a page.
///
/// # Errors
///
/// Says what is wrong with the page or the costs.
pub fn fill(page: &str, costs: &Costs) -> Result<String, String> {
    let tables = tables::all(costs).ok_or("the costs are of fewer than three sizes")?;
    let mut page = page.to_owned();
    for (name, table) in tables {
        let mark = format!("<!-- capacity {name} -->\n");
        let (before, rest) = page
            .split_once(&mark)
            .ok_or_else(|| format!("the page has no {mark}"))?;
        let (_, after) = rest
            .split_once(END)
            .ok_or_else(|| format!("{name} has no {END}"))?;
        page = format!("{before}{mark}\n{table}\n{END}{after}");
    }
    Ok(page)
}

pub use tables::{all as tables, plan};
