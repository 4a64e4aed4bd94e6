"""Every kind of statement that a run sends, and a connection that is cut right before it or right after it."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from typing import Final

import pytest

from migrator.errors import MigratorError
from migrator.events import ChunkCopied
from migrator.sql_errors import SqlError
from tests.proxy import Proxy
from tests.server.engine.kit import WEIRD, At, Lab, each, phase
from tests.server.engine.test_rows import BY_NUMBER, everything_of
from tests.server.faults.scene import through

FEWEST_KINDS: Final = 120
"""Of one run; so many were met at least when this was written."""


class CutEachKind(Proxy):
    """Cuts the connection at the first statement of each kind: its text without numbers, strings and places."""

    def __init__(self, host: str, port: int, *, executed: bool) -> None:
        super().__init__(host, port)
        self.kinds: set[str] = set()
        self._executed = executed
        self._kinds_lock = threading.Lock()

    def _is_it(self, data: bytes) -> bool:
        if data[4:5] != b"\x03":  # COM_QUERY
            return False
        text = re.sub(
            r"'(?:[^'\\]|\\.)*'|\b\d+(?:\.\d+)?(?:e-?\d+)?\b|\b[0-9a-f]{12}\b", "?", data[5:].decode("utf-8", "replace")
        )
        kind = re.sub(r"\?(?:, ?\?)+", "?", text)[:160]
        with self._kinds_lock:
            if kind in self.kinds:
                return False
            self.kinds.add(kind)
            self.cuts += 1
            return True


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
def test_each_kind_of_statement_is_cut(lab: Lab, *, executed: bool) -> None:
    """Again and again, once at each kind of statement: every run goes on from there, and no row is lost."""
    lab.table(WEIRD, *BY_NUMBER)
    plan, everything = lab.plan(WEIRD), everything_of(BY_NUMBER[0])
    to, runs = lab.server.server, 0
    proxy = CutEachKind(to.host, to.port, executed=executed)
    with proxy, lab.application(WEIRD) as app:
        write = [At(each(ChunkCopied), lambda: everything(app)), At(phase("verify"), lambda: everything(app))]
        while True:
            runs += 1
            assert runs < 500, "it never finishes"
            try:
                with closing(through(lab, proxy)) as first:
                    ran = lab.apply(plan=plan, session=first, at=write)
            except (SqlError, MigratorError) as error:  # cut before a step has begun, or at the very end
                assert not isinstance(error, MigratorError) or error.exit_code in {3, 75}, error
                continue
            if ran.outcome.exit_code == 0:
                break
            assert ran.outcome.exit_code in {3, 75}, ran.outcome
    assert len(proxy.kinds) > FEWEST_KINDS, sorted(proxy.kinds)
    lab.assert_done(WEIRD)
