//! Sessions that are bound to a device, by the messages that a browser sends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use http::{Method, Request, Response, StatusCode};
use session_core::{Event, EventKind, ManualClock, SessionError};
use session_http::device::{DeviceBinding, DeviceRoutes, refresh, register};
use session_http::layer::SessionLayerBuilder;
use session_http::{
    CookieConfig, HeaderConfig, KeyRing, MemoryStore, OnReuse, Rotation, SessionExt, SessionLayer,
};
use tower::{ServiceExt, service_fn};

const PROOF: &str = "__Host-id-bound";
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Kind and reason of each event.
type Events = Arc<Mutex<Vec<(EventKind, String)>>>;

struct Site {
    layer: SessionLayer,
    store: Arc<TestStore>,
    clock: Arc<ManualClock>,
    events: Events,
}

impl Site {
    fn new(binding: DeviceBinding) -> Self {
        Self::with(binding, |builder| builder)
    }

    fn with(
        binding: DeviceBinding,
        set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let events = Events::default();
        let seen = Arc::clone(&events);
        let (layer, store, clock) = layer_with(|builder| {
            let builder = builder
                .keys(KeyRing::new([7; 32]).unwrap())
                .bound(binding)
                .observer(move |event: &Event<'_>| {
                    let (kind, reason) = (event.kind, event.reason.to_owned());
                    seen.lock().unwrap().push((kind, reason));
                });
            set(builder)
        });
        Self {
            layer,
            store,
            clock,
            events,
        }
    }

    /// The events of these kinds since the last call.
    fn events(&self) -> Vec<(EventKind, String)> {
        let mut events = std::mem::take(&mut *self.events.lock().unwrap());
        let kinds = [
            EventKind::Bound,
            EventKind::Unproven,
            EventKind::Refused,
            EventKind::Revoked,
            EventKind::Unsaved,
        ];
        events.retain(|(kind, _)| kinds.contains(kind));
        events
    }

    /// Forgets events and calls.
    fn forget(&self) {
        self.events();
        self.store.calls();
    }

    /// One request, through the layer and the two routes to the application.
    async fn serve(&self, request: Request<()>) -> Response<String> {
        let app = service_fn(async |request: Request<()>| -> Answer {
            let session = request.session().await?;
            match request.uri().path() {
                "/sign-in" => session.sign_in("ann")?,
                "/sign-in-as-bob" => session.sign_in("bob")?,
                "/renew" => session.renew()?,
                "/sign-out" => session.destroy()?,
                "/write" => session.insert("colour", "red")?,
                _ => {}
            }
            Ok(Response::new(session.principal().unwrap_or_default()))
        });
        let service = self.layer.layer(DeviceRoutes.layer(app));
        service.oneshot(request).await.unwrap()
    }
}

/// A browser: its cookies, its device if it has one, and what it was asked to sign.
#[derive(Clone)]
struct Browser {
    cookies: BTreeMap<String, String>,
    device: Option<Device>,
    /// The name of the binding, once it is bound.
    name: Option<String>,
    challenge: Option<String>,
}

impl Browser {
    fn new(number: u8) -> Self {
        Self {
            device: Some(Device::new(number)),
            ..Self::without_device()
        }
    }

    fn without_device() -> Self {
        Self {
            cookies: BTreeMap::new(),
            device: None,
            name: None,
            challenge: None,
        }
    }

    fn request(&self, path: &str) -> http::request::Builder {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<_> = pairs.collect();
        Request::builder()
            .uri(path)
            .header("host", "shop.example")
            .header("cookie", pairs.join("; "))
    }

