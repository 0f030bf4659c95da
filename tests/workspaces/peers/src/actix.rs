//! actix-session, which keeps a session in a signed cookie, or in Redis.

use std::time::{Duration, Instant};

use actix_session::config::CookieContentSecurity;
use actix_session::storage::{CookieSessionStore, RedisSessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::Key;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::rt::{System, SystemRunner};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, HttpResponse, web};

use crate::actix_workers::Workers;
use crate::subject::{Job, Subject};
use crate::{BoxError, User, next_visit, values};

const NAME: &str = "actix-session 0.11";
const BARE: &str = "actix-web";

struct Actix<S> {
    name: &'static str,
    system: SystemRunner,
    service: S,
    cookie: String,
}

async fn untouched() -> HttpResponse<BoxBody> {
    HttpResponse::Ok().finish()
}

async fn read(session: Session) -> Result<HttpResponse, Error> {
    match session.get::<User>("user")? {
        Some(_) => Ok(HttpResponse::Ok().finish()),
        None => Ok(HttpResponse::NotFound().finish()),
    }
}

async fn write(session: Session) -> Result<HttpResponse, Error> {
    session.insert("visits", next_visit())?;
    Ok(HttpResponse::Ok().finish())
}

async fn create(session: Session) -> Result<HttpResponse, Error> {
    macro_rules! insert {
        ($key:literal, $value:expr) => {
            session.insert($key, $value)?;
        };
    }
    values!(insert);
    Ok(HttpResponse::Ok().finish())
}

/// The same routes for each store.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/untouched", web::get().to(untouched))
        .route("/read", web::get().to(read))
        .route("/write", web::get().to(write))
        .route("/create", web::get().to(create));
}

pub fn cookie() -> Result<Box<dyn Subject>, BoxError> {
    let system = System::new();
    let sessions = SessionMiddleware::builder(CookieSessionStore::default(), key())
        .cookie_content_security(CookieContentSecurity::Signed)
        .build();
    let app = App::new().wrap(sessions).configure(routes);
    let service = system.block_on(init_service(app));
    subject(NAME, system, service)
}

pub fn redis(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    let system = System::new();
    let store = system
        .block_on(RedisSessionStore::new(url))
        .map_err(|error| error.to_string())?;
    if tasks > 1 {
        return Ok(Box::new(Workers::new(NAME, system, store, tasks)?));
    }
    let app = App::new()
        .wrap(SessionMiddleware::new(store, key()))
        .configure(routes);
    let service = system.block_on(init_service(app));
    subject(NAME, system, service)
}

pub(crate) fn key() -> Key {
    Key::from(&[1; 64])
}

/// The same without sessions, to be subtracted.
pub fn bare() -> Result<Box<dyn Subject>, BoxError> {
    let system = System::new();
    let app = || {
        let app = App::new();
        let app = app.route("/untouched", web::get().to(untouched));
        let app = app.route("/read", web::get().to(untouched));
        app.route("/write", web::get().to(untouched))
            .route("/create", web::get().to(untouched))
    };
    let service = system.block_on(init_service(app()));
    subject(BARE, system, service)
}

fn subject<S, B>(
    name: &'static str,
    system: SystemRunner,
    service: S,
) -> Result<Box<dyn Subject>, BoxError>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    let cookie = system.block_on(first(&service))?;
    Ok(Box::new(Actix {
        name,
        system,
        service,
        cookie,
    }))
}

/// Makes a session, and returns its cookie as a request brings it.
pub(crate) async fn first<S, B>(service: &S) -> Result<String, BoxError>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let request = TestRequest::get().uri("/create").to_request();
    let response = service.call(request).await;
    let response = response.map_err(|error| error.to_string())?;
    let cookie = response.response().cookies().next();
    // A service without sessions gets one to ignore.
    Ok(cookie.map_or("id=nobody".to_owned(), |cookie| {
        format!("{}={}", cookie.name(), cookie.value())
    }))
}

/// Answers so many requests, one after the other.
pub(crate) async fn answer<S, B>(service: &S, job: Job, cookie: &str, requests: u32)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let path = format!("/{}", job.name());
    for _ in 0..requests {
        // Only the path and the header are put into each request.
        let mut request = TestRequest::get().uri(&path);
        if job != Job::Create {
            request = request.insert_header(("cookie", cookie));
        }
        let response = service.call(request.to_request()).await;
        let response = response.expect("a service failed");
        assert!(response.status().is_success(), "{}", response.status());
    }
}

impl<S, B> Subject for Actix<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, job: Job, requests: u32) -> Duration {
        self.system.block_on(async {
            let began = Instant::now();
            answer(&self.service, job, &self.cookie, requests).await;
            began.elapsed()
        })
    }
}
