//! actix-session on actix-web, with as many workers as there are cores.

use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::rt::System;
use actix_web::{App, Error, HttpServer, error, web};
use session_peers::{BoxError, User, next_visit, values};

use crate::DONE;

pub fn serve(url: &str) -> Result<(), BoxError> {
    System::new().block_on(async {
        let store = RedisSessionStore::new(url).await;
        let store = store.map_err(|error| error.to_string())?;
        let app = move || {
            App::new()
                .wrap(SessionMiddleware::new(store.clone(), Key::from(&[1; 64])))
                .route("/untouched", web::get().to(async || DONE))
                .route("/read", web::get().to(read))
                .route("/write", web::get().to(write))
                .route("/create", web::get().to(create))
                .route("/logout", web::get().to(logout))
        };
        let workers = std::thread::available_parallelism()?.get();
        let server = HttpServer::new(app).workers(workers);
        let server = server.bind(("127.0.0.1", 0))?;
        println!("{}", server.addrs().first().ok_or("no address")?);
        Ok(server.run().await?)
    })
}

async fn read(session: Session) -> Result<&'static str, Error> {
    match session.get::<User>("user")? {
        Some(_) => Ok(DONE),
        None => Err(error::ErrorNotFound("nobody")),
    }
}

async fn write(session: Session) -> Result<&'static str, Error> {
    session.insert("visits", next_visit())?;
    Ok(DONE)
}

async fn create(session: Session) -> Result<&'static str, Error> {
    macro_rules! insert {
        ($key:literal, $value:expr) => {
            session.insert($key, $value)?;
        };
    }
    values!(insert);
    Ok(DONE)
}

async fn logout(session: Session) -> &'static str {
    session.purge();
    DONE
}
