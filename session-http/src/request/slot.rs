//! A request's place for its session. It is filled when a handler asks.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderMap, Request, Response, StatusCode};
#[cfg(feature = "device-binding")]
use session_core::BoundSession;
use session_core::{Directive, SessionGuard, SessionManager, Timestamp};
use smallvec::SmallVec;

use crate::error::Error;
use crate::request::load::{LoadResult, SharedLoad};
#[cfg(feature = "device-binding")]
use crate::transport::Devices;
use crate::transport::{Carried, Transports};

/// What all services of one layer share.
pub(crate) struct Shared {
    pub(crate) manager: SessionManager,
    pub(crate) transports: Transports,
    pub(crate) commit_if: CommitPolicy,
    /// Where sessions are bound to devices.
    #[cfg(feature = "device-binding")]
    pub(crate) devices: Option<Devices>,
}

impl Shared {
    /// Why a request cannot have sessions of both layers.
    fn clash(&self, other: &Self) -> Option<Error> {
        let name = self.transports.shared_name(&other.transports);
        #[cfg(feature = "device-binding")]
        let name = {
            let (own, theirs) = (self.devices.as_ref(), other.devices.as_ref());
            if own.is_some() && theirs.is_some() {
                return Some(Error::TwoBindings);
            }
            let is_proof = |name: &&str, devices: Option<&Devices>| {
                devices.is_some_and(|devices| devices.cookie_name() == *name)
            };
            let [one, two] = [&self.transports, &other.transports].map(Transports::name);
            name.or(Some(one).filter(|one| is_proof(one, theirs)))
                .or(Some(two).filter(|two| is_proof(two, own)))
        };
        name.map(|name| Error::TwoManagers(name.to_owned()))
    }
}

/// Whether a response with this head means that its request succeeded.
pub(crate) type CommitPolicy = Arc<dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync>;

/// One layer's session in one request. The request's extensions hold it for the handler; the layer
/// holds it too, to commit the session.
pub(crate) struct Slot {
    arrival: Arrival,
    load: SharedLoad,
    /// The slot of a layer further out, with another name.
    outer: Option<Arc<Self>>,
}

/// What a request begins with.
#[derive(Clone)]
struct Arrival {
    layer: Arc<Shared>,
    carried: Carried,
    /// When the request arrived: it is judged by that time, however late a handler asks.
    at: Timestamp,
}

/// What the extensions of a request hold: the slot of the innermost layer.
#[derive(Clone)]
struct Innermost(Arc<Slot>);

/// The slot that a handler asks for. An error is made only when it is awaited: it is larger than
/// this, and every handler's future would have room for it.
pub(crate) enum Lookup {
    Found(Arc<Slot>),
    NoLayer,
    NoSuchName(Box<str>),
}

/// Whether a layer has work to do for a request.
pub(crate) enum Install {
    Done(Arc<Slot>),
    /// A layer over the same manager is at work further out.
    AlreadyThere,
    /// A layer over another manager cannot be told from this one.
    Clash(Error),
}

impl Slot {
    /// Puts a slot into the extensions of a request.
    ///
    /// Layers over one manager share one session, and the outermost serves it: two would each load
    /// and commit a session of their own, and what a handler stored in the one would be missing in
    /// the other.
    ///
    /// A slot whose response has left counts for nothing. A request brings one along if it is a
    /// clone of an earlier request, sent again: nobody would commit what its handler changes.
    pub(crate) fn install<B>(layer: &Arc<Shared>, request: &mut Request<B>) -> Install {
        let innermost = request.extensions().get::<Innermost>();
        let outer = innermost.and_then(|Innermost(slot)| slot.find_slot(Self::is_active));
        let at_work = || {
            let slots = iter::successors(outer, |slot| slot.outer.as_ref());
            let active = slots.filter(|slot| slot.is_active());
            active.map(|slot| slot.layer())
        };
        let shares = |other: &&Shared| other.manager.is_same(&layer.manager);
        let mut others = at_work().filter(|other| !shares(other));
        if let Some(error) = others.find_map(|other| layer.clash(other)) {
            return Install::Clash(error);
        }
        if at_work().any(|other| shares(&other)) {
            return Install::AlreadyThere;
        }
        let slot = Arc::new(Self {
            arrival: Arrival {
                layer: Arc::clone(layer),
                carried: layer.transports.carried(request.headers()),
                at: layer.manager.now(),
            },
            load: SharedLoad::default(),
            outer: outer.cloned(),
        });
        request
            .extensions_mut()
            .insert(Innermost(Arc::clone(&slot)));
        Install::Done(slot)
    }

    /// The slot of the innermost layer, or of the one of this name.
    pub(super) fn find(extensions: &Extensions, name: Option<&str>) -> Lookup {
        let Some(Innermost(innermost)) = extensions.get() else {
            return Lookup::NoLayer;
        };
        let Some(name) = name else {
            return Lookup::Found(Arc::clone(innermost));
        };
        match innermost.find_slot(|slot| slot.layer().transports.is_named(name)) {
            Some(slot) => Lookup::Found(Arc::clone(slot)),
            None => Lookup::NoSuchName(name.into()),
        }
    }

