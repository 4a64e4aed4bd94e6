"""The audit of a MariaDB: what is in clear, and that its closing statements close it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.mariadb.kit import ENCRYPTION, Maria
from tests.servers import mariadb, until

OPEN = {
    "tables", "system-tablespace", "undo-log", "aria-system-tables", "redo-log", "temporary-tablespace",
    "temporary-files", "online-alter-files", "binary-log", "server-default", "privilege-check",
}  # fmt: skip
"""Places of which everything is in clear where nothing was ever set."""

SETTINGS = "SHOW GLOBAL VARIABLES WHERE Variable_name REGEXP 'encrypt'"

IN_THE_FILE = (
    "--innodb-encrypt-tables=FORCE", "--innodb-encryption-threads=2", "--innodb-encrypt-log=ON",
    "--innodb-encrypt-temporary-tables=ON", "--encrypt-tmp-files=ON", "--encrypt-tmp-disk-tables=ON",
    "--encrypt-binlog=ON", "--aria-encrypt-tables=ON",
)  # fmt: skip


@contextmanager
def settings_kept(maria: Maria) -> Iterator[None]:
    """What the body sets is set back; what was encrypted meanwhile stays so."""
    before = [maria.rows(f"SELECT @@GLOBAL.{name}")[0][0] for name in ENCRYPTION]
    try:
        yield
    finally:
        for name, value in zip(ENCRYPTION, before, strict=True):
            maria.run(f"SET GLOBAL {name} = {value}")


def test_all_is_in_clear_at_first(maria: Maria) -> None:
    """And each place says what it rests on; exit code 1."""
    maria.run(f"CREATE TABLE {maria.schema}.t (id INT PRIMARY KEY)")
    found = maria.places("--databases", maria.schema)
    clear = {code for code in OPEN if found[code]["state"] in {"in clear", "bad"}}
    assert clear | ({"undo-log"} if found["undo-log"]["state"] == "unused" else set()) == OPEN
    assert "innodb_encrypt_tables=OFF" in found["server-default"]["evidence"]
    assert found["background-encryption"]["state"] == "unused"
    assert found["keyring"]["state"] == "ok"
    assert found["keyring-file"]["state"] == "ok"
    text = maria.migrator("audit", "--databases", maria.schema)
    assert text.code == 1
    assert "SET PERSIST" not in text.out
    assert "CryptographyDeprecationWarning" not in text.err


def test_its_statements_encrypt_the_tables(maria: Maria) -> None:
    """Run as they are printed, they bring every table that is printed to be encrypted."""
    schema = maria.schema
    maria.run(
        f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, v TEXT, FULLTEXT (v))",
        f"CREATE TABLE {schema}.`no``thing` (id INT PRIMARY KEY) ENCRYPTED = NO",
        f"CREATE TABLE {schema}.p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        f"INSERT INTO {schema}.t VALUES (1, 'some words')",
    )
    place = maria.places("--databases", schema)["tables"]
    assert place["evidence"] == "3 of 3 in clear: 3 InnoDB"
    with settings_kept(maria):
        maria.run(*(line.partition(";")[0] for line in place["closes"] if not line.startswith("--")))

        def done() -> bool:
            return bool(maria.places("--databases", schema)["tables"]["state"] == "encrypted")

        until(done, "all tables are encrypted", seconds=60)
        found = maria.places("--databases", schema)
        assert found["background-encryption"]["state"] == "ok"
        until(lambda: maria.places()["system-tablespace"]["state"] == "encrypted", "ibdata1 is, too", seconds=60)
        verified = maria.migrator("verify", "--databases", schema)
        assert verified.code == 0, verified
        assert "INNODB_TABLESPACES_ENCRYPTION" in verified.out
        reported = maria.migrator("report", "--databases", schema)
        assert reported.code == 0, reported
        assert "innodb_encrypt_log=OFF" in reported.out
        assert "innodb_redo_log_encrypt" not in reported.out


def test_threads_that_would_bring_tables_back_into_clear(maria: Maria) -> None:
    """Threads, and tables are not to be encrypted: that is told; and the other way round."""
    with settings_kept(maria):
        maria.run("SET GLOBAL innodb_encryption_threads = 1")
        place = maria.places()["background-encryption"]
        assert place["state"] == "bad"
        assert place["closes"][0] == "SET GLOBAL innodb_encryption_threads = 0;"
        maria.run(place["closes"][0].rstrip(";"), "SET GLOBAL innodb_encrypt_tables = ON")
        place = maria.places()["background-encryption"]
        assert place["state"] == "bad"
        assert place["closes"][0] == "SET GLOBAL innodb_encryption_threads = 4;"


@pytest.mark.parametrize("version", sorted(mariadb.BUILDS))
def test_with_all_options_nothing_of_it_is_open(version: str, tmp_path: Path) -> None:
    """A server that was made in clear and is started with the options that the audit names."""
    with mariadb.start(version, options=IN_THE_FILE, name="closed") as server:
        maria = Maria(server, "d", tmp_path)
        until(lambda: maria.places()["system-tablespace"]["state"] == "encrypted", "it has caught up", seconds=60)
        until(lambda: maria.places()["undo-log"]["state"] in {"encrypted", "unused"}, "undo, too", seconds=60)
        found = maria.places()
    # Which files are from before, and which tables of the server were rebuilt since, no query tells.
    assert {code: found[code]["state"] for code in OPEN} == dict.fromkeys(OPEN, "encrypted") | {
        "tables": "unused", "binary-log": "ask", "aria-system-tables": "ask", "privilege-check": "ok",
        "undo-log": found["undo-log"]["state"],
    }  # fmt: skip


def test_an_account_with_few_rights(maria: Maria) -> None:
    """With PROCESS and SELECT on a schema all that reads is done; what nobody may see is said."""
    user = f"u_{maria.schema[-6:]}"
    maria.run(
        f"CREATE TABLE {maria.schema}.t (id INT PRIMARY KEY)",
        f"CREATE USER {user} IDENTIFIED BY 'few'",
        f"GRANT PROCESS ON *.* TO {user}",
        f"GRANT SELECT ON {maria.schema}.* TO {user}",
    )
    try:
        few = maria.options(user, "few")
        for command in ("audit", "verify", "report"):
            ran = maria.migrator(command, "--databases", maria.schema, options=few)
            assert ran.code == 1, ran
            assert f"{maria.schema}.t" in ran.out
        made = maria.migrator("plan", "-o", maria.folder / "few.yaml", "--databases", maria.schema, options=few)
        assert made.code == 0, made
    finally:
        maria.run(f"DROP USER {user}")


def test_what_is_not_done_here(maria: Maria) -> None:
    """Without an attested backup of the keys nothing is begun; no key is rotated; files are not judged."""
    schema, plan = maria.schema, maria.folder / "plan.yaml"
    maria.run(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)", f"CREATE TABLE {schema}.m (id INT) ENGINE = MyISAM")
    made = maria.migrator("plan", "--databases", schema, "-o", plan)
    assert made.code == 1, made
    before = maria.rows(SETTINGS)
    for command, why in (
        (("apply", plan), "nobody has attested a backup of the keyring"),
        (("rotate-key",), "MariaDB has no master key"),
    ):
        ran = maria.migrator(*command)
        assert ran.code == 3, ran
        assert why in " ".join((ran.out + ran.err).split())
    assert maria.rows(SETTINGS) == before
    assert ("migrator",) not in maria.rows("SHOW DATABASES")
    maria.run(f"CREATE TABLE {schema}.a (id INT) ENGINE = Aria")
    files = maria.migrator("verify", "--files", "--databases", schema)
    as_json = maria.migrator("verify", "--databases", schema, "--format=json")
    assert "no query tells which tables of Aria" in as_json.out
    assert "cannot be read yet" in files.out
    assert files.code == 1
