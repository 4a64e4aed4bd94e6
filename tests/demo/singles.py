"""Traffic of single statements against the tables that are relayed: each commits by itself.

What a relay can give to transactions (1412 to a snapshot that is older than the end of a move, 1213 to one that
has read and wants to write) cannot meet a statement that is a transaction of its own: it opens its tables before
it reads anything, and the server begins it anew if it meets a move there. So no error is expected here either.

One thread has the family (deletes cascade), one has the others. Nobody else writes to these tables, and each row
that a thread changes is its own: made by it, or one of the first by key, which are read before the load begins.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pymysql

from tests.demo.latency import Sample
from tests.demo.ledger import keyless_key
from tests.demo.shapes import Row, Shape, Value, quote
from tests.demo.threads import LINK_LOST, Shared, Thread

if TYPE_CHECKING:
    from tests.demo.ledger import Owned

FAMILY: Final = ("crm.companies", "crm.contacts", "crm.contact_notes")
OTHERS: Final = ("warehouse.stock_levels", "billing.dunning_letters", "archive.legacy_codes", "archive.import_log")
"""Each is worked on by one thread."""

ADOPTED: Final = 200
"""Loaded rows that only get other values."""

MOST_MADE: Final = 60
"""Of new rows in a table; beyond that one is deleted instead."""

WORDS: Final = ("tea", "café", "schön", "x" * 700, "", 'it\'s % \\ "so"')


class Table:
    """What a thread knows of a table: rows as text of the server, by key; without a key, by what is unique in them."""

    def __init__(self, shape: Shape, key: tuple[int, ...]) -> None:
        self.shape = shape
        self.key = key
        self.loaded: dict[Row, Row] = {}
        self.made: dict[Row, Row] = {}

    def at(self, column: str) -> int:
        """The position of a column."""
        return next(n for n, one in enumerate(self.shape.columns) if one.name == column)

    def with_(self, row: Row, **values: Value) -> Row:
        """The row with other values in these columns."""
        changes = {self.at(column): value for column, value in values.items()}
        return tuple(changes.get(position, value) for position, value in enumerate(row))

    def where(self, key: Row) -> tuple[str, Row]:
        """The condition that finds one row, and its arguments."""
        names = (quote(self.shape.columns[position].name) for position in self.key)
        return " AND ".join(f"{name} = %s" for name in names), key

    def key_of(self, row: Row) -> Row:
        """By what this thread finds the row again."""
        return tuple(row[position] for position in self.key)

    def owned(self) -> Owned:
        """For the ledger: what must be there."""
        rows = [*self.loaded.values(), *self.made.values()]
        return {self.shape.key_of(row) if self.shape.key else keyless_key(row): row for row in rows}


class Single(Thread):
    """One statement at a time, by the clock, each of its own transaction."""

    def __init__(self, shared: Shared, number: int, shapes: Mapping[str, Shape], seed: int, *, rate: float) -> None:
        super().__init__(shared, number, {}, seed)
        self.rate = rate
        self.family = number % 2 == 0
        self.mine = {name: Table(shapes[name], _found_by(shapes[name])) for name in (FAMILY if self.family else OTHERS)}
        self.names = (f"{seed % 0x1000000:06x} {number} {n}".encode() for n in itertools.count())
        self.connection.autocommit(True)  # noqa: FBT003 - the driver's interface
        for table in self.mine.values():
            self._adopt(table)

    def _adopt(self, table: Table) -> None:
        if not table.shape.key:
            return  # what is equal to another row there could not be told from it
        with closing(self.connection.cursor()) as cursor:
            shape = table.shape
            cursor.execute(
                f"SELECT {shape.column_list} FROM {shape.sql} ORDER BY {shape.key_order} LIMIT {ADOPTED}", ()
            )
            table.loaded = {table.key_of(tuple(row)): tuple(row) for row in cursor.fetchall()}

    def owned(self) -> dict[str, Owned]:
        """The ledger of this thread, by table."""
        return {name: table.owned() for name, table in self.mine.items()}

    def work(self) -> None:
        """One statement after the other, each when it is due or as soon as the one before allows it."""
        deeds: tuple[tuple[Callable[[], str], int], ...] = (
            (self.update, 8),
            (self.add, 6),
            (self.delete, 3),
            (self.read, 6),
            *(((self.read_family, 2),) if self.family else ()),
        )
        for count in itertools.count():
            due = self.shared.started + count / self.rate
            early = due - time.monotonic()
            if self.shared.stop.wait(early) if early > 0 else self.shared.stop.is_set():
                return
            (deed,) = self.chance.choices([one for one, _ in deeds], [weight for _, weight in deeds])
            period, outcome = self.shared.period, "committed"
            try:
                table = deed()
                self.tables[table] += 1
                self.habits[f"single {deed.__name__}"] += 1
            except pymysql.err.MySQLError as error:
                # What failed is not in the ledger: a lost answer shows as a difference of rows, too.
                outcome = "failed"
                number = self.trouble(error, ", ".join(self.mine), f"single {deed.__name__}")
                if number in LINK_LOST:
                    if not self.connect_again():
                        return
                    self.connection.autocommit(True)  # noqa: FBT003 - the driver's interface
            self.samples.append(Sample(period, self.shared.seconds(), time.monotonic() - due, outcome))

    # -- what it does ---------------------------------------------------------------------------------

    def add(self) -> str:
        """INSERT a row; of the family one whose parent is this thread's own."""
        name, table = self._some_table()
        if len(table.made) >= MOST_MADE:
            return self.delete()
        values = self._new_values(name)
        if values is None:
            return self.read()
        shape = table.shape
        columns = ", ".join(quote(column) for column in values)
        places = ", ".join(["%s"] * len(values))
        made = self._run(table, f"INSERT INTO {shape.sql} ({columns}) VALUES ({places})", tuple(values.values()))
        row = table.with_((None,) * len(shape.columns), **values)
        if shape.auto_increment is not None:
            row = table.with_(row, **{shape.columns[shape.auto_increment].name: str(made).encode()})
        table.made[table.key_of(row)] = row
        return name

    def update(self) -> str:
        """UPDATE a row by what finds it: its words, or what it belongs to."""
        name, table = self._some_table()
        known = [*table.loaded, *table.made]
        if not known:
            return self.add()
        key = self.chance.choice(known)
        rows = table.made if key in table.made else table.loaded
        old = rows[key]
        changes = self._changes(name, old)
        if all(old[table.at(column)] == value for column, value in changes.items()):
            return self.read()
        condition, args = table.where(key)
        sets = ", ".join(f"{quote(column)} = %s" for column in changes)
        self._run(table, f"UPDATE {table.shape.sql} SET {sets} WHERE {condition}", (*changes.values(), *args))
        new = table.with_(old, **changes)
        if name == "warehouse.stock_levels":  # the table's own trigger counts
            new = table.with_(new, revision=str(int(old[table.at("revision")] or b"0") + 1).encode())
        del rows[key]
        rows[table.key_of(new)] = new
        return name

    def delete(self) -> str:
        """DELETE a row that this thread made; with a company go its contacts, and its contacts' notes stay alone."""
        name, table = self._some_table()
        if not table.made:
            return self.add()
        key = self.chance.choice([*table.made])
        condition, args = table.where(key)
        self._run(table, f"DELETE FROM {table.shape.sql} WHERE {condition}", args)
        del table.made[key]
        if name == "crm.companies":
            self._gone_with("crm.contacts", "company_id", key)
        elif name == "crm.contacts":
            self._left_alone(key)
        return name

    def read(self) -> str:
        """SELECT a row by what finds it: it must be what this thread last wrote there."""
        name, table = self._some_table()
        known = table.loaded | table.made
        if not known:
            return self.add()
        key = self.chance.choice([*known])
        condition, args = table.where(key)
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(f"SELECT {table.shape.column_list} FROM {table.shape.sql} WHERE {condition}", _texts(args))
            if list(cursor.fetchall()) != [known[key]]:
                self.wrong.append(f"{name}: a row was read that is not what was written")
        return name

    def read_family(self) -> str:
        """SELECT a company with its contacts and their notes in one statement."""
        companies, contacts, notes = (self.mine[name] for name in FAMILY)
        if not companies.made:
            return self.add()
        (company,) = self.chance.choice([*companies.made])
        mine = {row[contacts.at("id")] for row in contacts.made.values() if row[contacts.at("company_id")] == company}
        on_them = sum(row[notes.at("contact_id")] in mine for row in notes.made.values())
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(
                "SELECT COUNT(DISTINCT p.id), COUNT(n.id) FROM crm.companies AS c LEFT JOIN crm.contacts AS p"
                " ON p.company_id = c.id LEFT JOIN crm.contact_notes AS n ON n.contact_id = p.id WHERE c.id = %s",
                _texts((company,)),
            )
            if [tuple(map(int, row)) for row in cursor.fetchall()] != [(len(mine), on_them)]:
                self.wrong.append("crm.companies: contacts or notes of a company are not those that were written")
        return "crm.companies"

    # -- how ------------------------------------------------------------------------------------------

    def _run(self, table: Table, statement: str, args: tuple[Value, ...]) -> int:
        """Execute; one row must change. Gives the number that AUTO_INCREMENT made, if it made one."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(statement, _texts(args))
            if cursor.rowcount != 1:
                self.wrong.append(f"{table.shape.table}: {statement.split()[0]} affected {cursor.rowcount}, not 1")
            return cursor.lastrowid or 0

    def _some_table(self) -> tuple[str, Table]:
        # Without an index each statement reads all of archive.import_log: seldom.
        weights = [1 if name == "archive.import_log" else 4 for name in self.mine]
        (found,) = self.chance.choices([*self.mine.items()], weights)
        return found

    def _words(self) -> bytes:
        return f"{next(self.names).decode()} {self.chance.choice(WORDS)}".encode()

    def _new_values(self, name: str) -> dict[str, Value] | None:
        words = self._words()
        match name:
            case "crm.companies":
                return {"name": words[:60].strip(), "history": None}
            case "crm.contacts":
                company = _some_key(self.chance, self.mine["crm.companies"])
                return None if company is None else {"company_id": company, "name": b"new", "remarks": words}
            case "crm.contact_notes":
                return {"contact_id": _some_key(self.chance, self.mine["crm.contacts"]), "note": words}
            case "warehouse.stock_levels":
                place = next(self.names).rsplit(b" ", 1)[1]
                return {
                    "product_id": b"16000000",
                    "place": place,
                    "pieces": b"1",
                    "counted_by": words,
                    "revision": b"0",
                }
            case "billing.dunning_letters":
                return {"level": self.chance.choice((b"1", b"2", b"3")), "letter": words}
            case "archive.legacy_codes":
                return {"code": next(self.names), "meaning": words}
            case _:
                return {"imported_at": b"2026-01-01 00:00:00", "line": words}

    def _changes(self, name: str, row: Row) -> dict[str, Value]:
        """Other values; what the family belongs to moves too, and what is found by its words gets others."""
        column = {
            "crm.companies": "history",
            "crm.contacts": "remarks",
            "crm.contact_notes": "note",
            "warehouse.stock_levels": "counted_by",
            "billing.dunning_letters": "letter",
            "archive.legacy_codes": self.chance.choice(("meaning", "code")),
        }.get(name, "line")
        changes: dict[str, Value] = {column: next(self.names) if column == "code" else self._words()}
        table = self.mine[name]
        company = _some_key(self.chance, self.mine["crm.companies"]) if name == "crm.contacts" else None
        if company is not None and table.key_of(row) in table.made and self.chance.random() < 0.5:
            changes["company_id"] = company
        return changes

    def _gone_with(self, child: str, column: str, parent: Row) -> None:
        table = self.mine[child]
        for key in [key for key, row in table.made.items() if row[table.at(column)] == parent[0]]:
            del table.made[key]
            self._left_alone(key)

    def _left_alone(self, contact: Row) -> None:
        notes = self.mine["crm.contact_notes"]
        for key, row in notes.made.items():
            if row[notes.at("contact_id")] == contact[0]:
                notes.made[key] = notes.with_(row, contact_id=None)


def _found_by(shape: Shape) -> tuple[int, ...]:
    """Positions of the columns by which a thread finds its rows."""
    if shape.key:
        return shape.key
    unique: Iterator[int] = (n for n, column in enumerate(shape.columns) if column.name in {"code", "line"})
    return (next(unique),)


def _texts(values: Row) -> list[str | None]:
    """Arguments as text: the driver writes bytes as X'31', which is another number than '1'."""
    return [None if value is None else value.decode() for value in values]


def _some_key(chance: random.Random, table: Table) -> Value:
    """The key of one of the rows that this thread made; None if there is none."""
    return chance.choice([*table.made])[0] if table.made else None
