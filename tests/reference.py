"""docs/reference.md, made from what --help shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import typer

from migrator.cli import app
from migrator.cli_options import CONNECTION

FILE: Final = Path(__file__).parent.parent / "docs" / "reference.md"

HEAD: Final = """\
# Reference

Made from `migrator --help` by `make docs`; a test keeps it so.

Results go to stdout (or to the file of `-o`, which is replaced in one step), progress and messages to
stderr. Progress is bars on a terminal and plain lines otherwise. Nothing is ever asked without a terminal.
"""

EXIT_CODES: Final = """\
## Exit codes

| code | meaning |
| ---: | --- |
| 0 | done |
| 1 | done, but something was refused, left, or (`audit`, `verify`, `cleanup`) is in clear |
| 2 | usage, or a bad plan; nothing was touched |
| 3 | failed; the source tables are intact, and it is safe to run the same command again |
| 4 | a person must look: a name is not provably ours, a converted table is another, a file not as the catalog says |
| 70 | a bug in migrator |
| 75 | stopped by a window, a pause, a budget, or because another run is at work: run it again later |
| 129, 130, 143 | interrupted by SIGHUP, SIGINT or SIGTERM at a safe point: safe to run again |

`plan` and `dry-run` give 1 if a table is refused. `dry-run` gives what `apply` would end with if all went
well: 2 if the server has drifted from the plan, 3 if a gate or a rehearsal says no.
With 3 and 4 `apply` prints the manual way out: what exists, and in which order a person would remove it.
"""

SETTINGS: Final = """\
### Where settings come from

As with MySQL's own clients: the environment counts least, then option files, then the command line.

* Environment: `MYSQL_HOST`, `MYSQL_TCP_PORT`, `MYSQL_UNIX_PORT`, `MYSQL_GROUP_SUFFIX`, and `MYSQL_PWD`, which
  other processes of yours can read: better not, and a warning says so. No process that we start gets it.
* Option files: `/etc/my.cnf`, `/etc/mysql/my.cnf`, the file of `--defaults-extra-file`, `~/.my.cnf`; or only
  the file of `--defaults-file`. Groups `[client]` and `[migrator]`, and both with the suffix of
  `--defaults-group-suffix`. Options: `host port socket user password protocol connect-timeout ssl-mode ssl-ca
  ssl-cert ssl-key ssl-crl server-public-key-path get-server-public-key`. Others in `[client]` are for other
  clients; in `[migrator]` they are errors, unless their name begins with `loose-`. `!include` and `!includedir`,
  quotes, comments and escapes are as in MySQL's manual.
  Names are not completed: `pass` is not `password`. A file that everybody may write is ignored, with a warning.
  One with a password that others may read is used, with a warning.
* Login paths: `~/.mylogin.cnf`, or the file that `MYSQL_TEST_LOGIN_FILE` names, is read last, also with
  `--no-defaults` and `--defaults-file`: the same groups, and that of `--login-path`. What stands later in it wins,
  so `[client]` below the login path does, with a warning. Who else may read the file makes it ignored; with
  `--login-path` that is an error, and so is a path that is not in it.
* Socket or TCP: `localhost`, which is the default, means the socket, if one is named or found; a port of its own
  or `protocol=TCP` means TCP. Every other host means TCP.
* TLS is used whenever the server offers it (`PREFERRED`), but not on a socket. `--ssl-ca` alone means `VERIFY_CA`.
  More, and what each mode protects from: [security](security.md).
* A password is best kept in an option file that only you can read. `-p` asks for it on a terminal.
  `-pSECRET` and `--password=SECRET` work and warn: they are overwritten in the process list, but may have been seen.
"""


def reference_text() -> str:
    """The whole page."""
    group = typer.main.get_command(app)
    root = typer.Context(group, info_name="migrator")
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    shared = {p.name for p in CONNECTION}
    parts = [HEAD, f"{_paragraphs(group.help)}\n", _overview(commands)]
    connection: list[Any] = []
    for name, command in commands.items():
        context = typer.Context(command, info_name=name, parent=root)
        own = [p for p in command.params if p.name not in shared]
        connection = [p for p in command.params if p.name in shared]
        usage = f"migrator {name} [OPTIONS]" + "".join(f" {p.metavar}" for p in own if _is_argument(p))
        parts.append(f"## migrator {name}\n\n    {usage}\n\n{_paragraphs(command.help)}\n")
        parts.append(_grid(own, context))
    parts.append("## Connection options\n\nEvery command has them.\n")
    parts.append(_grid(connection, root))
    return "\n".join([*parts, SETTINGS, EXIT_CODES])


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text or ""))


def _overview(commands: dict[str, Any]) -> str:
    lines = [f"| [`{name}`](#migrator-{name}) | {c.get_short_help_str(limit=200)} |" for name, c in commands.items()]
    return "\n".join(["| command | does |", "| --- | --- |", *lines, ""])


def _grid(parameters: list[Any], context: Any) -> str:
    records = [record for p in parameters if (record := p.get_help_record(context)) is not None]
    if not records:
        return "Only the connection options.\n"
    lines = [f"| `{_cell(option)}` | {_cell(text)} |" for option, text in records]
    return "\n".join(["| option | meaning |", "| --- | --- |", *lines, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
