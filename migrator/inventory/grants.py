"""What our account may do, from SHOW GRANTS. The parsing is pure.

SHOW GRANTS is read and not information_schema, because that leaves out what comes with roles. For the
account itself SHOW GRANTS adds the privileges of the roles that are active, which in our sessions are
the default ones: the same that a trigger of ours will have.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from migrator.db import Session
from migrator.errors import Failed
from migrator.model import Family, Server, TableName

ALL: Final = "ALL"
GRANT_OPTION: Final = "GRANT OPTION"


@dataclass(frozen=True, slots=True)
class Grants:
    """Privileges by where they hold.

    Keys of `within` are the pattern of a schema as granted (`shop`, `app\\_%`), or for one table both
    names in backticks. A leading minus marks a privilege that a partial REVOKE takes out of a schema.
    """

    account: str
    everywhere: frozenset[str] = frozenset()
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    """Roles that were granted, active or not."""
    active_roles: tuple[str, ...] = ()
    literal: bool = False
    """With partial_revokes on, `%` and `_` in the name of a schema mean themselves."""

    def hold(self, privilege: str, table: TableName) -> bool:
        """True if we hold the privilege on the whole table (not on some columns only)."""
        of_schema = self._of_schema(table.schema)
        if {privilege, ALL} & self.everywhere and not {f"-{privilege}", f"-{ALL}"} & of_schema:
            return True
        return bool({privilege, ALL} & (of_schema | self.within.get(table_key(table), frozenset())))

    def _of_schema(self, schema: str) -> frozenset[str]:
        if self.literal:
            return self.within.get(schema, frozenset())
        unescaped = [p for p in self.within if not _wild(p) and _unescaped(p) == schema]
        if unescaped:
            return frozenset().union(*(self.within[p] for p in unescaped))
        fitting = [p for p in self.within if not p.startswith("`") and _pattern(p).fullmatch(schema)]
        if not fitting:
            return frozenset()
        # The server takes the pattern with the longest beginning that is not wild, that one alone.
        longest = max(map(_fixed_length, fitting))
        first, *others = (self.within[p] for p in fitting if _fixed_length(p) == longest)
        return first.intersection(*others)


def read_grants(session: Session) -> Grants:
    """Read what the account of this session may do, with two statements. Needs no privilege."""
    if session.family is Family.MARIADB:
        return _read_mariadb(session)
    found = session.row("SELECT CURRENT_USER(), CURRENT_ROLE(), @@GLOBAL.partial_revokes")
    account, roles, literal = found or ("", "NONE", 0)
    using = "" if roles == "NONE" else " USING " + str(roles).replace("%", "%%")
    lines = [str(line) for (line,) in session.rows(f"SHOW GRANTS FOR CURRENT_USER(){using}")]
    return parse_grants(lines, account=str(account), active_roles=_roles(str(roles)), literal=bool(literal))


def _read_mariadb(session: Session) -> Grants:
    """There SHOW GRANTS has the privileges of the role that is active, and knows no partial revokes."""
    account, role = session.row("SELECT CURRENT_USER(), CURRENT_ROLE()") or ("", None)
    lines = [str(line) for (line,) in session.rows("SHOW GRANTS")]
    return parse_grants(lines, account=str(account), active_roles=(str(role),) if role else ())


def grants_of(server: Server) -> Grants:
    """The same facts, as a `Server` carries them."""
    return Grants(
        account=server.account,
        everywhere=server.privileges,
        within=server.schema_privileges,
        roles=server.roles + server.non_default_roles,
        active_roles=server.roles,
        literal=server.variable_is_on("partial_revokes"),
    )


def parse_grants(
    lines: Iterable[str], *, account: str, active_roles: tuple[str, ...] = (), literal: bool = False
) -> Grants:
    """Read the lines of SHOW GRANTS. Grants on routines, on columns and of PROXY say nothing about tables."""
    everywhere: set[str] = set()
    within: dict[str, set[str]] = {}
    roles: set[str] = set()
    for whole in lines:
        # MariaDB shows how the account logs in there, with the password's hash, and which role it begins with.
        line = _LOGIN.sub("", whole)
        if line.startswith("SET DEFAULT ROLE"):
            continue
        try:
            place, privileges, granted = _one(_WORD.findall(line))
        except (IndexError, ValueError):
            raise Failed(
                f"a line of SHOW GRANTS cannot be read: {line}",
                remedy="nothing was touched; please report this line",
            ) from None
        roles |= granted
        if place is None:
            continue
        into = everywhere if place == "*" else within.setdefault(place, set())
        into |= privileges
    return Grants(
        account=account,
        everywhere=frozenset(everywhere),
        within={key: frozenset(found) for key, found in within.items() if found},
        roles=tuple(sorted(roles)),
        active_roles=tuple(sorted(active_roles)),
        literal=literal,
    )


def table_key(table: TableName) -> str:
    """The key of a grant on one table."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in (table.schema, table.name))