    fn keep(&mut self, response: &Response<String>) {
        for cookie in set_cookies(response) {
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        if let [offer] = &header(response, "secure-session-registration")[..] {
            let rest = offer
                .strip_prefix("(ES256);path=\"/dbsc/register\";challenge=\"")
                .unwrap();
            self.challenge = Some(rest.strip_suffix('"').unwrap().to_owned());
        }
        if let [asked] = &header(response, "secure-session-challenge")[..] {
            let (challenge, name) = asked.split_once(";id=").unwrap();
            self.challenge = Some(challenge.trim_matches('"').to_owned());
            self.name = Some(name.trim_matches('"').to_owned());
        }
    }

    /// One page; who is signed in there.
    async fn visit(&mut self, site: &Site, path: &str) -> String {
        let response = site.serve(self.request(path).body(()).unwrap()).await;
        assert_eq!(response.status(), 200);
        self.keep(&response);
        response.into_body()
    }

    fn posts(&self, path: &str) -> http::request::Builder {
        self.request(path).method(Method::POST)
    }

    /// Posts this to be registered.
    async fn posts_registration(&mut self, site: &Site, jws: &str) -> StatusCode {
        let request = self
            .posts("/dbsc/register")
            .header("secure-session-response", jws);
        let response = site.serve(request.body(()).unwrap()).await;
        self.keep(&response);
        response.status()
    }

    async fn register(&mut self, site: &Site) -> StatusCode {
        let device = self.device.as_ref().unwrap();
        let jws = device.registration(self.challenge.as_deref().unwrap());
        self.posts_registration(site, &jws).await
    }

    /// Asks for another proof, with what it has signed if anything.
    async fn posts_refresh(&mut self, site: &Site, jws: Option<&str>) -> StatusCode {
        let mut request = self.posts("/dbsc/refresh");
        if let Some(name) = &self.name {
            request = request.header("sec-secure-session-id", name);
        }
        if let Some(jws) = jws {
            request = request.header("secure-session-response", jws);
        }
        let response = site.serve(request.body(()).unwrap()).await;
        self.keep(&response);
        response.status()
    }

    async fn refresh(&mut self, site: &Site) -> StatusCode {
        let device = self.device.as_ref().unwrap();
        let jws = device.refresh(self.challenge.as_deref().unwrap());
        self.posts_refresh(site, Some(&jws)).await
    }

    /// One who has signed in and is bound.
    async fn bound(site: &Site, number: u8) -> Self {
        let mut browser = Self::new(number);
        browser.visit(site, "/sign-in").await;
        assert_eq!(browser.register(site).await, 200);
        site.clock.advance(2 * MINUTE);
        site.forget();
        browser
    }

    /// What a thief has who copied the session cookie alone.
    fn copy(&self) -> Self {
        let mut copy = Self::new(99);
        let token = self.cookies.get_key_value(NAME).unwrap();
        copy.cookies.insert(token.0.clone(), token.1.clone());
        copy.name.clone_from(&self.name);
        copy
    }
}

#[tokio::test]
async fn a_sign_in_is_offered_and_a_device_is_bound() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::new(1);
    let response = site
        .serve(browser.request("/sign-in").body(()).unwrap())
        .await;
    assert_eq!(header(&response, "secure-session-registration").len(), 1);
    browser.keep(&response);
    assert_eq!(site.store.calls(), [0, 1, 0, 0]);

    let jws = browser
        .device
        .as_ref()
        .unwrap()
        .registration(browser.challenge.as_ref().unwrap());
    let request = browser
        .posts("/dbsc/register")
        .header("secure-session-response", jws);
    let response = site.serve(request.body(()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(site.store.calls(), [1, 0, 1, 0]);
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
    assert_eq!(header(&response, "content-type"), ["application/json"]);
    let [cookie] = &set_cookies(&response)[..] else {
        panic!("one cookie")
    };
    let attributes = "; HttpOnly; SameSite=Lax; Secure; Path=/";
    assert!(cookie.starts_with("__Host-id-bound="));
    assert!(
        cookie.ends_with(&format!("{attributes}; Max-Age=600")),
        "{cookie}"
    );

    let json: serde_json::Value = serde_json::from_str(response.body()).unwrap();
    browser.keep(&response);
    assert_eq!(json["session_identifier"], browser.name.clone().unwrap());
    assert_eq!(json["refresh_url"], "/dbsc/refresh");
    assert!(json["scope"].get("origin").is_none());
    assert_eq!(json["scope"]["include_site"], false);
    let credential = &json["credentials"][0];
    assert_eq!(
        (&credential["type"], &credential["name"]),
        (&"cookie".into(), &PROOF.into())
    );
    assert_eq!(
        format!("; {}", credential["attributes"].as_str().unwrap()),
        attributes
    );
    assert_eq!(site.events(), [(EventKind::Bound, String::new())]);

    site.clock.advance(2 * MINUTE);
    assert_eq!(browser.visit(&site, "/").await, "ann");
    assert_eq!(browser.copy().visit(&site, "/").await, "");
}

fn unproven(served: bool) -> (EventKind, String) {
    let reason = match served {
        true => "the request is served",
        false => "the request is answered as anonymous",
    };
    (EventKind::Unproven, reason.to_owned())
}

fn refused(reason: &str) -> (EventKind, String) {
    (EventKind::Refused, reason.to_owned())
}

#[tokio::test]
async fn a_stolen_cookie_stores_nothing_and_ends_nothing() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::bound(&site, 1).await;
    for path in ["/", "/write", "/renew", "/sign-out"] {
        let thief = owner.copy();
        let response = site.serve(thief.request(path).body(()).unwrap()).await;
        assert_eq!(
            (response.status(), response.body().as_str()),
            (StatusCode::OK, ""),
            "{path}"
        );
        assert!(set_cookies(&response).is_empty(), "{path}");
        assert!(
            header(&response, "secure-session-registration").is_empty(),
            "{path}"
        );
        assert_eq!(site.store.calls(), [1, 0, 0, 0], "{path}");
        let mut expected = vec![unproven(false)];
        if path == "/write" {
            let reason = "its session is bound to a device, and the request has no proof of that";
            expected.push((EventKind::Unsaved, reason.to_owned()));
        }
        assert_eq!(site.events(), expected, "{path}");
    }
    assert_eq!(owner.visit(&site, "/write").await, "ann");
    assert_eq!(site.store.calls(), [1, 0, 1, 0]);
    assert!(site.events().is_empty());

    // Who signs in there has a session of their own.
    let mut thief = owner.copy();
    thief.visit(&site, "/sign-in-as-bob").await;
    assert_eq!(thief.visit(&site, "/").await, "bob");
    assert_eq!(owner.visit(&site, "/").await, "ann");
}

/// Of two tokens of one name the neighbour's is one: it cannot end the owner's binding.
#[tokio::test]
async fn a_planted_session_does_not_keep_a_device_from_its_proof() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::new(1);
    owner.visit(&site, "/sign-in").await;
    assert_eq!(owner.register(&site).await, 200);
    let mut neighbour = Browser::new(2);
    neighbour.visit(&site, "/sign-in-as-bob").await;
    let tokens = format!(
        "{}; {NAME}={}",
        neighbour.cookies[NAME], owner.cookies[NAME]
    );
    let mut both = owner.clone();
    both.cookies.insert(NAME.to_owned(), tokens);
    assert_eq!(both.refresh(&site).await, 200);
}

