"""Evidence: what the journal, the catalog, the keyring and the files say, put together. Reads only."""

from __future__ import annotations

import json
import socket
from collections import Counter
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from migrator.db import Row, Session
from migrator.engine.extent import extent_noted, extent_of
from migrator.engine.journal import Journal
from migrator.engine.ours import Ours, read_ours
from migrator.engine.verify_state import ENDED, proofs_of
from migrator.errors import MissingPrivilege, OwnerUnknown
from migrator.inventory.binlogs import read_binary_logs
from migrator.inventory.files import read_master_keys
from migrator.model import Inventory, Method, Table
from migrator.planner.around import Around, look_around, real_bytes
from migrator.planner.methods import choose
from migrator.planner.plan import Policy, Scope
from migrator.report.evidence import (
    AttestedEvidence,
    Evidence,
    FailoverEvidence,
    KeyringEvidence,
    KeyRotation,
    MasterKey,
    NotDone,
    ObjectNow,
    ProgressSample,
    RunEvidence,
    StepEvidence,
)
from migrator.report.files import FilesReport
from migrator.report.residual import residuals_of
from migrator.report.values import Proof, server_id
from migrator.sql.names import quote

_FAILOVER: Final = "failover_from"

State = Literal["none", "read", "unreadable"]


def read_evidence(
    session: Session,
    scope: Scope,
    inventory: Inventory,
    files: FilesReport | None,
    *,
    narrowed_to: str = "",
    journal: Journal | None = None,
) -> Evidence:
    """All of it, with what was read of the files where somebody asked for that. Locks nothing.

    Where there is no journal, or none that this account may read, the state of the server is told without it.
    """
    journal = journal or Journal()
    state, says = _look_for(session, journal)
    noted = _Noted(session, journal) if state == "read" else None
    steps = noted.steps() if noted else ()
    not_done = noted.not_done() if noted else ()
    logs = read_binary_logs(session)
    proofs = proofs_of(inventory, scope, journal.steps(session, states=ENDED) if noted else ())
    ours = read_ours(session, journal) if noted else Ours()
    around = look_around(inventory, owned=ours.owned, retained=ours.retained, relays=ours.relays)
    return Evidence(
        server=server_id(inventory.server),
        read_at=inventory.read_at,
        account=inventory.server.account,
        host=socket.gethostname(),
        narrowed_to=narrowed_to,
        journal=state,
        journal_says=says,
        runs=noted.runs() if noted else (),
        attestations=noted.attestations() if noted else (),
        failovers=noted.failovers() if noted else (),
        now=extent_of(inventory),
        steps=steps,
        not_done=not_done,
        objects=_objects(inventory, proofs, files, not_done, around),
        files=files,
        progress=noted.progress() if noted else (),
        residuals=residuals_of(
            inventory,
            steps,
            binlogs=(logs.files, logs.bytes, logs.clear_files, logs.clear_bytes) if logs else None,
            files=files,
        ),
        keyring=_keyring(session, inventory, files),
        rotations=noted.rotations() if noted else (),
    )


def _look_for(session: Session, journal: Journal) -> tuple[State, str]:
    """Whether there is a journal to be read, and if not, why."""
    try:
        if journal.exists(session):
            return "read", ""
    except (MissingPrivilege, OwnerUnknown) as error:
        return "unreadable", error.message
    return "none", "there is no journal on this server"


# -- the journal ------------------------------------------------------------------------------


