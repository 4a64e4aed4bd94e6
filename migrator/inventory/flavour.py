"""Who made the server and which version it is, by evidence. Pure.

A suffix of the version proves nothing: `9.7.4-2` is Debian's build of Oracle's server. What does: the
variables that only one server has, the folders of a managed service, and the comment of the build.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrator.model import Flavour

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def flavour_of(version_text: str, variables: Mapping[str, str], *, ndb_engine: bool) -> Flavour:
    """The flavour; `variables` are the global ones, `ndb_engine` says if the engine ndbcluster is switched on."""
    comment = variables.get("version_comment", "").lower()
    folders = {"basedir": "/rdsdbbin/", "datadir": "/rdsdbdata/"}
    if "aurora_version" in variables:
        return Flavour.AURORA
    if any(variables.get(name, "").startswith(folder) for name, folder in folders.items()):
        return Flavour.RDS
    if "mariadb" in version_text.lower():
        return Flavour.MARIADB
    if comment.startswith("percona xtradb cluster") or "pxc_strict_mode" in variables:
        return Flavour.PXC
    if comment.startswith("percona server"):
        return Flavour.PERCONA
    if "-cluster" in version_text.lower() or ndb_engine:
        return Flavour.NDB
    return Flavour.MYSQL


def version_of(version_text: str) -> tuple[int, int, int]:
    """The three numbers of VERSION(); zeros where there are none."""
    # Old MariaDB servers pretend to be 5.5.5 before they say who they are.
    found = _NUMBERS.search(version_text.removeprefix("5.5.5-"))
    if found is None:
        return (0, 0, 0)
    major, minor, patch = found.groups(default="0")
    return (int(major), int(minor), int(patch))
