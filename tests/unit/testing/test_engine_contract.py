"""The kit catches engines that break a promise, each by the test that states it."""

from __future__ import annotations

import pytest

from mastra_core.storage.records.engine import CAPABILITIES, FULL, not_yet
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.testing import EngineContract, needs
from mastra_core.testing import contract as kit
from tests.unit.testing import engines, unready_engines
from tests.unit.testing.runs import RED, contract_of, is_red, run

TIES = "test_messages_of_one_instant_are_ordered_by_id"
WINDOWS = "test_a_window_has_exactly_the_neighbours_asked_for"
OWNERS_LIST = "test_threads_of_an_owner_are_listed_by_creation"
NEWEST = "test_the_newest_messages_of_a_thread_come_newest_first"
OF_A_RESOURCE = "test_messages_of_a_resource_are_listed_over_its_threads"

CAUGHT = [
    (engines.TurnsTiesRound, TIES),
    (engines.TurnsTiesRound, OWNERS_LIST),
    (engines.IgnoresWhen, "test_a_save_over_a_record_that_does_not_meet_when_is_refused"),
    (engines.IgnoresWhen, "test_a_patch_whose_condition_holds_no_more_is_refused"),
    (engines.IgnoresWhen, "test_a_delete_whose_condition_does_not_hold_is_refused"),
    (engines.IgnoresWhen, "test_of_concurrent_compare_and_sets_exactly_one_wins"),
    (engines.ForgetsKeep, "test_a_save_keeps_what_the_kind_keeps"),
    (engines.WritesHalfABatch, "test_a_refused_batch_replaces_and_deletes_nothing"),
    (engines.WritesHalfABatch, "test_nothing_of_a_refused_batch_over_many_places_is_written"),
    (engines.SharesValues, "test_what_was_answered_can_be_changed_afterwards"),
    (engines.LowersTimes, "test_raise_to_lifts_a_time_and_never_lowers_it"),
    (engines.LowersTimes, "test_a_patch_raises_a_time_and_never_lowers_it"),
    (engines.BlamesTheFirstChange, "test_a_refused_batch_replaces_and_deletes_nothing"),
    (engines.ForgetsWhatItFound, "test_a_save_that_may_not_update_is_refused_when_there_is_one"),
    (engines.LosesRaces, "test_of_concurrent_compare_and_sets_exactly_one_wins"),
    (engines.LosesRaces, "test_of_concurrent_creators_exactly_one_wins"),
    (engines.LosesRaces, "test_concurrent_merges_lose_none"),
    (engines.TurnsEmptyListsIntoObjects, "test_metadata_comes_back_equal"),
    (engines.TurnsEmptyListsIntoObjects, "test_message_content_comes_back_equal_with_any_unicode"),
    (engines.StoresOtherNames, "test_a_saved_thread_is_stored_under_typescripts_names_and_got_back"),
    (engines.FoldsCase, "test_ids_that_differ_by_case_are_kept_apart_or_refused"),
    (engines.LetsAnUnknownTypeMatch, "test_a_filter_means_the_same_on_every_backend"),
    (engines.TrustsHints, "test_a_hint_is_not_trusted"),
    (engines.StepsOverInWindows, WINDOWS),
    (engines.CountsWithoutFilter, "test_a_count_may_be_filtered"),
    (engines.PurgesWithoutLimit, "test_a_purge_deletes_in_bounded_steps_until_none_is_left"),
    (engines.ScansFromTheStart, "test_a_scan_resumes_behind_any_cursor"),
    (engines.LosesOldMerges, "test_a_merge_lays_new_keys_over_the_stored_ones"),
    (engines.DecidesOnOldReads, "test_concurrent_decisions_on_one_record_lose_none"),
    (engines.LeaksPlaces, "test_a_list_has_the_records_of_its_place_only"),
    (engines.LeaksPlaces, "test_a_list_of_threads_has_those_of_its_owner_only"),
    (engines.ReadsWhatIsOmitted, "test_omitted_fields_come_back_as_none"),
    (engines.CountsIdleConnectionsTwice, "test_how_busy_connections_are_is_told_at_any_time_in_any_thread"),
    (engines.DeclaresTooLittle, "test_exactly_the_capabilities_of_the_port_are_declared"),
    (engines.GivesNoReason, "test_whatever_is_not_full_says_why"),
    (engines.SaysNotYetToWindowsAndOpensThem, WINDOWS),
    (engines.SaysFullAndRefusesWindows, WINDOWS),
    (engines.RefusesWindowsSilently, WINDOWS),
    (engines.AnswersEmptyWindows, WINDOWS),
    (engines.ShowsListsLate, OWNERS_LIST),
    (engines.ShowsThreadsLate, NEWEST),
    (engines.RefusesMessagesOfAResource, OF_A_RESOURCE),
    (unready_engines.TellsAnotherDDLEachTime, "test_what_a_database_is_made_of_can_be_told_without_one"),
    (unready_engines.NeverGetsReady, "test_an_opened_database_lacks_nothing"),
    (unready_engines.NeverGetsReady, "test_looking_at_a_fresh_database_changes_nothing"),
    (unready_engines.PreparesWhenLookedAt, "test_looking_at_a_fresh_database_changes_nothing"),
    (unready_engines.ClosesWhenLookedAt, "test_an_opened_database_lacks_nothing"),
    (unready_engines.EmptiesWhatItOpens, "test_a_database_that_is_ready_opens_again_with_what_it_holds"),
    (unready_engines.PreparesWithoutALock, "test_of_many_that_open_a_fresh_database_at_once_all_can_use_it"),
]


