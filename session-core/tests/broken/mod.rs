//! Stores with one fault each, and the cases that have to find it.

pub(crate) mod map;
pub(crate) mod remote;
mod scan;
pub(crate) mod sealed;
mod twist;

/// One thing that a store author may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Finds an empty record where there is none.
    LoadMakesOne,
    /// Creates what it should update.
    UpdateUpserts,
    /// Updates what has ended as if it had not.
    UpdatesMarks,
    /// Fails to delete what is not there.
    DeleteWantsIt,
    /// Fails to delete for a second time.
    DeleteOnce,
    /// Names the updated record by another id.
    HandsBackWrongKey,
    /// Keeps values, lifetime and little else.
    ForgetsMetadata,
    /// Reads JSON and writes it anew; drops what is none.
    RewritesJson,
    /// Loses values whose key has a dot in it.
    DropsDottedKeys,
    /// Loses what comes after 999 values.
    DropsTheThousandth,
    /// Takes the text of a sealed key for an id.
    TrustsMalformedKeys,
    /// Panics where a key is no id.
    PanicsOnMalformedKeys,
    /// Loads what has expired as if it had just been seen.
    RevivesExpired,
    /// Loads what has expired without its values.
    EmptiesExpired,
    /// Updates what has expired.
    UpdatesExpired,
    /// Updates what has expired if the tag is still the one that was loaded.
    TrustsTheTagOfExpired,
    /// Updates a session of another epoch if the tag is still the one that was loaded.
    TrustsTheTagOfRenewed,
    /// Creates over what is there.
    CreateOverwrites,
    /// Takes ids for the same that differ in case.
    IgnoresCase,
    /// Does not count versions.
    VersionStandsStill,
    /// Updates whatever version is there.
    IgnoresExpected,
    /// Hands back, on conflict, the record of who asked.
    ConflictsWithTheWrongRecord,
    /// Puts the record of the update in place, whatever was there.
    LastWriterWins,
    /// Adds and changes keys, but removes none.
    KeepsRemoved,
    /// Takes no notice of a clear.
    ClearsNothing,
    /// Takes no notice of a touch.
    DropsTouch,
    /// Takes no notice of new metadata.
    KeepsMetadata,
    /// Expires by the longest lifetime that a record had.
    NeverShortens,
    /// Takes one content for another of the same version.
    ComparesVersions,
    /// Takes one content for another of the same tag, and gives a touch no new one.
    TouchKeepsTheTag,
    /// Takes what has ended for unchanged.
    RevalidatesEnded,
    /// Takes what has expired for unchanged, and loads nothing.
    RevalidatesExpired,
    /// Says that nothing is there of what has changed.
    RevalidatesToNothing,
    /// Writes a record, lets others have their turn, and writes its tag.
    TagsInTwoSteps,
    /// Says that what it has merged is the record of who asked.
    MergesExactly,
    /// Merges, and says that nobody else has written if the version is the one that was loaded.
    ExactByVersion,
    /// Gives the record of an update another tag, and says that it is the very one.
    RetagsExactly,
    /// Updates whatever epoch was loaded.
    IgnoresEpoch,
    /// Merges beyond all limits.
    IgnoresLimits,
    /// Says that it has deleted, and does so the next time.
    DeletesLater,
    /// Deletes only what nobody has changed meanwhile.
    DeleteGivesWay,
    /// Removes what ends, and leaves no mark.
    LeavesNoMark,
    /// Leaves marks that say the same reason always.
    MarksForgetWhy,
    /// Leaves the values of the session in its mark.
    MarksKeepValues,
    /// Keeps marks for longer than a minute.
    MarksStay,
    /// Leaves marks of what was never there.
    MarksTheAbsent,
    /// Leaves no marks where it ends all sessions of a principal.
    EndsAllWithoutMarks,
    /// Looks whose they are, lets others have their turn, and ends them all.
    EndsAllLooksThenActs,
    /// Counts versions with 32 bits.
    CountsWith32Bits,
    /// Lists what has expired.
    ListsExpired,
    /// Lists the records of everybody.
    ListsAll,
    /// Ends the excepted one as well.
    ExceptsNobody,
    /// Counts the excepted one as ended.
    CountsExcepted,
    /// Ends one of whomever it is.
    EndsAnyones,
    /// Ends one of whoever is called alike.
    EndsOfNamesakes,
    /// Says that it has ended one that was not there.
    EndsNothing,
    /// Ends one, and says that it was not theirs.
    EndsInSilence,
    /// Looks whose it is, lets others have their turn, and ends it.
    EndLooksThenActs,
    /// Ends only one that nobody has changed meanwhile.
    EndGivesWay,
    /// Goes by the principal that a record had before.
    IndexesCreations,
    /// Leaves out of a scan what has expired.
    ScansLive,
    /// Passes over a session between two pages.
    ScanSkipsBetweenPages,
    /// Reads the newest first, and goes on behind as many as it has returned.
    ScansByPosition,
    /// Returns from a scan a session that was deleted, in place of its mark.
    ScansFormer,
    /// Begins again at any cursor that it does not understand.
    TrustsCursors,
    /// Panics at a cursor that it does not understand.
    PanicsOnCursors,
    /// Leaves the second entry of each principal out of a scan of the index.
    ScansFirstEntries,
    /// Returns from a scan of the index every session as everybody's.
    ScansForeignEntries,
    /// Ends what it is to mend the index for, if it is not that principal's.
    MendsByEnding,
    /// Says that it has mended what agreed.
    MendsInSpeech,
    /// Deletes what it is to delete only if it cannot be read.
    DeletesReadable,
    /// Says that it has deleted what can be read.
    DeletesInSpeech,
    /// A page of nothing is the last one.
    ScansNothingOfNothing,
    /// Sweeps what expires within the hour.
    SweepsEarly,
    /// Says that it has swept nothing.
    SweepsInSilence,
    /// Looks, lets others have their turn, and creates.
    CreateChecksThenActs,
    /// Looks, lets others have their turn, and writes if there is a record.
    UpdateReadsThenWrites,
    /// Looks, lets others have their turn, and writes.
    UpdateReadsThenUpserts,
    /// Writes one half, lets others have their turn, and writes the other.
    WritesInTwoSteps,
    /// Loads the version before, every now and then.
    ReadsBehind,
    /// Looks, lets others have their turn, and sweeps.
    SweepLooksThenActs,
    /// Takes the record out while it writes, under its lock.
    UpdateTakesOut,
    /// Keeps its lock for ever when it is dropped.
    LeaksItsLock,
}

