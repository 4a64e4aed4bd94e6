"""Keys and rows are data: they lie encrypted wherever we put them, and no text that we make carries one."""

from __future__ import annotations

import json
import logging
import re
import traceback

import pytest

from migrator.engine import copy
from migrator.errors import MigratorError
from migrator.events import ChunkCopied, DdlDone, PhaseEnded, RunEnded, RunStarted, StepStarted
from tests.server.engine.kit import At, Crash, Lab, crash, ddl, each, phase
from tests.server.engine.test_rows import NUMBERS

KEY, VALUE = "canarykey", "canaryvalue"
DEFINITION = (
    "(k VARCHAR(40) PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(60), u VARCHAR(40), UNIQUE KEY u (u), UNIQUE KEY n (n))"
)
ROWS = f"SELECT CONCAT('{KEY}', n), 770000000000 + n, CONCAT('{VALUE}', n), CONCAT('{VALUE}u', n) FROM ({NUMBERS.format(1500)}) AS many"
CANARY = re.compile(
    "|".join([KEY, VALUE, r"(?<![0-9])77000000[0-9]{4}(?![0-9])", KEY.encode().hex(), VALUE.encode().hex()]),
    re.IGNORECASE,
)


def places_in_clear(lab: Lab) -> set[str]:
    """Tablespaces of the journal and of the schema that are not encrypted."""
    rows = lab.rows(
        "SELECT NAME FROM information_schema.INNODB_TABLESPACES WHERE ENCRYPTION <> 'Y' AND (NAME LIKE 'migrator/%%' OR NAME LIKE %s)",
        f"{lab.schema}/%",
    )
    return {str(n).partition("/")[2] for (n,) in rows}


def test_what_we_make_is_encrypted_from_its_birth(lab: Lab) -> None:
    """Journal, log and shadow are encrypted before anything is in them."""
    lab.table("t", DEFINITION, ROWS)
    in_clear: set[str] = set()

    def look() -> None:
        in_clear.update(places_in_clear(lab))

    ran = lab.apply(
        "t", at=[At(each(kind), look, 0) for kind in (RunStarted, StepStarted, DdlDone, PhaseEnded, RunEnded)]
    )
    ran.assert_outcome("done")
    # The shadow is like the source until the statement that follows; it has no row then.
    assert in_clear == {"t", "_t_retained", "step_1_shadow"}


def test_no_file_of_ours_has_a_row_in_clear(lab: Lab) -> None:
    """On disk a row can be read in the source's file, as ever, and in no file of ours."""
    if lab.server.server.datadir is None:
        pytest.skip("the server's files cannot be read from here")
    lab.table("t", DEFINITION, ROWS)

    def in_clear(*tables: str) -> set[str]:
        lab.run("SET GLOBAL innodb_max_dirty_pages_pct = 0", "SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0")
        found = set()
        for table in tables:
            schema, _, file = table.rpartition("/")
            lab.flush(f"`{schema}`.`{file}`")
            data = (lab.server.server.datadir / f"{table}.ibd").read_bytes()  # type: ignore[operator]
            found |= {file} if KEY.encode() in data else set()
        return found

    assert in_clear(f"{lab.schema}/t") == {"t"}
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("ADD UNIQUE"), crash)])
    lab.run("UPDATE t SET v = 'x' WHERE n % 7 = 0")
    ours = [f"{lab.schema}/_t_shadow", f"{lab.schema}/_t_log", "migrator/ranges", "migrator/steps"]
    assert lab.value("SELECT COUNT(*) FROM _t_log WHERE k1 LIKE %s", f"{KEY}%") > 200
    assert in_clear(*ours) == set()


def everything_said(lab: Lab, caplog: pytest.LogCaptureFixture, error: BaseException | None) -> str:
    """All texts of a run: events, log lines, the error with its traceback, the outcome."""
    said = [json.dumps(event.as_dict(), default=str) for event in lab.events]
    said += [record.getMessage() for record in caplog.records]
    said += [str(record.__dict__) for record in caplog.records]
    if error is not None:
        said += traceback.TracebackException.from_exception(error, capture_locals=False).format()
        said.append(repr(error))
        said.append(getattr(error, "remedy", ""))
    return "\n".join(said)


TROUBLES = {
    "none": "",
    "a duplicate in the shadow": f"INSERT INTO _t_shadow VALUES ('{KEY}999', 5, 'x', NULL)",
    "a duplicate unique value": f"UPDATE _t_shadow SET u = '{VALUE}u2' WHERE n = 770000000001",
    "a difference": "UPDATE _t_shadow SET v = 'other' WHERE n = 770000000500",
    "a check that fails": "ALTER TABLE _t_shadow ADD CHECK (n <> 770000000999)",
    "a column that is too short": "ALTER TABLE _t_shadow MODIFY v VARCHAR(3)",
    "a number out of range": "ALTER TABLE _t_shadow MODIFY n INT",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_text_carries_a_key_or_a_value(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Events, log lines of every level, errors and their tracebacks: names, counts and numbers of errors only."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(copy, "DUPLICATE_TRIES", 1)
    lab.table("t", DEFINITION, ROWS)
    when = phase("verify") if trouble == "a difference" else each(ChunkCopied)

    def cause() -> None:
        with lab.application("t") as app:
            app.write(
                f"UPDATE {{t}} SET k = '{KEY}moved' WHERE n = 770000000003", f"DELETE FROM {{t}} WHERE k = '{KEY}7'"
            )
        if TROUBLES[trouble]:
            lab.force(TROUBLES[trouble])

    error: BaseException | None = None
    message = ""
    try:
        step = lab.apply("t", at=[At(when, cause, 1)], defaults=lab.alone).step
        message = f"{step.message} {step.remedy}"
        # Where a unique value is twice in the copy, it is made anew.
        assert (step.outcome == "done") is (trouble in {"none", "a duplicate unique value"}), message
    except MigratorError as raised:
        error = raised
    said = everything_said(lab, caplog, error) + message
    assert "ChunkCopied" in said
    assert "INSERT INTO" in said, "no log line of a statement was caught"
    leak = CANARY.search(said)
    assert leak is None, said[max(0, leak.start() - 300) : leak.end() + 100]