/// A browser that has to prove two devices for one page can wait for the one by the other.
#[tokio::test]
async fn of_two_layers_around_a_service_one_binds() {
    let ann = Site::new(DeviceBinding::require());
    let app = service_fn(async |request: Request<()>| -> Answer {
        request.session_named(NAME).await?.sign_in("ann")?;
        fine()
    });
    let named = |name: &str, binding: DeviceBinding| {
        let site = Site::with(binding, |builder| builder.cookie(CookieConfig::new(name)));
        site.layer
    };
    for (other, status) in [
        (named("__Host-shop", DeviceBinding::off()), 200),
        (named("__Host-shop", DeviceBinding::observe()), 500),
        // It is named as the proof of the other.
        (named(PROOF, DeviceBinding::off()), 500),
    ] {
        for response in [
            other
                .layer(ann.layer.layer(app))
                .oneshot(plain())
                .await
                .unwrap(),
            ann.layer
                .layer(other.layer(app))
                .oneshot(plain())
                .await
                .unwrap(),
        ] {
            assert_eq!(response.status(), status, "{}", other.name());
        }
    }
    // The routes are for the one that binds.
    let other = named("__Host-shop", DeviceBinding::off());
    let request = || Browser::new(1).posts("/dbsc/refresh").body(()).unwrap();
    let routes = DeviceRoutes.layer(app);
    let inside = ann.layer.layer(other.layer(routes.clone()));
    let outside = other.layer(ann.layer.layer(routes));
    assert_eq!(inside.oneshot(request()).await.unwrap().status(), 401);
    assert_eq!(outside.oneshot(request()).await.unwrap().status(), 401);
}

#[tokio::test]
async fn routes_outside_of_the_layer_are_noticed() {
    let site = Site::new(DeviceBinding::require());
    let app = service_fn(async |_: Request<()>| fine());
    let outside = DeviceRoutes.layer(site.layer.layer(app));
    assert_eq!(outside.oneshot(plain()).await.unwrap().status(), 500);
    let (off, _) = layer();
    let inside = off.layer(DeviceRoutes.layer(app));
    assert_eq!(inside.oneshot(plain()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_only_observed_is_served() {
    let site = Site::new(DeviceBinding::observe());
    let owner = Browser::bound(&site, 1).await;
    assert_eq!(owner.copy().visit(&site, "/write").await, "ann");
    assert_eq!(site.events(), [unproven(true)]);
    assert_eq!(owner.clone().visit(&site, "/write").await, "ann");
    assert!(site.events().is_empty());
}

#[tokio::test]
async fn without_the_setting_nobody_is_offered_or_asked_for_anything() {
    let bound = Site::new(DeviceBinding::require());
    let owner = Browser::bound(&bound, 1).await;
    // The same store, by a server where it is off.
    let off = SessionLayer::builder(Arc::clone(&bound.store))
        .keys(KeyRing::new([7; 32]).unwrap())
        .clock(bound.clock.clone())
        .build()
        .unwrap();
    let off = Site {
        layer: off,
        events: Events::default(),
        ..bound
    };
    assert_eq!(owner.copy().visit(&off, "/").await, "ann");
    let mut browser = Browser::new(2);
    browser.visit(&off, "/sign-in").await;
    assert_eq!(browser.challenge, None);
    // The two paths are the application's.
    let response = off
        .serve(browser.posts("/dbsc/register").body(()).unwrap())
        .await;
    assert_eq!(response.body(), "ann");
}

#[tokio::test]
async fn a_browser_without_a_device_notices_nothing() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::without_device();
    browser.visit(&site, "/sign-in").await;
    site.clock.advance(30 * MINUTE);
    assert_eq!(browser.visit(&site, "/write").await, "ann");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [NAME]);
    let response = site
        .serve(browser.request("/sign-out").body(()).unwrap())
        .await;
    assert!(is_removal(&response));
}

#[tokio::test]
async fn a_page_that_was_asked_for_before_the_proof_came_is_served() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::new(1);
    browser.visit(&site, "/sign-in").await;
    let mut page = browser.copy();
    assert_eq!(browser.register(&site).await, 200);
    site.clock.advance(MINUTE - MILLISECOND);
    assert_eq!(page.visit(&site, "/").await, "ann");
    site.clock.advance(MILLISECOND);
    assert_eq!(page.visit(&site, "/").await, "");
}