/// Each fault, and the cases that find it for certain; others may fail in their wake.
pub(crate) const FOUND_BY: &[(Fault, &[&str])] = &[
    (Fault::LoadMakesOne, &["load_absent"]),
    (Fault::UpdateUpserts, &["update_absent"]),
    (
        Fault::UpdatesMarks,
        &["delete", "ended", "no_resurrection", "delete_race"],
    ),
    (Fault::DeleteWantsIt, &["delete_absent"]),
    (Fault::DeleteOnce, &["delete_twice"]),
    (Fault::HandsBackWrongKey, &["key", "version_met"]),
    (Fault::ForgetsMetadata, &["round_trip", "replace_metadata"]),
    (Fault::RewritesJson, &["round_trip", "any_key_name"]),
    (Fault::DropsDottedKeys, &["any_key_name"]),
    (Fault::DropsTheThousandth, &["large_record"]),
    (Fault::TrustsMalformedKeys, &["malformed_key"]),
    (Fault::PanicsOnMalformedKeys, &["malformed_key"]),
    (Fault::RevivesExpired, &["load_expired"]),
    (Fault::EmptiesExpired, &["load_expired"]),
    (
        Fault::UpdatesExpired,
        &["update_expired", "replaced_lifetime"],
    ),
    (Fault::TrustsTheTagOfExpired, &["update_expired"]),
    (Fault::TrustsTheTagOfRenewed, &["other_epoch"]),
    (Fault::CreateOverwrites, &["create_taken", "create_race"]),
    (Fault::IgnoresCase, &["neighbours"]),
    (Fault::VersionStandsStill, &["version_met"]),
    (
        Fault::IgnoresExpected,
        &["version_not_met", "no_lost_update"],
    ),
    (Fault::ConflictsWithTheWrongRecord, &["conflict_record"]),
    (Fault::LastWriterWins, &["stale_base", "no_lost_update"]),
    (Fault::KeepsRemoved, &["set_remove"]),
    (Fault::ClearsNothing, &["clear"]),
    (Fault::DropsTouch, &["touch"]),
    (
        Fault::KeepsMetadata,
        &["replace_metadata", "principal_changes"],
    ),
    (Fault::NeverShortens, &["replaced_lifetime"]),
    (Fault::ComparesVersions, &["revalidate"]),
    (Fault::TouchKeepsTheTag, &["revalidate"]),
    (Fault::RevalidatesEnded, &["revalidate", "revalidate_race"]),
    (Fault::RevalidatesExpired, &["revalidate"]),
    (
        Fault::RevalidatesToNothing,
        &["revalidate", "revalidate_race"],
    ),
    (Fault::TagsInTwoSteps, &["revalidate_race"]),
    (Fault::MergesExactly, &["exact"]),
    (Fault::ExactByVersion, &["exact"]),
    (Fault::RetagsExactly, &["exact"]),
    (Fault::IgnoresEpoch, &["other_epoch"]),
    (Fault::IgnoresLimits, &["merged_limits"]),
    (
        Fault::DeletesLater,
        &["delete", "no_resurrection", "delete_race"],
    ),
    (Fault::DeleteGivesWay, &["no_resurrection", "delete_race"]),
    (
        Fault::LeavesNoMark,
        &["ended", "ended_of_principal", "ended_expires"],
    ),
    (Fault::MarksForgetWhy, &["ended"]),
    (Fault::MarksKeepValues, &["ended"]),
    (Fault::MarksStay, &["ended", "ended_expires"]),
    (Fault::MarksTheAbsent, &["ended"]),
    (Fault::EndsAllWithoutMarks, &["ended_of_principal"]),
    (Fault::EndsAllLooksThenActs, &["delete_all_of_race"]),
    (Fault::CountsWith32Bits, &["large_version"]),
    (Fault::ListsExpired, &["list_of"]),
    (Fault::ListsAll, &["list_of"]),
    (
        Fault::ExceptsNobody,
        &["delete_all_of", "delete_all_of_race"],
    ),
    (Fault::CountsExcepted, &["delete_all_of"]),
    (
        Fault::EndsAnyones,
        &["delete_one_of", "principal_changes", "delete_one_of_race"],
    ),
    (Fault::EndsOfNamesakes, &["delete_one_of"]),
    (Fault::EndsNothing, &["delete_one_of"]),
    (
        Fault::EndsInSilence,
        &["delete_one_of", "delete_one_of_race"],
    ),
    (Fault::EndLooksThenActs, &["delete_one_of_race"]),
    (Fault::EndGivesWay, &["delete_one_of_race"]),
    (
        Fault::IndexesCreations,
        &["principal_changes", "delete_one_of_race"],
    ),
    (Fault::ScansLive, &["scan_records"]),
    (Fault::ScanSkipsBetweenPages, &["scan_records", "scan_race"]),
    (Fault::ScansByPosition, &["scan_race"]),
    (Fault::ScansFormer, &["scan_records"]),
    (Fault::TrustsCursors, &["scan_cursor"]),
    (Fault::PanicsOnCursors, &["scan_cursor"]),
    (Fault::ScansFirstEntries, &["scan_index"]),
    (Fault::ScansForeignEntries, &["scan_index"]),
    (Fault::MendsByEnding, &["mend_index"]),
    (Fault::MendsInSpeech, &["mend_index"]),
    (Fault::DeletesReadable, &["delete_unreadable"]),
    (Fault::DeletesInSpeech, &["delete_unreadable"]),
    (Fault::ScansNothingOfNothing, &["scan_records"]),
    (Fault::SweepsEarly, &["delete_expired"]),
    (Fault::SweepsInSilence, &["delete_expired"]),
    (Fault::CreateChecksThenActs, &["create_race"]),
    (Fault::UpdateReadsThenWrites, &["no_lost_update"]),
    (
        Fault::UpdateReadsThenUpserts,
        &[
            "no_resurrection",
            "delete_race",
            "delete_all_of_race",
            "delete_one_of_race",
        ],
    ),
    (Fault::WritesInTwoSteps, &["no_torn_read", "cancelled"]),
    (Fault::ReadsBehind, &["no_torn_read"]),
    (Fault::SweepLooksThenActs, &["sweep_race"]),
    (Fault::UpdateTakesOut, &["cancelled"]),
    (Fault::LeaksItsLock, &["cancelled"]),
];
