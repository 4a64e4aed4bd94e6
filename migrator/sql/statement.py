"""A statement and its arguments. Text may be shown and logged, arguments never: they can be key values."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL text with `%s` places and the values for them.

    `shown` is the text as a person would type it; the values are left out on purpose.
    """

    text: str
    args: tuple[object, ...] = ()

    @property
    def shown(self) -> str:
        """The text for plans and reviews: per cent signs single again, values as `?`."""
        return re.sub("%s|%%", lambda found: "?" if found[0] == "%s" else "%", self.text)
