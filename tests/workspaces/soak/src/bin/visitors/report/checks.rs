//! Whether every law held.

use super::Report;
use crate::disturbances::GENTLE;

/// What a server may grow by in one run. A cache of records alone has 16 MiB.
const MOST_GROWTH_KIB: i64 = 64 * 1024;
/// What a server that lives for 10 minutes or more may grow by after its warm-up.
const MOST_LATE_GROWTH_KIB: i64 = 20 * 1024;
/// A busy machine may excuse one request of so many, and no more.
const BUSY: usize = 1_000;
/// What Redis has lost may touch one visit of so many, and no more.
const EXCUSED: u64 = 3;

/// Of 100 acknowledged writes, at least so many must be compared. A lost session has nothing to
/// compare, and Redis loses some.
const LEAST_COMPARED_ON_REDIS: u64 = 90;
const LEAST_COMPARED_ON_MONGO: u64 = 99;
/// In a shorter run disturbances take a larger part of the time. Then 90 are enough on any store.
const USUAL_SECONDS: f64 = 600.0;

pub(super) type Check = (String, bool);

fn none(what: &str, count: u64) -> Check {
    (format!("{what}: {count}"), count == 0)
}

fn some(what: &str, count: u64) -> Check {
    (format!("{what}: {count}"), count > 0)
}

