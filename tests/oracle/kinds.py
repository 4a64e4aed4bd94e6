"""Types of columns: how a value of each is written as a literal, loaded from a file, and read exactly."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pymysql.converters import escape_string

Chance = random.Random
Draw = Callable[[Chance], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column, with values. A value is its text, as it would stand in a file to be loaded."""

    type: str
    draw: Draw
    edges: tuple[str, ...] = ()
    """Values that are drawn more often than by chance."""
    wrap: str = "{}"
    """SQL that makes the value of its text: `UNHEX({})`."""
    quoted: bool = True
    """False for numbers, whose literals have no quotes."""
    read: str = "CAST({} AS CHAR)"
    """SQL that shows the value exactly."""
    family: str = ""
    few: bool = False
    """So few values that a unique index over it alone would be full at once."""
    steps: int = 0
    """For integers in sequence: how far apart they are."""

    def literal(self, text: str | None) -> str:
        """The value in a statement."""
        if text is None:
            return "NULL"
        return self.wrap.format(f"'{escape_string(text)}'" if self.quoted else text)

    def some(self, chance: random.Random) -> str:
        """A value."""
        return chance.choice(self.edges) if self.edges and chance.random() < 0.15 else self.draw(chance)


# -- numbers ----------------------------------------------------------------------------------------

