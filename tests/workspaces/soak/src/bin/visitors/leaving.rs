//! Signing out: what a visitor checks before and after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::BoxError;
use crate::browser::{Answer, read_with};
use crate::ledger::Finding;
use crate::visitor::Visitor;
use crate::world::{OldCookie, Visit, World};

const AGAIN: Duration = Duration::from_millis(400);
/// So many cookies of each former session are kept to be tried.
const KEPT: usize = 3;

/// Reads everything, compares, signs out, and tries the old cookie.
pub(crate) async fn leave(visitor: &mut Visitor) -> Result<(), BoxError> {
    visitor.finish_upload().await;
    let page = visitor.read().await;
    if !visitor.is_mine(&page) {
        visitor.judge_loss(&page).await?;
        return Ok(());
    }
    let disturbances = &visitor.world.disturbances;
    let findings = visitor.ledger.compare(&page, |session, began, at| {
        disturbances.may_lose(session, began, at)
    });
    visitor.world.count(|tally| {
        tally.compared += 1;
        tally.writes_compared += visitor.ledger.acknowledged();
    });
    for finding in findings {
        count(&visitor.world, visitor.browser.visit(), &finding);
    }
    sign_out(visitor).await
}

async fn sign_out(visitor: &mut Visitor) -> Result<(), BoxError> {
    if let Some(socket) = &visitor.socket {
        socket.leaving();
    }
    let mut first = true;
    let mut began = Instant::now();
    while !matches!(visitor.browser.post("/sign-out", "").await, Answer::Done(_)) {
        first = false;
        sleep(AGAIN).await;
        began = Instant::now();
    }
    let signed_out = Instant::now();
    visitor.world.count(|tally| tally.sign_outs += 1);
    visitor.browser.note_sign_out(began);
    let visit = visitor.browser.visit();
    let (held, writes) = (visitor.browser.held(), visitor.browser.writes());
    for cookie in held.iter().rev().take(KEPT) {
        let old = OldCookie {
            visit,
            cookie: cookie.clone(),
            signed_out,
            writes: Arc::clone(&writes),
        };
        try_old(&visitor.world, &visitor.bare, &old).await;
        visitor.world.seen().old_cookies.push(old);
    }
    if let Some(socket) = visitor.socket.take() {
        socket.left().await;
    }
    if first && visitor.browser.cookie().is_some() {
        visitor.world.count(|tally| tally.cookies_kept += 1);
        visitor.world.note("a sign-out left the cookie");
    }
    // If an answer was lost, the browser still has the old cookie, and for a minute the site stores
    // nothing for it (law 13).
    if !first {
        visitor.new_browser()?;
    }
    Ok(())
}

/// Nobody may be signed in by a cookie from before the sign-out.
pub(crate) async fn try_old(world: &World, client: &reqwest::Client, old: &OldCookie) {
    let Answer::Done(page) = read_with(world, client, &old.cookie, old.visit).await else {
        return;
    };
    world.count(|tally| tally.old_cookies += 1);
    if page.who.is_none() && page.numbers.is_empty() && page.cart.is_empty() {
        return;
    }
    let by_fail_over = world.disturbances.may_lose_any(&old.writes);
    let after = old.signed_out.elapsed();
    let what = format!("a cookie opened its session {after:?} after the sign-out");
    match by_fail_over {
        true => {
            world.note_excused(&what);
            world.excuse(old.visit, |tally| tally.old_cookies_open_by_fail_over += 1);
        }
        false => {
            world.note(&what);
            world.count(|tally| tally.old_cookies_open += 1);
        }
    }
}

fn count(world: &World, visit: Visit, finding: &Finding) {
    let what = format!("visitor-{}: {finding:?}", visit.visitor);
    if let Finding::LostByFailOver(_) = finding {
        world.note_excused(&what);
        world.excuse(visit, |tally| tally.lost_by_fail_over += 1);
        return;
    }
    world.note(&what);
    world.count(|tally| match finding {
        Finding::LostByFailOver(_) => {}
        Finding::Lost(_) => tally.lost += 1,
        Finding::CameBack(_) => tally.came_back += 1,
        Finding::NotWritten(_) => tally.not_written += 1,
        Finding::Twice(_) => tally.twice += 1,
    });
}
