//! actix-session, which can keep all of a session in a signed cookie.

use std::time::{Duration, Instant};

use actix_session::config::CookieContentSecurity;
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::{Cookie, Key};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::rt::{System, SystemRunner};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, HttpResponse, web};

use crate::subject::{Job, Subject};
use crate::{BoxError, User, next_visit, values};

pub const BARE: &str = "actix-web";

struct Actix<S> {
    name: &'static str,
    system: SystemRunner,
    service: S,
    cookie: Cookie<'static>,
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

pub fn cookie() -> Result<Box<dyn Subject>, BoxError> {
    let system = System::new();
    let app = || {
        let store = SessionMiddleware::builder(CookieSessionStore::default(), Key::from(&[1; 64]));
        App::new()
            .wrap(
                store
                    .cookie_content_security(CookieContentSecurity::Signed)
                    .build(),
            )
            .route("/untouched", web::get().to(untouched))
            .route("/read", web::get().to(read))
            .route("/write", web::get().to(write))
            .route("/create", web::get().to(create))
    };
    let service = system.block_on(init_service(app()));
    subject("actix-session 0.11", system, service)
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
    let request = TestRequest::get().uri("/create").to_request();
    let response = system
        .block_on(service.call(request))
        .map_err(|error| error.to_string())?;
    let cookie = response.response().cookies().next().map(Cookie::into_owned);
    let cookie = cookie.unwrap_or_else(|| Cookie::new("id", "nobody"));
    Ok(Box::new(Actix {
        name,
        system,
        service,
        cookie,
    }))
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
        let path = format!("/{}", job.name());
        // Only the path and the header are put into each request.
        let header = format!("{}={}", self.cookie.name(), self.cookie.value());
        self.system.block_on(async {
            let began = Instant::now();
            for _ in 0..requests {
                let mut request = TestRequest::get().uri(&path);
                if job != Job::Create {
                    request = request.insert_header(("cookie", &*header));
                }
                let response = self
                    .service
                    .call(request.to_request())
                    .await
                    .expect("a service failed");
                assert!(response.status().is_success(), "{}", response.status());
            }
            began.elapsed()
        })
    }
}