_BITS: Final = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def _range(word: str, *, unsigned: bool) -> tuple[int, int]:
    bits = _BITS[word]
    return (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def integer(chance: random.Random) -> Kind:
    """Any integer type, its limits among the values."""
    word, unsigned = chance.choice(tuple(_BITS)), chance.random() < 0.5
    low, high = _range(word, unsigned=unsigned)
    kind = word + (" UNSIGNED" if unsigned else "") + (" ZEROFILL" if unsigned and chance.random() < 0.1 else "")
    return Kind(
        kind, lambda c: str(c.randint(low, high)), (str(low), str(high), "0", "1"), quoted=False, family="integer",
        few=_BITS[word] < 24,
    )  # fmt: skip


def in_sequence(chance: random.Random, places: int) -> Kind:
    """Integers at equal distances, small or huge, some of them negative: keys can be shifted by a number."""
    word, unsigned = chance.choice(("SMALLINT", "INT", "BIGINT", "BIGINT")), chance.random() < 0.4
    low, high = _range(word, unsigned=unsigned)
    steps = chance.choice((1, 1, 2, 7, (high - low) // (places + 2)))
    first = chance.choice((low, max(low, -places // 2), max(low, 1), high - steps * places))
    numbers = iter(range(max(low, first), high + 1, max(steps, 1)))
    kind = word + (" UNSIGNED" if unsigned else "")
    return Kind(kind, lambda _: str(next(numbers, high)), quoted=False, family="integer", steps=max(steps, 1))


def decimal(chance: random.Random) -> Kind:
    """DECIMAL of any size."""
    digits = chance.choice((9, 18, 30, 65))
    scale = chance.choice((0, 2, min(30, digits - 1)))

    def draw(c: random.Random) -> str:
        text = f"{c.randrange(10**digits):0{digits}d}"
        return c.choice("+-") + (f"{text[: digits - scale]}.{text[digits - scale :]}" if scale else text)

    return Kind(f"DECIMAL({digits},{scale})", draw, ("0", "1", "-1"), quoted=False, family="decimal")


def _single(value: float) -> str:
    return repr(float(struct.unpack("f", struct.pack("f", value))[0]))


def real(chance: random.Random) -> Kind:
    """FLOAT or DOUBLE, also values that no short literal equals, and -0."""
    if chance.random() < 0.5:
        edges = ("0e0", "-0e0", _single(0.1), "3.4028234663852886e38", "1.401298464324817e-45")
        draw: Draw = lambda c: _single(c.uniform(-1e6, 1e6) / 7) + "e0"  # noqa: E731
        return Kind("FLOAT", draw, edges, quoted=False, read="CAST({} AS DOUBLE)", family="real")
    edges = ("0e0", "-0e0", "0.1e0", "1.7976931348623157e308", "2.2250738585072014e-308")
    return Kind(
        "DOUBLE",
        lambda c: f"{c.uniform(-1e9, 1e9)!r}e{c.randrange(-200, 200)}",
        edges,
        quoted=False,
        read="{}",
        family="real",
    )


def bit(chance: random.Random) -> Kind:
    """BIT of any width."""
    width = chance.choice((1, 7, 16, 33, 64))
    return Kind(
        f"BIT({width})", lambda c: str(c.randrange(2**width)), ("0", str(2**width - 1)), wrap="CAST({} AS UNSIGNED)",
        quoted=False, read="CAST({} + 0 AS CHAR)", family="bit", few=width < 33,
    )  # fmt: skip


# -- text and bytes ---------------------------------------------------------------------------------

_LATIN: Final = "aAbBzZ09 _-%'\"\\`"
CHARSETS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "utf8mb4": (
        _LATIN + "äÄéßıſ😀漢ﬀ\t\n",
        (
            "utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_0900_bin", "utf8mb4_bin", "utf8mb4_general_ci",
            "utf8mb4_unicode_520_ci", "utf8mb4_de_pb_0900_ai_ci", "utf8mb4_ja_0900_as_cs_ks", "utf8mb4_es_trad_0900_ai_ci",
            "utf8mb4_unicode_ci", "utf8mb4_swedish_ci", "utf8mb4_tr_0900_ai_ci",
        ),
    ),
    "utf8mb3": (_LATIN + "äÄéßı漢", ("utf8mb3_general_ci", "utf8mb3_bin", "utf8mb3_unicode_ci")),
    "latin1": (_LATIN + "äÄéßÿ", ("latin1_swedish_ci", "latin1_german2_ci", "latin1_general_cs", "latin1_bin")),
    "utf16": (_LATIN + "äÄé😀漢", ("utf16_general_ci", "utf16_bin", "utf16_unicode_ci")),
    "utf32": (_LATIN + "äÄé😀漢", ("utf32_general_ci", "utf32_bin")),
    "ucs2": (_LATIN + "äÄé漢", ("ucs2_general_ci", "ucs2_bin")),
    "ascii": (_LATIN, ("ascii_general_ci", "ascii_bin")),
    "sjis": (_LATIN.replace("\\", "") + "表ソ漢ア", ("sjis_japanese_ci", "sjis_bin")),
    "cp932": (_LATIN.replace("\\", "") + "表ソ漢ア", ("cp932_japanese_ci", "cp932_bin")),
    "gbk": (_LATIN + "漢字中", ("gbk_chinese_ci", "gbk_bin")),
    "gb18030": (_LATIN + "漢字ä😀", ("gb18030_chinese_ci", "gb18030_bin")),
    "koi8r": (_LATIN + "жЖё", ("koi8r_general_ci", "koi8r_bin")),
    "cp1250": (_LATIN + "čŠž", ("cp1250_czech_cs", "cp1250_general_ci")),
}  # fmt: skip
"""Letters that fit each character set, and collations of it."""


def _word(letters: str, most: int) -> Draw:
    def draw(chance: random.Random) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(min(2, most), most)))

    return draw


def text(chance: random.Random, *, key: bool) -> Kind:
    """CHAR or VARCHAR in one of many collations; with `key` short enough for any index."""
    charset = chance.choice(("utf8mb4", "utf8mb4", *CHARSETS))
    letters, collations = CHARSETS[charset]
    most = chance.choice((6, 12, 20) if key else (3, 12, 60, 255))
    collation = chance.choice(collations)
    word = "CHAR" if chance.random() < 0.3 else "VARCHAR"
    # CHAR drops blanks at its end unasked; a VARCHAR that is too long would warn.
    edges: tuple[str, ...] = ("", "a", "A", " a", "0", letters[-1] * min(most, 12))
    if word == "VARCHAR":
        edges += ("a ", " ")
    draw = _word(letters, min(most, 10))
    if word == "CHAR":
        inner = draw
        draw = lambda c: inner(c).rstrip(" ")  # noqa: E731
    return Kind(
        f"{word}({most}) CHARACTER SET {charset} COLLATE {collation}", draw, edges, read="HEX({})", family="text"
    )


def long_text(chance: random.Random) -> Kind:
    """TINYTEXT to LONGTEXT, some values longer than a page."""
    charset = chance.choice(tuple(CHARSETS))
    letters, collations = CHARSETS[charset]
    word = chance.choice(("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"))
    short = _word(letters, 30)
    longest = 25 if word == "TINYTEXT" else chance.choice((200, 6_000))
    return Kind(
        f"{word} CHARACTER SET {charset} COLLATE {chance.choice(collations)}",
        lambda c: short(c) if c.random() < 0.95 else letters[-1] * longest,
        ("", "a", " ", "A "),
        read="HEX({})",
        family="long text",
    )


def _hex(chance: random.Random, length: int) -> str:
    return chance.randbytes(length).hex()


def bytes_(chance: random.Random, *, key: bool) -> Kind:
    """BINARY (always full: the server fills it up with zeros) or VARBINARY."""
    if chance.random() < 0.4:
        width = chance.choice((4, 16))
        edges = ("00" * width, "ff" * width, "20" * width)
        return Kind(
            f"BINARY({width})", lambda c: _hex(c, width), edges, wrap="UNHEX({})", read="HEX({})", family="bytes"
        )
    most = 16 if key else chance.choice((3, 16, 200))
    short = ("", "00", "0000", "20", "61", "41")
    return Kind(
        f"VARBINARY({most})", lambda c: _hex(c, c.randint(1, min(most, 12))), short, wrap="UNHEX({})", read="HEX({})",
        family="bytes",
    )  # fmt: skip


def blob(chance: random.Random) -> Kind:
    """TINYBLOB to LONGBLOB, some values longer than a page."""
    word = chance.choice(("TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"))
    longest = 255 if word == "TINYBLOB" else chance.choice((400, 20_000))
    return Kind(
        word, lambda c: _hex(c, c.randint(0, 30) if c.random() < 0.95 else longest), ("", "00"), wrap="UNHEX({})",
        read="HEX({})", family="blob",
    )  # fmt: skip


def enum(chance: random.Random) -> Kind:
    """ENUM, members not in alphabetical order."""
    members = chance.choice((("z", "a", "it's %s", "b"), ("x",), ("2", "1", "10"), ("ä", "Z", "ß`"), tuple("hgfedcba")))
    words = ", ".join("'" + member.replace("'", "''") + "'" for member in members)
    return Kind(
        f"ENUM({words}) CHARACTER SET utf8mb4",
        lambda c: c.choice(members),
        read="CONCAT({0} + 0, ':', HEX({0}))",
        family="enum",
        few=True,
    )


def set_(chance: random.Random) -> Kind:
    """SET."""
    members = chance.choice((("z", "a", "m"), ("b", "a"), tuple("hgfedcba")))
    words = ", ".join(f"'{member}'" for member in members)

    def draw(c: random.Random) -> str:
        return ",".join(member for member in members if c.random() < 0.5)

    return Kind(f"SET({words})", draw, ("",), read="CONCAT({0} + 0, ':', HEX({0}))", family="set", few=True)


# -- time -------------------------------------------------------------------------------------------

_FROM: Final = datetime(1000, 1, 1, tzinfo=UTC)


def _instant(chance: random.Random, first: datetime, days: int, digits: int) -> str:
    at = first + timedelta(days=chance.randrange(days), microseconds=chance.randrange(86_400_000_000))
    fraction = f".{at.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{at:%Y}".rjust(4, "0") + f"{at:-%m-%d %H:%M:%S}{fraction}"


def datetime_(chance: random.Random) -> Kind:
    """DATETIME with any precision; zero and impossible dates, too."""
    digits = chance.choice((0, 0, 3, 6))
    edges = ("0000-00-00 00:00:00", "9999-12-31 23:59:59", "2024-00-00 00:00:00", "2024-02-31 00:00:00")
    kind = f"DATETIME({digits})" if digits else "DATETIME"
    return Kind(kind, lambda c: _instant(c, _FROM, 3_200_000, digits), edges, family="datetime")


def date_(chance: random.Random) -> Kind:
    """DATE; zero and impossible dates, too."""
    del chance
    edges = ("0000-00-00", "9999-12-31", "1000-01-01", "2024-00-00", "2024-02-31")
    return Kind("DATE", lambda c: _instant(c, _FROM, 3_200_000, 0)[:10], edges, family="date")


def timestamp(chance: random.Random) -> Kind:
    """TIMESTAMP from its first to its last second."""
    digits = chance.choice((0, 3, 6))
    edges = ("0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07")
    first = datetime(1970, 1, 2, tzinfo=UTC)
    return Kind(f"TIMESTAMP({digits})", lambda c: _instant(c, first, 24_000, digits), edges, family="timestamp")


def time_(chance: random.Random) -> Kind:
    """TIME, negative too."""
    digits = chance.choice((0, 3, 6))

    def draw(c: random.Random) -> str:
        fraction = f".{c.randrange(10**digits):0{digits}d}" if digits else ""
        return f"{c.choice(('', '-'))}{c.randrange(838)}:{c.randrange(60):02d}:{c.randrange(60):02d}{fraction}"

    return Kind(f"TIME({digits})", draw, ("00:00:00", "838:59:59", "-838:59:59"), family="time")


def year(chance: random.Random) -> Kind:
    """YEAR, 0 too."""
    del chance
    return Kind("YEAR", lambda c: str(c.randint(1901, 2155)), ("0000", "2155"), family="year", few=True)


# -- documents and the like -------------------------------------------------------------------------


def json_(chance: random.Random) -> Kind:
    """JSON: numbers of every sort, nesting, null."""
    del chance
    edges = ("null", '""', "{}", "[]", "1.0", "1", "true", '{"a": {"a": []}}', "1e2", "18446744073709551615")
    return Kind(
        "JSON", lambda c: f'{{"b": [{c.randrange(99)}, "x"], "a": {c.uniform(-9, 9)!r}}}', edges, read="HEX(CAST({} AS CHAR))",
        family="json",
    )  # fmt: skip


def geometry(chance: random.Random) -> Kind:
    """GEOMETRY, or POINT with a reference system."""
    if chance.random() < 0.5:
        return Kind(
            "POINT SRID 4326", lambda c: f"POINT({c.uniform(-89, 89)!r} {c.uniform(-179, 179)!r})", ("POINT(0 0)",),
            wrap="ST_GeomFromText({}, 4326)", read="HEX({})", family="geometry",
        )  # fmt: skip
    edges = ("POINT(1 -0)", "GEOMETRYCOLLECTION EMPTY", "LINESTRING(0 0, 1e300 1)")
    return Kind(
        "GEOMETRY", lambda c: f"POINT({c.randrange(99)} {c.randrange(99)})", edges, wrap="ST_GeomFromText({})",
        read="HEX({})", family="geometry",
    )  # fmt: skip


def vector(chance: random.Random) -> Kind:
    """VECTOR."""
    size = chance.choice((1, 3, 200))

    def draw(c: random.Random) -> str:
        return "[" + ",".join(str(c.randrange(-9, 9) / 2) for _ in range(c.randint(1, size))) + "]"

    return Kind(f"VECTOR({size})", draw, wrap="TO_VECTOR({})", read="HEX({})", family="vector")


KEYS: Final[tuple[Callable[[random.Random], Kind], ...]] = (
    integer, integer, decimal, real, bit, enum, set_, datetime_, date_, time_, year,
    lambda c: text(c, key=True), lambda c: text(c, key=True), lambda c: text(c, key=True), lambda c: bytes_(c, key=True),
)  # fmt: skip
"""What can be a column of a key or of a unique index."""

ALL: Final[tuple[Callable[[random.Random], Kind], ...]] = (
    integer, decimal, real, bit, enum, set_, datetime_, date_, timestamp, time_, year, json_, geometry, vector, blob,
    long_text, lambda c: text(c, key=False), lambda c: text(c, key=False), lambda c: bytes_(c, key=False),
)  # fmt: skip
"""What can be a column beside the keys."""
