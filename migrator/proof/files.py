"""Prove the state from the files of a running server: each tablespace that is asked for, against the newest catalog.

Tables are swapped, rebuilt and dropped meanwhile. So files are known by the number of their tablespace, which
no other ever gets, and the catalog is read again after them: what it names then and was not read is read.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.inventory import JOURNAL_SCHEMA, SYSTEM_SCHEMAS
from migrator.inventory.files import DataFile, read_files, read_master_keys, read_places
from migrator.model import Flavour, Inventory, Table, TableName
from migrator.proof.canary import Needle, search
from migrator.proof.header import Header
from migrator.proof.places import Datadir, NotHere, all_files, find_datadir
from migrator.proof.reading import FileRead, Unreadable, Vanished, again, read_file
from migrator.proof.verdict import FIRST_PLACES, Keys, judged, newest_key, unread, worst
from migrator.report.files import OTHER_PAGES, Canary, FileProof, FilesReport, ObjectFiles, Verdict

ROUNDS: Final = 5
"""So often the catalog is read again, while it names tablespaces that were not read."""
LOOK_EVERY_SECONDS: Final = 0.5
SUSPECTS_OF_A_FILE: Final = 1000
SUSPECTS_IN_ALL: Final = 100_000
"""Places of pages in clear that are kept, to be looked at again: about 20 MiB."""

_SHARED: Final = frozenset({"General"})
_NOT_PROVED: Final = SYSTEM_SCHEMAS | {JOURNAL_SCHEMA}

_ODD: Final = frozenset({Verdict.CONTRADICTION, Verdict.UNDER_WAY})

Key = tuple[int, str]
"""A file: its tablespace, and '' or, where that has several, its path."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done."""

    pages: bool = True
    datadir: Path | None = None
    """Where the datadir is here; None: where the server says."""
    percent: float = 100.0
    look_again_seconds: float = 10.0
    needle: Needle | None = None
    wants: Callable[[TableName], bool] = lambda table: True
    """Which tables were asked for, of all but the server's own and the journal's."""
    everything: bool = True
    """Also tablespaces that are no table's own; not so where only some tables were asked for."""

    def is_for(self, table: TableName) -> bool:
        """True if the table is to be proved."""
        return table.schema not in _NOT_PROVED and self.wants(table)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A file that could not be read."""

    path: str
    why: str
    times: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Time, and whom to tell."""

    clock: Clock
    stop: threading.Event
    tell: Callable[[int], None] = lambda done: None


def prove_files(session: Session, inventory: Inventory, wish: Wish, beside: Beside | None = None) -> FilesReport:
    """Classify the pages of every file that belongs to the inventory's tables; of all others too if `everything`.

    Reads files and the catalog, locks nothing, writes nothing. Takes as long as reading the files does, and
    `look_again_seconds` more at most if pages are in clear that must not be.
    """
    beside = beside or Beside(SystemClock(), threading.Event())
    began = beside.clock.monotonic()
    server = inventory.server
    if server.flavour is Flavour.MARIADB:
        return FilesReport(datadir=server.datadir, not_here=OTHER_PAGES)
    try:
        datadir = find_datadir(server.datadir, server.server_uuid, wish.datadir)
    except NotHere as error:
        return FilesReport(datadir=str(wish.datadir or server.datadir), not_here=str(error))
    rounds = _Rounds(session, datadir, wish, beside)
    objects = rounds.objects() if wish.pages else ()
    if wish.pages:
        named = {o.name for o in objects}
        objects += tuple(_no_file(t) for t in inventory.tables if t.segments and str(t.name) not in named)
    keys = read_master_keys(session)
    canary = _canary(session, datadir, wish.needle, beside) if wish.needle else None
    return FilesReport(
        datadir=str(datadir.path),
        objects=objects,
        canary=canary,
        master_key=newest_key(keys, server.server_uuid),
        keys_readable=keys is not None,
        percent=wish.percent,
        bytes_read=rounds.bytes_read,
        seconds=round(beside.clock.monotonic() - began, 3),
    )


