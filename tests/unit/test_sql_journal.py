"""The journal's tables have a version, and no two shapes have the same."""

from __future__ import annotations

import hashlib

from migrator.sql.journal import FORMAT, TABLES

SHAPES = {2: "213e10e484d293f9", 3: "f17c8633b97adb4d", 4: "bdc107aa7abfb0d4", 5: "ea3ab304ad3be31a"}
"""Format -> digest of the tables that it means. A new shape is a new format: another version refuses it."""


def test_another_shape_is_another_format() -> None:
    """A journal of other columns would end every command with error 1054 instead of a word about its version."""
    digest = hashlib.sha256(repr(sorted(TABLES.items())).encode()).hexdigest()[:16]
    assert SHAPES.get(FORMAT) == digest, f"the tables have changed: raise FORMAT, and note {digest}"
