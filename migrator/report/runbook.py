"""Runbooks: what a person does where no plan of ours can. Templates, filled with what the server said. Pure.

Texts are in migrator/runbooks/*.md, with {{names}} for facts. Where a fact is not known its name stands there in
capital letters, to be filled in by hand.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, get_args

from migrator import __version__
from migrator.model import Facts, Flavour, TableName, TableSize
from migrator.report.words import about, count, plural, printable

Kind = Literal["luks", "rds", "aurora", "ndb", "pxc"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MOST_TABLES: Final = 100
_NAME: Final = re.compile(r"\{\{([a-z_]+)\}\}")
_ENDPOINT: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9-]*)\.(?P<kind>cluster-custom-|cluster-ro-|cluster-|proxy-)?[a-z0-9]+"
    r"\.(?:rds\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.(?:rds\.)?amazonaws\.com(?:\.cn)?",
    re.IGNORECASE,
)
_PLACES: Final = (
    "log_bin_basename", "relay_log_basename", "tmpdir", "innodb_tmpdir", "slow_query_log_file", "general_log_file",
    "innodb_undo_directory", "innodb_log_group_home_dir", "innodb_data_home_dir",
)  # fmt: skip


_SHOWN: Final = (
    "hostname", "aurora_version", "aurora_server_id", "datadir", "log_bin", "binlog_format", "gtid_mode",
    "binlog_encryption", "innodb_redo_log_encrypt", "innodb_undo_log_encrypt", "default_table_encryption",
    "require_secure_transport", "wsrep_cluster_name", "wsrep_node_name", "wsrep_sst_method", "pxc_strict_mode",
    "pxc_encrypt_cluster_traffic", "ndb_version", "ndb_connectstring",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the name of an endpoint of RDS or Aurora says; '' where it says nothing."""

    instance: str = ""
    cluster: str = ""
    region: str = ""


def endpoint_of(host: str) -> Endpoint:
    """The parts of an endpoint's name, such as `shop.cluster-ro-abc123.eu-west-1.rds.amazonaws.com`."""
    match = _ENDPOINT.fullmatch(host)
    if match is None:
        return Endpoint()
    kind, name, region = match["kind"] or "", match["name"].lower(), match["region"].lower()
    if kind.lower() in {"cluster-", "cluster-ro-"}:
        return Endpoint(cluster=name, region=region)
    return Endpoint(region=region) if kind else Endpoint(instance=name, region=region)


def template(kind: Kind) -> str:
    """The text with its {{names}}."""
    return (files("migrator") / "runbooks" / f"{kind}.md").read_text(encoding="utf-8")


def runbook_text(kind: Kind, facts: Facts | None, *, made_at: str) -> str:
    """A runbook, filled with what is known."""
    values = _values(kind, facts) | {"version": __version__, "made_at": made_at}
    text = _NAME.sub(lambda name: values[name[1]], template(kind))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", text, flags=re.MULTILINE))


def _values(kind: Kind, facts: Facts | None) -> dict[str, str]:
    known = facts.variables if facts else {}
    endpoint = endpoint_of(facts.host) if facts else Endpoint()
    instance = known.get("aurora_server_id") or endpoint.instance
    tables = facts.tables if facts else ()
    datadir = known.get("datadir", "").rstrip("/")
    source = _Source.of(facts)
    values = {
        "where": f"{facts.host}:{facts.port}" if facts else "HOST:PORT",
        "read": _read(facts),
        "facts": _facts(facts),
        "datadir": _word(datadir) if kind in {"luks", "pxc"} else "",
        "elsewhere": ", ".join(_elsewhere(known, datadir)),
        "instance": _word(instance),
        "cluster": endpoint.cluster,
        "region": endpoint.region,
        "writer": _word(instance) if kind == "aurora" else "",
        "endpoint": facts.host if facts and endpoint.region else "",
        "port": str(facts.port) if facts and facts.port else "3306",
        "engine_version": _engine_version(facts),
        "set_source": source.set_source,
        "reset_source": source.reset_source,
        "other_procedures": source.others,
        "sizes": _sizes(tables),
        "mappings": _mappings(tables),
        "tables": _tables(kind, tables),
        "nodes": _nodes(kind, facts),
        "data_nodes": ", ".join(facts.nodes) if facts and kind == "ndb" else "",
        "mgm_node": "",
        "innodb_tables": _innodb_tables(tables) if kind == "ndb" else "",
        "plugin_dir": _word(known.get("plugin_dir", "")),
    }
    return {name: value or _UNKNOWN.get(name, "") for name, value in values.items()}