class _Noted:
    """What the journal has for an auditor. One statement each, no locks."""

    def __init__(self, session: Session, journal: Journal) -> None:
        self._journal, self._session, self._at = journal, session, quote(journal.schema)
        self._runs = self._rows(
            f"SELECT id, plan_hash, tool_version, account, host, pid, {_at('started_at')}, {_at('ended_at')},"
            " exit_code, found, attested FROM {at}.runs ORDER BY runs.started_at, id"
        )

    def _rows(self, text: str) -> list[Row]:
        return self._session.rows(text.replace("{at}", self._at))

    def runs(self) -> tuple[RunEvidence, ...]:
        """Those that did something; a failover is noted as a run, too, and is told apart from them."""
        return tuple(
            RunEvidence(
                run_id=row[0],
                plan_hash=row[1],
                tool_version=row[2],
                account=row[3],
                host=row[4],
                pid=int(row[5]),
                started_at=row[6],
                ended_at=row[7] or "",
                exit_code=None if row[8] is None else int(row[8]),
                found=extent_noted(row[9]),
            )
            for row in self._runs
            if _FAILOVER not in _said(row[10])
        )

    def attestations(self) -> tuple[AttestedEvidence, ...]:
        """Each once, with the first run that had it."""
        found: dict[tuple[str, ...], AttestedEvidence] = {}
        for row in self._runs:
            said = _said(row[10])
            of = {"the keyring is backed up": said.get("keyring_backup")}
            of |= {f"{name} has a keyring": one for name, one in (said.get("members") or {}).items()}
            for what, one in of.items():
                if one:
                    value = AttestedEvidence(what, one.get("by", ""), one.get("at", ""), one.get("note", ""), row[0])
                    found.setdefault((what, value.by, value.at, value.note), value)
        return tuple(found.values())

    def failovers(self) -> tuple[FailoverEvidence, ...]:
        """Each, as a person has confirmed it."""
        said = [(row, _said(row[10])) for row in self._runs]
        return tuple(
            FailoverEvidence(row[6], s[_FAILOVER], s.get("to", ""), row[0]) for row, s in said if _FAILOVER in s
        )

    def steps(self) -> tuple[StepEvidence, ...]:
        """What was done to each table and tablespace, oldest first."""
        rows = self._rows(
            "SELECT IF(kind = 'table', CONCAT(schema_name, '.', name), name), kind, method, state, run_id, definer,"
            f" {_at('started_at')}, {_at('ended_at')}, worked_seconds, rows_copied, rows_verified, bytes,"
            " (SELECT COUNT(*) FROM {at}.moments m WHERE m.step_id = steps.id),"
            " (SELECT MAX(held) FROM {at}.moments m WHERE m.step_id = steps.id),"
            f" {_at('retained_until')}, message FROM {{at}}.steps WHERE kind <> 'rehearsal' ORDER BY id"
        )
        return tuple(
            StepEvidence(
                subject=row[0],
                kind=row[1],
                method=row[2],
                state=row[3],
                run_id=row[4],
                account=row[5],
                started_at=row[6],
                ended_at=row[7] or "",
                worked_seconds=float(row[8]),
                rows=int(row[9]),
                rows_verified=int(row[10]),
                bytes=int(row[11]),
                moments=int(row[12]),
                longest_hold_seconds=None if row[13] is None else float(row[13]),
                retained_until=row[14] or "",
                message=row[15],
            )
            for row in rows
        )

    def not_done(self) -> tuple[NotDone, ...]:
        """What the latest run that came to its end did not do."""
        rows = self._rows(
            f"SELECT subject, method, outcome, message, run_id, {_at('at')} FROM {{at}}.outcomes ORDER BY outcomes.id"
        )
        return tuple(NotDone(*map(str, row)) for row in rows)

    def progress(self) -> tuple[ProgressSample, ...]:
        """The samples, oldest first."""
        rows = self._rows(
            f"SELECT {_at('at')}, seconds, rows_copied, rows_compared, paused, held, slowed, closed, reason"
            " FROM {at}.progress ORDER BY progress.at, id"
        )
        return tuple(
            ProgressSample(
                at=row[0],
                seconds=float(row[1]),
                rows_copied=int(row[2]),
                rows_compared=int(row[3]),
                paused=float(row[4]),
                held=float(row[5]),
                slowed=float(row[6]),
                closed=float(row[7]),
                reason=str(row[8]),
            )
            for row in rows
        )

    def rotations(self) -> tuple[KeyRotation, ...]:
        """Rotations of master keys, those that did not happen left out."""
        return tuple(
            KeyRotation(
                at=f"{row.began_at.isoformat(timespec='seconds')}Z",
                what=row.which,
                before=row.key_from,
                after=row.key_to,
                by=row.account,
                note="" if row.state == "done" else "nobody knows yet whether it happened",
            )
            for row in self._journal.rotations(self._session)
            if row.state != "not-done"
        )