#[tokio::test]
async fn a_proof_is_good_for_its_time_and_is_proved_again_without_a_write() {
    let site = Site::new(DeviceBinding::require().with_proof_age(5 * MINUTE));
    let mut browser = Browser::new(1);
    browser.visit(&site, "/sign-in").await;
    assert_eq!(browser.register(&site).await, 200);
    site.store.calls();

    // Accepted for a minute more than the browser keeps it.
    site.clock.advance(6 * MINUTE - MILLISECOND);
    assert_eq!(browser.visit(&site, "/").await, "ann");
    assert_eq!(site.store.calls(), [1, 0, 1, 0], "with its activity");
    assert_eq!(browser.visit(&site, "/").await, "ann");
    assert_eq!(site.store.calls(), [1, 0, 0, 0], "as any request");
    let held = browser.challenge.clone();
    site.clock.advance(MILLISECOND);
    assert_eq!(browser.visit(&site, "/").await, "");

    // The challenge that it had is over too: it gets another one.
    site.store.calls();
    drop(site.events());
    assert_eq!(browser.refresh(&site).await, 403);
    assert_eq!(
        site.events(),
        [refused("the challenge is not its own or too old")]
    );
    assert_ne!(browser.challenge, held);
    assert_eq!(browser.refresh(&site).await, 200);
    assert_eq!(site.store.calls(), [2, 0, 0, 0]);
    assert_eq!(browser.visit(&site, "/").await, "ann");

    let request = browser.posts("/dbsc/refresh");
    let request = request.header("sec-secure-session-id", browser.name.as_ref().unwrap());
    let asked = site.serve(request.body(()).unwrap()).await;
    assert_eq!(
        (asked.status(), header(&asked, "cache-control")),
        (403.try_into().unwrap(), vec!["no-store".to_owned()])
    );

    // Whoever has signed nothing is asked to, and the challenge of the last time is good too.
    assert_eq!(browser.posts_refresh(&site, None).await, 403);
    assert_eq!(browser.refresh(&site).await, 200);
    let former = browser.clone();
    assert_eq!(browser.refresh(&site).await, 200);
    site.clock.advance(6 * MINUTE - MILLISECOND);
    assert_eq!(
        former.clone().visit(&site, "/").await,
        "ann",
        "a proof that was replaced"
    );
    assert_eq!(
        former.clone().refresh(&site).await,
        200,
        "a challenge that was replaced"
    );
    assert!(site.events().is_empty());
}

#[tokio::test]
async fn a_renewal_unbinds_and_is_offered_again() {
    for path in ["/renew", "/sign-in"] {
        let site = Site::new(DeviceBinding::require());
        let mut browser = Browser::bound(&site, 1).await;
        let before = browser.clone();
        assert_eq!(browser.visit(&site, path).await, "ann");
        assert_ne!(browser.challenge, before.challenge);
        // Unbound until it is registered, by whichever key.
        browser.cookies.remove(PROOF);
        site.clock.advance(2 * MINUTE);
        assert_eq!(browser.visit(&site, "/").await, "ann", "{path}");
        assert_eq!(browser.posts_refresh(&site, None).await, 401, "{path}");
        // A challenge of the former epoch registers nothing.
        let mut stale = browser.clone();
        stale.challenge.clone_from(&before.challenge);
        assert_eq!(stale.register(&site).await, 403, "{path}");
        browser.device = Some(Device::new(2));
        assert_eq!(browser.register(&site).await, 200, "{path}");
        assert_ne!(browser.name, before.name);
        site.clock.advance(2 * MINUTE);
        // The browser's former binding ends, and its proofs are void.
        let mut former = browser.clone();
        former.name.clone_from(&before.name);
        assert_eq!(former.refresh(&site).await, 401, "{path}");
        former
            .cookies
            .insert(PROOF.to_owned(), before.cookies[PROOF].clone());
        assert_eq!(former.visit(&site, "/").await, "", "{path}");
        assert_eq!(browser.visit(&site, "/").await, "ann", "{path}");
    }
}

#[tokio::test]
async fn who_signs_in_as_another_is_not_bound() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::bound(&site, 1).await;
    browser.visit(&site, "/sign-in-as-bob").await;
    site.clock.advance(30 * MINUTE);
    assert_eq!(browser.copy().visit(&site, "/").await, "bob");
    assert_eq!(browser.posts_refresh(&site, None).await, 401);
    site.clock.advance(30 * MINUTE);
    assert_eq!(
        browser.register(&site).await,
        403,
        "the challenge is too old"
    );
    assert_eq!(browser.copy().visit(&site, "/").await, "bob");
}

#[tokio::test]
async fn a_sign_out_removes_both_cookies() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::bound(&site, 1).await;
    let response = site
        .serve(browser.request("/sign-out").body(()).unwrap())
        .await;
    let removed = set_cookies(&response);
    assert_eq!(removed.len(), 2);
    for (cookie, name) in removed.iter().zip([NAME, PROOF]) {
        assert!(cookie.starts_with(&format!("{name}=; ")), "{cookie}");
        assert!(
            cookie.contains("; Max-Age=0") && cookie.contains("; Path=/"),
            "{cookie}"
        );
    }
    let held = browser.clone();
    browser.keep(&response);
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.posts_refresh(&site, None).await, 401);
    assert_eq!(held.clone().posts_refresh(&site, None).await, 401);
    assert_eq!(held.clone().visit(&site, "/").await, "");
}

