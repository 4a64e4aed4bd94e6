"""The throttle query: a SELECT of the DBA's own, refused where it could do more than read. Pure.

What a text can show is refused here. What it cannot show (a stored function, a view) meets a READ ONLY transaction and
a time limit.
"""

from __future__ import annotations

from typing import Final

import sqlparse

SLEEP_OR_LOCK: Final = frozenset(
    {
        "BENCHMARK",
        "GET_LOCK",
        "LOAD_FILE",
        "MASTER_POS_WAIT",
        "RELEASE_ALL_LOCKS",
        "RELEASE_LOCK",
        "SLEEP",
        "SOURCE_POS_WAIT",
        "WAIT_FOR_EXECUTED_GTID_SET",
        "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
    }
)
"""Functions that wait, keep a lock, or read files."""

LOCKING: Final = frozenset({"FOR", "LOCK"})
_NOT_WORDS: Final = ("Token.Literal.String", "Token.Comment")


def check_query(text: str) -> str:
    """The text, if it is one statement that only reads; '' too. Raises ValueError with what is wrong."""
    if not text.strip():
        return ""
    if "\\" in text:
        raise ValueError("a throttle query holds no backslash")
    if ";" in text.rstrip().removesuffix(";"):
        raise ValueError("a throttle query is one statement, and holds no semicolon")
    statement = sqlparse.parse(text)[0]
    tokens = [token for token in statement.flatten() if not token.is_whitespace]  # type: ignore[no-untyped-call]
    if any(str(token.ttype).startswith("Token.Comment") for token in tokens):
        raise ValueError("a throttle query holds no comment: some of them are executed")
    if statement.get_type() != "SELECT":  # type: ignore[no-untyped-call]
        raise ValueError("a throttle query is a SELECT")
    words = [
        (token.value.strip("`").upper(), str(token.ttype), following.value if following else "")
        for token, following in zip(tokens, [*tokens[1:], None], strict=True)
    ]
    for word, kind, after in words:
        if kind.startswith(_NOT_WORDS):
            continue
        parts = word.split()
        if "INTO" in parts:
            raise ValueError("a throttle query writes nothing: no INTO")
        if LOCKING & set(parts) and "Keyword" in kind:
            raise ValueError(f"a throttle query locks nothing: no {word}")
        if word in SLEEP_OR_LOCK and after.startswith("("):
            raise ValueError(f"a throttle query neither waits nor locks nor reads files: no {word}")
        if ":=" in word:
            raise ValueError("a throttle query sets nothing: no :=")
    return text.strip().removesuffix(";").rstrip()
