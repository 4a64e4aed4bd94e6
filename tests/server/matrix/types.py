"""Rows of the matrix about types: of columns, and of keys."""

from __future__ import annotations

from typing import Final

from tests.server.matrix.feature import Feature, numbers, side_by_side, typed

_ENDS: Final = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
_SHAPES: Final = {
    "GEOMETRY": "'POINT(1 -1e300)'",
    "POINT": "'POINT(1 2)'",
    "LINESTRING": "'LINESTRING(0 0, 1 1)'",
    "POLYGON": "'POLYGON((0 0, 0 9, 9 9, 0 0))'",
    "MULTIPOINT": "'MULTIPOINT((0 0), (1 1))'",
    "MULTILINESTRING": "'MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'",
    "MULTIPOLYGON": "'MULTIPOLYGON(((0 0, 0 9, 9 9, 0 0)))'",
    "GEOMETRYCOLLECTION": "'GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))'",
}

_INTEGERS: Final = (
    *(typed(f"{word}, signed", word, "0", str(-(2 ** (bits - 1))), str(2 ** (bits - 1) - 1)) for word, bits in _ENDS.items()),
    *(typed(f"{word} UNSIGNED", f"{word} UNSIGNED", "0", str(2**bits - 1)) for word, bits in _ENDS.items()),
)  # fmt: skip
_NUMBERS: Final = (
    typed("DECIMAL, ZEROFILL", "DECIMAL(65,30) UNSIGNED ZEROFILL", "0", "99999999999999999999999999999999999.999999999999999999999999999999"),
    typed("FLOAT", "FLOAT", "0.1e0", "-0e0", "3.4028234663852886e38", "1.401298464324817e-45", "n / 7"),
    typed("DOUBLE", "DOUBLE", "0.1e0", "-0e0", "1.7976931348623157e308", "5e-324", "n / 7e100"),
    typed("BIT(64)", "BIT(64)", "0", "~0", "n"),
    typed("BIT(1)", "BIT(1)", "0", "1"),
    typed("BOOL", "BOOL", "FALSE", "TRUE"),
)  # fmt: skip
_TEXTS: Final = (
    typed("CHAR", "CHAR(9)", "''", "'a'", "' a'", "'äß😀'"),
    typed("VARCHAR", "VARCHAR(90)", "''", "'a '", "' '", "'äß😀\\0\\n'"),
    typed("TINYTEXT", "TINYTEXT", "''", "'a '"),
    typed("TEXT", "TEXT CHARACTER SET latin1", "''", "REPEAT('ä', 9000)", "'a '"),
    typed("MEDIUMTEXT, utf16", "MEDIUMTEXT CHARACTER SET utf16", "''", "REPEAT('ä', n * 99)"),
    typed("LONGTEXT", "LONGTEXT", "''", "REPEAT('😀', n * 99)", "'a '"),
    typed("JSON", "JSON", "'{\"a\": 1.0, \"b\": [1, \"1\", null, 1e2, true]}'", "'\"\"'", "'null'", "'1.0'", "'18446744073709551615'"),
    typed("ENUM, with invalid values", "ENUM('x', 'a,b', 'c)', 'it''s')", "'x'", "''", "'it''s'", "'none of them'"),
    typed("SET", "SET('a', 'b', 'c')", "''", "'a,c'", "'b'"),
)  # fmt: skip
_BYTES: Final = (
    typed("BINARY", "BINARY(4)", "''", "UNHEX('FF')", "UNHEX('00000020')"),
    typed("VARBINARY", "VARBINARY(9)", "''", "UNHEX('FF00')", "' '"),
    typed("TINYBLOB", "TINYBLOB", "''", "UNHEX('00FF')"),
    typed("BLOB", "BLOB", "''", "REPEAT(UNHEX('00FF'), 9000)"),
    typed("MEDIUMBLOB", "MEDIUMBLOB", "''", "REPEAT(UNHEX('00FF'), n * 99)"),
    typed("LONGBLOB", "LONGBLOB", "''", "UNHEX('00')"),
)
_TIMES: Final = (
    typed("YEAR", "YEAR", "0", "1901", "2155"),
    typed("DATE, zero and impossible ones", "DATE", "'0000-00-00'", "'2024-00-00'", "'2024-02-31'", "'9999-12-31'"),
    *(typed(f"DATETIME({p})", f"DATETIME({p})", "'0000-00-00'", "'9999-12-31 23:59:59.000001'", "'2024-02-31 01:02:03.456789'") for p in (0, 3, 6)),
    *(typed(f"TIMESTAMP({p})", f"TIMESTAMP({p}) NULL", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.123456'", "'0000-00-00'") for p in (0, 3, 6)),
    *(typed(f"TIME({p})", f"TIME({p})", "'-838:59:59'", "'00:00:00.000001'", "'838:59:58.999999'") for p in (0, 3, 6)),
)  # fmt: skip
_GEOMETRY: Final = (
    *(typed(kind, f"{kind} SRID 0", f"ST_GeomFromText({text})", f"ST_GeomFromText({text}, 0)") for kind, text in _SHAPES.items()),
    typed("GEOMETRY of several SRIDs", "GEOMETRY", "ST_SRID(POINT(1, 2), 4326)", "POINT(-0e0, 1e300)", "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')"),
)  # fmt: skip

COLUMN_TYPES: Final = (
    *side_by_side("integers", _INTEGERS),
    *side_by_side("numbers", _NUMBERS),
    *side_by_side("texts", _TEXTS),
    *side_by_side("bytes", _BYTES),
    *side_by_side("times", _TIMES),
    *side_by_side("shapes", _GEOMETRY),
    *side_by_side("vectors", (typed("VECTOR", "VECTOR(3)", "TO_VECTOR('[1,2,-0.5]')", "TO_VECTOR('[0,0,1e-30]')"),)),
)


def key(
    name: str,
    columns: str,
    values: str,
    of: str = "PRIMARY KEY (k)",
    names: str = "k",
    *,
    order: str = "",
    backwards: str = "",
    group: str = "Keys",
    more: str = "",
    most: int = 160,
) -> Feature:
    """A table with a key, its n-th row; the application changes rows at its ends and moves the last to the beginning."""
    order = order or names
    backwards = backwards or " DESC, ".join(names.split(", ")) + " DESC"
    variables, moved = (
        ", ".join(f"@{n}" for n in names.split(", ")),
        ", ".join(f"{n} = @{n}" for n in names.split(", ")),
    )
    return Feature(
        group,
        name,
        f"(v VARCHAR(80), {columns}, {of}) {more}",
        f"(v, {names}) SELECT REPEAT('x', 60), {values} FROM {numbers(most)}",
        (
            f"UPDATE {{t}} SET v = CONCAT(v, 'u') ORDER BY {order} LIMIT 5",
            f"DELETE FROM {{t}} ORDER BY {order} LIMIT 1",
            f"SELECT {names} INTO {variables} FROM {{t}} ORDER BY {backwards} LIMIT 1",
            f"DELETE FROM {{t}} ORDER BY {backwards} LIMIT 1",
            f"UPDATE {{t}} SET {moved} ORDER BY {order} LIMIT 1",
        ),
    )


def pair(name: str, column: str, values: str) -> Feature:
    """For types with few values: the key has an integer behind."""
    return key(name, f"{column}, j INT", f"{values}, n", "PRIMARY KEY (k, j)", "k, j")


def text(name: str, kind: str, letters: str) -> Feature:
    """Words that begin with different letters."""
    return key(name, f"k {kind}", f"CONCAT(ELT(1 + n % 4, {letters}), n * 7 % 1501)")


KEYS: Final = (
    key("INT, negative ones", "k INT", "n * 977 - 70000"),
    key("BIGINT, huge gaps", "k BIGINT", "n * n * n * 2000000000000 - 4000000000000000000"),
    key("BIGINT UNSIGNED at the end of its range", "k BIGINT UNSIGNED", "18446744073709551615 - (160 - n) * 3"),
    pair("TINYINT, and an INT", "k TINYINT", "n % 256 - 128"),
    key("DECIMAL", "k DECIMAL(30, 10)", "(n - 75) * 123456789012.0123456789"),
    key("FLOAT", "k FLOAT", "(n - 75) / 7"),
    key("DOUBLE", "k DOUBLE", "(n - 75) / 7e100"),
    key("BIT", "k BIT(40)", "n * 104729"),
    pair("YEAR, and an INT", "k YEAR", "IF(n % 100 = 0, 0, 1901 + n % 250)"),
    key("DATE, 0000-00-00 too", "k DATE", "IF(n = 1, '0000-00-00', '1000-01-01' + INTERVAL n * 37 DAY)"),
    key("DATETIME(6)", "k DATETIME(6)", "'2024-01-01' + INTERVAL n * 1000003 MICROSECOND"),
    pair("DATETIME, impossible ones", "k DATETIME", "ELT(1 + n DIV 60, '0000-00-00', '2024-02-31 00:00:00', '2024-03-01 00:00:00')"),
    key("TIME(3)", "k TIME(3)", "SEC_TO_TIME((n - 75) * 39999.125)"),
    key("TIMESTAMP", "k TIMESTAMP", "'2024-01-01' + INTERVAL n DAY"),
    text("utf8mb4_0900_ai_ci", "VARCHAR(40) COLLATE utf8mb4_0900_ai_ci", "'ä', 'Z', 'ß', ' '"),
    key("NO PAD, case-sensitive (utf8mb4_0900_as_cs)", "k VARCHAR(20) COLLATE utf8mb4_0900_as_cs", "CONCAT(n DIV 6, ELT(1 + n % 6, '', ' ', '  ', 'a', 'A', 'a '))"),
    text("PAD SPACE (utf8mb4_general_ci)", "CHAR(40) COLLATE utf8mb4_general_ci", "'ä ', 'Z', 'ß', 'b'"),
    text("utf8mb4_bin", "VARCHAR(40) COLLATE utf8mb4_bin", "'ä', 'Z', '😀', ' '"),
    text("utf8mb3", "VARCHAR(40) CHARACTER SET utf8mb3", "'ä', 'Z', 'ß', ' '"),
    text("latin1_german2_ci", "CHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci", "'ä', 'Z', 'ß', '%s`'"),
    text("ucs2", "VARCHAR(20) CHARACTER SET ucs2", "'ä', 'Z', 'ß', '%s`'"),
    text("utf16", "VARCHAR(20) CHARACTER SET utf16", "'ä', 'Z', '😀', '%s`'"),
    text("utf32", "VARCHAR(20) CHARACTER SET utf32", "'ä', 'Z', '😀', '%s`'"),
    text("sjis, whose second bytes look like backslashes", "VARCHAR(20) CHARACTER SET sjis", "'表', 'Z', 'ソ', '\\\\'"),
    key("BINARY(16)", "k BINARY(16)", "LEFT(UNHEX(SHA2(n, 256)), 16)"),
    key("VARBINARY", "k VARBINARY(20)", "CONCAT(UNHEX(LPAD(HEX(n * 31 % 256), 2, '0')), n, ELT(1 + n % 3, '', UNHEX('00'), ' '))"),
    pair("ENUM", "k ENUM('z', 'a', 'it''s %s', 'b')", "1 + n % 4"),
    pair("ENUM with a member ''", "k ENUM('z', '')", "1 + n % 2"),
    pair("SET", "k SET('z', 'a', 'm', 'b')", "n % 16"),
    key("DESC", "a INT, k INT", "n DIV 40, n % 40", "PRIMARY KEY (a DESC, k)", "a, k", order="a DESC, k", backwards="a, k DESC"),
    key("three columns, one DESC", "a SMALLINT, k INT, c VARCHAR(10)", "n DIV 60, n DIV 10 % 6, CONCAT('c', n % 10)", "PRIMARY KEY (a, k DESC, c)", "a, k, c", order="a, k DESC, c", backwards="a DESC, k, c DESC"),
    key("UNIQUE NOT NULL instead of PRIMARY", "k INT NOT NULL, j BIGINT NOT NULL", "n * 3, 2000 - n", "UNIQUE KEY (j), UNIQUE KEY u (k)", "k, j"),
    key("AUTO_INCREMENT behind, UNIQUE", "a INT, k INT AUTO_INCREMENT", "n DIV 7, n", "PRIMARY KEY (a, k), UNIQUE KEY (k)", "a, k"),
    key("generated, STORED", "a INT, k INT AS (a * 2) STORED", "n", names="a"),
    key("generated, VIRTUAL", "a INT NOT NULL, k INT AS (a * 2) VIRTUAL NOT NULL", "n", "UNIQUE KEY (k)", names="a"),
    Feature("Keys", "equal but different keys (`a`, `A`, `ä`): changed into each other", "(k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT)",
            f"SELECT CONCAT(ELT(1 + n % 3, 'a', 'A', 'ä'), n), n FROM {numbers()}",
            ("UPDATE {t} SET k = UPPER(k) WHERE n % 2 = {c} % 2", "UPDATE {t} SET k = REPLACE(k, 'A', 'ä') WHERE n % 3 = {c} % 3", "DELETE FROM {t} WHERE k = CONCAT('A', {c})")),
    Feature("Keys", "made by the server, invisible (GIPK)", "(id INT, n INT) /* my_row_id */", f"(id, n) SELECT n, n FROM {numbers()}", before=("SET sql_generate_invisible_primary_key = ON",), after=("SET sql_generate_invisible_primary_key = OFF",)),
    key("none", "k INT", "n % 9", "KEY (k)"),
    key("UNIQUE with NULLs", "k INT", "IF(n % 5, n, NULL)", "UNIQUE KEY (k)"),
    key("UNIQUE of a prefix", "k VARCHAR(30) NOT NULL", "CONCAT(LPAD(n, 5, '0'), 'x')", "UNIQUE KEY (k(7))"),
    key("PRIMARY of a prefix", "k VARCHAR(30) NOT NULL", "CONCAT(LPAD(n, 5, '0'), 'x')", "PRIMARY KEY (k(7))"),
)  # fmt: skip

TYPES: Final = (*COLUMN_TYPES, *KEYS)
