//! How cost grows: with the keys of a session, with the size of a value, with the sessions in a
//! store in memory.

use http::{Request, Response};
use session_http::{Limits, MemoryStore, SessionExt, SessionLayer};
use tower_sessions::{Session, SessionManagerLayer};

use crate::subject::{Job, Subject, Tower, service};
use crate::{BoxError, next_visit};

/// What sessions there are.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub keys: usize,
    /// Of each value.
    pub bytes: usize,
    pub sessions: u32,
}

/// A point of a curve: the curve's name, where it is, and what is there.
pub struct Point {
    pub curve: &'static str,
    pub at: usize,
    pub shape: Shape,
}

pub fn points() -> Vec<Point> {
    let plain = Shape {
        keys: 1,
        bytes: 16,
        sessions: 1,
    };
    let keys = [1, 8, 64, 512].map(|at| Point {
        curve: "keys",
        at,
        shape: Shape { keys: at, ..plain },
    });
    let bytes = [100, 10_000, 1_000_000].map(|at| Point {
        curve: "value bytes",
        at,
        shape: Shape { bytes: at, ..plain },
    });
    // A store of ours holds a million, and a few are made besides.
    let sessions = [(10_000, 10_000), (1_000_000, 999_000)];
    let sessions = sessions.map(|(at, sessions)| Point {
        curve: "sessions",
        at,
        shape: Shape { sessions, ..plain },
    });
    keys.into_iter().chain(bytes).chain(sessions).collect()
}

fn key(index: usize) -> String {
    format!("key-{index}")
}

/// A value that was never there before.
fn value(shape: Shape) -> String {
    let mut value = format!("{:016}", next_visit());
    value.extend(std::iter::repeat_n(
        '.',
        shape.bytes.saturating_sub(value.len()),
    ));
    value
}

pub fn ours(shape: Shape) -> Result<Box<dyn Subject>, BoxError> {
    let handle = move |request: Request<()>, job: Job| async move {
        let session = request.session().await?;
        match job {
            Job::Untouched => {}
            Job::Read => _ = session.get::<String>("key-0")?.ok_or("no value")?,
            Job::Write => session.insert("key-0", value(shape))?,
            Job::Create => {
                for index in 0..shape.keys {
                    session.insert(&key(index), value(shape))?;
                }
            }
        }
        Ok::<_, BoxError>(Response::new(()))
    };
    let tower = Tower::new("ours", 1, async || {
        let limits = Limits::default().with_record_bytes(1 << 21);
        let builder = SessionLayer::builder(MemoryStore::new()).limits(limits);
        let layer = builder.build()?;
        Ok(move |job| layer.layer(service(job, handle)))
    })?;
    fill(tower, shape)
}

pub fn peer(shape: Shape) -> Result<Box<dyn Subject>, BoxError> {
    let handle = move |request: Request<()>, job: Job| async move {
        let session = request.extensions().get::<Session>().ok_or("no layer")?;
        match job {
            Job::Untouched => {}
            Job::Read => _ = session.get::<String>("key-0").await?.ok_or("no value")?,
            Job::Write => session.insert("key-0", value(shape)).await?,
            Job::Create => {
                for index in 0..shape.keys {
                    session.insert(&key(index), value(shape)).await?;
                }
            }
        }
        Ok::<_, BoxError>(Response::new(()))
    };
    let tower = Tower::new("tower-sessions 0.15", 1, async || {
        let layer = SessionManagerLayer::new(tower_sessions::MemoryStore::default());
        Ok(move |job| tower::Layer::layer(&layer, service(job, handle)))
    })?;
    fill(tower, shape)
}

/// The other sessions; one is there.
fn fill(subject: impl Subject + 'static, shape: Shape) -> Result<Box<dyn Subject>, BoxError> {
    if shape.sessions > 1 {
        subject.run(Job::Create, shape.sessions - 1);
    }
    Ok(Box::new(subject))
}