#[tokio::test]
async fn a_registration_that_is_not_in_order_stores_nothing() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::new(1);
    owner.visit(&site, "/sign-in").await;
    let mut other = Browser::new(2);
    other.visit(&site, "/sign-in-as-bob").await;
    let challenge = owner.challenge.clone().unwrap();
    let device = Device::new(1);
    let good = device.registration(&challenge);
    site.forget();

    // Nothing of the session is looked at before the signature.
    let unsigned = |jws: &str| jws.rsplit_once('.').unwrap().0.to_owned() + ".";
    for (jws, reason) in [
        (unsigned(&good), "the signature does not have 64 bytes"),
        (device.refresh(&challenge), "a registration brings no key"),
        (
            good.replacen('.', "..", 1),
            "the JWS is not three parts of base64url",
        ),
        ("x".repeat(100_000), "the JWS is too long"),
        (String::new(), "the JWS is not three parts of base64url"),
    ] {
        assert_eq!(owner.posts_registration(&site, &jws).await, 400, "{reason}");
        assert_eq!(site.events(), [refused(reason)]);
        assert_eq!(site.store.calls(), [0, 0, 0, 0], "{reason}");
    }
    let foreign = device.registration(other.challenge.as_ref().unwrap());
    let reason = "the challenge is not one of this session, or is too old";
    for jws in [foreign, device.registration("invented")] {
        assert_eq!(owner.posts_registration(&site, &jws).await, 403);
        assert_eq!(site.events(), [refused(reason)]);
        assert_eq!(site.store.calls(), [1, 0, 0, 0]);
    }
    let mut nobody = Browser::new(3);
    assert_eq!(nobody.posts_registration(&site, &good).await, 403);
    assert_eq!(site.events(), [refused("there is no session")]);

    // It is good for its time.
    let mut late = owner.clone();
    site.clock.advance(11 * MINUTE);
    assert_eq!(late.posts_registration(&site, &good).await, 403);
    assert_eq!(site.events(), [refused(reason)]);
    assert_eq!(late.visit(&site, "/").await, "ann");
    assert!(!late.cookies.contains_key(PROOF));
}

/// The challenge is signed a second time, by somebody who has copied it.
#[tokio::test]
async fn one_device_is_bound_and_no_second_one() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::new(1);
    owner.visit(&site, "/sign-in").await;
    let mut thief = owner.clone();
    let again = owner.clone();
    thief.device = Some(Device::new(2));
    assert_eq!(owner.register(&site).await, 200);
    site.forget();

    assert_eq!(thief.register(&site).await, 403);
    assert_eq!(site.events(), [refused("another device is bound to it")]);
    assert_eq!(site.store.calls(), [1, 0, 0, 0]);
    assert!(!thief.cookies.contains_key(PROOF));
    // A browser whose answer was lost asks once more.
    assert_eq!(again.clone().register(&site).await, 200);
    assert_eq!(site.store.calls(), [1, 0, 0, 0]);
    site.clock.advance(2 * MINUTE);
    assert_eq!(owner.visit(&site, "/").await, "ann");
    assert_eq!(thief.visit(&site, "/").await, "");
}

#[tokio::test]
async fn a_refresh_that_is_not_in_order_proves_nothing() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::bound(&site, 1).await;
    let other = Browser::bound(&site, 2).await;
    let (device, challenge) = (Device::new(1), owner.challenge.clone().unwrap());
    owner.cookies.remove(PROOF);
    let stale = owner.clone();
    for (jws, status, reason) in [
        (
            Device::new(2).refresh(&challenge),
            400,
            "the key did not sign this",
        ),
        (
            device.registration(&challenge),
            400,
            "a refresh brings a key",
        ),
        ("x".repeat(100_000), 400, "the JWS is too long"),
        ("e30.e30.e30".to_owned(), 400, "the algorithm is not ES256"),
        (
            device.refresh(other.challenge.as_ref().unwrap()),
            403,
            "the challenge is not its own or too old",
        ),
    ] {
        let mut browser = stale.clone();
        assert_eq!(
            browser.posts_refresh(&site, Some(&jws)).await,
            status,
            "{reason}"
        );
        assert_eq!(site.events(), [refused(reason)]);
        assert_eq!(site.store.calls(), [1, 0, 0, 0]);
        assert!(!browser.cookies.contains_key(PROOF));
    }
    // The name of another binding, or none.
    site.forget();
    for name in [None, other.name.clone(), Some(String::new())] {
        let mut browser = Browser {
            name,
            ..stale.clone()
        };
        assert_eq!(browser.refresh(&site).await, 401);
        assert!(site.events().is_empty());
    }
    let name = format!("\"{}\"", stale.name.as_ref().unwrap());
    let mut quoting = Browser {
        name: Some(name),
        ..stale.clone()
    };
    assert_eq!(quoting.refresh(&site).await, 200);
    // A proof of another session.
    let mut browser = stale.clone();
    browser
        .cookies
        .insert(PROOF.to_owned(), other.cookies[PROOF].clone());
    assert_eq!(browser.visit(&site, "/").await, "");
    assert_eq!(owner.refresh(&site).await, 200);
    assert_eq!(owner.visit(&site, "/").await, "ann");
}