@pytest.mark.parametrize("engine, test", CAUGHT, ids=lambda value: getattr(value, "__name__", value))
async def test_an_engine_that_breaks_a_promise_is_caught(engine, test, monkeypatch) -> None:
    """A green kit is worth something: each of these faults turns the test red that promises otherwise, and a sound engine passes it."""
    monkeypatch.setattr(kit, "SETTLE_SECONDS", 0.2)
    await run(contract_of(InMemoryEngine), test)
    assert await is_red(contract_of(engine), test)


@pytest.mark.parametrize(
    "engine, test",
    [
        (engines.CannotOpenWindows, WINDOWS),
        (engines.RefusesCase, "test_ids_that_differ_by_case_are_kept_apart_or_refused"),
        (engines.ShowsOtherListsLate, OWNERS_LIST),
        (engines.ShowsOtherListsLate, NEWEST),
        (engines.ShowsEverythingLate, OWNERS_LIST),
        (engines.ShowsEverythingLate, NEWEST),
        (engines.WritesTenAtOnce, "test_a_batch_of_the_declared_size_is_written"),
        (engines.WritesTenAtOnce, "test_a_batch_over_the_declared_size_is_refused_whole"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_an_engine_that_says_what_it_cannot_do_passes(engine, test) -> None:
    """A limit that is declared, and kept, is no failure."""
    await run(contract_of(engine), test)


async def test_a_capability_that_works_though_declared_otherwise_says_the_mend() -> None:
    """Whoever writes the missing part is told to declare it."""
    with pytest.raises(pytest.fail.Exception, match=r"window is NOT_YET \(nobody has written it\).*but it works; declare FULL or EMULATED"):
        await run(contract_of(engines.SaysNotYetToWindowsAndOpensThem), WINDOWS)


@pytest.mark.parametrize("position", [1, 2])
async def test_half_a_batch_is_caught_wherever_the_refusal_is_met(position) -> None:
    """The position of the refused change is one of the things the kit varies."""
    test = "test_nothing_of_a_refused_batch_is_written"
    await run(contract_of(InMemoryEngine), test, position=position)
    assert await is_red(contract_of(engines.WritesHalfABatch), test, position=position)


async def test_left_out_paths_are_checked_both_ways() -> None:
    """A path that is left out must be refused; one that works must not be declared away."""
    await run(contract_of(engines.SaysNotYetToMessagesOfAResourceAndRefusesThem), OF_A_RESOURCE)
    with pytest.raises(RED, match=r"by_resource is NOT_YET \(no index\), but it gives a list; declare EMULATED"):
        await run(contract_of(engines.SaysNotYetToMessagesOfAResource), OF_A_RESOURCE)


@pytest.mark.parametrize("path", ["mastra_messages.by_thread", "mastra_threads.by_resource", "mastra_threads.all"])
async def test_what_every_run_reads_cannot_be_left_out(path) -> None:
    """An engine without a thread's messages is no engine."""
    engine = type("LeavesItOut", (InMemoryEngine,), {"capabilities": engines.declaring(**{path: not_yet("why")})})
    assert await is_red(contract_of(engine), "test_left_out_paths_are_paths_that_may_be_left_out")


async def test_a_path_that_no_kind_has_cannot_be_declared() -> None:
    """A misspelt path would be a promise about nothing."""
    engine = type("DeclaresAnother", (InMemoryEngine,), {"capabilities": engines.declaring(**{"mastra_threads.none": FULL})})
    assert await is_red(contract_of(engine), "test_exactly_the_capabilities_of_the_port_are_declared")


@pytest.mark.parametrize("name", ["teleport", "own_lists"])
def test_a_kit_test_needs_capabilities_that_exist(name) -> None:
    """A misspelt capability would never be checked."""
    with pytest.raises(ValueError, match=f"no kit test can need '{name}'"):
        needs(name)


def test_every_capability_has_a_test_that_needs_it() -> None:
    """No declaration goes unchecked."""
    tests = [test for origin in EngineContract.__mro__ for test in vars(origin).values()]
    assert {name for test in tests for name in getattr(test, "needs", ())} == set(CAPABILITIES) - {"own_lists"}
