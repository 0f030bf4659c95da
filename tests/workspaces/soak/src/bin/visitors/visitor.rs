//! One visitor: fills a cart as a guest, signs in, uses the site for a while, signs out, and comes
//! back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use session_soak::Page;
use session_tests::Rng;
use tokio::time::{sleep, timeout};

use crate::BoxError;
use crate::browser::{Answer, Browser, bare_client};
use crate::leaving;
use crate::ledger::{Known, Ledger, Sent};
use crate::socket::Socket;
use crate::upload::Upload;
use crate::world::{Visit, World, name_of, number_of};

const KEYS: usize = 6;
/// Between two attempts at what must succeed.
const AGAIN: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) world: Arc<World>,
    pub(crate) browser: Arc<Browser>,
    /// Without a jar, for cookies of former sessions.
    pub(crate) bare: Client,
    pub(crate) ledger: Ledger,
    number: usize,
    visits: usize,
    name: String,
    pub(crate) upload: Option<Upload>,
    pub(crate) socket: Option<Socket>,
    /// The session that it must be in, and who it must be there.
    session: Option<String>,
    who: Option<String>,
    /// An answer was for another session, or for nobody.
    is_stranger: bool,
    last: u32,
    uploads: bool,
    listens: bool,
    random: Rng,
}

impl Visitor {
    pub(crate) fn new(world: &Arc<World>, number: usize) -> Result<Self, BoxError> {
        let random = Rng::new(world.seed ^ ((number as u64) << 32));
        let visit = Visit {
            visitor: number,
            number: 0,
        };
        Ok(Self {
            browser: Arc::new(Browser::new(Arc::clone(world), visit)?),
            bare: bare_client()?,
            ledger: Ledger::default(),
            number,
            visits: 0,
            name: name_of(number),
            upload: None,
            socket: None,
            session: None,
            who: None,
            is_stranger: false,
            last: 0,
            uploads: number.is_multiple_of(5),
            listens: number % 4 == 1,
            random,
            world: Arc::clone(world),
        })
    }

    /// Comes again and again, until the run is over.
    pub(crate) async fn live(mut self) -> Result<(), BoxError> {
        self.think(2_000).await;
        while !self.world.is_over() {
            self.visit().await?;
        }
        Ok(())
    }

    async fn visit(&mut self) -> Result<(), BoxError> {
        self.begin_visit();
        for _ in 0..=self.below(2) {
            self.add_items(1).await;
            self.think(800).await;
        }
        if self.has_lost_its_session().await? {
            return Ok(());
        }
        self.sign_in().await;
        if self.listens {
            self.socket = Some(Socket::open(Arc::clone(&self.browser)));
        }
        for _ in 0..10 + self.below(20) {
            if self.world.is_over() {
                break;
            }
            self.think(1_800).await;
            self.act().await;
            if self.has_lost_its_session().await? {
                return Ok(());
            }
        }
        leaving::leave(self).await
    }

    /// What a person does next.
    async fn act(&mut self) {
        match self.below(100) {
            0..40 => self.load_pages().await,
            40..60 => {
                let items = 1 + self.below(2);
                self.add_items(items).await;
            }
            60..82 => self.put("/put", None).await,
            82..88 => self.put("/faulty", None).await,
            88..96 => {
                let after = Duration::from_millis(self.random.next() % 6);
                self.put("/put", Some(after)).await;
            }
            _ => self.begin_upload(),
        }
        if self.upload.as_ref().is_some_and(Upload::is_finished) {
            self.finish_upload().await;
        }
    }

    /// As a browser loads a page and what belongs to it.
    async fn load_pages(&mut self) {
        let pages = 2 + self.below(3);
        for answer in join_all((0..pages).map(|_| self.browser.get("/page"))).await {
            self.check(&answer);
        }
    }

    /// Adds items at the same time.
    async fn add_items(&mut self, count: usize) {
        let began = Instant::now();
        let items: Vec<_> = (0..count).map(|_| self.next()).collect();
        let queries: Vec<_> = items.iter().map(|item| format!("item={item}")).collect();
        let requests = queries
            .iter()
            .map(|query| self.browser.post("/cart", query));
        let answers = join_all(requests).await;
        for (item, answer) in items.into_iter().zip(answers) {
            self.check(&answer);
            let sent = self.sent(&answer, began);
            self.ledger.note_item(item, sent);
        }
    }

    /// Stores a number, or hangs up after this time.
    async fn put(&mut self, page: &'static str, hang_up: Option<Duration>) {
        let key = format!("k{}", self.below(KEYS));
        if !self.ledger.is_settled(&key) {
            return;
        }
        let number = self.next();
        // Half of those that are hung up on are slow pages.
        let waits = hang_up.is_some() && number.is_multiple_of(2);
        let query = format!("key={key}&number={number}&waits={waits}");
        let began = Instant::now();
        let request = self.browser.post(page, &query);
        let answer = match hang_up {
            None => request.await,
            Some(after) => match timeout(after, request).await {
                Ok(answer) => answer,
                Err(_) => {
                    self.world.count(|tally| tally.hung_up += 1);
                    Answer::Unknown
                }
            },
        };
        self.check(&answer);
        let sent = self.sent(&answer, began);
        self.ledger.note(&key, number, sent);
    }