#[tokio::test]
async fn a_proof_is_one_text_and_stands_among_planted_ones() {
    let site = Site::new(DeviceBinding::require());
    let owner = Browser::bound(&site, 1).await;
    let proof = owner.cookies[PROOF].clone();
    assert_eq!(proof.len(), 32);
    for at in 0..proof.len() {
        let mut wrong = owner.clone();
        let changed = if &proof[at..=at] == "A" { "B" } else { "A" };
        let mut text = proof.clone();
        text.replace_range(at..=at, changed);
        wrong.cookies.insert(PROOF.to_owned(), text);
        assert_eq!(wrong.visit(&site, "/").await, "", "{at}");
    }
    for (planted, expected) in [(3, "ann"), (4, "")] {
        let planted = format!("{PROOF}=x; ").repeat(planted);
        let cookies = format!("{NAME}={}; {planted}{PROOF}={proof}", owner.cookies[NAME]);
        let request = Request::builder().uri("/").header("cookie", cookies);
        let response = site.serve(request.body(()).unwrap()).await;
        assert_eq!(response.body(), expected);
    }
}

/// Else whoever has an old token could sign its owner out.
#[tokio::test]
async fn a_rotated_token_without_proof_ends_nothing() {
    let site = Site::with(DeviceBinding::require(), |builder| {
        let builder = builder.rotation(Rotation::default());
        builder.on_reuse(OnReuse::RevokeDespiteLostWrites)
    });
    let mut owner = Browser::bound(&site, 1).await;
    let mut thief = owner.copy();
    for _ in 0..6 {
        assert_eq!(owner.visit(&site, "/").await, "ann");
        site.clock.advance(15_000 * MILLISECOND);
    }
    drop(site.events());
    assert_eq!(thief.visit(&site, "/").await, "");
    assert_eq!(site.events(), [unproven(false)]);
    assert_eq!(owner.visit(&site, "/").await, "ann");
    // At the refresh neither: it could be the owner's own, overtaken by others.
    assert_eq!(thief.posts_refresh(&site, None).await, 503);
    assert_eq!(owner.visit(&site, "/").await, "ann");
    site.forget();
    // With the proof it is theft, and is treated as such.
    thief
        .cookies
        .insert(PROOF.to_owned(), owner.cookies[PROOF].clone());
    assert_eq!(thief.visit(&site, "/").await, "");
    assert_eq!(owner.visit(&site, "/").await, "");
}

#[tokio::test]
async fn a_rotated_token_is_theft_where_proofs_are_only_observed() {
    let site = Site::with(DeviceBinding::observe(), |builder| {
        let builder = builder.rotation(Rotation::default());
        builder.on_reuse(OnReuse::RevokeDespiteLostWrites)
    });
    let mut owner = Browser::bound(&site, 1).await;
    let mut thief = owner.copy();
    for _ in 0..6 {
        owner.visit(&site, "/").await;
        site.clock.advance(15_000 * MILLISECOND);
    }
    site.forget();
    assert_eq!(thief.visit(&site, "/").await, "");
    let events = site.events();
    assert!(
        matches!(events[..], [(EventKind::Revoked, _)]),
        "{events:?}"
    );
}

#[tokio::test]
async fn keys_change_without_unbinding_anybody() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::bound(&site, 1).await;
    let with = |ring: KeyRing| Site {
        layer: SessionLayer::builder(Arc::clone(&site.store))
            .keys(ring)
            .bound(DeviceBinding::require())
            .clock(site.clock.clone())
            .build()
            .unwrap(),
        store: Arc::clone(&site.store),
        clock: Arc::clone(&site.clock),
        events: Events::default(),
    };
    let newer = with(KeyRing::new([8; 32]).unwrap().with_older([7; 32]).unwrap());
    assert_eq!(owner.visit(&newer, "/").await, "ann");
    assert_eq!(owner.refresh(&newer).await, 200);
    assert_eq!(owner.visit(&newer, "/").await, "ann");
    // It was made with the newer key.
    site.clock.advance(2 * MINUTE);
    assert_eq!(
        owner.visit(&newer, "/").await,
        "ann",
        "its token is signed anew"
    );
    let only = with(KeyRing::new([8; 32]).unwrap());
    assert_eq!(owner.visit(&only, "/").await, "ann");
    assert_eq!(owner.refresh(&only).await, 200);
}