_UNKNOWN: Final[Mapping[str, str]] = {
    "datadir": "/var/lib/mysql",
    "elsewhere": "binary logs, relay logs, tmpdir, undo tablespaces, logs of statements, where they are outside",
    "instance": "INSTANCE",
    "cluster": "CLUSTER",
    "region": "REGION",
    "writer": "WRITER_INSTANCE",
    "endpoint": "SOURCE_HOST",
    "engine_version": "ENGINE_VERSION",
    "data_nodes": "as `ndb_mgm -e SHOW` lists them.",
    "mgm_node": "MGM_ID",
    "plugin_dir": "PLUGIN_DIR/",
}
"""What stands for a fact that nobody has said."""


# -- facts ------------------------------------------------------------------------------------


def _read(facts: Facts | None) -> str:
    if facts is None:
        return "No server was asked: what stands in capital letters is yours to fill in."
    return (
        f"Filled with what {facts.host}:{facts.port} said at {facts.read_at}; what stands in capital letters is"
        " yours to fill in."
    )


def _facts(facts: Facts | None) -> str:
    if facts is None:
        return ""
    rows = [("server", f"{facts.version_text}, {facts.variables.get('version_comment', '')}".strip(", "))]
    rows.append(("flavour", str(facts.flavour)))
    rows += [(name, facts.variables[name]) for name in _SHOWN if facts.variables.get(name)]
    rows.append(("tables", _sizes(facts.tables)))
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows]
    return "\n".join(["| what | as the server says |", "| --- | --- |", *lines])


def _sizes(tables: Sequence[TableSize]) -> str:
    if not tables:
        return ""
    plain = [table for table in tables if not table.encrypted]
    size = about(sum(table.size_bytes for table in tables))
    return f"{plural(len(tables), 'table')}, {size}; {count(len(plain))} of them not encrypted by table options."


def _elsewhere(known: Mapping[str, str], datadir: str) -> list[str]:
    found = []
    for name in _PLACES:
        value = known.get(name, "")
        if value.startswith("/") and not (datadir and value.startswith(f"{datadir}/")):
            found.append(f"`{_cell(value)}` ({name})")
    return found


def _engine_version(facts: Facts | None) -> str:
    aurora = facts.variables.get("aurora_version", "") if facts else ""
    if not aurora or facts is None:
        return ""
    return f"{'5.7' if aurora.startswith('2') else '8.0'}.mysql_aurora.{aurora}"


def _nodes(kind: Kind, facts: Facts | None) -> str:
    if facts is None or not facts.nodes:
        return ""
    if kind == "ndb":
        said = (
            f"node {node}: {'encrypted' if value == '1' else 'NOT encrypted'}" for node, value in facts.nodes.items()
        )
        return f"As it is now: {', '.join(said)}."
    return f"Nodes, as this one says: {', '.join(facts.nodes)}."


# -- procedures of RDS and Aurora -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """How a replica of something outside is made: the procedures have other names in other versions."""

    set_source: str
    reset_source: str
    others: str

    @staticmethod
    def of(facts: Facts | None) -> _Source:
        """By the version; where none is known, the newer names."""
        word = "source" if facts is None or _says_source(facts) else "master"
        other = "master" if word == "source" else "source"
        host = facts.host if facts and endpoint_of(facts.host).region else "SOURCE_HOST"
        port = facts.port if facts and facts.port else 3306
        call = f"CALL mysql.rds_set_external_{word}('{host}', {port}, 'repl_enc', '...', 'BINLOG_FILE', BINLOG_POS, 1);"
        since = (
            "`source` in the names of procedures: RDS for MySQL from 8.4 on, Aurora version 3. `master`: before, and"
        )
        return _Source(
            set_source=call,
            reset_source=f"CALL mysql.rds_reset_external_{word};",
            others=f"{since} RDS for MariaDB. So `rds_set_external_{other}` on others than this one.",
        )