    /// The slot of the layer at work over this manager. An inner layer over it has none.
    pub(crate) fn find_managed(extensions: &Extensions, manager: &SessionManager) -> Lookup {
        let innermost = extensions.get::<Innermost>();
        let is_it = |slot: &Self| slot.is_active() && slot.layer().manager.is_same(manager);
        match innermost.and_then(|Innermost(slot)| slot.find_slot(is_it)) {
            Some(slot) => Lookup::Found(Arc::clone(slot)),
            None => Lookup::NoLayer,
        }
    }

    /// The first such slot, from this one outwards.
    fn find_slot(self: &Arc<Self>, is: impl Fn(&Self) -> bool) -> Option<&Arc<Self>> {
        let mut slot = self;
        while !is(slot) {
            slot = slot.outer.as_ref()?;
        }
        Some(slot)
    }

    pub(crate) fn layer(&self) -> &Shared {
        &self.arrival.layer
    }

    fn is_active(&self) -> bool {
        !self.load.is_closed()
    }

    /// The session, loaded once for all who ask. A failure stays: what failed to load is not tried
    /// again in the same request, so nothing can be written on top of it.
    async fn session(&self) -> LoadResult {
        // A store that waits for nothing answers before another handler can ask. So its load is
        // neither shared nor boxed.
        if self.layer().manager.store().call_timeout() == Some(Duration::ZERO) {
            self.load.try_at_once(|| self.arrival.begin()).await;
        }
        let start = || {
            // It holds no slot, since the slot holds it.
            let arrival = self.arrival.clone();
            Box::pin(async move { arrival.begin().await }) as _
        };
        self.load.join(start).await
    }

    /// Takes note that the handler has answered, or never will, and takes the session's guard, if
    /// the session was loaded. What is loaded from here on is detached at once.
    pub(crate) fn close(&self) -> Option<Result<SessionGuard, Error>> {
        self.load.close()
    }

    /// Puts into a response what a commit has for the client.
    pub(crate) fn announce<B>(self: &Arc<Self>, directive: &Directive, response: &mut Response<B>) {
        if self.outer.is_some() && *directive != Directive::Nothing {
            let announced: &mut Announced = response.extensions_mut().get_or_insert_default();
            announced.0.push((Arc::clone(self), directive.clone()));
        }
        let Arrival { layer, carried, .. } = &self.arrival;
        let response = response.headers_mut();
        layer.transports.announce(directive, carried, response);
        #[cfg(feature = "device-binding")]
        if let Some(devices) = &layer.devices {
            devices.announce(directive, &carried.headers, response);
        }
    }
}

impl Arrival {
    async fn begin(&self) -> Result<SessionGuard, Error> {
        let Carried { by, headers } = &self.carried;
        let tokens = self.layer.transports.of(*by).tokens(headers);
        let texts: SmallVec<[&str; 1]> = tokens.iter().map(Cow::as_ref).collect();
        #[cfg(feature = "device-binding")]
        if let Some(devices) = &self.layer.devices {
            // Boxed, so that the future of a layer without devices has no room for it.
            let proofs = devices.proofs(headers);
            let begun = self
                .layer
                .manager
                .begin_with_proofs(&texts, &proofs, self.at);
            return Box::pin(begun).await.map_err(Error::from);
        }
        let begun = self.layer.manager.begin_at(&texts, self.at).await;
        begun.map_err(Error::from)
    }
}

#[cfg(feature = "device-binding")]
impl Slot {
    /// Whether a layer is at work for the request.
    pub(crate) fn is_there(extensions: &Extensions) -> bool {
        extensions.get::<Innermost>().is_some()
    }

    /// The slot of the layer that binds sessions to devices.
    pub(crate) fn find_binding(extensions: &Extensions) -> Option<Arc<Self>> {
        let Innermost(innermost) = extensions.get()?;
        let binds = |slot: &Self| slot.is_active() && slot.layer().devices.is_some();
        innermost.find_slot(binds).cloned()
    }

    /// The bound session of this name that the tokens of the request open, whatever it proves.
    pub(crate) async fn bound_session(&self, name: &str) -> Result<Option<BoundSession>, Error> {
        let Arrival { layer, carried, at } = &self.arrival;
        let tokens = layer.transports.of(carried.by).tokens(&carried.headers);
        let texts: SmallVec<[&str; 1]> = tokens.iter().map(Cow::as_ref).collect();
        Ok(layer.manager.bound_session(&texts, name, *at).await?)
    }
}

impl Lookup {
    pub(crate) async fn session(self) -> LoadResult {
        match self {
            Self::Found(slot) => slot.session().await,
            Self::NoLayer => Err(Error::MissingLayer),
            Self::NoSuchName(name) => Err(Error::NoSuchName(name.into())),
        }
    }
}

/// What layers further in have announced to the client. The response's extensions hold it, because
/// a layer further out may have to put another response in its place, while what they have
/// committed stays committed.
#[derive(Clone, Default)]
pub(crate) struct Announced(Vec<(Arc<Slot>, Directive)>);

impl Announced {
    /// Announces it once more, in another response.
    pub(crate) fn repeat<B>(self, response: &mut Response<B>) {
        for (slot, directive) in self.0 {
            slot.announce(&directive, response);
        }
    }
}

/// A slot as the layer's future holds it. With that future the request is over, however it ended.
pub(crate) struct RequestGuard(pub(crate) Arc<Slot>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}