#[tokio::test]
async fn a_store_that_fails_is_said_to_and_gives_no_proof() {
    let site = Site::new(DeviceBinding::require());
    let mut owner = Browser::new(1);
    owner.visit(&site, "/sign-in").await;
    for call in [Call::Load, Call::Update] {
        site.store.fail(call, Fault::Down);
        assert_eq!(owner.clone().register(&site).await, 503);
        site.store.repair();
    }
    let mut held = owner.clone();
    assert_eq!(held.register(&site).await, 200, "nothing was bound");
    site.store.fail(Call::Load, Fault::Down);
    assert_eq!(held.clone().refresh(&site).await, 503);
    site.store.repair();
    // A browser that is answered 401 gives up its key.
    site.store.fail(Call::Load, Fault::Corrupt);
    assert_eq!(held.clone().refresh(&site).await, 500);
    site.store.repair();
    assert_eq!(held.refresh(&site).await, 200);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let keys = || KeyRing::new([7; 32]).unwrap();
    let builder = || SessionLayer::builder(MemoryStore::new()).bound(DeviceBinding::require());
    let text = |builder: SessionLayerBuilder| builder.build().unwrap_err().to_string();
    assert!(text(builder()).contains("set `keys` too"));
    let builder = || builder().keys(keys());
    let cookie = CookieConfig::new;
    for (cookie, expected) in [
        (cookie("id"), "has no prefix `__Host-`"),
        (cookie("__Secure-id"), "has no prefix `__Host-`"),
        (cookie("__Http-id"), "has no prefix `__Host-`"),
        (cookie("__Host-id").secure(false), "demands `Secure`"),
        (cookie("__Host-id").domain("example.com"), "no `Domain`"),
        (cookie("__Host-id").path("/shop"), "demands `Path=/`"),
        (cookie("__Host-id").partitioned(true), "is `Partitioned`"),
    ] {
        assert!(
            text(builder().cookie(cookie)).contains(expected),
            "{expected}"
        );
    }
    for header in [
        builder().header(HeaderConfig::default()),
        builder()
            .header(HeaderConfig::default())
            .cookie(CookieConfig::default()),
    ] {
        assert!(text(header).contains("give the clients of a header a layer of their own"));
    }
    for (register, refresh, expected) in [
        ("register", "/refresh", "none that a browser requests"),
        ("/register", "", "none that a browser requests"),
        ("/a\"b", "/refresh", "none that a browser requests"),
        (
            "//other.example/register",
            "/refresh",
            "none that a browser requests",
        ),
        ("/register", "/a%2Fb", "none that a browser requests"),
        ("/same", "/same", "are the same"),
    ] {
        let text = text(builder().device_paths(register, refresh));
        assert!(text.contains(expected), "{register} {refresh}: {text}");
    }
    for host in [
        "",
        "*",
        "*.",
        ".a.example",
        "*.*.a.example",
        "a\"b",
        "a\\b",
        "https://a.example",
        "a.example:443",
        "Login.example",
        "*.10.0.0.7",
    ] {
        let text = text(builder().refresh_initiators(["good.example", host]));
        assert!(text.contains("can be none"), "{host}: {text}");
    }
    for host in ["a.example", "*.a.example", "localhost", "10.0.0.7"] {
        assert!(
            builder().refresh_initiators([host]).build().is_ok(),
            "{host}"
        );
    }
    for age in [
        Duration::ZERO,
        999 * MILLISECOND,
        Duration::from_secs(401 * 86_400),
    ] {
        let binding = DeviceBinding::observe().with_proof_age(age);
        assert!(text(builder().bound(binding)).contains("take minutes"));
        let off = DeviceBinding::off().with_proof_age(age);
        assert!(builder().bound(off).build().is_ok());
    }
    let sealed = session_http::cookie::CookieStore::signed(keys());
    let sealed = SessionLayer::builder(sealed).bound(DeviceBinding::observe());
    assert!(text(sealed).contains("a sealed store cannot bind sessions"));
    for name in ["__Host-shop", "__Host-Http-shop"] {
        let site = Site::with(DeviceBinding::require(), |builder| {
            builder.cookie(CookieConfig::new(name).http_only(name.contains("Http")))
        });
        let mut browser = Browser::new(1);
        browser.visit(&site, "/sign-in").await;
        let jws = Device::new(1).registration(browser.challenge.as_ref().unwrap());
        let request = browser
            .posts("/dbsc/register")
            .header("secure-session-response", jws);
        let response = site.serve(request.body(()).unwrap()).await;
        let [cookie] = &set_cookies(&response)[..] else {
            panic!("one cookie")
        };
        assert!(cookie.starts_with("__Host-shop-bound="), "{name}: {cookie}");
        assert!(cookie.contains("; HttpOnly"), "a script reads no proof");
    }
}

/// Another layer over the same sessions cannot be the way around the proof.
#[tokio::test]
async fn a_bound_session_is_nobody_s_by_a_header() {
    let site = Site::new(DeviceBinding::require());
    let owner = Browser::bound(&site, 1).await;
    let over = || SessionLayer::over(site.layer.manager());
    assert!(
        over()
            .header(HeaderConfig::default())
            .cookie(CookieConfig::default())
            .build()
            .is_err()
    );
    let api = over().header(HeaderConfig::default()).build().unwrap();
    let response = visit(
        &api,
        with_header("x-session-token", &owner.cookies[NAME]),
        |session| {
            assert!(session.is_new() && session.principal().is_none());
        },
    )
    .await;
    assert_eq!(response.status(), 200);
    assert_eq!(site.events(), [unproven(false)]);
    // Its own sessions are not bound.
    let response = visit(&api, plain(), |session| session.sign_in("app").unwrap()).await;
    assert!(header(&response, "secure-session-registration").is_empty());
    let token = header(&response, "x-session-token").remove(0);
    site.clock.advance(8 * MINUTE);
    visit(&api, with_header("x-session-token", token), |session| {
        assert_eq!(session.principal().as_deref(), Some("app"));
    })
    .await;
    // A layer of another cookie over the same sessions asks for a proof by its own name.
    let cookie = CookieConfig::new("__Host-shop");
    let pages = over().cookie(cookie).build().unwrap();
    for (proof, expected) in [(PROOF, None), ("__Host-shop-bound", Some("ann".to_owned()))] {
        let token = &owner.cookies[NAME];
        let cookies = format!("__Host-shop={token}; {proof}={}", owner.cookies[PROOF]);
        visit(&pages, with_header("cookie", cookies), |session| {
            assert_eq!(session.principal(), expected);
        })
        .await;
    }
}

