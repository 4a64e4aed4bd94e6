"""The throttle query: a SELECT of the DBA's own, refused where it could do more than read. Pure.

What a text can show is refused here. What it cannot show (a stored function, a view) meets a READ ONLY transaction and
a time limit.
"""

from __future__ import annotations

import re
from typing import Final

import sqlparse

SLEEP_OR_LOCK: Final = (
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
    "SERVICE_[A-Z_]+_LOCKS",
    "VERSION_TOKENS_[A-Z_]+",
    "KEYRING_KEY_[A-Z_]+",
    "GROUP_REPLICATION_[A-Z_]+",
    "ASYNCHRONOUS_CONNECTION_FAILOVER_[A-Z_]+",
)
"""Functions that wait, keep a lock, read files, or change the server in spite of a READ ONLY transaction."""

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`((?:[^`]|``)*)`(?=(\s*\()?)")
_STARTS: Final = r"(?:(?<![\w$@])|\.[0-9]*)"
"""A number may end where a word begins: `1.FOR UPDATE`."""
_COMMENT: Final = re.compile(r"/\*|\*/|--|#")
_WRITES: Final = re.compile(_STARTS + r"INTO(?![\w$])", flags=re.IGNORECASE)
_LOCKS: Final = re.compile(_STARTS + r"(FOR\s+(?:UPDATE|SHARE)|LOCK\s+IN)(?![\w$])", flags=re.IGNORECASE)
_CALLS: Final = re.compile(rf"(?<![\w$])({'|'.join(SLEEP_OR_LOCK)})\s*\(", flags=re.IGNORECASE)


def check_query(text: str) -> str:
    """The text, if it is one statement that only reads; '' too. Raises ValueError with what is wrong."""
    if not text.strip():
        return ""
    if "\\" in text:
        raise ValueError("a throttle query holds no backslash")
    if ";" in text.rstrip().removesuffix(";"):
        raise ValueError("a throttle query is one statement, and holds no semicolon")
    # Not by the parser's tokens: it takes $$...$$ and others for texts, which are names for the server.
    bare = _QUOTED.sub(_without_text, text)
    if {"'", '"', "`"} & set(bare.replace("''", "")):
        raise ValueError("a throttle query ends what it quotes")
    if _COMMENT.search(bare):
        raise ValueError("a throttle query holds no comment: some of them are executed")
    if sqlparse.parse(text)[0].get_type() != "SELECT":  # type: ignore[no-untyped-call]
        raise ValueError("a throttle query is a SELECT")
    if _WRITES.search(bare):
        raise ValueError("a throttle query writes nothing: no INTO")
    if locks := _LOCKS.search(bare):
        raise ValueError(f"a throttle query locks nothing: no {' '.join(locks[1].upper().split())}")
    if calls := _CALLS.search(bare):
        raise ValueError(f"a throttle query neither waits nor locks nor reads files: no {calls[1].upper()}")
    if ":=" in bare:
        raise ValueError("a throttle query sets nothing: no :=")
    return text.strip().removesuffix(";").rstrip()


def _without_text(quoted: re.Match[str]) -> str:
    """Nothing of a text or of a name in backquotes, unless it is called: that may be a function."""
    return f" {quoted[1]}" if quoted[2] else "''"