    fn begin_upload(&mut self) {
        let key = "upload";
        if !self.uploads || self.upload.is_some() || !self.ledger.is_settled(key) {
            return;
        }
        let number = self.next();
        self.upload = Some(Upload::begin(Arc::clone(&self.browser), key, number));
    }

    pub(crate) async fn finish_upload(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        let (key, number, began) = (upload.key, upload.number, upload.began);
        let answer = upload.finish().await;
        self.check(&answer);
        let sent = self.sent(&answer, began);
        self.ledger.note(key, number, sent);
        self.world.count(|tally| tally.uploads += 1);
    }

    async fn sign_in(&mut self) {
        let query = format!("who={}", self.name);
        while !matches!(self.browser.post("/sign-in", &query).await, Answer::Done(_)) {
            // It may have happened, and the cookie was lost with the answer. Then the next attempt
            // begins a new session.
            self.ledger.doubt_all();
            self.world.count(|tally| tally.ledgers_doubted += 1);
            sleep(AGAIN).await;
        }
        self.session = None;
        self.who = Some(self.name.clone());
        self.world.count(|tally| tally.sign_ins += 1);
    }

    /// Reads everything, however often that takes.
    pub(crate) async fn read(&mut self) -> Page {
        loop {
            if let Answer::Done(page) = self.browser.get("/page").await {
                return page;
            }
            sleep(AGAIN).await;
        }
    }

    /// Whether an answer was for the session of this visitor.
    fn check(&mut self, answer: &Answer) {
        let (Answer::Done(page) | Answer::OnPurpose(page)) = answer else {
            return;
        };
        if !self.is_mine(page) {
            self.is_stranger = true;
        } else if self.session.is_none() {
            self.session.clone_from(&page.session);
        }
    }

    pub(crate) fn is_mine(&self, page: &Page) -> bool {
        page.who == self.who && (self.session.is_none() || page.session == self.session)
    }

    /// Looks closer after an answer for a stranger. If the session is gone, it begins again.
    async fn has_lost_its_session(&mut self) -> Result<bool, BoxError> {
        if !self.is_stranger {
            return Ok(false);
        }
        let page = self.read().await;
        self.judge_loss(&page).await
    }

    /// Counts a session that this page does not show, although it should.
    pub(crate) async fn judge_loss(&mut self, page: &Page) -> Result<bool, BoxError> {
        self.is_stranger = false;
        let name = &self.name;
        if self.is_mine(page) {
            self.world.count(|tally| tally.strangers += 1);
            self.world
                .note(&format!("{name} was a stranger for one request"));
            return Ok(false);
        }
        let by_fail_over = self.browser.lost_a_write();
        let (whose, now) = (&self.session, Instant::now());
        let during = self.world.disturbances.is_disturbed(now - AGAIN, now);
        let what = format!(
            "{name} lost the session {whose:?}; in a disturbance: {during}; the page says {page:?}"
        );
        let (world, visit) = (&self.world, self.browser.visit());
        match by_fail_over {
            true => {
                world.note_excused(&what);
                world.excuse(visit, |tally| tally.signed_out_by_fail_over += 1);
            }
            false => {
                world.note(&what);
                world.count(|tally| tally.signed_out += 1);
            }
        }
        if let Some(upload) = self.upload.take() {
            upload.finish().await;
        }
        if let Some(socket) = self.socket.take() {
            socket.abandon().await;
        }
        self.new_browser()?;
        Ok(true)
    }

    /// Without the cookies of the one before.
    pub(crate) fn new_browser(&mut self) -> Result<(), BoxError> {
        let visit = self.browser.visit();
        self.browser = Arc::new(Browser::new(Arc::clone(&self.world), visit)?);
        Ok(())
    }

    fn begin_visit(&mut self) {
        self.ledger = Ledger::default();
        self.visits += 1;
        self.browser.begin_visit(Visit {
            visitor: self.number,
            number: self.visits,
        });
        self.world.count(|tally| tally.visits += 1);
        self.session = None;
        self.who = None;
        self.is_stranger = false;
    }

    /// A request that began then and has this answer. Its session is that of the cookie, which the
    /// answer has replaced if the site did not know the one before.
    fn sent(&self, answer: &Answer, began: Instant) -> Sent {
        Sent {
            session: self.browser.session(),
            began,
            known: self.known(answer),
        }
    }

    fn known(&self, answer: &Answer) -> Known {
        let known = match answer {
            Answer::Done(_) => Known::Acknowledged,
            Answer::OnPurpose(_) | Answer::Refused => Known::Refused,
            Answer::Unknown => Known::Unknown,
        };
        self.world.count(|tally| match (known, answer) {
            (Known::Acknowledged, _) => tally.acknowledged += 1,
            (Known::Unknown, _) => tally.unknown += 1,
            (_, Answer::OnPurpose(_)) => tally.failed_on_purpose += 1,
            _ => {}
        });
        known
    }

    async fn think(&self, most: u64) {
        let pause = Duration::from_millis(self.random.next() % most);
        sleep(pause.div_f64(self.world.pace)).await;
    }

    fn below(&self, bound: usize) -> usize {
        self.random.below(bound)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        number_of(self.number, self.last)
    }
}