impl Report {
    /// Each law, and whether it held.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut all = self.what_was_done();
        all.extend(self.data());
        all.extend(self.people());
        all.extend(self.faults());
        all.extend(self.excuses());
        all.extend(self.processes());
        all
    }

    /// A run in which something did not happen shows nothing about it.
    fn what_was_done(&self) -> Vec<Check> {
        let tally = &self.tally;
        vec![
            some("writes were acknowledged", tally.acknowledged),
            some(
                "sessions were compared with what was acknowledged",
                tally.compared,
            ),
            self.most_were_compared(),
            some("pages failed on purpose", tally.failed_on_purpose),
            some("uploads took 20 s", tally.uploads),
            some(
                "sockets closed after a sign-out",
                tally.sockets_closed_by_sign_out,
            ),
            some(
                "sockets closed by a restart",
                tally.sockets_closed_by_restart,
            ),
            some(
                "sockets cut with their server",
                tally.sockets_cut_with_their_server,
            ),
            some("old cookies were tried", tally.old_cookies),
            some(
                "sessions dropped before their commit",
                self.sessions_dropped_before_commit,
            ),
            some(
                "answers were looked at for data of other people",
                tally.answers,
            ),
        ]
    }

    /// That nothing is lost says something of what was compared, and of nothing else.
    fn most_were_compared(&self) -> Check {
        let least = match self.store == "Mongo" && self.seconds >= USUAL_SECONDS {
            true => LEAST_COMPARED_ON_MONGO,
            false => LEAST_COMPARED_ON_REDIS,
        };
        let (compared, all) = (self.tally.writes_compared, self.tally.acknowledged);
        (
            format!("{compared} of {all} acknowledged writes were compared, at least {least} %"),
            compared * 100 >= all * least,
        )
    }

    fn data(&self) -> Vec<Check> {
        let tally = &self.tally;
        vec![
            none("acknowledged writes that were lost", tally.lost),
            none("writes that came back after a later one", tally.came_back),
            none(
                "values that nobody wrote, or that were refused",
                tally.not_written,
            ),
            none("items that are in a cart twice", tally.twice),
            none("records that could not be read", self.corrupt),
        ]
    }

    fn people(&self) -> Vec<Check> {
        let tally = &self.tally;
        vec![
            none("answers with data of other people", tally.foreign),
            none("people signed out without their doing", tally.signed_out),
            none("requests answered as a stranger's", tally.strangers),
            none("old cookies that open a session", tally.old_cookies_open),
            none("alarms of theft without a loss", self.false_alarms_of_theft),
            none("sign-outs that left the cookie", tally.cookies_kept),
            none(
                "sockets closed without a reason",
                tally.sockets_without_reason,
            ),
            none("sockets that outlived a sign-out", tally.sockets_outlived),
        ]
    }

    fn faults(&self) -> Vec<Check> {
        let in_restarts = GENTLE
            .iter()
            .map(|what| self.faults_in.get(*what).unwrap_or(&0))
            .sum::<usize>();
        vec![
            none(
                "faults outside of disturbances",
                self.faults_outside_of_disturbances as u64,
            ),
            none(
                "faults during restarts of one server after the other",
                in_restarts as u64,
            ),
        ]
    }

    /// What Redis or a busy machine may excuse has a limit. Nothing excuses MongoDB.
    fn excuses(&self) -> Vec<Check> {
        let (excused, visits) = (self.excused_visits as u64, self.tally.visits);
        let busy = self.faults_of_a_busy_machine;
        let mut all = vec![
            (
                format!("{excused} of {visits} visits were hit by a lost write, at most a third"),
                excused * EXCUSED <= visits,
            ),
            (
                format!("{busy} faults of a busy machine, at most 0.1 % of requests"),
                busy * BUSY <= self.requests,
            ),
        ];
        if self.store == "Mongo" {
            let alarms = self.alarms_of_theft_by_lost_rotation;
            all.push(none("excuses for lost writes", excused + alarms));
        }
        all
    }

    fn processes(&self) -> Vec<Check> {
        let growth = self.memory.values().map(|figures| figures.growth_kib).max();
        let growth = growth.unwrap_or(0);
        let late = self.memory.values();
        let late = late.filter_map(|figures| figures.late_growth_kib).max();
        let late = late.unwrap_or(0);
        vec![
            none("errors of the run itself", self.errors_of_the_run as u64),
            none("visitors that failed", self.visitors_that_failed as u64),
            none("panics of servers", self.panics),
            ("the timetable was kept".to_owned(), self.timetable_was_kept),
            (
                "servers that were asked to end did so in time".to_owned(),
                self.servers_ended_gently,
            ),
            (
                format!("memory of a server grew by {growth} KiB at most"),
                growth < MOST_GROWTH_KIB,
            ),
            (
                format!("memory of a server grew by {late} KiB at most after its warm-up"),
                late < MOST_LATE_GROWTH_KIB,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::Figures;
    use crate::world::Tally;

    type Change = fn(&mut Report);

    /// A run in which all went well.
    fn good() -> Report {
        Report {
            store: "Redis".to_owned(),
            requests: 5_000,
            seconds: USUAL_SECONDS,
            timetable_was_kept: true,
            servers_ended_gently: true,
            sessions_dropped_before_commit: 1,
            tally: Tally {
                acknowledged: 100,
                writes_compared: 99,
                compared: 1,
                failed_on_purpose: 1,
                uploads: 1,
                sockets_closed_by_sign_out: 1,
                sockets_closed_by_restart: 1,
                sockets_cut_with_their_server: 1,
                old_cookies: 1,
                answers: 1,
                visits: 30,
                ..Tally::default()
            },
            ..Report::default()
        }
    }

    /// What does not hold in a run that differs from a good one.
    fn red(change: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = good();
        change(&mut report);
        let checks = report.checks().into_iter();
        checks
            .filter(|(_, holds)| !holds)
            .map(|(what, _)| what)
            .collect()
    }

    #[test]
    fn each_fault_is_one() {
        assert_eq!(red(|_| {}), [""; 0]);
        let changes: [(Change, &str); 12] = [
            (
                |run| run.errors_of_the_run = 1,
                "errors of the run itself: 1",
            ),
            (
                |run| run.tally.sockets_closed_by_restart = 0,
                "sockets closed by a restart: 0",
            ),
            (
                |run| run.tally.sockets_cut_with_their_server = 0,
                "sockets cut with their server: 0",
            ),
            (|run| run.corrupt = 1, "records that could not be read: 1"),
            (
                |run| run.tally.foreign = 1,
                "answers with data of other people: 1",
            ),
            (
                |run| run.false_alarms_of_theft = 1,
                "alarms of theft without a loss: 1",
            ),
            (
                |run| run.tally.sockets_without_reason = 1,
                "sockets closed without a reason: 1",
            ),
            (
                |run| run.sessions_dropped_before_commit = 0,
                "sessions dropped before their commit: 0",
            ),
            (|run| run.panics = 1, "panics of servers: 1"),
            (
                |run| run.tally.signed_out = 1,
                "people signed out without their doing: 1",
            ),
            (
                |run| run.tally.lost = 1,
                "acknowledged writes that were lost: 1",
            ),
            (
                |run| run.faults_in.extend([("rolling restart".to_owned(), 1)]),
                "faults during restarts of one server after the other: 1",
            ),
        ];
        for (change, what) in changes {
            assert_eq!(red(change), [what]);
        }
    }

    #[test]
    fn excuses_have_a_limit() {
        assert_eq!(red(|run| run.excused_visits = 10), [""; 0]);
        assert_eq!(red(|run| run.excused_visits = 11).len(), 1);
        assert_eq!(red(|run| run.faults_of_a_busy_machine = 5), [""; 0]);
        assert_eq!(red(|run| run.faults_of_a_busy_machine = 6).len(), 1);
    }

    #[test]
    fn most_writes_are_compared() {
        let compared = |store: &str, seconds: f64, compared: u64| {
            red(|run| {
                run.store = store.to_owned();
                run.seconds = seconds;
                run.tally.writes_compared = compared;
            })
        };
        assert_eq!(compared("Redis", 600.0, 90), [""; 0]);
        assert_eq!(compared("Redis", 600.0, 89).len(), 1);
        assert_eq!(compared("Mongo", 600.0, 99), [""; 0]);
        assert_eq!(compared("Mongo", 600.0, 98).len(), 1);
        assert_eq!(compared("Mongo", 60.0, 90), [""; 0]);
        assert_eq!(compared("Mongo", 60.0, 89).len(), 1);
    }

    #[test]
    fn a_leak_shows_after_the_warm_up() {
        let grown = |kib: u64| {
            let at = |(minute, kib): (u64, u64)| (Duration::from_secs(60 * minute), kib);
            let row = [(0, 0), (2, 10), (10, 10 + kib)].map(at);
            let figures = Figures::of(&row).unwrap();
            red(|run| run.memory.extend([("server".to_owned(), figures)]))
        };
        assert_eq!(grown(20 * 1024 - 1), [""; 0]);
        assert_eq!(grown(20 * 1024).len(), 1);
    }

    #[test]
    fn nothing_excuses_mongodb() {
        let mongo = |excused: usize, alarms: u64| {
            red(|run| {
                run.store = "Mongo".to_owned();
                run.excused_visits = excused;
                run.alarms_of_theft_by_lost_rotation = alarms;
            })
        };
        assert_eq!(mongo(0, 0), [""; 0]);
        assert_eq!(mongo(1, 0), ["excuses for lost writes: 1"]);
        assert_eq!(mongo(0, 1), ["excuses for lost writes: 1"]);
    }
}
