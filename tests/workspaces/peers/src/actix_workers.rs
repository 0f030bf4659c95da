//! actix-session with many tasks: over as many workers as there are cores, each a thread with a
//! runtime of its own, as actix-web's server has them.

use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use actix_session::SessionMiddleware;
use actix_session::storage::RedisSessionStore;
use actix_web::App;
use actix_web::rt::{System, SystemRunner};
use actix_web::test::init_service;
use tokio::sync::oneshot;

use crate::BoxError;
use crate::actix::{answer, first, key, routes};
use crate::subject::{Job, Subject};

pub struct Workers {
    name: &'static str,
    /// Drives the connection of the store that all workers share, as the main thread of a server
    /// does.
    system: SystemRunner,
    orders: Vec<mpsc::Sender<Order>>,
    tasks: usize,
}

/// Each task of a worker answers so many requests.
struct Order {
    job: Job,
    each: u32,
    barrier: Arc<Barrier>,
    done: oneshot::Sender<()>,
}

impl Workers {
    pub fn new(
        name: &'static str,
        system: SystemRunner,
        store: RedisSessionStore,
        tasks: usize,
    ) -> Result<Self, BoxError> {
        let workers = thread::available_parallelism()?.get();
        let mut orders = Vec::new();
        for worker in 0..workers {
            let tasks = tasks / workers + usize::from(worker < tasks % workers);
            let ((send, receive), (ready, is_ready)) = (mpsc::channel(), oneshot::channel());
            let store = store.clone();
            thread::spawn(move || work(store, tasks, ready, &receive));
            system.block_on(is_ready)??;
            orders.push(send);
        }
        Ok(Self {
            name,
            system,
            orders,
            tasks,
        })
    }
}

/// Makes a session for each task, and follows orders until nobody can give any.
fn work(
    store: RedisSessionStore,
    tasks: usize,
    ready: oneshot::Sender<Result<(), BoxError>>,
    orders: &mpsc::Receiver<Order>,
) {
    let system = System::new();
    let app = App::new()
        .wrap(SessionMiddleware::new(store, key()))
        .configure(routes);
    let service = Rc::new(system.block_on(init_service(app)));
    let mut cookies: Vec<Rc<str>> = Vec::new();
    for _ in 0..tasks {
        match system.block_on(first(&*service)) {
            Ok(cookie) => cookies.push(cookie.into()),
            Err(error) => {
                _ = ready.send(Err(error));
                return;
            }
        }
    }
    _ = ready.send(Ok(()));
    for order in orders {
        order.barrier.wait();
        system.block_on(async {
            let task = |cookie: &Rc<str>| {
                let (service, cookie) = (Rc::clone(&service), Rc::clone(cookie));
                let (job, each) = (order.job, order.each);
                actix_web::rt::spawn(async move { answer(&*service, job, &cookie, each).await })
            };
            let tasks: Vec<_> = cookies.iter().map(task).collect();
            for task in tasks {
                task.await.expect("a task panicked");
            }
        });
        _ = order.done.send(());
    }
}

impl Subject for Workers {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, job: Job, requests: u32) -> Duration {
        let barrier = Arc::new(Barrier::new(self.orders.len() + 1));
        let each = requests.div_ceil(self.tasks as u32);
        let order = |orders: &mpsc::Sender<Order>| {
            let (done, is_done) = oneshot::channel();
            let order = Order {
                job,
                each,
                barrier: Arc::clone(&barrier),
                done,
            };
            orders.send(order).expect("a worker is gone");
            is_done
        };
        let workers: Vec<_> = self.orders.iter().map(order).collect();
        barrier.wait();
        let began = Instant::now();
        self.system.block_on(async {
            for worker in workers {
                worker.await.expect("a worker panicked");
            }
        });
        began.elapsed()
    }
}
