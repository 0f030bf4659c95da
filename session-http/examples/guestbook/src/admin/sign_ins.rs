//! The sessions that were signed in lately.

use std::collections::VecDeque;

use session_core::{ShortId, Timestamp};

/// How many are kept.
pub(super) const MOST: usize = 50;

/// The last sessions that were signed in, the oldest first.
#[derive(Debug, Default)]
pub(super) struct SignIns(VecDeque<SignIn>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignIn {
    pub(super) session: ShortId,
    pub(super) principal: String,
    pub(super) at: Timestamp,
    /// The name of the device, once somebody has looked for it: no event has one.
    pub(super) label: Option<String>,
    pub(super) state: State,
}

/// What is known of the session of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It may live, and nobody has looked for it.
    Unseen,
    /// It was live when somebody looked.
    Live,
    Ended,
}

impl SignIns {
    /// A session has one place, however often somebody signs in.
    pub(super) fn add(&mut self, session: ShortId, principal: &str, at: Timestamp) {
        self.0.retain(|known| known.session != session);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(SignIn {
            session,
            principal: principal.to_owned(),
            at,
            label: None,
            state: State::Unseen,
        });
    }

    /// A session has ended.
    pub(super) fn end(&mut self, session: ShortId) {
        for known in &mut self.0 {
            if known.session == session {
                known.state = State::Ended;
            }
        }
    }

    /// Some sessions of a principal have ended, and nobody said which.
    pub(super) fn doubt(&mut self, principal: &str) {
        for known in &mut self.0 {
            if known.principal == principal && known.state != State::Ended {
                known.state = State::Unseen;
            }
        }
    }

    /// What a list of the principal's sessions says of those that were `asked` for. Who has signed
    /// in since is not on the list.
    pub(super) fn learn(&mut self, asked: &[ShortId], listed: &[(ShortId, Option<String>)]) {
        let unseen =
            |known: &&mut SignIn| known.state == State::Unseen && asked.contains(&known.session);
        for known in self.0.iter_mut().filter(unseen) {
            let found = listed.iter().find(|(session, _)| *session == known.session);
            known.state = match found {
                Some((_, label)) => {
                    known.label.clone_from(label);
                    State::Live
                }
                None => State::Ended,
            };
        }
    }

    /// All of them, the newest first.
    pub(super) fn list(&self) -> Vec<SignIn> {
        self.0.iter().rev().cloned().collect()
    }

    /// The one whose session has this short id.
    pub(super) fn find(&self, session: &str) -> Option<SignIn> {
        let mut all = self.0.iter();
        let found = all.find(|known| known.session.to_string() == session);
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use session_core::SessionId;

    use super::*;

    fn id(number: u8) -> ShortId {
        SessionId::from_bytes([number; 16]).short()
    }

    fn at(number: u8) -> Timestamp {
        Timestamp::from_millis(number.into())
    }

    #[test]
    fn the_last_fifty_are_kept() {
        let mut all = SignIns::default();
        for number in 0..200 {
            all.add(id(number), "ann", at(number));
        }
        let list = all.list();
        assert_eq!(list.len(), MOST);
        assert_eq!((list[0].at, list[MOST - 1].at), (at(199), at(150)));
    }

    #[test]
    fn a_session_is_listed_once() {
        let mut all = SignIns::default();
        all.add(id(1), "ann", at(1));
        all.add(id(2), "bob", at(2));
        all.add(id(1), "ann", at(3));
        let list = all.list();
        let short: Vec<_> = list.iter().map(|known| (known.session, known.at)).collect();
        assert_eq!(short, [(id(1), at(3)), (id(2), at(2))]);
    }

    #[test]
    fn what_a_list_does_not_have_has_ended() {
        let mut all = SignIns::default();
        for number in 1..=3 {
            all.add(id(number), "ann", at(number));
        }
        // The third signed in after the list was made.
        all.learn(&[id(1), id(2)], &[(id(1), Some("phone".to_owned()))]);
        let list = all.list();
        let states: Vec<_> = list.iter().map(|known| known.state).collect();
        assert_eq!(states, [State::Unseen, State::Ended, State::Live]);
        assert_eq!(list[2].label.as_deref(), Some("phone"));
    }

    #[test]
    fn an_end_is_final_and_a_doubt_is_not() {
        let mut all = SignIns::default();
        all.add(id(1), "ann", at(1));
        all.add(id(2), "ann", at(2));
        all.add(id(3), "bob", at(3));
        let everybody = [id(1), id(2), id(3)];
        all.learn(&everybody, &everybody.map(|session| (session, None)));
        all.end(id(1));
        all.doubt("ann");
        all.learn(&[id(1)], &[(id(1), None)]); // a list that was on its way
        let states: Vec<_> = all.list().into_iter().map(|known| known.state).collect();
        assert_eq!(states, [State::Live, State::Unseen, State::Ended]);
    }

    #[test]
    fn they_are_found_by_what_the_page_shows() {
        let mut all = SignIns::default();
        all.add(id(7), "ann", at(1));
        assert_eq!(all.find("d761d406").unwrap().principal, "ann");
        assert_eq!(all.find("d761d407"), None);
        assert_eq!(all.find(""), None);
    }
}