class _Rounds:
    """Files that were read, until they are those of the catalog."""

    def __init__(self, session: Session, datadir: Datadir, wish: Wish, beside: Beside) -> None:
        self._session, self._datadir, self._wish, self._beside = session, datadir, wish, beside
        self._read: dict[Key, FileRead] = {}
        self._said: dict[Key, bool] = {}
        """What the catalog said of the encryption when a file was read."""
        self._failed: dict[Key, _Failed] = {}
        self._kept = 0
        self.bytes_read = 0

    def objects(self) -> tuple[ObjectFiles, ...]:
        """Read, look again, and judge by the catalog and the keyring as they are then."""
        files = self._asked_for()
        for _ in range(ROUNDS):
            for file in files:
                if _key(file) not in self._read:
                    self._one(file)
            files = self._asked_for()
            self._forget_changed(files)
            files = self._look_again(files)
            if all(_key(file) in self._read or self._is_settled(file) for file in files):
                break
        keys = read_master_keys(self._session)
        return self._grouped(files, keys)

    def _asked_for(self) -> list[DataFile]:
        files = read_files(self._session)
        if self._wish.everything:
            return [f for f in files if f.kind != "TEMPORARY"]
        return [f for f in files if any(map(self._wish.is_for, f.tables))]

    def _one(self, file: DataFile) -> None:
        path = self._datadir.resolve(file.path)
        self._said[_key(file)] = file.encrypted
        try:
            self._read[_key(file)] = read_file(
                path, page_bytes=file.page_bytes, percent=self._wish.percent, keep=self._keep(file), tell=self._told
            )
            self._kept += len(self._read[_key(file)].tally.suspects)
        except Vanished:
            # Dropped or renamed meanwhile: then the next catalog names it differently, or not at all.
            self._fail(file, "there is no such file")
        except Unreadable as error:
            self._fail(file, str(error))

    def _keep(self, file: DataFile) -> int:
        """How many places are worth the memory: few, where pages in clear are as they must be."""
        if not file.encrypted:
            return FIRST_PLACES
        return max(FIRST_PLACES, min(SUSPECTS_OF_A_FILE, SUSPECTS_IN_ALL - self._kept))

    def _fail(self, file: DataFile, why: str) -> None:
        before = self._failed.get(_key(file))
        times = before.times + 1 if before and before.path == file.path else 1
        self._failed[_key(file)] = _Failed(file.path, why, times)

    def _is_settled(self, file: DataFile) -> bool:
        """True if it could not be read twice under the name that the catalog still gives it."""
        failed = self._failed.get(_key(file))
        return failed is not None and failed.path == file.path and failed.times > 1

    def _forget_changed(self, files: list[DataFile]) -> None:
        """What was read under a name that another file had by then, or was encrypted in place since, is read anew."""
        for file in files:
            read = self._read.get(_key(file))
            if read is None:
                continue
            renamed = read.path != self._datadir.resolve(file.path)
            another = renamed and read.header is not None and read.header.space != file.space
            if another or self._said[_key(file)] != file.encrypted:
                del self._read[_key(file)]

    def _told(self, done: int) -> None:
        self.bytes_read += done
        self._beside.tell(done)

    def _look_again(self, files: list[DataFile]) -> list[DataFile]:
        """Look at what is not as the catalog says until nothing is, or the time is over; the catalog by then."""
        clock, until = self._beside.clock, self._beside.clock.monotonic() + self._wish.look_again_seconds
        while odd := [f for f in files if self._is_odd(f)]:
            for file in odd:
                self._look(file)
            left = until - clock.monotonic()
            if left <= 0 or clock.wait(self._beside.stop, min(LOOK_EVERY_SECONDS, left)):
                break
            files = self._asked_for()
            self._forget_changed(files)
        return files

    def _look(self, file: DataFile) -> None:
        """Look at one file again; where an ALTER TABLESPACE came to its end meanwhile, all of it is read anew."""
        read = self._read[_key(file)]
        before = read.header
        try:
            again(read)
        except Vanished:
            del self._read[_key(file)]
            return
        except Unreadable as error:
            del self._read[_key(file)]
            self._fail(file, str(error))
            return
        if before and read.header and _state(before) != _state(read.header):
            del self._read[_key(file)]

    def _is_odd(self, file: DataFile) -> bool:
        read = self._read.get(_key(file))
        return read is not None and file.kind != "Undo" and judged(file, read, None).verdict in _ODD

    def _grouped(self, files: list[DataFile], keys: Keys) -> tuple[ObjectFiles, ...]:
        groups: dict[tuple[str, str], list[FileProof]] = defaultdict(list)
        for file in files:
            proof = self._proof(file, keys)
            for group in self._groups(file):
                groups[group].append(proof)
        return tuple(
            ObjectFiles(name, kind, worst([p.verdict for p in proofs]), tuple(proofs))
            for (kind, name), proofs in sorted(groups.items())
        )

    def _proof(self, file: DataFile, keys: Keys) -> FileProof:
        path = self._datadir.resolve(file.path)
        read = self._read.get(_key(file))
        if read is None:
            failed = self._failed.get(_key(file))
            why = failed.why if failed and self._is_settled(file) else "it changes too fast"
            return unread(file, self._datadir.shown(path), why)
        read.path = Path(self._datadir.shown(path))
        return judged(file, read, keys)

    def _groups(self, file: DataFile) -> list[tuple[str, str]]:
        """Whose proof a file is part of: of each table in it that was asked for, or of itself."""
        tables = [("table", str(table)) for table in file.tables if self._wish.is_for(table)]
        if file.kind in _SHARED and self._wish.everything:
            return [("tablespace", file.tablespace)]
        return tables or [("beside", file.tablespace or file.path)]


def _no_file(table: Table) -> ObjectFiles:
    """A table whose tablespace the catalog does not name (any more): discarded, missing, in ibdata, or just dropped."""
    why = "the catalog names no file of it"
    proof = FileProof(path="", space=table.segments[0].space, verdict=Verdict.UNREAD, why=why)
    return ObjectFiles(str(table.name), "table", Verdict.UNREAD, (proof,))


def _state(header: Header) -> tuple[bool, str]:
    return header.encrypted, header.under_way


def _key(file: DataFile) -> Key:
    return file.space, "" if file.first else file.path


def _canary(session: Session, datadir: Datadir, needle: Needle, beside: Beside) -> Canary:
    files = {datadir.resolve(file.path): file for file in read_files(session)}
    names = {
        path: f"tablespace {f.tablespace}, {'encrypted' if f.encrypted else 'in clear'}" for path, f in files.items()
    }
    sealed = frozenset(path for path, f in files.items() if f.encrypted and f.kind != "Undo")
    found = all_files(datadir, read_places(session), names)
    return search(found, needle, shown=datadir.shown, encrypted=sealed, tell=beside.tell)
