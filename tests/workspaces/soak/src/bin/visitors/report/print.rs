//! The report for people.

use super::Report;

impl Report {
    /// Prints everything, and says whether every law held.
    pub(crate) fn print(&self) -> bool {
        println!(
            "== {} with {} visitors at a pace of {}, {:.0} s",
            self.store, self.visitors, self.pace, self.seconds
        );
        println!("commit: {}", self.commit.as_deref().unwrap_or("unknown"));
        self.print_disturbances();
        self.print_requests();
        self.print_memory();
        println!("{:#?}", self.tally);
        self.print_excuses();
        for (what, notes) in [
            ("excused", &self.excused_notes),
            ("to look at", &self.notes),
        ] {
            println!("{what}: {}", notes.lines.len() + notes.dropped);
            for line in &notes.lines {
                println!("  {line}");
            }
            if notes.dropped > 0 {
                println!("  and {} more", notes.dropped);
            }
        }
        let mut all = true;
        for (what, holds) in self.checks() {
            println!(
                "{} {}: {what}",
                if holds { "ok" } else { "not ok" },
                self.store
            );
            all &= holds;
        }
        all
    }

    fn print_disturbances(&self) {
        for one in &self.disturbances {
            println!(
                "{:6.1} s to {:6.1} s: {}",
                one.from_seconds, one.to_seconds, one.what
            );
        }
        let all: usize = self.injected.values().sum();
        println!("disturbances: {all}");
        for (what, times) in &self.injected {
            println!("  {what}: {times}");
        }
    }

    fn print_requests(&self) {
        println!(
            "requests: {}, by status: {:?}",
            self.requests, self.by_status
        );
        println!(
            "faults: {}, by disturbance: {:?}",
            self.faults, self.faults_in
        );
        for (page, times) in &self.latency {
            println!(
                "{page}: {} requests, ms: p50 {}, p90 {}, p99 {}, longest {}",
                times.requests, times.p50, times.p90, times.p99, times.longest
            );
        }
        if let Some((page, millis)) = self.longest {
            println!("longest request but for uploads: {millis:.1} ms, of {page}");
        }
    }

    /// The rows over time are in MiB, since a minute each is a lot of numbers.
    fn print_memory(&self) {
        for (name, figures) in &self.memory {
            let warm = figures
                .warm_kib
                .map_or("-".to_owned(), |kib| kib.to_string());
            println!(
                "{name}: {} samples, KiB: first {}, after 2 min {warm}, median {}, last {}, \
                 greatest {}, growth {}",
                figures.samples,
                figures.first_kib,
                figures.median_kib,
                figures.last_kib,
                figures.greatest_kib,
                figures.growth_kib
            );
        }
        for (name, row) in &self.memory_over_time {
            let row = row
                .iter()
                .map(|(at, kib)| format!("{at} s {:.1}", *kib as f64 / 1024.0));
            println!("{name}, MiB: {}", row.collect::<Vec<_>>().join(", "));
        }
    }

    /// What would be a fault if Redis had not lost a write of the same visit, or if this machine
    /// had not been too busy.
    fn print_excuses(&self) {
        let tally = &self.tally;
        println!("excused by a lost write of the same visit:");
        for (what, count) in [
            (
                "acknowledged writes that were lost",
                tally.lost_by_fail_over,
            ),
            ("people signed out", tally.signed_out_by_fail_over),
            (
                "old cookies that opened a session",
                tally.old_cookies_open_by_fail_over,
            ),
            ("sockets closed", tally.sockets_closed_by_fail_over),
            (
                "sockets that outlived a sign-out",
                tally.sockets_outlived_by_fail_over,
            ),
            ("requests refused", tally.refused_by_fail_over),
            ("alarms of theft", self.alarms_of_theft_by_lost_rotation),
        ] {
            println!("  {what}: {count}");
        }
        println!("  visits: {} of {}", self.excused_visits, tally.visits);
        println!(
            "excused by a busy machine: {} requests; this process was held up {} times, {:.1} s",
            self.faults_of_a_busy_machine, self.lags_of_this_process, self.seconds_of_lag
        );
    }
}
