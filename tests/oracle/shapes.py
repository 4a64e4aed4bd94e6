"""Tables that are not left to chance: the shapes in which applications have been hurt most often."""

from __future__ import annotations

from typing import Final

from tests.oracle import kinds
from tests.oracle.kinds import Kind
from tests.oracle.schemas import Column, Group, Schema, single


def _numbers(kind: str) -> Kind:
    numbers = iter(range(1, 10**6))
    return Kind(kind, lambda _: str(next(numbers)), quoted=False, family="integer", steps=1)


def _words(kind: str, letters: str, longest: int = 9) -> Kind:
    def draw(chance: kinds.Chance) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(2, longest)))

    return Kind(kind, draw, read="HEX({})", family="text")


def _bytes() -> Kind:
    return Kind("VARBINARY(16)", lambda c: c.randbytes(6).hex(), ("", "00"), wrap="UNHEX({})", read="HEX({})")


def _payload(*kinds_of: Kind) -> Group:
    return Group(tuple(Column(f"v{n}", kind, nullable=n > 0) for n, kind in enumerate(kinds_of)))


def counted() -> Schema:
    """A number that the server gives, and a code that is handed from row to row."""
    text = _words("VARCHAR(80)", "abcde ", 40)
    return Schema(
        "t",
        single("id", _numbers("INT UNSIGNED"), extra="AUTO_INCREMENT"),
        (single("code", _words("VARCHAR(20)", "abcdefgh"), nullable=True),),
        _payload(text, _numbers("INT")),
        auto=True,
    )


def words() -> Schema:
    """A key of words that is equal in many spellings, two unique indexes, names that are hard to quote."""
    letters = "aAäÄbBßzZ é"
    return Schema(
        'we`ird %s "näme"',
        single("k%s", _words("VARCHAR(30) COLLATE utf8mb4_0900_ai_ci", letters)),
        (
            single("u`1", _bytes()),
            single(
                "u 2", _words("VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_german2_ci", "aAäÄbß", 8), nullable=True
            ),
        ),
        _payload(_words("TEXT", letters, 200)),
    )


def composite() -> Schema:
    """A key of three columns, one of them descending, in a table of partitions."""
    a = Column("a", Kind("SMALLINT", lambda c: str(c.randint(-20, 20)), quoted=False, family="integer", few=True))
    b = Column(
        "b",
        Kind("DATETIME(3)", lambda c: f"20{c.randint(10, 40)}-0{c.randint(1, 9)}-11 10:00:00.{c.randint(100, 999)}"),
    )
    c = Column("c", Kind("DECIMAL(9,2)", lambda c: f"{c.randint(-999, 999)}.25", quoted=False))
    parts = tuple(zip((a, b, c), ("", " DESC", ""), strict=True))
    key = Group(
        (a, b, c),
        tuple(column.sql + way for column, way in parts),
        tuple(f"{{0}}{column.sql}{way}" for column, way in parts),
        tuple(f"{{0}}{column.sql}" for column in (a, b, c)),
    )
    return Schema("events", key, payload=_payload(_bytes()), partitions="PARTITION BY KEY (a, c) PARTITIONS 3")


SHAPES: Final = {"counted": counted, "words": words, "composite": composite}
"""Each makes its schema anew: numbers in sequence are used up."""