def _at(column: str) -> str:
    return f"DATE_FORMAT({column}, '%%Y-%%m-%%dT%%H:%%i:%%sZ')"


def _said(attested: str) -> dict[str, Any]:
    """What was attested; nothing if it is not whole."""
    try:
        said = json.loads(attested)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


# -- what is there now ------------------------------------------------------------------------


def _objects(
    inventory: Inventory,
    proofs: tuple[Proof, ...],
    files: FilesReport | None,
    not_done: tuple[NotDone, ...],
    around: Around,
) -> tuple[ObjectNow, ...]:
    """Each table and shared tablespace, by the catalog and by its files, and why it is in clear."""
    by_files = {(o.kind, o.name): str(o.verdict) for o in (files.objects if files and not files.not_here else ())}
    said = {one.subject: one for one in not_done}
    sizes = {s.name: s.file_bytes for s in inventory.tablespaces}
    found = []
    for table, proof in zip(inventory.tables, proofs, strict=False):
        why = "" if proof.encrypted else _why(proof, table, said.get(proof.name), inventory, around)
        found.append(
            ObjectNow(
                proof.name,
                "table",
                table.engine,
                real_bytes(table, around),
                proof.encrypted,
                proof.evidence,
                proof.expected,
                by_files.get(("table", proof.name), ""),
                why,
            )
        )
    for proof in proofs[len(inventory.tables) :]:
        left = said.get(proof.name)
        why = "" if proof.encrypted else f"{left.outcome}: {left.why}" if left else "no run has encrypted it"
        found.append(
            ObjectNow(
                proof.name,
                "tablespace",
                "InnoDB",
                sizes.get(proof.name, 0),
                proof.encrypted,
                proof.evidence,
                proof.expected,
                by_files.get(("tablespace", proof.name), ""),
                why,
            )
        )
    return tuple(found)


def _why(proof: Proof, table: Table, left: NotDone | None, inventory: Inventory, around: Around) -> str:
    """What the journal or the engine says, what the latest run said; else what a plan would do now."""
    last = f"{left.outcome} by the latest run: {left.why}".rstrip(": ") if left is not None else ""
    if known := "; ".join(text for text in (proof.why, last) if text):
        return known
    choice = choose(table, inventory.server, Policy(), around)
    if choice.method in {Method.REFUSE, Method.SKIP}:
        return choice.why
    return f"not encrypted yet; a plan would do it by {choice.method}"


def _keyring(session: Session, inventory: Inventory, files: FilesReport | None) -> KeyringEvidence:
    """The keyring and its master keys by name, the newest last; and how many files name each, where they were read."""
    server = inventory.server
    keys = read_master_keys(session)
    read = files is not None and not files.not_here and bool(files.objects)
    named = Counter(f.key for o in (files.objects if files else ()) for f in o.files if f.key)
    in_order = sorted(keys or (), key=_by_number)
    newest = next((k for k in reversed(in_order) if k.startswith(f"INNODBKey-{server.server_uuid}-")), "")
    file = server.keyring.data_file
    return KeyringEvidence(
        kind=server.keyring.kind,
        name=server.keyring.name,
        is_active=server.keyring.active,
        data_file=file,
        in_datadir=bool(file) and PurePosixPath(file).is_relative_to(server.datadir),
        keys=tuple(MasterKey(name, name == newest, named.get(name, 0) if read else None) for name in in_order),
        keys_readable=keys is not None,
    )


def _by_number(key: str) -> tuple[str, int]:
    uuid, _, number = key.rpartition("-")
    return uuid, int(number) if number.isdigit() else 0
