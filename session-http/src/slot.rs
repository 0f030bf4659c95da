//! A request's place for its session: filled when somebody asks.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderValue, Response};
use session_core::{Directive, Timestamp};

use crate::Error;
use crate::opening::{Load, Opened, Opening};
use crate::shared::Shared;

/// One layer's session in one request. It lies in the request's extensions, and the layer
/// holds it too, to commit what became of it.
pub(crate) struct Slot {
    pub(crate) layer: Arc<Shared>,
    /// The headers that may hold tokens. Almost always one, so that none are allocated.
    first: Option<HeaderValue>,
    others: Vec<HeaderValue>,
    /// When the request did: it is judged by that, however late a handler asks.
    arrived: Timestamp,
    session: Opening,
    /// The response has left.
    left: AtomicBool,
    /// The slot of a layer further out, with another name.
    outer: Option<Arc<Slot>>,
}

/// What lies in the extensions: the slot of the innermost layer.
#[derive(Clone)]
pub(crate) struct Innermost(Arc<Slot>);

/// Whose session somebody asks for. An error is made of it only when it is awaited: it is larger,
/// and lies in every handler's future.
pub(crate) enum Asked {
    Slot(Arc<Slot>),
    NoLayer,
    NoSuchName(Box<str>),
}

/// Whether a layer has work to do for a request.
pub(crate) enum Install {
    Done(Arc<Slot>),
    /// The same layer is at work further out.
    AlreadyThere,
    /// Another one of the same name is.
    Clash,
}

impl Slot {
    /// Puts a slot into a request's extensions.
    ///
    /// A slot whose response has left counts for nothing. A request brings one along if it is a
    /// clone of an earlier request, sent again: nobody would commit what its handler changes.
    pub(crate) fn install(
        layer: &Arc<Shared>,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Install {
        let innermost = extensions.get::<Innermost>().map(|innermost| &innermost.0);
        let outer = innermost.and_then(|innermost| innermost.find_slot(|slot| !slot.has_left()));
        let transport = &layer.transport;
        let is_twin = |slot: &Self| !slot.has_left() && slot.layer.transport.clashes(transport);
        if let Some(twin) = outer.and_then(|outer| outer.find_slot(is_twin)) {
            return match twin.layer.manager.is_same(&layer.manager) {
                true => Install::AlreadyThere,
                false => Install::Clash,
            };
        }
        let mut tokens = transport.pick(headers).cloned();
        let slot = Arc::new(Self {
            first: tokens.next(),
            others: tokens.collect(),
            layer: Arc::clone(layer),
            arrived: layer.manager.now(),
            session: Opening::default(),
            left: AtomicBool::new(false),
            outer: outer.cloned(),
        });
        extensions.insert(Innermost(Arc::clone(&slot)));
        Install::Done(slot)
    }

    /// The slot of the innermost layer, or of the one of this name.
    pub(crate) fn find(extensions: &Extensions, name: Option<&str>) -> Asked {
        let Some(Innermost(innermost)) = extensions.get() else {
            return Asked::NoLayer;
        };
        match name {
            None => Asked::Slot(Arc::clone(innermost)),
            Some(name) => match innermost.find_slot(|slot| slot.layer.transport.is_named(name)) {
                Some(slot) => Asked::Slot(Arc::clone(slot)),
                None => Asked::NoSuchName(name.into()),
            },
        }
    }

    /// The innermost slot that is such a one, from this one outwards.
    fn find_slot(self: &Arc<Self>, is: impl Fn(&Self) -> bool) -> Option<&Arc<Self>> {
        let mut slot = self;
        while !is(slot) {
            slot = slot.outer.as_ref()?;
        }
        Some(slot)
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The session, loaded once for all who ask. A failure stays: what failed to load is
    /// not tried again in the same request, so nothing can be written on top of it.
    pub(crate) async fn session(&self) -> Opened {
        // A store that waits for nothing answers before anybody else can ask, so that nothing is
        // shared.
        if self.layer.manager.store().deadline() == Some(Duration::ZERO) {
            // Made only where it is awaited: a future that is handed on is moved, and all handlers'
            // futures hold it.
            let open = || async {
                let tokens = self.layer.transport.tokens(self.headers());
                let opened = self
                    .layer
                    .manager
                    .open_at(&tokens.as_strs(), self.arrived)
                    .await;
                opened.map_err(Error::from)
            };
            self.session.at_once(open).await;
        }
        let session = self.session.join(|| self.load()).await?;
        // Of a load and a response that leaves at the same time, at least one sees the other.
        fence(Ordering::SeqCst);
        if self.left.load(Ordering::SeqCst) {
            self.layer.manager.detach(&session);
        }
        Ok(session)
    }

    /// The load of the session. It holds no slot, since the slot holds it.
    fn load(&self) -> Load {
        let layer = Arc::clone(&self.layer);
        let (first, others) = (self.first.clone(), self.others.clone());
        let arrived = self.arrived;
        Box::pin(async move {
            let tokens = layer.transport.tokens(first.iter().chain(&others));
            let opened = layer.manager.open_at(&tokens.as_strs(), arrived).await;
            opened.map_err(Error::from)
        })
    }

    /// The session, if anybody asked for it.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.session.get()
    }

    /// Takes note that the response has left, or never will: who opens the session from here on,
    /// or holds it, can create, renew and destroy nothing.
    pub(crate) fn leave(&self) {
        if self.has_left() {
            return;
        }
        self.left.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if let Some(Ok(session)) = self.opened() {
            self.layer.manager.detach(session);
        }
    }

    /// Puts what the client must be told into a response.
    pub(crate) fn tell<B>(self: &Arc<Self>, directive: &Directive, response: &mut Response<B>) {
        if self.outer.is_some() && *directive != Directive::Nothing {
            let mut told = response
                .extensions_mut()
                .remove::<Told>()
                .unwrap_or_default();
            told.0.push((Arc::clone(self), directive.clone()));
            response.extensions_mut().insert(told);
        }
        let transport = &self.layer.transport;
        transport.tell(directive, &self.headers(), response.headers_mut());
    }

    fn headers(&self) -> impl Iterator<Item = &HeaderValue> + Clone {
        self.first.iter().chain(&self.others)
    }
}

/// What layers further in have told the client. It lies in the response's extensions, because a
/// layer further out may have to put another response in its place, and what they have committed
/// holds all the same.
#[derive(Clone, Default)]
pub(crate) struct Told(Vec<(Arc<Slot>, Directive)>);

impl Told {
    /// Tells it once more, in another response.
    pub(crate) fn again<B>(self, response: &mut Response<B>) {
        for (slot, directive) in self.0 {
            slot.tell(&directive, response);
        }
    }
}

/// A slot as the layer's future holds it: with the future the request is over, whatever came of it.
pub(crate) struct Held(Arc<Slot>);

impl Held {
    pub(crate) const fn new(slot: Arc<Slot>) -> Self {
        Self(slot)
    }
}

impl Deref for Held {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Arc<Slot> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.leave();
    }
}
