//! The life of a token on real servers: rotation under parallel requests, renewal and reuse seen by
//! every server at once, and sign-outs in the middle of everything (laws 10, 11 and 12; S16, S17,
//! S20, S21).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::store::StoreError;
use session_core::{
    Directive, OnMaxSessions, OnReuse, Outcome, Rotation, SessionError, SessionGuard,
    SessionManager,
};
use session_tests::servers::{Engine, MongoServer, RedisCluster, RedisServer};
use session_tests::{anonymous, open, sign_in, token_of};

use crate::site::{Site, mongo, redis};

const TTL: Duration = Duration::from_secs(5);
const OVERLAP: Duration = Duration::from_secs(10);

impl Site {
    fn rotating(&self) -> [SessionManager; 2] {
        self.managers(|builder| {
            builder
                .rotation(Rotation::default())
                .on_reuse(OnReuse::RevokeDespiteLostWrites)
        })
    }
}

async fn ids(manager: &SessionManager, name: &str) -> BTreeSet<String> {
    let sessions = manager.sessions_of(name).await.unwrap();
    sessions
        .iter()
        .map(|session| session.id().encode())
        .collect()
}

/// Fifty requests of one token, a fifth of which write; the successors that they were told of.
async fn fifty(
    managers: &[SessionManager; 2],
    token: &str,
    round: usize,
    name: &str,
) -> Vec<String> {
    let requests = (0..50).map(|who| {
        let manager = managers[who % 2].clone();
        let token = token.to_owned();
        tokio::spawn(async move {
            let session = open(&manager, &token).await;
            assert_eq!(
                session.principal().as_deref(),
                Some("user:1"),
                "round {round}: signed out"
            );
            if who % 5 == 0 {
                session.insert(&format!("own{who}"), round).unwrap();
            }
            session.finish(Outcome::Success).await.unwrap()
        })
    });
    let told = join_all(requests).await.into_iter().map(Result::unwrap);
    told.filter_map(|told| match told {
        Directive::Hold(token) => Some(token.as_str().to_owned()),
        Directive::Nothing => None,
        Directive::Forget => panic!("{name}, round {round}: told to forget"),
    })
    .collect()
}

/// Law 10, in so many rounds.
async fn rotations(site: &Site, rounds: usize) {
    let managers = site.rotating();
    let (mut token, id) = sign_in(&managers[0], "user:1").await;
    let start = Instant::now();
    for round in 0..rounds {
        site.clock.advance(TTL);
        let successors = fifty(&managers, &token, round, site.name).await;
        assert_eq!(successors.len(), 1, "{}, round {round}", site.name);
        token = successors.into_iter().next().unwrap();
    }
    let session = open(&managers[1], &token).await;
    assert_eq!(session.id(), Some(id));
    for who in (0..50).step_by(5) {
        assert_eq!(session.get(&format!("own{who}")).unwrap(), Some(rounds - 1));
    }
    assert_eq!(
        ids(&managers[0], "user:1").await,
        [id.encode()].into(),
        "one session"
    );
    let took = start.elapsed();
    println!(
        "{}: {rounds} rotations under 50 requests each, {took:.1?}",
        site.name
    );
    managers[0].sign_out_everywhere("user:1").await.unwrap();
}

/// Law 11: a renewal among twenty requests that are under way.
async fn renewals(site: &Site, rounds: usize) {
    let managers = site.rotating();
    for round in 0..rounds {
        let (token, id) = sign_in(&managers[0], "user:1").await;
        let loaded = join_all((0..20).map(|who| {
            let manager = managers[who % 2].clone();
            let token = token.clone();
            async move { (open(&manager, &token).await, who) }
        }));
        let loaded = loaded.await;
        // Half of them commit at the same time, half of them for certain after it.
        let renewing = open(&managers[0], &token).await;
        renewing.renew().unwrap();
        let (at_once, after): (Vec<_>, Vec<_>) =
            loaded.into_iter().partition(|(_, who)| who % 2 == 0);
        let commit = |(session, who): (SessionGuard, usize)| {
            tokio::spawn(async move {
                session.insert(&format!("own{who}"), round).unwrap();
                session.finish(Outcome::Success).await.unwrap()
            })
        };
        let at_once: Vec<_> = at_once.into_iter().map(commit).collect();
        let told = renewing.finish(Outcome::Success).await;
        let new = token_of(&told.unwrap());
        for told in join_all(at_once).await {
            assert_eq!(
                told.unwrap(),
                Directive::Nothing,
                "{}, round {round}",
                site.name
            );
        }
        let before = open(&managers[1], &new).await.keys();
        for told in join_all(after.into_iter().map(commit)).await {
            assert_eq!(
                told.unwrap(),
                Directive::Nothing,
                "{}, round {round}",
                site.name
            );
        }
        let session = open(&managers[1], &new).await;
        assert_eq!(
            session.id(),
            Some(id),
            "{}: the client is signed in",
            site.name
        );
        assert_eq!(
            session.keys(),
            before,
            "{}, round {round}: written after it",
            site.name
        );
        assert!(open(&managers[1], &token).await.is_new());
        managers[0].sign_out_everywhere("user:1").await.unwrap();
    }
}