#[tokio::test]
async fn the_functions_are_for_any_route() {
    let site = Site::with(DeviceBinding::require(), |builder| {
        builder.device_paths("/here/bind", "/here/prove")
    });
    let mut browser = Browser::new(1);
    let response = site
        .serve(browser.request("/sign-in").body(()).unwrap())
        .await;
    let [offer] = &header(&response, "secure-session-registration")[..] else {
        panic!("offered")
    };
    let (path, challenge) = offer.split_once(";challenge=").unwrap();
    assert_eq!(path, "(ES256);path=\"/here/bind\"");
    browser.challenge = Some(challenge.trim_matches('"').to_owned());
    browser.cookies.insert(NAME.to_owned(), token(&response));

    // A service of another body, which calls the functions.
    let own = site
        .layer
        .layer(service_fn(async |request: Request<Vec<u8>>| {
            let answer = match request.uri().path() {
                "/bind" => register(&request).await?,
                _ => refresh(&request).await?,
            };
            Ok::<_, session_http::Error>(answer.map(String::into_bytes))
        }));
    let jws = browser
        .device
        .as_ref()
        .unwrap()
        .registration(browser.challenge.as_ref().unwrap());
    let post = |path: &str| browser.posts(path).header("secure-session-response", &jws);
    let request = post("/bind").body(Vec::new()).unwrap();
    let response = own.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(json["refresh_url"], "/here/prove");

    let request = post("/prove").method(Method::GET).body(Vec::new()).unwrap();
    let response = own.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(header(&response, "allow"), ["POST"]);
    // The registered service answers nothing else.
    let response = site
        .serve(browser.posts("/dbsc/refresh").body(()).unwrap())
        .await;
    assert_eq!(response.body(), "ann");
    let response = site
        .serve(browser.posts("/here/prove").body(()).unwrap())
        .await;
    assert_eq!(response.status(), 401);

    let request = Request::new(());
    assert!(matches!(
        register(&request).await,
        Err(session_http::Error::MissingLayer)
    ));
    assert!(matches!(
        refresh(&request).await,
        Err(session_http::Error::MissingLayer)
    ));
}

/// The browser takes the origin as it sees it, so that a proxy may call the server otherwise.
#[tokio::test]
async fn hosts_whose_links_lead_to_a_refresh_are_named() {
    let instructions = async |hosts: &[&str]| {
        let site = Site::with(DeviceBinding::require(), |builder| {
            builder.refresh_initiators(hosts.iter().copied())
        });
        let mut browser = Browser::new(1);
        browser.visit(&site, "/sign-in").await;
        let jws = Device::new(1).registration(browser.challenge.as_ref().unwrap());
        let request = browser
            .posts("/dbsc/register")
            .header("secure-session-response", jws);
        let response = site.serve(request.body(()).unwrap()).await;
        serde_json::from_str::<serde_json::Value>(response.body()).unwrap()
    };
    let none = instructions(&[]).await;
    assert!(none.get("allowed_refresh_initiators").is_none());
    assert!(none["scope"].get("origin").is_none());
    let some = instructions(&["login.example", "*.example.com"]).await;
    let hosts = serde_json::json!(["login.example", "*.example.com"]);
    assert_eq!(some["allowed_refresh_initiators"], hosts);
}

#[tokio::test]
async fn the_proof_is_hidden_from_logs() {
    let site = Site::new(DeviceBinding::require());
    let mut browser = Browser::new(1);
    let offered = site
        .serve(browser.request("/sign-in").body(()).unwrap())
        .await;
    assert!(offered.headers()["secure-session-registration"].is_sensitive());
    browser.keep(&offered);
    let challenge = browser.challenge.clone().unwrap();
    let jws = browser.device.as_ref().unwrap().registration(&challenge);
    let request = browser
        .posts("/dbsc/register")
        .header("secure-session-response", jws);
    let response = site.serve(request.body(()).unwrap()).await;
    assert!(response.headers()["set-cookie"].is_sensitive());
    let shown = format!(
        "{:?} {:?} {:?}",
        offered.headers(),
        response.headers(),
        site.layer
    );
    browser.keep(&response);
    assert!(!shown.contains(&challenge) && !shown.contains(&browser.cookies[PROOF]));
}

#[tokio::test]
async fn an_error_of_binding_is_a_conflict() {
    let error = session_http::Error::from(SessionError::NotBound("why"));
    assert_eq!(error.status(), 409);
}
