"""The thirteen rules of exactly once, the tests that stand for each, and how each is taken out.

`python tests/rules.py` takes each rule out of a copy of the code, in turn, and runs its quick test, which must fail;
`python tests/rules.py --stack` does so with what only a running stack shows: each brings one up, for some minutes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "lib")
JARS = ("jars/lib", "jars/trino/lib")


@dataclass(frozen=True)
class Sabotage:
    """In `file`, `text` becomes `instead`; `test` must fail then."""

    file: str
    text: str
    instead: str
    test: str


@dataclass(frozen=True)
class Rule:
    """What must hold, and the tests that fail when it does not."""

    says: str
    tests: tuple[str, ...]
    without: tuple[Sabotage, ...] = ()


UNIT = "tests/unit"
LOST_ANSWER = "tests/faults/test_unknown_outcome.py::test_a_commit_whose_answer_is_lost_lands_once"
OPEN_WRITER = (
    "tests/integration/test_source.py::test_a_schema_joins_under_traffic_with_a_writer_open_across_the_command"
)
EVERY_LSN = f"{UNIT}/test_lsn.py::test_at_no_lsn_is_another_state_shown_than_postgres_held"
RULES = {
    1: Rule(
        "a table applies the range between its position and the epoch's end, once, and refuses a gap",
        ("tests/integration/test_stream_topics.py::test_topics_read_again_from_the_start_change_nothing",),
        (
            Sabotage("catalog/positions.py", "if self.start > at:", "if False:",
                     f"{UNIT}/test_model_stops.py::test_an_epoch_above_the_position_is_refused"),
            Sabotage("catalog/positions.py", "return replace(self, start=at) if at < self.end else None",
                     "return self", f"{UNIT}/test_model_stops.py::test_an_epoch_already_applied_commits_nothing"),
        ),
    ),
    2: Rule(
        "a commit lands only on the snapshot whose position was read",
        ("tests/integration/test_stream_drivers.py::test_of_two_drivers_one_is_refused_and_nothing_is_written_twice",),
        (
            Sabotage("streaming/writer.py", "if self.position != ours:", "if False:",
                     f"{UNIT}/test_model_stops.py::test_a_second_driver_with_stale_memory_is_fenced_and_changes_nothing"),
        ),
    ),
    3: Rule(
        "a position belongs to a snapshot; rows changed without one stop the table",
        ("tests/integration/test_past.py::test_a_mirror_set_back_under_traffic_ends_equal",),
        (
            Sabotage("catalog/positions.py", "if entry is None or entry.operation != REPLACE:", "if entry is None:",
                     f"{UNIT}/test_positions.py::test_any_other_change_loses_it"),
            Sabotage("catalog/positions.py", 'if saved is not None and saved["snapshot_id"] == at:',
                     "if saved is not None:",
                     f"{UNIT}/test_positions.py::test_a_rollback_to_rows_without_a_position_is_not_given_the_later_one"),
        ),
    ),
    4: Rule(
        "a commit without an answer is looked up, and neither repeated nor given up",
        (LOST_ANSWER,),
        (
            Sabotage("streaming/iceberg.py",
                     "if head is not None and dict(head.summary()).get(COMMIT_PROPERTY) == commit_id:", "if False:",
                     LOST_ANSWER),
        ),
    ),
    5: Rule(
        "a table's changes have one order: one partition, and commit LSNs that never fall",
        ("tests/integration/test_stream_topics.py::test_a_damaged_topic_stops_its_table_alone",),
        (
            Sabotage("streaming/table.py", "if mine.size > 1 and bool((mine[1:] < mine[:-1]).any()):", "if False:",
                     f"{UNIT}/test_model_stops.py::test_commit_lsns_that_fall_stop_the_table"),
        ),
    ),
    6: Rule(
        "events are folded in order: a truncate cuts, a value left out comes from before",
        ("tests/conformance/test_conformance.py::test_a_situation",),
        (
            Sabotage("streaming/folding.py",
                     'cut = max((place for place, op in enumerate(events.op) if op == "t"), default=-1)', "cut = -1",
                     f"{UNIT}/test_folding.py::test_a_truncate_forgets_what_came_before"),
            Sabotage("streaming/folding.py", "if not left_out[chosen].any():", "if True:",
                     f"{UNIT}/test_folding.py::test_a_value_left_out_comes_from_the_event_before"),
        ),
    ),
    7: Rule(
        "a copy is a generation: seen when it is whole, thrown away when it begins again",
        (
            "tests/integration/test_stream_copy.py::test_the_mirror_was_empty_until_the_copy_was_whole",
            "tests/integration/test_stream_copy.py::test_a_lost_slot_is_named_and_a_new_copy_leaves_no_ghosts",
            "tests/faults/test_crash_points.py::test_a_crash_inside_an_initial_copy",
        ),
        (
            Sabotage("streaming/segments.py",
                     "begins = events.copy_marker[start] in _FIRST or not _continues(under_way, identity)",
                     "begins = under_way is None", f"{UNIT}/test_segments.py::test_a_restarted_copy_begins_again"),
            Sabotage("streaming/segments.py", "ends = events.copy_marker[end - 1] in _LAST", "ends = True",
                     f"{UNIT}/test_model_stops.py::test_a_copy_that_breaks_off_leaves_the_old_rows_to_readers"),
        ),
    ),
    8: Rule(
        "what cannot be read is in the quarantine before any position passes it",
        ("tests/integration/test_stream_quarantine.py::test_each_kind_is_set_aside_and_the_flow_goes_on",),
        (
            Sabotage("streaming/table.py", "self._set_aside(records, decoded.rejects, lacking)", "pass",
                     f"{UNIT}/test_model.py::test_any_way_through_the_topic_gives_the_source_s_rows"),
        ),
    ),
    9: Rule(
        "a table joins without a gap, also while a writer's transaction is open",
        (OPEN_WRITER,),
        (
            Sabotage("connectors/publication.py", "_in_turn(settings, parts, [locked, *statements], seconds, say)",
                     "_in_turn(settings, parts, statements, seconds, say)", OPEN_WRITER),
        ),
    ),
    10: Rule(
        "a topic is audited before each epoch, and an epoch is applied in slices",
        ("tests/integration/test_stream_topics.py::test_a_damaged_topic_stops_its_table_alone",),
        (
            Sabotage("streaming/opening.py", "if position.topic_id != topic.topic_id:", "if False:",
                     f"{UNIT}/test_topic_audit.py::test_a_topic_that_was_created_again_stops_the_table"),
            Sabotage("streaming/opening.py", "if earliest > at:", "if False:",
                     f"{UNIT}/test_topic_audit.py::test_a_topic_that_lost_records_stops_the_table"),
            Sabotage("streaming/opening.py", "if known and set(topic.earliest) != known:", "if False:",
                     f"{UNIT}/test_topic_audit.py::test_a_topic_that_got_partitions_stops_the_table"),
            Sabotage("streaming/epoch.py", "if held + size > limit:", "if not parts:",
                     f"{UNIT}/test_cuts.py::test_a_slice_holds_no_more_than_the_limit_or_one_block"),
        ),
    ),
    11: Rule(
        "schemas are told apart by Postgres' numbers; what no event tells stops the table",
        ("tests/conformance/test_conformance.py::test_a_situation",),
        (
            Sabotage("streaming/evolution.py", "if old.oid and new.oid and old.oid != new.oid:", "if False:",
                     f"{UNIT}/test_evolution.py::test_a_table_made_again_stops"),
            Sabotage("streaming/evolution.py", "if known is None and _old_rows_have(column, old, new):", "if False:",
                     f"{UNIT}/test_evolution.py::test_an_added_column_whose_default_old_rows_have_too_stops_the_table"),
            Sabotage("streaming/evolution.py", "if known is None and column.attnum in names:", "if False:",
                     f"{UNIT}/test_evolution.py::test_a_renamed_column_stops_the_table"),
        ),
    ),
    12: Rule(
        "as of an LSN shows whole transactions, or says what it cannot know",
        (
            "tests/unit/test_lsn.py::test_a_fold_is_what_postgres_held_or_names_both_sides_of_what_it_cannot_know",
            "tests/integration/test_engines.py::test_as_of_a_commit_or_its_time_is_what_an_independent_decoder_tells",
        ),
        (
            Sabotage("catalog/lsn.py", "boundary=before or 0", "boundary=lsn", EVERY_LSN),
            Sabotage("catalog/lsn.py", "if facts.open_change is not None and facts.open_change < lsn:", "if False:",
                     EVERY_LSN),
        ),
    ),
    13: Rule(
        "a verification compares at one point: behind a barrier, events unseen by its snapshot undone",
        (
            "tests/integration/test_verify.py::test_changes_that_the_source_does_not_see_yet_are_undone",
            "tests/integration/test_verify.py::test_a_mirror_behind_its_topic_is_not_compared",
        ),
        (
            Sabotage("catalog/verification/coverage.py", "if position.next_offset(partition) < offset:", "if False:",
                     f"{UNIT}/test_topic_audit.py::test_a_mirror_behind_its_topic_is_not_compared"),
        ),
    ),
}  # fmt: skip


def run_without(sabotage: Sabotage, folder: Path) -> bool:
    """Whether the sabotage was noticed, in a copy of the code in `folder`."""
    file = folder / sabotage.file
    whole = file.read_text()
    assert whole.count(sabotage.text) == 1, f"{sabotage.file} does not hold it once: {sabotage.text}"
    file.write_text(whole.replace(sabotage.text, sabotage.instead))
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", sabotage.test]
        done = subprocess.run(
            command, cwd=folder, env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}, capture_output=True
        )
        return done.returncode == 1
    finally:
        file.write_text(whole)


def main(arguments: list[str]) -> None:
    """Take each rule out and say which test noticed."""
    on_stack, missed = "--stack" in arguments, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        shutil.copytree(PROJECT, folder, ignore=NOT_COPIED)
        for jars in JARS:
            (folder / jars).symlink_to((PROJECT / jars).resolve())
        for number, rule in RULES.items():
            for sabotage in [each for each in rule.without if each.test.startswith(UNIT) != on_stack]:
                noticed = run_without(sabotage, folder)
                missed += not noticed
                print(f"{number:2} {'noticed' if noticed else 'MISSED '}  {sabotage.test.removeprefix('tests/')}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