_WORD: Final = re.compile(r"""`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|\w+|\*|[().,@]""", re.DOTALL)
_ROUTINES: Final = frozenset({"FUNCTION", "PROCEDURE", "LIBRARY", "PACKAGE"})
_LOGIN: Final = re.compile(r" (?:IDENTIFIED (?:BY|VIA|WITH)|REQUIRE) .*?(?= WITH GRANT OPTION$|$)", re.DOTALL)


def _one(words: Sequence[str]) -> tuple[str | None, set[str], set[str]]:
    """One line: the place (`*` is everywhere, None nowhere that matters), the privileges there, the roles."""
    verb, *rest = words
    end = "FROM" if verb.upper() == "REVOKE" else "TO"
    items, index = _items(rest, {"ON", end})
    if rest[index].upper() == end:
        return None, set(), {_role(item) for item in items}
    index += 1
    if items == [["PROXY"]] or rest[index].upper() in _ROUTINES:
        return None, set(), set()
    if rest[index].upper() == "TABLE":
        index += 1
    privileges = {_privilege(item) for item in items} - {"", "USAGE"}
    schema, dot, name = rest[index : index + 3]
    if dot != ".":
        raise ValueError(dot)
    if verb.upper() == "REVOKE":
        privileges = {f"-{privilege}" for privilege in privileges}
    elif [word.upper() for word in rest[-3:]] == ["WITH", "GRANT", "OPTION"]:
        privileges.add(GRANT_OPTION)
    if schema == "*":
        return "*", privileges, set()
    if name == "*":
        return _bare(schema), privileges, set()
    return table_key(TableName(_bare(schema), _bare(name))), privileges, set()


def _items(words: Sequence[str], ends: set[str]) -> tuple[list[list[str]], int]:
    """What stands between commas, up to one of the keywords `ends`, and where that is."""
    items: list[list[str]] = [[]]
    depth = 0
    for index, word in enumerate(words):
        if depth == 0 and word.upper() in ends:
            return items, index
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == ",":
            items.append([])
        else:
            items[-1].append(word)
    raise ValueError(words)


def _privilege(item: Sequence[str]) -> str:
    if "(" in item:
        return ""
    text = " ".join(item).upper()
    return ALL if text in {"ALL", "ALL PRIVILEGES"} else text


def _role(item: Sequence[str]) -> str:
    return "".join(_bare(word) for word in item)


def _roles(text: str) -> tuple[str, ...]:
    """CURRENT_ROLE(): `NONE` or `` `a`@`%`,`b`@`localhost` ``."""
    if text == "NONE":
        return ()
    items, _ = _items([*_WORD.findall(text), "TO"], {"TO"})
    return tuple(_role(item) for item in items)


def _bare(word: str) -> str:
    quote = word[0]
    if quote not in "`'\"":
        return word
    return word[1:-1].replace(quote * 2, quote)


_PIECE: Final = re.compile(r"\\.|.", re.DOTALL)


def _wild(pattern: str) -> bool:
    return pattern.startswith("`") or any(piece in {"%", "_"} for piece in _PIECE.findall(pattern))


def _unescaped(pattern: str) -> str:
    return "".join(piece[-1] for piece in _PIECE.findall(pattern))


def _pattern(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in _PIECE.findall(pattern)), re.DOTALL)


def _fixed_length(pattern: str) -> int:
    """Characters before the first wild one, backslashes counted, as the server sorts."""
    fixed = itertools.takewhile(lambda piece: piece not in {"%", "_"}, _PIECE.findall(pattern))
    return sum(map(len, fixed))
