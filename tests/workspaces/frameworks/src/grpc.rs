//! tonic: the token travels in metadata, the session is in the extensions of a request.

use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::unfold;
use session_http::{HeaderConfig, MemoryStore, Session, SessionExt, SessionLayer};
use tonic::{Request, Response, Status, Streaming};

// Made by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/shop.Shop.rs"));

/// What a client puts into its cart.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Item {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// What is in the cart.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cart {
    /// Names of items.
    #[prost(string, repeated, tag = "1")]
    pub items: Vec<String>,
}

/// The layer for `Server::builder().layer(..)`: the token is in the metadata `x-session-token`,
/// both ways.
pub fn sessions() -> SessionLayer {
    SessionLayer::builder(MemoryStore::new())
        .header(HeaderConfig::default())
        .build()
        .expect("these settings agree")
}

/// The service.
#[derive(Debug)]
pub struct Carts;

fn add(session: &Session, item: Item) -> Result<Cart, Status> {
    let items = session.update("cart", move |items: Option<Vec<String>>| {
        let mut items = items.unwrap_or_default();
        items.push(item.name.clone());
        items
    });
    let items = items.map_err(|error| Status::internal(error.to_string()))?;
    Ok(Cart { items })
}

fn unavailable(error: session_http::Error) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl shop_server::Shop for Carts {
    /// One call. What it changed is saved if its status is OK.
    async fn add(&self, request: Request<Item>) -> Result<Response<Cart>, Status> {
        let session = request.extensions().session().await.map_err(unavailable)?;
        let item = request.into_inner();
        let refused = item.name.is_empty();
        let cart = add(&session, item)?;
        match refused {
            true => Err(Status::invalid_argument("an item has a name")),
            false => Ok(Response::new(cart)),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Cart, Status>> + Send>>;

    /// A stream of answers. Its head, and with it the token, leaves before the first of them: what
    /// is there by then is saved with it, and what comes later is saved by hand.
    async fn watch(&self, request: Request<Item>) -> Result<Response<Self::WatchStream>, Status> {
        let session = request.extensions().session().await.map_err(unavailable)?;
        session
            .insert("watching", true)
            .map_err(|error| Status::internal(error.to_string()))?;
        let item = request.into_inner();
        let carts = unfold((session, 0), move |(session, at)| {
            let item = item.clone();
            async move {
                if at == 3 {
                    return None;
                }
                let saved = async {
                    let cart = add(&session, item)?;
                    session
                        .save()
                        .await
                        .map_err(|error| Status::internal(error.to_string()))?;
                    Ok(cart)
                };
                let cart = saved.await;
                Some((cart, (session, at + 1)))
            }
        });
        Ok(Response::new(Box::pin(carts)))
    }

    /// A stream of questions, with one answer: saved as a whole, or not at all.
    async fn fill(&self, request: Request<Streaming<Item>>) -> Result<Response<Cart>, Status> {
        let session = request.extensions().session().await.map_err(unavailable)?;
        let mut items = request.into_inner();
        let mut cart = Cart::default();
        while let Some(item) = items.message().await? {
            cart = add(&session, item)?;
        }
        Ok(Response::new(cart))
    }
}
