//! The cases: each has a name and the sentence of the contract that it shows.

use std::fmt;

use super::schedule::Task;
use super::trial::{Check, Trial};
use super::{
    cancelled, contested, ending, keeping, principals, racing, reading, revalidating, scanning,
    vanishing, writing,
};

/// One case of the suite: a sentence of the contract, shown or refuted.
pub struct Case {
    name: &'static str,
    sentence: &'static str,
    pub(super) needs: Needs,
    pub(super) run: for<'a> fn(&'a Trial) -> Task<'a, Check>,
}

/// Which stores a case is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    AnyStore,
    /// One that keeps the records itself.
    Server,
    /// One that keeps the records itself, and lists those of a principal.
    Index,
    /// One that keeps the records itself, and reads them all in pages.
    Scan,
    /// One that can do both.
    IndexAndScan,
}

impl Case {
    /// The name of the case, as it is in parentheses in the contract of
    /// [`SessionStore`](crate::store::SessionStore).
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the case shows.
    pub const fn sentence(&self) -> &'static str {
        self.sentence
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("sentence", &self.sentence)
            .finish_non_exhaustive()
    }
}

/// The list of cases, and the table of them in the documentation of [`cases`].
macro_rules! cases {
    ($($needs:ident $module:ident::$name:ident $sentence:literal,)*) => {
        static CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            sentence: $sentence,
            needs: Needs::$needs,
            run: |trial| Box::pin($module::$name(trial)),
        }),*];

        /// All cases, in the order in which they run: simple ones first.
        ///
        /// | case | what it shows |
        /// |---|---|
        $(#[doc = concat!("| `", stringify!($name), "` | ", $sentence, " |")])*
        pub fn cases() -> &'static [Case] {
            CASES
        }
    };
}

cases! {
    Server reading::load_absent
        "Loading a record that does not exist returns `None`.",
    Server reading::update_absent
        "Updating a record that does not exist returns `Gone`, and creates nothing.",
    Server reading::delete_absent
        "Deleting a record that does not exist returns `Ok`.",
    AnyStore reading::key
        "`create` and `update` return the key of the record itself: on the server, its id.",
    AnyStore keeping::round_trip
        "`load` returns exactly the record that was written, all metadata and every value.",
    AnyStore keeping::any_key_name
        "Keys of any name and values of any bytes are kept.",
    AnyStore keeping::large_record
        "A record within the default limits is kept whole, or refused as too large.",
    AnyStore reading::malformed_key
        "A key that this store cannot have returned counts as absent.",
    AnyStore reading::load_expired
        "From the instant at which a record expires, `load` returns `None`, or the record as it \
         was.",
    AnyStore reading::update_expired
        "From the instant at which a record expires, `update` returns `Gone`.",
    Server ending::create_taken
        "`create` never overwrites: a live record with the same id stays as it was.",
    Server ending::neighbours
        "An operation on one record changes no other, however similar their ids are.",
    AnyStore writing::version_met
        "An update of the loaded version is applied, and increments the version.",
    Server writing::version_not_met
        "An update that must meet another version returns `Conflict` and writes nothing.",
    Server writing::conflict_record
        "A record that is returned with `Conflict` is the stored one.",
    Server writing::stale_base
        "Changes to a stale base are merged or refused; what others wrote is never lost.",
    AnyStore writing::set_remove
        "An update sets and removes the keys that it names, and no others.",
    AnyStore writing::clear
        "A clear removes every key that the same update does not set.",
    AnyStore writing::touch
        "A touch moves the time last seen, and with it the expiry, but never back.",
    AnyStore writing::replace_metadata
        "An update can replace the metadata, along with changes to values.",
    AnyStore writing::replaced_lifetime
        "A new lifetime takes effect at once, whether it is shorter or longer.",
    Server revalidating::exact
        "An update that is reported as exact has stored its own record, with its tag.",
    Server revalidating::revalidate
        "`revalidate` returns `Unchanged` for what `load` would return, and for nothing else.",
    Server writing::other_epoch
        "An update by a request that loaded another epoch is `Gone`, whatever version it must \
         meet.",
    Server writing::merged_limits
        "A merged record that exceeds the limits is refused as too large.",
    Server ending::delete
        "After `delete` there is nothing to load, and no update creates it.",
    AnyStore ending::delete_twice
        "Deleting a record twice is no error.",
    Server ending::ended
        "`delete` leaves a mark that says when and why the session ended, and no update writes \
         to it.",
    Server ending::ended_expires
        "A mark expires after a minute, and an end that was long ago leaves none.",
    Index ending::ended_of_principal
        "`delete_one_of` and `delete_all_of` leave marks, and do not end a marked session again.",
    AnyStore writing::large_version
        "Versions and epochs above 2^32 are kept, and continue to count up.",
    Index principals::list_of
        "`list_of` returns the live records of a principal and no others.",
    Index principals::delete_all_of
        "`delete_all_of` ends all records of a principal except one, and returns their number.",
    Index principals::delete_one_of
        "`delete_one_of` ends the record with this id if it is the principal's, and returns \
         whether it was.",
    Index principals::principal_changes
        "`list_of`, `delete_all_of` and `delete_one_of` follow a record whose principal changes.",
    Scan scanning::scan_records
        "`scan_records` returns all that is stored in pages, each session as it was written.",
    Scan scanning::scan_cursor
        "A cursor can be printed and parsed, and one that the store cannot have made is refused.",
    IndexAndScan scanning::scan_index
        "`scan_index` returns the entry of each session of a principal, or no entries at all.",
    IndexAndScan scanning::mend_index
        "`mend_index` does nothing where index and session agree, and ends no session.",
    Scan scanning::delete_unreadable
        "`delete_unreadable` deletes nothing that can be read.",
    AnyStore ending::delete_expired
        "`delete_expired` removes only expired records, and returns their number.",
    Server racing::create_race
        "If one id is created many times at once, exactly one creation succeeds.",
    Server racing::no_lost_update
        "If many updates change one record at once, all of them survive.",
    Server racing::no_torn_read
        "A reader sees each update entirely or not at all, and never an older version again.",
    Server revalidating::revalidate_race
        "While others write, `revalidate` shows what a load would show.",
    Server vanishing::no_resurrection
        "Once `delete` has returned, no update that was under way brings the record back.",
    Server vanishing::delete_race
        "A record that is deleted while others write stays deleted; one that is not keeps their \
         writes.",
    Index vanishing::delete_all_of_race
        "Once `delete_all_of` has returned, no update that was under way brings a record back.",
    Index contested::delete_one_of_race
        "A record that `delete_one_of` says it ended stays ended; one that it says was not \
         theirs belongs to another principal.",
    Scan scanning::scan_race
        "While others come and go, `scan_records` returns every session that is there throughout.",
    Server vanishing::sweep_race
        "A record that a touch has kept alive is not swept.",
    Server cancelled::cancelled
        "An operation that is dropped half-way has happened entirely or not at all, and the store \
         continues to work.",
}
