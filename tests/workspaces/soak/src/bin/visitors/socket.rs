//! A WebSocket that its visitor keeps open: it is opened again when a server stops, and must close
//! after a sign-out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::browser::{Browser, fault_of};
use crate::disturbances::{Cause, Failure, Fault};
use crate::world::{Request, World};

/// The site asks each 5 s whether the session has ended.
const NOTICE: Duration = Duration::from_secs(8);
/// While the store fails, or the machine is too busy, it asks again.
const NOTICE_WHEN_DISTURBED: Duration = Duration::from_secs(25);
const AGAIN: Duration = Duration::from_millis(500);
const TALK: Duration = Duration::from_secs(5);

type Connection = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the visitor has done about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    Lasts,
    /// The sign-out is under way.
    Ends,
    /// It was acknowledged.
    Ended(Instant),
    /// The session was lost, so nothing is expected.
    Abandoned,
}

/// Why a connection is over.
enum End {
    /// The session has ended, says the site.
    Session(String),
    /// The server stops.
    Restart,
    Cut(String),
    /// The visitor has waited long enough, or for nothing.
    Left,
}

#[derive(Debug)]
pub(crate) struct Socket {
    visit: watch::Sender<Visit>,
    task: JoinHandle<()>,
}

impl Socket {
    pub(crate) fn open(browser: Arc<Browser>) -> Self {
        let visit = watch::Sender::new(Visit::Lasts);
        let task = tokio::spawn(keep(browser, visit.subscribe()));
        Self { visit, task }
    }

    pub(crate) fn leaving(&self) {
        self.visit.send_replace(Visit::Ends);
    }

    /// After the sign-out. Returns when the socket was closed, or should have been.
    pub(crate) async fn left(self) {
        self.visit.send_replace(Visit::Ended(Instant::now()));
        drop(self.task.await);
    }

    pub(crate) async fn abandon(self) {
        self.visit.send_replace(Visit::Abandoned);
        drop(self.task.await);
    }
}

async fn keep(browser: Arc<Browser>, mut visit: watch::Receiver<Visit>) {
    let world = Arc::clone(&browser.world);
    while *visit.borrow() == Visit::Lasts {
        let began = Instant::now();
        match connect(&browser, began).await {
            Ok(connection) => {
                world.count(|tally| tally.sockets += 1);
                let end = talk(connection, &mut visit, &world).await;
                if count(&browser, &end, *visit.borrow()) {
                    return;
                }
            }
            Err(error) if *visit.borrow() == Visit::Lasts => refused(&browser, began, &error),
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

async fn connect(browser: &Browser, began: Instant) -> Result<Connection, Error> {
    let url = format!("{}/socket", browser.world.base.replace("http:", "ws:"));
    let mut request = url.into_client_request()?;
    if let Some(cookie) = browser.cookie() {
        let value = http::HeaderValue::from_str(&cookie).map_err(http::Error::from)?;
        request.headers_mut().insert(http::header::COOKIE, value);
    }
    let (connection, response) = connect_async(request).await?;
    browser.take_cookies(response.headers(), began);
    Ok(connection)
}

/// Sends something now and then, until the connection is over.
async fn talk(
    mut connection: Connection,
    visit: &mut watch::Receiver<Visit>,
    world: &World,
) -> End {
    let mut next = Instant::now() + TALK;
    let mut asked = false;
    loop {
        let until = match *visit.borrow_and_update() {
            Visit::Abandoned => return End::Left,
            Visit::Ended(at) if at.elapsed() > patience(world, at) => return End::Left,
            _ => Instant::now() + AGAIN,
        };
        tokio::select! {
            message = connection.next() => match message {
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Policy => {
                    return End::Session(frame.reason.to_string());
                }
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Away => {
                    return End::Restart;
                }
                Some(Ok(Message::Text(_))) => asked = false,
                Some(Ok(Message::Close(frame))) => return End::Cut(format!("{frame:?}")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return End::Cut(error.to_string()),
                None => return End::Cut("without a word".to_owned()),
            },
            changed = visit.changed() => if changed.is_err() { return End::Left },
            () = sleep_until(until.into()) => {}
        }
        if next < Instant::now() && !asked {
            next = Instant::now() + TALK;
            asked = true;
            if let Err(error) = connection.send(Message::from("hello")).await {
                return End::Cut(error.to_string());
            }
        }
    }
}

/// How long the site may take to close a socket after a sign-out at this time.
fn patience(world: &World, signed_out: Instant) -> Duration {
    let (disturbances, now) = (&world.disturbances, Instant::now());
    let is_late =
        disturbances.is_disturbed(signed_out, now) || disturbances.was_held_up(signed_out, now);
    match is_late {
        false => NOTICE,
        true => NOTICE_WHEN_DISTURBED,
    }
}

/// Counts how a connection has ended, and says whether the visitor wants no other one.
fn count(browser: &Browser, end: &End, visit: Visit) -> bool {
    let world = &browser.world;
    let now = Instant::now();
    match (end, visit) {
        (End::Session(reason), _) if reason.is_empty() => {
            world.count(|tally| tally.sockets_without_reason += 1);
            world.note("a socket was closed without a reason");
            visit != Visit::Lasts
        }
        (End::Session(_), Visit::Ends | Visit::Ended(_)) => {
            world.count(|tally| tally.sockets_closed_by_sign_out += 1);
            true
        }
        (End::Session(_), Visit::Abandoned) => true,
        (End::Session(_), Visit::Lasts) if browser.lost_a_write() => {
            world.excuse(browser.visit(), |tally| {
                tally.sockets_closed_by_fail_over += 1
            });
            false
        }
        (End::Session(reason), Visit::Lasts) => {
            world.count(|tally| tally.sockets_without_reason += 1);
            world.note(&format!("a socket was closed because of {reason}"));
            false
        }
        (End::Restart, _) => {
            world.count(|tally| tally.sockets_closed_by_restart += 1);
            false
        }
        (End::Cut(_), _) if world.disturbances.server_was_killed(now) => {
            world.count(|tally| tally.sockets_cut_with_their_server += 1);
            false
        }
        (End::Cut(how), _) => {
            world.count(|tally| tally.sockets_without_reason += 1);
            world.note(&format!("a socket was cut: {how}"));
            false
        }
        (End::Left, Visit::Ended(_)) if browser.lost_a_write() => {
            world.excuse(browser.visit(), |tally| {
                tally.sockets_outlived_by_fail_over += 1
            });
            true
        }
        (End::Left, Visit::Ended(_)) => {
            world.count(|tally| tally.sockets_outlived += 1);
            world.note("a socket outlived the sign-out");
            true
        }
        (End::Left, _) => true,
    }
}

fn refused(browser: &Browser, began: Instant, error: &Error) {
    let world = &browser.world;
    let status = match error {
        Error::Http(response) => Some(response.status().as_u16()),
        _ => None,
    };
    let (fault, now) = (status.map_or(Fault::Broken, fault_of), Instant::now());
    let cause = world.disturbances.cause(&Failure {
        fault,
        from: began,
        to: now,
        body: Duration::ZERO,
        lost_write: browser.lost_a_write(),
    });
    let what = format!("a socket was not opened after {:.1?}: {error}", now - began);
    world.note_failure(&what, cause);
    if cause == Cause::LostWrite {
        world.excuse(browser.visit(), |tally| tally.refused_by_fail_over += 1);
    }
    world.seen().requests.push(Request {
        page: "/socket",
        status,
        took: began.elapsed(),
        fault: Some(cause),
    });
}
