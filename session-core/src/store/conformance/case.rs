//! The cases: each has a name and the sentence of the contract that it shows.

use std::fmt;

use super::schedule::Task;
use super::trial::{Check, Trial};
use super::{
    cancelled, contested, ending, keeping, principals, racing, reading, revalidating, vanishing,
    writing,
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
}

impl Case {
    /// The name that stands in parentheses in the contract of
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
        "To load what is not there is `None`.",
    Server reading::update_absent
        "To update what is not there is `Gone`, and creates nothing.",
    Server reading::delete_absent
        "To delete what is not there is `Ok`.",
    AnyStore reading::key
        "`create` and `update` hand back the key of the very record: on the server, its id.",
    AnyStore keeping::round_trip
        "`load` returns the very record that was written, all metadata and every value.",
    AnyStore keeping::any_key_name
        "Keys of any name and values of any bytes are kept.",
    AnyStore keeping::large_record
        "A record within the default limits is kept whole, or refused as too large.",
    AnyStore reading::malformed_key
        "A key that this store could not have handed out is as good as absent.",
    AnyStore reading::load_expired
        "From the instant on at which a record expires `load` says `None`, or hands it back as \
         it was.",
    AnyStore reading::update_expired
        "From the instant on at which a record expires `update` says `Gone`.",
    Server ending::create_taken
        "`create` never overwrites: a live record of the same id stays as it was.",
    Server ending::neighbours
        "What is done to one record touches no other, however alike their ids are.",
    AnyStore writing::version_met
        "An update of the loaded version is applied, and the version is one more.",
    Server writing::version_not_met
        "An update that must meet another version says `Conflict` and writes nothing.",
    Server writing::conflict_record
        "A record that comes with `Conflict` is the stored one.",
    Server writing::stale_base
        "Changes of a stale base are merged or refused; what others wrote is never lost.",
    AnyStore writing::set_remove
        "Keys that are set or removed are so afterwards, and no others.",
    AnyStore writing::clear
        "A clear removes every key that is not set beside it.",
    AnyStore writing::touch
        "A touch moves the time last seen, and with it the expiry, never back.",
    AnyStore writing::replace_metadata
        "Metadata that is replaced is so afterwards, beside changes of values.",
    AnyStore writing::replaced_lifetime
        "A lifetime that is replaced counts at once, be it shorter or longer.",
    Server revalidating::exact
        "An update that is said to be exact has left its very record, with its tag.",
    Server revalidating::revalidate
        "`revalidate` says `Unchanged` of what `load` would return, and of no other content.",
    Server writing::other_epoch
        "An update by who loaded another epoch is `Gone`, whatever version it must meet.",
    Server writing::merged_limits
        "A merged record that passes the limits is refused as too large.",
    Server ending::delete
        "After `delete` there is nothing to load, and no update creates it.",
    AnyStore ending::delete_twice
        "To delete twice is fine.",
    Server ending::ended
        "`delete` leaves the mark that says when and why a session ended, and no update writes \
         to it.",
    Server ending::ended_expires
        "A mark is over after a minute, and an end that is long over leaves none.",
    Index ending::ended_of_principal
        "`delete_one_of` and `delete_all_of` leave marks, and leave them alone.",
    AnyStore writing::large_version
        "Versions and epochs above 2^32 are kept and counted on.",
    Index principals::list_of
        "`list_of` returns the live records of a principal and no others.",
    Index principals::delete_all_of
        "`delete_all_of` ends the records of a principal but one, and says how many.",
    Index principals::delete_one_of
        "`delete_one_of` ends the record of this id if it is the principal's, and says whether it \
         was.",
    Index principals::principal_changes
        "`list_of`, `delete_all_of` and `delete_one_of` follow a record whose principal changes.",
    AnyStore ending::delete_expired
        "`delete_expired` removes expired records only, and says how many.",
    Server racing::create_race
        "Of many creations of one id at once exactly one succeeds.",
    Server racing::no_lost_update
        "Updates of one record at once all survive.",
    Server racing::no_torn_read
        "Who reads sees each update entirely or not at all, and never an older version again.",
    Server revalidating::revalidate_race
        "Who asks whether a record is still the same sees what a load would show.",
    Server vanishing::no_resurrection
        "Once `delete` has returned, no update that was under way brings the record back.",
    Server vanishing::delete_race
        "What is deleted among writers stays deleted, and what is not keeps their writes.",
    Index vanishing::delete_all_of_race
        "Once `delete_all_of` has returned, no update that was under way brings a record back.",
    Index contested::delete_one_of_race
        "What `delete_one_of` says that it ended stays so; what it says was not theirs is \
         another's.",
    Server vanishing::sweep_race
        "A record that a touch has kept alive is not swept.",
    Server cancelled::cancelled
        "What is dropped half-way has happened entirely or not at all, and the store goes on.",
}