def _says_source(facts: Facts) -> bool:
    aurora = facts.variables.get("aurora_version", "")
    if aurora:
        return not aurora.startswith(("1.", "2."))
    numbers = [int(number) for number in re.findall(r"\d+", facts.version_text)[:2]]
    return "mariadb" not in facts.version_text.lower() and numbers >= [8, 4]


def _mappings(tables: Sequence[TableSize]) -> str:
    schemas = sorted({table.name.schema for table in tables}) or ["SCHEMA"]
    rules = [
        {
            "rule-type": "selection",
            "rule-id": str(number),
            "rule-name": str(number),
            "object-locator": {"schema-name": schema, "table-name": "%"},
            "rule-action": "include",
        }
        for number, schema in enumerate(schemas, 1)
    ]
    return f"`{json.dumps({'rules': rules})}`"


# -- tables -----------------------------------------------------------------------------------


def _tables(kind: Kind, tables: Sequence[TableSize]) -> str:
    if kind == "ndb":
        return _grid(tables, _of_ndb)
    if kind == "pxc":
        return _grid(tables, _of_pxc)
    return _grid(tables, lambda table: "encrypted with the storage, or not at all")


def _of_ndb(table: TableSize) -> str:
    if table.engine.lower().startswith("ndb"):
        return "by the data nodes (steps 4, 5)"
    return "already encrypted" if table.encrypted else "of this SQL node only (step 6)"


def _of_pxc(table: TableSize) -> str:
    if table.encrypted:
        return "already encrypted"
    if table.engine.lower() == "innodb":
        return f"`ALTER TABLE {_quoted(table.name)} ENCRYPTION='Y'`"
    if table.engine.lower() in {"memory", "blackhole", "federated"}:
        return "keeps no rows on disk"
    return f"not InnoDB: `ALTER TABLE {_quoted(table.name)} ENGINE=InnoDB ENCRYPTION='Y'`, in a window"


def _innodb_tables(tables: Sequence[TableSize]) -> str:
    left = [t for t in tables if t.engine.lower() == "innodb" and not t.encrypted]
    return f"On this one: {plural(len(left), 'InnoDB table')} in clear." if tables else ""


def _grid(tables: Sequence[TableSize], what: Callable[[TableSize], str]) -> str:
    if not tables:
        return "No table was read."
    shown = [
        f"| {_cell(str(table.name))} | {table.engine} | {about(table.size_bytes)} | {what(table)} |"
        for table in tables[:MOST_TABLES]
    ]
    more = len(tables) - len(shown)
    lines = ["| table | engine | size | how |", "| --- | --- | ---: | --- |", *shown]
    return "\n".join(lines) + (f"\n\nAnd {plural(more, 'smaller table')}." if more > 0 else "")


def _word(value: str) -> str:
    """A value as one word of a shell, whatever the server says."""
    return shlex.quote(printable(value)) if value else ""


def _quoted(table: TableName) -> str:
    return ".".join("`" + _cell(part.replace("`", "``")) + "`" for part in (table.schema, table.name))


def _cell(text: str) -> str:
    """A text that stays within its cell, and within its line."""
    return printable(text).replace("|", "\\|")


def runbook_kind(flavour: Flavour, *, galera: bool) -> Kind | None:
    """Which runbook does the job where no plan of ours does; None where one does."""
    if galera:
        return "pxc"
    return {Flavour.RDS: "rds", Flavour.AURORA: "aurora", Flavour.NDB: "ndb"}.get(flavour)  # type: ignore[return-value]
