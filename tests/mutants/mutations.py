"""What is broken, and which tests have to notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ENGINE: Final = "tests/server/engine"


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands in `file` exactly once and becomes `new`; then one of `tests` has to fail."""

    invariant: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _in(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{_ENGINE}/{module}.py::{name}" for name in names) or (f"{_ENGINE}/{module}.py",)


def _of(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/server/methods/{module}.py::{name}" for name in names)


def _fault(module: str, *cells: str) -> tuple[str, ...]:
    return tuple(f"tests/server/faults/test_{module}.py::test_fault[{cell}]" for cell in cells)


def _relay(*cells: str) -> tuple[str, ...]:
    return tuple(f"tests/server/faults/test_relays.py::test_fault[relay: {cell}]" for cell in cells)


def _topology(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/server/topology/{module}.py::{name}" for name in names)


MUTATIONS: Final = (
    Mutation(
        "1, 4: only keys in copied ranges are drained",
        "migrator/engine/drain.py",
        "ready = [int(seq) for seq, waits in entries if not waits]",
        "ready = [int(seq) for seq, _ in entries]",
        _in("test_rows"),
    ),
    Mutation(
        "1, 3: parked tables are drained and bounded",
        "migrator/engine/parked.py",
        "                    _in_turn(tender, session, step, works, over)",
        "                    str(step)",
        _in("test_parked"),
    ),
    Mutation(
        "1: what has changed is brought",
        "migrator/engine/drain.py",
        "    session.run_exact(drain_insert(",
        "    str(drain_insert(",
        _in("test_rows"),
    ),
    Mutation(
        "1: an update logs the new key, too",
        "migrator/sql/triggers.py",
        '"UPDATE": f"{old} IF NOT ({_key_kept(names)}) THEN {new} END IF;"',
        '"UPDATE": old',
        _in("test_rows"),
    ),
    Mutation(
        "1, 8: a change that could not be mirrored stops the swap",
        "migrator/engine/swap.py",
        "        check_marks(work, held.session)",
        "        str(held)",
        _in("test_source_changes", "test_what_cannot_be_mirrored_is_marked"),
    ),
    Mutation(
        "3: what cannot be mirrored is no error of the application",
        "migrator/sql/triggers.py",
        '    return _create(table.name, "mirror", event, f"BEGIN {otherwise} ',
        '    return _create(table.name, "mirror", event, f"BEGIN ',
        _in("test_source_changes", "test_what_cannot_be_mirrored_is_marked"),
    ),
    Mutation(
        "3: a log that somebody dropped is no error of the application",
        "migrator/sql/triggers.py",
        '"log", event, f"BEGIN {_IF_GONE} ',
        '"log", event, f"BEGIN ',
        _in("test_source_changes", "test_a_log_that_is_gone"),
    ),
    Mutation(
        "1: the log is empty before the mirror begins",
        "migrator/engine/mirror.py",
        "        bring_all(work, held.session, entries, once=lambda do: do(held.session))\n",
        "        pass\n",
        _in("test_rows"),
    ),
    Mutation(
        "3: nobody waits for another's entry in the log",
        "migrator/engine/shadow.py",
        "[create_log(name, work.key_columns), fence_log(name)]",
        "[create_log(name, work.key_columns)]",
        _in("test_application", "test_one_who_goes_back_to_a_savepoint_holds_up_nobody"),
    ),
    Mutation(
        "1: a key with an impossible date is a place like others",
        "migrator/db.py",
        "NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES",
        "NO_ENGINE_SUBSTITUTION",
        _in("test_keys", "test_a_key_of_many_chunks"),
    ),
    Mutation(
        "1: rows are compared after a conversion",
        "migrator/engine/convert.py",
        "    if session.row(digest(work.table)) != rows:",
        "    if session.row(digest(work.table)) is None:",
        _of("test_convert", "test_a_difference_afterwards_is_told"),
    ),
    Mutation(
        "2: a definition that a conversion would change is seen on a twin",
        "migrator/engine/convert.py",
        "    _try_on_a_twin(work)\n",
        "",
        _of("test_convert", "test_an_index_that_the_server_would_cut"),
    ),
    Mutation(
        "2: functional indexes stay in their places",
        "migrator/sql/table.py",
        "    alone = len(functional) == 1 and",
        "    alone = bool(functional) and",
        _in("test_definition", "test_the_definition_stays"),
    ),
    Mutation(
        "2: AUTO_INCREMENT goes on where it was",
        "migrator/engine/mirror.py",
        "    carry_auto_increment(work, held)\n    mirror, logs",
        "    mirror, logs",
        _in("test_definition", "test_a_table_that_was_empty_keeps_its_counter"),
    ),
    Mutation(
        "2: deferred indexes leave the definition as it was",
        "migrator/sql/table.py",
        "    listed = [keys[name] for name in parse_definition(create_table).indexes if name in keys]\n",
        "    listed = sorted(table.keys, key=lambda key: key.name)\n",
        _in("test_definition", "test_the_definition_stays"),
    ),
    Mutation(
        "5: a chunk and its cursor are one transaction",
        "migrator/engine/copy.py",
        "    work.journal.advance(session, work.step_id, no,",
        '    session.run("COMMIT")\n    work.journal.advance(session, work.step_id, no,',
        _in("test_crash", "test_a_chunk_and_its_cursor_are_one", "test_a_chunk_is_never_half_there"),
    ),
    Mutation(
        "6: a table is ours by proof, not by its name",
        "migrator/engine/objects.py",
        '        if there != owned.proof and not (owned.state == "intended" and name.schema == journal.schema):\n',
        "        if False:\n",
        _in("test_names", "test_a_shadow_that_was_replaced_is_not_dropped"),
    ),
    Mutation(
        "6: a trigger is ours by proof, not by its name",
        "migrator/engine/objects.py",
        "        if name in there and (mine is None or not is_our_trigger(mine, there[name])):\n",
        "        if False:\n",
        _in("test_names", "test_a_trigger_of_somebody_else_with_our_name"),
    ),
    Mutation(
        "7: the swap waits for transactions that are older than the copy",
        "migrator/engine/swap.py",
        'if who := wait_out_older(work, "waiting for transactions that are older than the copy"):',
        'if who := "":',
        _in("test_swap", "test_the_swap_waits_for_an_old_snapshot"),
    ),
    Mutation(
        "7: a transaction is known by its session and beginning, not by its changing number",
        "migrator/engine/older.py",
        "{(one.session_id, one.started) for one",
        "{(one.session_id, one.id) for one",
        _in("test_swap", "test_a_transaction_that_writes_across_the_end_of_the_wait_is_still_an_old_one"),
    ),
    Mutation(
        "7, 9: looked at once more while both tables are held",
        "migrator/engine/swap.py",
        '        check_source(work, triggers="mirror")\n        check_marks(work, held.session)',
        "        check_marks(work, held.session)",
        _in("test_source_changes"),
    ),
    Mutation(
        "rollback: the triggers are turned round while both tables are held",
        "migrator/engine/swap.py",
        "        turn_round(held)\n",
        "    turn_round(held)\n",
        _of("test_rollback", "test_the_moments_of_the_swap_are_one"),
    ),
    Mutation(
        "rollback: with one back trigger missing there is a gap",
        "migrator/engine/back.py",
        "    if all(there.values()):\n        note_triggers",
        "    if any(there.values()):\n        note_triggers",
        _of("test_rollback", "test_a_gap_is_no_rollback"),
    ),
    Mutation(
        "rollback: a change that cannot be made is marked, and fails no write",
        "migrator/sql/triggers.py",
        "SQLWARNING BEGIN {_IF_GONE} {_mark(log)} END;",
        "SQLWARNING BEGIN END;",
        _of("test_rollback", "test_a_change_that_is_made_while_the_tables_are_being_locked_is_seen"),
    ),
    Mutation(
        "rollback: looked at once more while both tables are held",
        "migrator/engine/rollback.py",
        "        _check(pair, held.session)\n",
        "",
        _of("test_rollback", "test_a_change_that_is_made_while_the_tables_are_being_locked_is_seen"),
    ),
    Mutation(
        "rollback: every row is compared",
        "migrator/engine/rollback.py",
        "        rows = compare_rows(pair)\n",
        "        rows = 0\n",
        _of("test_rollback", "test_what_a_person_does_ends_the_rollback_and_no_write_fails"),
    ),
    Mutation(
        "rollback: a wait for a lock while triggers are turned round is told",
        "migrator/engine/back.py",
        "    except (SqlError, GivenBack) as error:\n",
        "    except SqlError as error:\n",
        _of("test_rollback", "test_a_backup_lock_while_triggers_are_turned_round"),
    ),
    Mutation(
        "rollback: nothing is dropped that was not compared",
        "migrator/engine/rollback.py",
        "    if step.phase == ROLLBACK:\n",
        "    if step.phase:\n",
        _of("test_rollback", "test_a_person_renames_both_tables_back"),
    ),
    Mutation(
        "rollback: without the old table the triggers go",
        "migrator/engine/rollback.py",
        "    return bool(over) or table_proof(session, retained_of(step.table)) is None\n",
        "    return bool(over)\n",
        _of("test_rollback", "test_without_the_old_table_the_triggers_go_before_their_time"),
    ),
    Mutation(
        "rollback: what became of the RENAME is looked up",
        "migrator/engine/rollback.py",
        "        if not gone_back(work.session, work.step()):\n",
        "        if error.link_lost:\n",
        ("tests/server/faults/test_rollback.py::test_an_answer_that_never_comes_is_looked_up",),
    ),
    Mutation(
        "3, 7: a request that has to wait is taken back within milliseconds",
        "migrator/engine/moment.py",
        '        if state is not None and str(state).startswith("Waiting for") and str(state).endswith("lock"):\n',
        "        if state is None:\n",
        _in("test_swap", "test_a_reader_in_an_open_transaction_is_waited_for_while_others_work"),
    ),
    Mutation(
        "8: a warning on the copy is an error",
        "migrator/engine/copy.py",
        "        left -= session.run_exact(copy_part(",
        "        left -= session.run(copy_part(",
        _in("test_verify", "test_a_warning_on_copy_is_an_error"),
    ),
    Mutation(
        "8: an error of one range is the end of the copy",
        "migrator/engine/work.py",
        "            errors.append(error)",
        "            str(error)",
        _in("test_verify", "test_a_copy_that_failed_in_one_range_is_not_taken_for_done"),
    ),
    Mutation(
        "8: rows are compared byte by byte",
        "migrator/sql/copy.py",
        "{left} <=> {right} COLLATE utf8mb4_0900_bin",
        "{left} <=> {right}",
        _in("test_verify", "test_a_planted_difference_is_found"),
    ),
    Mutation(
        "8: and in character sets whose collation pads",
        "migrator/sql/copy.py",
        "{left} <=> {right} COLLATE {column.charset}_bin AND",
        "{left} <=> {right} AND",
        _in("test_compare", "test_a_text_with_other_bytes_is_another_text"),
    ),
    Mutation(
        "8: blanks at the end count",
        "migrator/sql/copy.py",
        " AND LENGTH({left}) <=> LENGTH({right})",
        "",
        _in("test_compare", "test_a_text_with_other_bytes_is_another_text"),
    ),
    Mutation(
        "8: rows of other character sets are compared byte by byte",
        "migrator/sql/copy.py",
        """        return f"CAST({name} AS BINARY)"
    if column.data_type == "json":""",
        """        return name
    if column.data_type == "json":""",
        _in("test_compare", "test_a_text_with_other_bytes_is_another_text"),
    ),
    Mutation(
        "8: equal counts are not enough",
        "migrator/engine/verify.py",
        "        if not source == shadow == equal:",
        "        if source != shadow:",
        _in("test_verify", "test_a_planted_difference_is_found"),
    ),
    Mutation(
        "9: a changed source, a lost trigger voids the copy",
        "migrator/engine/watch.py",
        "    asked = session or work.session\n",
        "    asked = session or work.session\n    if asked:\n        return\n",
        _in("test_source_changes"),
    ),
    Mutation(
        "9: a foreign key that our account may not see is noticed",
        "migrator/engine/watch.py",
        "    if child := child_of(asked, work.table.name):\n",
        '    if child := "":\n',
        _in("test_added", "test_a_foreign_key_that_our_account_may_not_see_ends_the_step"),
    ),
    Mutation(
        "9: a table is done as it was reviewed",
        "migrator/engine/steps.py",
        "        _as_reviewed(step, table)\n",
        "",
        _in("test_added", "test_a_table_that_is_altered_before_its_turn_is_not_done"),
    ),
    Mutation(
        "1: a TIMESTAMP is mirrored as an instant",
        "migrator/sql/triggers.py",
        '    if column.data_type != "timestamp":\n',
        "    if True:\n",
        _in("test_time_zones"),
    ),
    Mutation(
        "10: a run is found from every client host",
        "migrator/engine/lease.py",
        "FROM performance_schema.session_connect_attrs",
        "FROM performance_schema.session_account_connect_attrs",
        _in("test_control", "test_a_run_that_lives_is_found_from_another_client_host"),
    ),
    Mutation(
        "10: every connection reaches the same server",
        "migrator/db.py",
        "        if self.server_uuid and uuid != self.server_uuid:\n",
        "        if False:\n",
        _in("test_link", "test_another_server_behind_the_same_address_is_refused"),
    ),
    Mutation(
        "10: a run that has lost its lease changes nothing more",
        "migrator/engine/lease.py",
        "        if token is None or int(token) != self._token:\n",
        "        if False:\n",
        _in("test_control", "test_a_run_that_slept_past_its_lease_changes_nothing_more"),
    ),
    Mutation(
        "11: the log is encrypted, its keys are data",
        "migrator/sql/table.py",
        """ENGINE = InnoDB TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y'\"""",
        """ENGINE = InnoDB TABLESPACE = innodb_file_per_table ENCRYPTION = 'N'\"""",
        _in("test_secrets"),
    ),
    Mutation(
        "11: no error text carries a value",
        "migrator/sql_errors.py",
        """        return "Duplicate entry for key " + text.rsplit("for key ", 1)[-1]""",
        """        return text""",
        (*_in("test_secrets"), "tests/unit"),
    ),
    Mutation(
        "12: a place in a FLOAT key is exact",
        "migrator/sql/keys.py",
        'return f"({name} + 0e0)"',
        'return f"CAST({name} + 0e0 AS CHAR)"',
        _in("test_keys", "test_a_key_of_many_chunks"),
    ),
    Mutation(
        "12: names are quoted, backticks in them doubled",
        "migrator/sql/names.py",
        """identifier.replace("`", "``").replace("%", "%%")""",
        """identifier.replace("%", "%%")""",
        (*_in("test_keys", "test_names_are_quoted_where_they_are_columns_too"), "tests/unit"),
    ),
    Mutation(
        "12: per cent signs in names reach the server as they are",
        "migrator/sql/names.py",
        """identifier.replace("`", "``").replace("%", "%%")""",
        """identifier.replace("`", "``")""",
        (*_in("test_keys", "test_names_are_quoted_where_they_are_columns_too"), "tests/unit"),
    ),
    Mutation(
        "13: a chunk costs what it copies",
        "migrator/sql/keys.py",
        """    if part.column.data_type == "enum" and (members := enum_members(part.column.type)):""",
        """    if part.column.data_type == "none" and (members := enum_members(part.column.type)):""",
        _in("test_keys", "test_a_chunk_reads_what_it_copies"),
    ),
    Mutation(
        "13: a chunk is walked by its key, whatever the statistics are",
        "migrator/sql/copy.py",
        """f" FORCE INDEX ({quote(key_name)}) WHERE {part.text} ORDER BY {order(key)} LIMIT {int(rows_at_most)}",""",
        """f" WHERE {part.text} ORDER BY {order(key)} LIMIT {int(rows_at_most)}",""",
        _in("test_keys", "test_a_chunk_reads_what_it_copies_where_statistics_lie"),
    ),
    Mutation(
        "13: no row comes to the process",
        "migrator/engine/copy.py",
        "    left, place = rows_at_most, None\n",
        "    left, place = rows_at_most, None\n"
        '    session.rows(f"SELECT * FROM `{work.table.name.schema}`.`{work.table.name.name}`")\n',
        ("tests/server/cli/test_main_job.py::test_memory_stays_flat",),
    ),
    Mutation(
        "a paused run copies nothing",
        "migrator/engine/work.py",
        "            if not why or (ending is not None and ending.is_set()):\n",
        "            if True:\n",
        _in("test_control", "test_a_paused_run_drains_and_goes_on"),
    ),
    Mutation(
        "the log stays within its bound",
        "migrator/engine/drain.py",
        "    if entries > work.limits.log_max_entries or used > work.limits.log_max_bytes:\n",
        "    if entries < 0:\n",
        _in("test_control", "test_a_log_that_grows_beyond_its_bound_is_given_up"),
    ),
    Mutation(
        "7, 9: an altered shadow is not swapped",
        "migrator/engine/watch.py",
        "    if wanted != found:\n",
        "    if not wanted:\n",
        _fault("persons", "shadow altered-swap"),
    ),
    Mutation(
        "9: a shadow that is gone takes our triggers with it",
        "migrator/engine/swap.py",
        "    if name == step.source_ids:\n",
        "    if name == old:\n",
        _fault("persons", "shadow dropped-swap"),
    ),
    Mutation(
        "5: ranges that nobody has written are not believed",
        "migrator/engine/journal_ranges.py",
        "            if one.no != no or one.low != before or unproved:\n",
        "            if one.no > 10**9:\n",
        _fault("journals", "ranges called compared-copy"),
    ),
    Mutation(
        "5: a gap between ranges is noticed",
        "migrator/engine/journal_ranges.py",
        "            if one.no != no or one.low != before or unproved:\n",
        "            if unproved:\n",
        _fault("journals", "ranges deleted-copy"),
    ),
    Mutation(
        "relay: nothing but the tablespace changes in a leg",
        "migrator/engine/relay.py",
        "    if not before.same_as(_shape(work)):\n",
        "    if False:\n",
        _of("test_relay", "test_somebody_changes_the_table_within_a_leg"),
    ),
    Mutation(
        "relay: the definition is what it was when the step began",
        "migrator/engine/relay.py",
        "    if not same:\n",
        "    if False:\n",
        _of("test_relay", "test_a_definition_that_is_not_what_it_was"),
    ),
    Mutation(
        "relay: a tablespace is ours by proof, not by its name",
        "migrator/engine/relay.py",
        '            if owned.state == "made" and there != owned.proof:\n',
        "            if False:\n",
        _relay("tablespace replaced-settle"),
    ),
    Mutation(
        "relay: the journal knows the tablespace before it is made",
        "migrator/engine/relay.py",
        "    if not owned:\n        work.journal.intend(work.session, work.step_id, KIND, name)\n"
        "    there = _proof(work.session, name.name)\n"
        "    if there is None:\n"
        "        work.ddl(say.create_space(name.name))\n",
        "    there = _proof(work.session, name.name)\n"
        "    if there is None:\n"
        "        work.ddl(say.create_space(name.name))\n"
        "    if not owned:\n        work.journal.intend(work.session, work.step_id, KIND, name)\n",
        _of("test_relay", "test_a_relay_that_is_abandoned"),
    ),
    Mutation(
        "relay: transactions that are older than a move are waited for",
        "migrator/engine/relay.py",
        'if who := wait_out_older(work, "waiting for transactions that would be older than the moved table"):',
        'if who := "":',
        _of("test_relay", "test_a_transaction_that_is_older_is_waited_for"),
    ),
    Mutation(
        "relay: a table in a tablespace of somebody else is not gone on with",
        "migrator/engine/relay.py",
        "        if segment.tablespace not in inside:\n",
        "        if False:\n",
        _of("test_relay", "test_a_table_that_somebody_moved_into_a_tablespace_of_theirs"),
    ),
    Mutation(
        "relay: what an abandoned relay has moved comes home",
        "migrator/engine/relay.py",
        "    elif where is Place.INSIDE:\n",
        "    elif where is None:\n",
        _of("test_relay", "test_a_relay_that_is_abandoned"),
    ),
    Mutation(
        "relay: a new plan goes on with what lies in our tablespace",
        "migrator/planner/relay.py",
        "    if not any(around.relays.get(s.tablespace) == table.name for s in table.segments):\n",
        "    if table.segments:\n",
        _of("test_relay", "test_a_new_plan_goes_on_with_a_relay"),
    ),
    Mutation(
        "relay: the statement of a dead run is ended before anything is looked at",
        "migrator/engine/apply.py",
        "    _end_what_a_dead_run_left(session, journal, clock, options)\n",
        "    pass\n",
        tuple(f"tests/server/faults/test_relays.py::test_kill_9[{leg}]" for leg in ("move-in", "encrypt", "move-out")),
    ),
    Mutation(
        "relay: a duplicate that the application met begins a move anew",
        "migrator/engine/online.py",
        "            if error.number != _DUPLICATE:\n",
        "            if error.number:\n",
        _of("test_relay", "test_a_duplicate_during_a_move"),
    ),
    Mutation(
        "relay: a lock that does not come is given up at the end of a move",
        "migrator/engine/online.py",
        "            elif self._at_work and waited >= self._end_patience:\n",
        "            elif self._at_work and waited >= NEVER:\n",
        _of("test_relay", "test_the_end_of_a_move_waits_for_nobody_for_long"),
    ),
    Mutation(
        "the switch: the log is drained while a free instant is waited for",
        "migrator/engine/moment.py",
        "            meanwhile()\n",
        "",
        _in("test_swap", "test_the_log_is_drained_while_an_instant_is_waited_for"),
    ),
    Mutation(
        "moments: nobody who has read is risked while free instants are hoped for",
        "migrator/engine/moment.py",
        "    readers = int(waited / A_READER_MORE_AFTER_SECONDS)\n",
        "    readers = 1\n",
        _in("test_moments", "test_nobody_who_has_read_is_risked_before"),
    ),
    Mutation(
        "windows: a copy stops at the end of its window",
        "migrator/engine/work.py",
        "        self.bounds.check()\n",
        "",
        _in("test_windows", "test_a_copy_stops_at_the_end_and_goes_on_in_the_next"),
    ),
    Mutation(
        "windows: no moment begins that could outlast the window",
        "migrator/engine/moment.py",
        "            work.bounds.check(needed_seconds=MOMENT_SECONDS)\n",
        "",
        _in("test_windows", "test_no_moment_begins_that_could_outlast_the_window"),
    ),
    Mutation(
        "windows: a call between windows drains",
        "migrator/engine/apply.py",
        "            tend_once(tender, stop)\n",
        "",
        _in("test_windows", "test_a_log_at_its_bound_is_given_up_between_windows"),
    ),
    Mutation(
        "7: who asks while older transactions are waited for waits for those of his own time",
        "migrator/engine/sessions.py",
        "            wanted = self._begun + 1\n",
        "            wanted = self._begun\n",
        ("tests/unit/test_lanes.py::test_who_asks_during_a_round_gets_the_next_one",),
    ),
    Mutation(
        "small tables: no wait of one is an older transaction to another",
        "migrator/engine/older.py",
        "    who = work.sessions.rounds.one(lambda: _wait(work, reason))\n",
        "    who = _wait(work, reason)\n",
        _in("test_lanes", "test_all_of_them_wait_for_one_older_transaction"),
    ),
    Mutation(
        "one moment: every row is compared under the lock",
        "migrator/engine/verify.py",
        "    return source if source == shadow == equal else None",
        "    return source",
        _in("test_one_moment", "test_a_copy_that_is_not_the_table_is_not_swapped_in"),
    ),
    Mutation(
        "one moment: what was changed and changed back counts, and so do triggers and children",
        "migrator/engine/one_moment.py",
        "        and not _changed_since(work, copy.began)\n",
        "",
        _in("test_one_moment", "test_who_began_between_a_change_and_its_taking_back_reads_what_was_true_then"),
    ),
    Mutation(
        "one moment: the copy's definition is the table's",
        "migrator/engine/one_moment.py",
        "comparable(show_create(session, work.shadow), work.shadow.name) == ",
        "",
        _in("test_one_moment", "test_a_definition_that_is_changed_while_the_copy_waits"),
    ),
    Mutation(
        "one moment, 7: the swap waits for transactions that are older than the copy",
        "migrator/engine/one_moment.py",
        "    wait_until_it_may(work)\n",
        "",
        _in("test_one_moment", "test_the_swap_waits_for_an_old_snapshot"),
    ),
    Mutation(
        "unique indexes: where they cannot be built, they are there from the start",
        "migrator/engine/shadow.py",
        "unique_too=unique_too)",
        "unique_too=True)",
        _in("test_rows", "test_a_unique_index_that_always_meets_a_value_twice_is_there_from_the_start"),
    ),
    Mutation(
        "one moment: rows are counted",
        "migrator/engine/one_moment.py",
        "    if rows > MOST_ROWS_IN_ONE_MOMENT or ",
        "    if ",
        _in("test_one_moment", "test_the_number_of_rows_is_counted_not_believed"),
    ),
    Mutation(
        "one moment: the counter is carried",
        "migrator/engine/one_moment.py",
        "            if counter is not None and counter != copy.counter:\n",
        "            if counter is None:\n",
        _in("test_one_moment", "test_a_number_that_was_given_while_the_copy_waits_is_not_given_again"),
    ),
    Mutation(
        "one moment: a copy that was begun with triggers goes on with them",
        "migrator/engine/one_moment.py",
        "    if any(one.name != small.shadow and",
        "    if any(one is None and",
        _in("test_one_moment", "test_a_copy_with_triggers_is_not_begun_anew"),
    ),
    Mutation(
        "7: a transaction that performance_schema does not know of is seen",
        "migrator/inventory/transactions.py",
        "            WHERE trx_mysql_thread_id <> 0 AND trx_mysql_thread_id NOT IN ({ours}))",
        "            WHERE trx_mysql_thread_id <> 0 AND trx_mysql_thread_id NOT IN ({ours}) AND FALSE)",
        ("tests/server/test_inventory_transactions.py::test_a_transaction_that_began_before_the_server_looked",),
    ),
    Mutation(
        "7: a session that is not watched could be in a transaction",
        "migrator/inventory/transactions.py",
        "(e.STATE = 'ACTIVE' OR (t.INSTRUMENTED = 'NO' AND t.PROCESSLIST_ID IS NOT NULL))",
        "e.STATE = 'ACTIVE'",
        ("tests/server/test_inventory_transactions.py::test_a_session_that_is_not_watched",),
    ),
    Mutation(
        "7: a server that does not watch transactions does not say that there are none",
        "migrator/inventory/transactions.py",
        "'events_transactions_current')) = 3",
        "'events_transactions_current')) >= 0",
        ("tests/server/test_inventory_transactions.py::test_a_server_that_does_not_look_says_nothing",),
    ),
    Mutation(
        "workers: no more at a time than there are places",
        "migrator/engine/slots.py",
        "            while self._taken >= min(self.now, self._cap):\n",
        "            while False:\n",
        ("tests/unit/test_slots.py",),
    ),
    Mutation(
        "workers: they fall while others are busy",
        "migrator/engine/load.py",
        "        if self.mean > self._busy and enough:\n",
        "        if self.mean < 0:\n",
        _in("test_load", "test_workers_fall_within_five_seconds_and_return"),
    ),
    Mutation(
        "small tables: facts that were read in advance are believed only while they are true",
        "migrator/engine/facts.py",
        "if known is not None and (known.proof, known.definition) == look and",
        "if known is not None and",
        _in("test_lanes", "test_a_table_that_is_altered_before_its_turn"),
    ),
    Mutation(
        "one moment: a swapped table is known by the journal's note of its old one",
        "migrator/engine/one_moment.py",
        ' and one.kind != "retained" for one in owned):',
        " for one in owned):",
        _in("test_one_moment", "test_a_run_that_dies_between_its_notes"),
    ),
    Mutation(
        "one moment: what an attempt in vain has left is forgotten",
        "migrator/engine/one_moment.py",
        '    work.journal.set_step(work.session, work.step_id, shadow_ids="")\n',
        "",
        _in("test_one_moment", "test_a_source_that_is_truncated_after_an_attempt_in_vain"),
    ),
    Mutation(
        "one moment: a pause holds",
        "migrator/engine/one_moment.py",
        "    work.checkpoint()\n",
        "",
        _in("test_one_moment", "test_a_paused_run_begins_no_small_table"),
    ),
    Mutation(
        "failover: what was compared is compared again",
        "migrator/engine/failover.py",
        "    if one.compare_again:\n",
        "    if False:\n",
        _topology("test_failover", "test_a_row_that_differs_after_a_failover_is_found"),
    ),
    Mutation(
        "failover: what is ours is told by this server's ids",
        "migrator/engine/failover.py",
        "        journal.made(session, owned.kind, owned.name, proof)\n",
        "        pass\n",
        _topology("test_failover", "test_the_source_dies[third chunk]"),
    ),
    Mutation(
        "failover: a trigger with another text is not ours",
        "migrator/planner/failover.py",
        "before[1:] == now[1:]",
        "before[:0] == now[:0]",
        _topology("test_failover", "test_what_is_not_as_the_journal_says_is_left"),
    ),
    Mutation(
        "failover: a RENAME that came is known by the names",
        "migrator/planner/failover.py",
        "    return retained and not shadow\n",
        "    return False\n",
        _topology("test_failover", "test_the_source_dies[after the RENAME]"),
    ),
    Mutation(
        "groups: a key is in one part of the drain only",
        "migrator/engine/parts.py",
        "    keys = [int(row[0]) for row in session.rows(one_of_each_key(log, columns, entries))]\n",
        "    keys = list(entries)\n",
        _topology("test_group", "test_a_limit_of_transactions"),
    ),
)
