"""Sizes and times as people write them (`8 MiB`, `0.5 s`, `7 d`), exact in both directions.

Pure. A plain number means bytes, seconds, hours or days. What cannot be said exactly is not rounded: it is
refused when read (`0.3 KiB` is no whole number of bytes) and left a plain number when written.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_SIZES: Final = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_TIMES: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "min": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_WRITTEN_SIZES: Final = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))

_NUMBER: Final = r"[0-9]{1,19}(\.[0-9]{1,9})?"
SIZE_PATTERN: Final = rf"^{_NUMBER} ?({'|'.join(_SIZES)})$"
TIME_PATTERN: Final = rf"^{_NUMBER} ?({'|'.join(_TIMES)})$"


def _split(text: str, pattern: str, what: str) -> tuple[Decimal, str]:
    found = re.match(pattern, text, flags=re.ASCII)
    if found is None or text.endswith("\n"):
        raise ValueError(f"{text!r} is not {what}")
    number = re.match(_NUMBER, text)
    assert number is not None, "the pattern begins with a number"  # noqa: S101
    return Decimal(number[0]), text[number.end() :].strip()


def bytes_of(value: object) -> object:
    """The number of bytes that a text like `8 MiB` says; anything but a text is given back as it is."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value, SIZE_PATTERN, "a size such as 16384, 8 MiB or 1.5 GB")
    size = number * _SIZES[unit]
    if size != size.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(size)


def seconds_of(value: object) -> object:
    """The seconds that a text like `0.5 s` or `10 min` says; anything but a text is given back as it is."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value, TIME_PATTERN, "a time such as 0.5, 500 ms, 10 min or 7 d")
    return float(number * _TIMES[unit])


def whole_seconds_of(value: object) -> object:
    """As `seconds_of`, but only whole seconds."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value, TIME_PATTERN, "a time such as 600, 10 min or 2 h")
    seconds = number * _TIMES[unit]
    if seconds != seconds.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of seconds")
    return int(seconds)


def days_of(value: object) -> object:
    """The days that a text like `7 d` or `48 h` says; anything but a text is given back as it is."""
    return _whole(value, "d", "days", "7, 7 d or 48 h")


def hours_of(value: object) -> object:
    """The hours that a text like `24 h` or `2 d` says; anything but a text is given back as it is."""
    return _whole(value, "h", "hours", "24, 24 h or 2 d")


def _whole(value: object, wanted: str, many: str, examples: str) -> object:
    if not isinstance(value, str):
        return value
    number, unit = _split(value, TIME_PATTERN, f"a time such as {examples}")
    count = number * _TIMES[unit] / _TIMES[wanted]
    if count != count.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of {many}")
    return int(count)


def bytes_text(size: int) -> str:
    """`8 MiB` where that is exact, else the plain number as text; `bytes_of` gives the same number back."""
    for unit, factor in _WRITTEN_SIZES:
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return str(size)


def about(size: int) -> str:
    """`117.7 MiB`: rounded, for people only."""
    for unit, factor in _WRITTEN_SIZES:
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _schema(kind: str, pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": kind, "minimum": 0}, {"type": "string", "pattern": pattern}]})


ByteCount = Annotated[int, BeforeValidator(bytes_of), _schema("integer", SIZE_PATTERN)]
"""A number of bytes; in YAML also `8 MiB`."""

Seconds = Annotated[float, BeforeValidator(seconds_of), _schema("number", TIME_PATTERN)]
"""Seconds, fractions allowed; in YAML also `500 ms`."""

WholeSeconds = Annotated[int, BeforeValidator(whole_seconds_of), _schema("integer", TIME_PATTERN)]
"""Whole seconds; in YAML also `10 min`."""

Hours = Annotated[int, BeforeValidator(hours_of), _schema("integer", TIME_PATTERN)]
"""Whole hours; in YAML also `24 h`."""

Days = Annotated[int, BeforeValidator(days_of), _schema("integer", TIME_PATTERN)]
"""Whole days; in YAML also `7 d`."""