/// Law 12: the end of a session whose token is used twice, on all servers at once.
async fn reuse(site: &Site, rounds: usize) {
    let managers = site.rotating();
    for _ in 0..rounds {
        let (stolen, _) = sign_in(&managers[0], "user:1").await;
        site.clock.advance(TTL);
        let session = open(&managers[0], &stolen).await;
        let next = token_of(&session.finish(Outcome::Success).await.unwrap());
        let session = open(&managers[1], &next).await;
        let under_way = open(&managers[0], &next).await;
        session.finish(Outcome::Success).await.unwrap();
        site.clock.advance(OVERLAP);
        assert!(open(&managers[1], &stolen).await.is_new());
        for manager in &managers {
            assert!(open(manager, &next).await.is_new(), "{}", site.name);
        }
        under_way.insert("n", 1).unwrap();
        assert_eq!(
            under_way.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        assert!(
            ids(&managers[0], "user:1").await.is_empty(),
            "{}",
            site.name
        );
    }
}

/// Signs out everywhere among sign-ins, renewals and writes.
async fn sign_outs(site: &Site, rounds: usize) {
    let managers = site.managers(|builder| builder);
    for round in 0..rounds {
        let mut tokens = Vec::new();
        for _ in 0..4 {
            tokens.push(sign_in(&managers[0], "user:1").await.0);
        }
        let (other, _) = sign_in(&managers[0], "user:2").await;
        let writing = tokens
            .iter()
            .chain([&other])
            .flat_map(|token| (0..3).map(move |who| (token.clone(), who)));
        let writing: Vec<_> = writing
            .map(|(token, who)| {
                let manager = managers[who % 2].clone();
                tokio::spawn(async move {
                    let session = open(&manager, &token).await;
                    match who {
                        0 => session.insert("n", 1).unwrap(),
                        1 => session.renew().unwrap(),
                        _ => {
                            session
                                .update("m", |m: Option<u64>| m.unwrap_or(0) + 1)
                                .unwrap();
                        }
                    }
                    session.finish(Outcome::Success).await.unwrap();
                })
            })
            .collect();
        let signing_in: Vec<_> = (0..4)
            .map(|who| {
                let manager = managers[who % 2].clone();
                tokio::spawn(async move {
                    let session = anonymous(&manager).await;
                    session.sign_in("user:1").unwrap();
                    let finished = session.finish(Outcome::Success).await;
                    match finished.map_err(SessionError::from) {
                        Ok(told) => Some((token_of(&told), session.id().unwrap())),
                        // Signed out before it was in: it has to be asked for again.
                        Err(SessionError::Store(StoreError::Unavailable(_))) => None,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        let ended = managers[1].sign_out_everywhere("user:1").await.unwrap();
        join_all(writing).await.into_iter().for_each(Result::unwrap);
        let new: Vec<_> = join_all(signing_in)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();

        for token in &tokens {
            assert!(
                open(&managers[0], token).await.is_new(),
                "{}, round {round}",
                site.name
            );
        }
        // Whoever is still signed in is in the index, and whoever is in the index is signed in.
        let mut live = BTreeSet::new();
        for (token, id) in new.iter().flatten() {
            if !open(&managers[1], token).await.is_new() {
                live.insert(id.encode());
            }
        }
        assert_eq!(
            ids(&managers[0], "user:1").await,
            live,
            "{}, round {round}",
            site.name
        );
        let accounted = usize::try_from(ended).unwrap() + live.len();
        let all = tokens.len() + new.iter().flatten().count();
        assert!(
            accounted >= all,
            "{}, round {round}: {accounted} of {all}",
            site.name
        );
        assert_eq!(
            ids(&managers[0], "user:2").await.len(),
            1,
            "{}, round {round}",
            site.name
        );
        for name in ["user:1", "user:2"] {
            managers[0].sign_out_everywhere(name).await.unwrap();
        }
    }
}

/// Sign-ins at once under a maximum.
async fn maximum(site: &Site, rounds: usize) {
    for (round, beyond) in (0..rounds).flat_map(|round| {
        [OnMaxSessions::RevokeOldest, OnMaxSessions::Refuse].map(move |beyond| (round, beyond))
    }) {
        let managers = site.managers(|builder| builder.max_sessions(3, beyond));
        let signing_in = (0..8).map(|who| {
            let manager = managers[who % 2].clone();
            tokio::spawn(async move {
                let session = anonymous(&manager).await;
                session.sign_in("user:1").unwrap();
                let finished = session.finish(Outcome::Success).await;
                match finished.map_err(SessionError::from) {
                    Ok(_) => {}
                    // The second: another one has ended it before it was in.
                    Err(
                        SessionError::TooManySessions { .. }
                        | SessionError::Store(StoreError::Unavailable(_)),
                    ) => {}
                    Err(error) => panic!("{error}"),
                }
            })
        });
        join_all(signing_in)
            .await
            .into_iter()
            .for_each(Result::unwrap);
        assert_eq!(
            ids(&managers[0], "user:1").await.len(),
            3,
            "{}, round {round}, {beyond:?}",
            site.name
        );
        managers[0].sign_out_everywhere("user:1").await.unwrap();
    }
}

async fn all(site: &Site, rounds: usize) {
    let start = Instant::now();
    rotations(site, rounds).await;
    renewals(site, rounds / 20).await;
    println!("{}: renewals, {:.1?} in all", site.name, start.elapsed());
    reuse(site, 20).await;
    println!("{}: reuse, {:.1?} in all", site.name, start.elapsed());
    sign_outs(site, rounds / 20).await;
    println!("{}: sign-outs, {:.1?} in all", site.name, start.elapsed());
    maximum(site, rounds / 40).await;
    println!(
        "{}: sign-ins at once, {:.1?} in all",
        site.name,
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis() {
    let server = RedisServer::start(Engine::Redis7);
    let site = Site::new("Redis", redis(server.url()).await);
    all(&site, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_redis_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let site = Site::new("Redis Cluster", redis(cluster.url()).await);
    all(&site, 500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb() {
    let server = MongoServer::start();
    let site = Site::new("MongoDB", mongo(&server).await);
    all(&site, 1_000).await;
}
