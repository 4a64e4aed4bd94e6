"""Runbooks: filled with facts that are written by hand here, since such servers cannot be started.

Every option of every `aws` command is one that the AWS CLI knows; nothing is left unfilled.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from migrator.inventory.facts import facts_from
from migrator.model import Facts, Flavour, Method
from migrator.planner.around import look_around
from migrator.planner.gates import gates
from migrator.planner.make import make_plan
from migrator.planner.methods import choose
from migrator.planner.plan import Attestations, Policy
from migrator.report.planned import planned_exit_code, planned_lines
from migrator.report.runbook import KINDS, Kind, endpoint_of, runbook_kind, runbook_text, template
from tests.unit.builders import a_server, a_table, a_tablespace, an_encrypted_table, an_inventory

MADE: Final = "2026-05-01 10:00 UTC"
OPTIONS: Final = Path(__file__).parents[1] / "aws_options.json"

# -- what such servers say, written by hand --------------------------------------------------------

TABLES: Final = [
    ("shop", "orders", "InnoDB", 5 * 2**30, ""),
    ("shop", "la|bels`x", "MyISAM", 4096, ""),
    ("shop", "done", "InnoDB", 2**20, "ENCRYPTION='Y'"),
]
RDS: Final = facts_from(
    "shop-db.c9akciq32.eu-west-1.rds.amazonaws.com",
    3306,
    "8.0.35",
    {"basedir": "/rdsdbbin/mysql-8.0.35.R3/", "datadir": "/rdsdbdata/db/", "hostname": "ip-10-1-2-3", "log_bin": "ON"},
    TABLES,
    read_at="2026-05-01T10:00:00Z",
)
AURORA: Final = facts_from(
    "shop.cluster-c9akciq32.us-east-1.rds.amazonaws.com",
    3306,
    "8.0.32",
    {
        "aurora_version": "3.05.2",
        "aurora_server_id": "shop-writer-1",
        "basedir": "/rdsdbbin/oscar-8.0.mysql_aurora.3.05.2/",
    },
    TABLES,
)
NDB: Final = facts_from(
    "sql1",
    3306,
    "8.0.36-cluster",
    {"version_comment": "MySQL Cluster Community Server - GPL", "datadir": "/var/lib/mysql/"},
    [*TABLES, ("shop", "stock", "ndbcluster", 2**30, "")],
    ndb=True,
    ndb_nodes=[(1, "1"), (2, "0")],
)
PXC: Final = facts_from(
    "pxc1",
    3306,
    "8.0.35-27.1",
    {"version_comment": "Percona XtraDB Cluster (GPL)", "wsrep_on": "ON", "plugin_dir": "/usr/lib/mysql/plugin/"},
    TABLES,
    addresses="10.0.0.1:3306,10.0.0.2:3306, 10.0.0.3:3306",
)
PLAIN: Final = facts_from(
    "db1", 3306, "8.4.3", {"datadir": "/data/mysql/", "tmpdir": "/scratch", "log_bin_basename": "/logs/binlog"}, TABLES
)
FACTS: Final[dict[Kind, Facts]] = {"luks": PLAIN, "rds": RDS, "aurora": AURORA, "ndb": NDB, "pxc": PXC}


# -- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_unfilled(kind: Kind) -> None:
    """With a server's facts and without: no name of a fact is left, and what is unknown is in capital letters."""
    for facts in (None, FACTS[kind]):
        text = runbook_text(kind, facts, made_at=MADE)
        assert "{{" not in text
        assert MADE in text
        assert text.startswith("# Runbook: ")
        assert text.count("```") % 2 == 0
    assert "No server was asked" in runbook_text(kind, None, made_at=MADE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_fact_is_filled_from_any_server(kind: Kind) -> None:
    """A runbook for another kind of server than the one that was asked is filled, too."""
    for facts in FACTS.values():
        assert "{{" not in runbook_text(kind, facts, made_at=MADE)


def test_no_table_breaks_the_page() -> None:
    """A pipe or a backtick in a name stays in its cell."""
    text = runbook_text("pxc", PXC, made_at=MADE)
    (row,) = [line for line in text.splitlines() if line.startswith("| shop.la")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "ALTER TABLE `shop`.`la\\|bels``x` ENGINE=InnoDB" in row


# -- AWS ------------------------------------------------------------------------------------------


def aws_commands() -> list[list[str]]:
    """Every `aws ...` of the templates, as words; those in a sentence that end with ... in part."""
    found = []
    for kind in KINDS:
        text = template(kind).replace("\\\n", " ")
        for block in [*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`(aws [^`]+)`", text)]:
            for line in re.findall(
                r"(?:^|\$\()(aws [^\n|)]+(?:\)[^\n|]*)?)", block.replace("\n--", " --"), re.MULTILINE
            ):
                words = shlex.split(line.replace("`false`", "false").rstrip(")"), posix=False)
                found.append([word for word in words if word != "..."])
    return found


def test_the_aws_commands_are_right_to_the_option() -> None:
    """Against the AWS CLI's own tables (tests/aws_options.json says of which version)."""
    known: dict[str, list[str]] = json.loads(OPTIONS.read_text())["options"]
    commands = aws_commands()
    assert len(commands) > 40
    for words in commands:
        name = " ".join(words[1:4] if words[2] == "wait" else words[1:3])
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= {*known[name], "--query", "--output"}, " ".join(words)


@pytest.mark.parametrize(
    ("host", "instance", "cluster", "region"),
    [
        ("shop-db.c9akciq32.eu-west-1.rds.amazonaws.com", "shop-db", "", "eu-west-1"),
        ("SHOP-DB.C9akciq32.EU-WEST-1.rds.amazonaws.com", "shop-db", "", "eu-west-1"),
        ("shop.cluster-c9akciq32.us-gov-west-1.rds.amazonaws.com", "", "shop", "us-gov-west-1"),
        ("shop.cluster-ro-c9akciq32.eu-west-1.rds.amazonaws.com", "", "shop", "eu-west-1"),
        ("reports.cluster-custom-c9akciq32.eu-west-1.rds.amazonaws.com", "", "", "eu-west-1"),
        ("shop.proxy-c9akciq32.eu-west-1.rds.amazonaws.com", "", "", "eu-west-1"),
        ("shop-db.c9akciq32.rds.cn-north-1.amazonaws.com.cn", "shop-db", "", "cn-north-1"),
        ("db.shop.example.com", "", "", ""),
        ("10.1.2.3", "", "", ""),
    ],
)
def test_what_an_endpoint_says(host: str, instance: str, cluster: str, region: str) -> None:
    """Instance or cluster, and the region; nothing of a proxy, of a name of one's own, or of an address."""
    found = endpoint_of(host)
    assert (found.instance, found.cluster, found.region) == (instance, cluster, region)


def test_rds_is_filled() -> None:
    """Identifier and region of the endpoint, sizes, tables, and the procedures of its version."""
    text = runbook_text("rds", RDS, made_at=MADE)
    for words in (
        "INSTANCE=shop-db\n",
        "AWS_REGION=eu-west-1",
        f"SOURCE_HOST={RDS.host}",
        f"CALL mysql.rds_set_external_master('{RDS.host}', 3306, 'repl_enc'",
        "CALL mysql.rds_reset_external_master;",
        "3 tables, 5.0 GiB",
        "| shop.orders | InnoDB | 5.0 GiB |",
        '"schema-name": "shop"',
    ):
        assert words in text


def test_procedures_have_the_names_of_the_version() -> None:
    """RDS from 8.4 on and Aurora version 3 say source; older ones, and MariaDB, master."""

    def of(version: str, **variables: str) -> str:
        facts = facts_from("h", 3306, version, {"basedir": "/rdsdbbin/", **variables}, [])
        return runbook_text("rds", facts, made_at=MADE).partition("CALL mysql.rds_set_external_")[2].partition("(")[0]

    assert of("8.4.3") == of("9.1.0") == of("8.0.32", aurora_version="3.05.2") == "source"
    assert of("8.0.35") == of("10.11.6-MariaDB-log") == of("5.7.12", aurora_version="2.11.1") == "master"


def test_aurora_is_filled() -> None:
    """The cluster by its endpoint, the writer by its variable, the engine's version."""
    text = runbook_text("aurora", AURORA, made_at=MADE)
    for words in (
        "CLUSTER=shop\n",
        "ENGINE_VERSION=8.0.mysql_aurora.3.05.2",
        "--db-instance-identifier shop-writer-1\n",
    ):
        assert words in text


def test_ndb_is_filled() -> None:
    """Which nodes are encrypted, which tables are theirs, which are of this SQL node alone."""
    text = runbook_text("ndb", NDB, made_at=MADE)
    for words in (
        "node 1: encrypted, node 2: NOT encrypted",
        "| shop.stock | ndbcluster | 1.0 GiB | by the data nodes",
        "On this one: 1 InnoDB table in clear.",
    ):
        assert words in text


def test_luks_names_what_lies_elsewhere() -> None:
    """Paths outside of the datadir."""
    text = runbook_text("luks", PLAIN, made_at=MADE)
    assert "`/scratch` (tmpdir)" in text
    assert "`/logs/binlog` (log_bin_basename)" in text
    assert "DATADIR=/data/mysql\n" in text


# -- what a plan says there -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavour", "galera", "kind"),
    [
        (Flavour.RDS, False, "rds"),
        (Flavour.AURORA, False, "aurora"),
        (Flavour.NDB, False, "ndb"),
        (Flavour.PXC, True, "pxc"),
        (Flavour.PXC, False, None),
        (Flavour.MYSQL, True, "pxc"),
        (Flavour.MYSQL, False, None),
        (Flavour.PERCONA, False, None),
    ],
)
def test_which_runbook_is_beside_a_plan(flavour: Flavour, galera: bool, kind: Kind | None) -> None:  # noqa: FBT001
    """One where no plan can be carried out, none where one can."""
    assert runbook_kind(flavour, galera=galera) == kind


@pytest.mark.parametrize("flavour", [Flavour.RDS, Flavour.AURORA, Flavour.NDB])
def test_nothing_is_planned_per_table(flavour: Flavour) -> None:
    """Every table and tablespace is accounted for, refused, with the runbook; whatever the policy says."""
    server = a_server(flavour=flavour)
    inventory = an_inventory(a_table(), server=server, tablespaces=(a_tablespace(),))
    plan = make_plan(inventory, Policy(convert=True, tablespaces=True, mysql_tablespace=True), {})
    assert plan.steps
    assert {step.method for step in plan.steps} == {Method.REFUSE}
    for step in plan.steps:
        (finding,) = [f for f in step.findings if f.blocks]
        assert (finding.code, finding.remedy) == ("not-per-table", f"migrator runbook {flavour}")
    assert f"migrator runbook {flavour}" in {f.code: f.remedy for f in gates(server, Attestations())}["flavour"]
    assert planned_exit_code(plan) == 1
    last = planned_lines(plan, "plan.yaml", "plan.runbook.md")[-1]
    assert "plan.runbook.md" in last
    assert "dry-run" not in last


def test_what_is_encrypted_there_stays_skipped() -> None:
    """An InnoDB table of an NDB SQL node that is encrypted needs nothing."""
    server = a_server(flavour=Flavour.NDB)
    around = look_around(an_inventory(an_encrypted_table(), server=server))
    assert choose(an_encrypted_table(), server, Policy(), around).method is Method.SKIP


def test_what_a_server_says_runs_no_command() -> None:
    """A folder or a name with characters of the shell stays one word."""
    nasty = "/data/my sql$(reboot)'\n"
    facts = facts_from(
        "h", 3306, "8.0.32", {"datadir": nasty, "aurora_version": "3.05.2", "aurora_server_id": "a;b"}, []
    )
    line = next(line for line in runbook_text("luks", facts, made_at=MADE).splitlines() if line.startswith("DATADIR="))
    assert len(shlex.split(line)) == 1
    assert "$(reboot)" in shlex.split(line)[0]
    assert "--db-instance-identifier 'a;b'" in runbook_text("aurora", facts, made_at=MADE)


def test_passwords_are_not_shown() -> None:
    """No variable that could hold one is read."""
    facts: Any = facts_from("h", 3306, "8.0.35", {"wsrep_sst_auth": "u:secret", "wsrep_provider_options": "x=y"}, [])
    assert facts.variables == {}
