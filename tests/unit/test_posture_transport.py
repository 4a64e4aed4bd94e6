"""Places in transit and on other servers, of hand-written facts: what no server of ours is like, or can be made to be.

Galera, NDB, RDS and servers before 8.0.22 are not started in these tests: their rows are written here by the manuals.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from migrator.inventory.transport import (
    accounts_from,
    channels_from,
    interfaces_from,
    provider_options,
    sst_options,
)
from migrator.model import Flavour, Inventory, Member, TablespaceKind
from migrator.planner.posture.accounts import MOST
from migrator.planner.posture.cluster import cluster
from migrator.planner.posture.codes import CLUSTER, TRANSIT
from migrator.planner.posture.transport import STRONG, transport, weak_ciphers
from migrator.posture import OPEN, Area, Place, Posture, State
from migrator.transport import Account, Certificate, Channel, Connected, Interface, SstOptions, Transport
from tests.unit.builders import a_server, a_tablespace, an_inventory

TMP: Final = "/tmp"  # noqa: S108 what is read, not what is used
NOW: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
"""When the inventory of the builders was read."""

MAIN: Final = Interface("mysql_main", enabled=True, versions="TLSv1.2,TLSv1.3", not_after="May 20 07:12:03 2036 GMT")
GOOD: Final = Certificate(
    subject="CN=db1",
    issuer="CN=authority",
    common_name="db1",
    issuer_common_name="authority",
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=365),
    key="RSA",
    key_bits=3072,
    signature="sha256",
    names=("db1",),
    signed_by_itself=False,
)
CLOSED: Final = Transport(
    cipher="TLS_AES_256_GCM_SHA384",
    protocol="TLSv1.3",
    interfaces=(MAIN,),
    certificate=GOOD,
    accounts=(Account("app", "%", "ANY", "caching_sha2_password", locked=False),),
    empty_passwords=(),
    connected=(Connected("app", "10.0.0.9", "SSL/TLS", 7),),
    channels=(),
)
"""A server on which nothing travels in clear."""


def look(
    inventory: Inventory | None = None, *, variables: dict[str, str] | None = None, **changes: Any
) -> dict[str, Place]:
    """Places by their code; `changes` are of the transport of a closed server."""
    known = {"require_secure_transport": "ON", "bind_address": "*", "ssl_key": "/etc/mysql/certs/server-key.pem"}
    posture = Posture(variables=known | (variables or {}), transport=replace(CLOSED, **changes))
    inventory = inventory or an_inventory()
    return {place.code: place for place in (*transport(inventory, posture), *cluster(inventory, posture))}


def a_channel(**changes: Any) -> Channel:
    """In clear, from db0."""
    known = Channel("", "db0", 3306, "repl", tls=False, verifies=False, ca=False, takes_public_key=False)
    return replace(known, **changes)


def galera(*, variables: dict[str, str] | None = None, **changes: Any) -> dict[str, Place]:
    """Places of a node of a cluster that is as its manual wants it, but for the changes."""
    known = {"pxc_encrypt_cluster_traffic": "ON", "wsrep_sst_method": "xtrabackup-v2"}
    server = a_server(flavour=Flavour.PXC, wsrep_on=True, members=(Member("10.0.0.2:3306", "wsrep-node"),))
    return look(an_inventory(server=server), variables=known | (variables or {}), **changes)


# -- all places ---------------------------------------------------------------------------------------


def test_a_closed_server() -> None:
    """Nothing is open on a server that is as it should be."""
    assert [place.code for place in look().values() if place.state in OPEN] == []


WORST: Final = (
    look(interfaces=None, cipher="", certificate=None, accounts=None, connected=None, channels=None),
    look(cipher="", interfaces=(replace(MAIN, enabled=False),), certificate=None, channels=(a_channel(),)),
    look(
        variables={"require_secure_transport": "OFF", "ssl_key": "server-key.pem", "admin_address": "*"},
        interfaces=(replace(MAIN, versions="TLSv1,TLSv1.2", cipher="AES128-SHA"),),
        certificate=replace(GOOD, signed_by_itself=True, not_after=NOW, key_bits=1024, signature="sha1", names=()),
        accounts=(
            Account("", "%", "", "mysql_native_password", locked=False),
            Account("x", "%", "", "authentication_ldap_simple", locked=False),
        ),
        empty_passwords=None,
        plugins=frozenset({"mysqlx", "clone"}),
        channels=(a_channel(tls=True),),
        connected=(Connected("a", "h", "TCP/IP", 1), Connected("r", "h", "TCP/IP", 1, sent_binlog=True)),
    ),
    galera(
        variables={"pxc_encrypt_cluster_traffic": "OFF"},
        sst=SstOptions(("/etc/my.cnf",), "0", TMP),
        sst_auth_set=True,
    ),
    look(an_inventory(server=a_server(flavour=Flavour.NDB)), ndb_links=((False, 3), (True, 1))),
    look(
        an_inventory(
            server=a_server(group_mode="single-primary", members=(Member("unknown", "unknown", detail="not readable"),))
        ),
        variables={"group_replication_ssl_mode": "DISABLED", "group_replication_recovery_use_ssl": "OFF"},
    ),
)


def test_every_code_is_known() -> None:
    """Each place has a code of the table, in its area; and each of the table comes up on some server."""
    found = [place for places in WORST for place in places.values()] + list(look().values())
    by_area = {Area.TRANSIT: TRANSIT, Area.CLUSTER: CLUSTER}
    for place in found:
        assert place.code in by_area[place.area], place.code
    assert {place.code for place in found} == set(TRANSIT) | set(CLUSTER)


def test_an_open_place_says_why_and_what_closes_it() -> None:
    """Evidence always; a risk and a way to close it where it is open, but for what nobody may look for."""
    for places in WORST:
        for place in places.values():
            assert place.evidence, place
            if place.state in OPEN:
                assert place.risk, place
                assert place.closes or place.code in {"member", "channel-credentials"}, place
            else:
                assert place.state is State.ASK or not place.risk, place


def test_nothing_reloads_by_a_restart() -> None:
    """Of what travels to clients, only the X protocol needs a restart; certificates never do."""
    for places in WORST:
        for place in places.values():
            if place.restart:
                assert place.code in {"x-plugin-tls", "galera-tls", "gcache", "ndb-links"}, place


# -- TLS ----------------------------------------------------------------------------------------------


def test_ciphers() -> None:
    """Forward secrecy and authenticated encryption, or it is weak; exclusions are no ciphers."""
    assert weak_ciphers(STRONG) == []
    assert weak_ciphers("TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") == []
    assert weak_ciphers("ECDHE-RSA-CHACHA20-POLY1305:!aNULL:@SECLEVEL=1") == []
    bad = "AES128-SHA:AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA384:RC4-MD5:TLS_AES_128_CCM_8_SHA256"
    assert weak_ciphers(bad) == bad.split(":")


def test_old_versions() -> None:
    """8.0.16 to 8.0.27 take TLS 1.0 and 1.1 (hand-written: newer servers refuse the setting)."""
    place = look(interfaces=(replace(MAIN, versions="TLSv1,TLSv1.1,TLSv1.2"),))["tls-versions"]
    assert (place.state, place.closes[0]) == (State.BAD, "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3'")
    assert place.risk.startswith("TLSv1, TLSv1.1 can be broken")


def test_parameter_groups() -> None:
    """Where SET PERSIST is not for us (RDS and Aurora, hand-written), what there is instead is named."""
    found = look(an_inventory(server=a_server(flavour=Flavour.RDS)), variables={"require_secure_transport": "OFF"})
    assert found["secure-transport"].closes[0].startswith("in the parameter group: require_secure_transport = ON")

    found = look(
        an_inventory(server=a_server(flavour=Flavour.AURORA, version=(8, 0, 32))),
        channels=(a_channel(),),
        certificate=replace(GOOD, names=()),
    )
    assert found["channel-tls"].closes[0] == "CALL mysql.rds_stop_replication"
    assert "rds_set_external_master(" in found["channel-tls"].closes[1]
    assert not any("openssl" in step or "ALTER INSTANCE" in step for step in found["certificate-names"].closes)


def test_our_own_cipher() -> None:
    """A connection that is encrypted weakly is no good one."""
    place = look(cipher="AES256-GCM-SHA384", protocol="TLSv1.2")["own-connection"]
    assert (place.state, place.evidence) == (State.BAD, "TLSv1.2 AES256-GCM-SHA384")


def test_interfaces() -> None:
    """Rows of tls_channel_status, the main interface first."""
    rows = [
        ("mysql_admin", "Enabled", "No"),
        ("mysql_main", "Enabled", "Yes"),
        ("mysql_main", "Current_tls_version", "TLSv1.3"),
        ("mysql_main", "Ssl_server_not_after", "Nov 20 07:12:03 2036 GMT"),
    ]
    assert interfaces_from(rows) == (
        Interface("mysql_main", enabled=True, versions="TLSv1.3", not_after="Nov 20 07:12:03 2036 GMT"),
        Interface("mysql_admin", enabled=False),
    )


# -- certificates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "ends", "state", "says"),
    [
        (-1, 365, State.OK, "365 days left"),
        (-1, 31, State.OK, "31 days left"),
        (-1, 29, State.BAD, "29 days left"),
        (-9, 0, State.BAD, "ended 2026-05-01 12:00 UTC"),
        (2, 365, State.BAD, "not valid before 2026-05-03 12:00 UTC"),
    ],
)
def test_dates(begins: int, ends: int, state: State, says: str) -> None:
    """By the server's clock, which is that of the inventory."""
    begin, end = NOW + timedelta(days=begins), NOW + timedelta(days=ends)
    place = look(certificate=replace(GOOD, not_before=begin, not_after=end))["certificate-dates"]
    assert place.state is state
    assert says in place.evidence


def test_the_end_without_the_certificate() -> None:
    """Where it was not seen the server's own status tells the end; the rest is unknown, and why."""
    found = look(
        certificate=None,
        certificate_why="no TLS here",
        interfaces=(replace(MAIN, not_after="May  9 07:12:03 2026 GMT"),),
    )
    assert found["certificate-dates"].state is State.BAD
    assert (found["certificate"].state, found["certificate"].evidence) == (State.UNKNOWN, "not seen: no TLS here")
    assert "certificate-key" not in found


def test_names_of_certificates() -> None:
    """Signed by itself is one thing, the authority's name another; both names alike and others not, a third."""
    self_signed = look(certificate=replace(GOOD, issuer="CN=db1", issuer_common_name="db1", signed_by_itself=True))
    assert self_signed["certificate-authority"].state is State.BAD
    assert self_signed["certificate-common-name"].state is State.OK
    trap = look(certificate=replace(GOOD, issuer="CN=db1", issuer_common_name="db1"))["certificate-common-name"]
    assert trap.state is State.BAD
    assert "3888" in trap.risk
    near = look(certificate=replace(GOOD, issuer="O=x,CN=db1", issuer_common_name="db1"))["certificate-common-name"]
    assert near.state is State.BAD
    assert "3888" not in near.risk


def test_one_procedure_for_one_certificate() -> None:
    """What is wrong with it is told each time, how to get another one once."""
    found = look(certificate=replace(GOOD, key_bits=1024, names=(), signature="md5"))
    assert len(found["certificate-key"].closes) > 3
    for code in ("certificate-signature", "certificate-names"):
        assert found[code].closes == ("the same new certificate as for certificate-key",)


# -- accounts -----------------------------------------------------------------------------------------


def test_many_accounts() -> None:
    """A hundred have their statement, and one more writes those of all others."""
    many = tuple(Account(f"u{n}", "%", "", "caching_sha2_password", locked=False) for n in range(MOST + 5))
    place = look(variables={"require_secure_transport": "OFF"}, accounts=many)["accounts-without-tls"]
    assert len(place.closes) == MOST + 1
    assert place.closes[-1].startswith("SELECT CONCAT('ALTER USER '")
    assert place.evidence.count("@") == 5
    assert "and 100 more" in place.evidence


def test_who_cannot_come_over_the_network() -> None:
    """Of this host, by the socket only, locked, or with a server that has no network."""
    accounts = accounts_from(
        [
            ("a", "localhost", "", "caching_sha2_password", "N"),
            ("b", "127.0.0.1", "", "caching_sha2_password", "N"),
            ("c", "%", "", "auth_socket", "N"),
            ("d", "%", "", "caching_sha2_password", "Y"),
        ]
    )
    off = {"require_secure_transport": "OFF"}
    place = look(variables=off, accounts=accounts)["accounts-without-tls"]
    assert (place.state, place.evidence) == (State.OK, "none of 4 accounts; not counted: 1 locked, 3 of this host only")
    remote = accounts_from([(b"e", b"%", b"", b"caching_sha2_password", b"N")])
    found = look(variables=off | {"skip_networking": "ON"}, accounts=remote, rsa_key=True)
    assert [found[code].state for code in ("accounts-without-tls", "password-exchange")] == [State.OK, State.OK]
    assert found["secure-transport"].state is State.UNUSED


@pytest.mark.parametrize(
    ("plugin", "rsa_key", "state"),
    [
        ("authentication_ldap_simple", False, State.CLEAR),
        ("auth_pam", True, State.CLEAR),
        ("caching_sha2_password", True, State.BAD),
        ("caching_sha2_password", False, State.OK),
        ("mysql_native_password", True, State.OK),
    ],
)
def test_passwords_without_tls(plugin: str, rsa_key: bool, state: State) -> None:  # noqa: FBT001 pytest's way
    """The password itself, by a key that anybody may show, or not at all."""
    accounts = (Account("u", "%", "", plugin, locked=False),)
    found = look(variables={"require_secure_transport": "OFF"}, accounts=accounts, rsa_key=rsa_key)
    assert found["password-exchange"].state is state


# -- replication --------------------------------------------------------------------------------------


def test_channels() -> None:
    """A channel with a source; those of a group are not told here."""
    rows = [
        ("", "db0", 3306, "repl", "NO", "NO", 0, "YES"),
        ("other", "db9", 3307, "", "YES", "YES", 1, "NO"),
        ("group_replication_recovery", "x", 1, "g", "NO", "NO", 0, "NO"),
        ("group_replication_applier", "", 0, "", "NO", "NO", 0, "NO"),
    ]
    assert channels_from(rows) == (
        a_channel(takes_public_key=True),
        Channel("other", "db9", 3307, "", tls=True, verifies=True, ca=True, takes_public_key=False),
    )


def test_the_words_of_old_servers() -> None:
    """Before 8.0.23 the statements have other words (hand-written: no such server is started here)."""
    old = an_inventory(server=a_server(version=(8, 0, 20)))
    closes = look(old, channels=(a_channel(name="it's", takes_public_key=True),))["channel-tls"].closes
    assert closes == (
        "STOP SLAVE IO_THREAD FOR CHANNEL 'it''s'",
        "CHANGE MASTER TO MASTER_SSL = 1, GET_MASTER_PUBLIC_KEY = 0 FOR CHANNEL 'it''s'",
        "START SLAVE IO_THREAD FOR CHANNEL 'it''s'",
    )


def test_passwords_of_channels() -> None:
    """They are as safe as the tablespace mysql."""
    states = []
    for spaces in (
        (),
        (a_tablespace(TablespaceKind.MYSQL, name="mysql"),),
        (a_tablespace(TablespaceKind.MYSQL, name="mysql", encrypted=True),),
    ):
        found = look(an_inventory(tablespaces=spaces), channels=(a_channel(tls=True),))
        states.append(found["channel-credentials"].state)
    assert states == [State.UNKNOWN, State.CLEAR, State.ENCRYPTED]
    assert look(channels=(a_channel(user=""),))["channel-credentials"].state is State.OK


# -- clusters, hand-written ---------------------------------------------------------------------------


def test_provider_options() -> None:
    """Of a real node's text (Percona's, shortened) only what a place depends on; no password, no path of a secret."""
    text = (
        "base_host = 10.0.0.1; base_port = 4567; gcache.size = 8G; socket.checksum = 2; socket.ssl = YES;"
        " socket.ssl_key = server-key.pem; socket.ssl_password_file = /root/s3cret; gcache.encryption = off; "
    )
    assert provider_options(text) == {
        "socket.ssl": "YES",
        "socket.ssl_key": "server-key.pem",
        "gcache.encryption": "off",
    }


def test_a_galera_cluster() -> None:
    """As Percona ships it write sets and transfers are encrypted; the gcache is not, and files have to be looked at."""
    found = galera(provider_options={"socket.ssl": "YES", "gcache.encryption": "off"}, sst_auth_set=False)
    assert found["galera-tls"].state is State.ENCRYPTED
    assert found["sst"].state is State.ENCRYPTED
    assert found["sst-auth"].state is State.OK
    assert found["galera-certificates"].state is State.ASK
    assert found["sst-tmpdir"].state is State.ASK
    assert (found["gcache"].state, found["gcache"].restart) == (State.CLEAR, True)
    both = {"gcache.encryption": "yes", "allocator.disk_pages_encryption": "yes"}
    assert galera(provider_options=both)["gcache"].state is State.ENCRYPTED
    assert found["member"].closes[0] == "there: migrator audit -h 10.0.0.2 -P 3306"


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, State.CLEAR),
        ({"socket.ssl": "NO", "socket.ssl_key": "x"}, State.CLEAR),
        ({"socket.ssl": "YES"}, State.ENCRYPTED),
        ({"socket.ssl_key": "x"}, State.ENCRYPTED),
        ({"socket.ssl": "YES", "socket.dynamic": "true"}, State.BAD),
    ],
)
def test_write_sets(options: dict[str, str], state: State) -> None:
    """By hand, without pxc_encrypt_cluster_traffic."""
    place = galera(variables={"pxc_encrypt_cluster_traffic": "OFF"}, provider_options=options)["galera-tls"]
    assert (place.state, place.restart) == (state, state is not State.ENCRYPTED)


@pytest.mark.parametrize(
    ("method", "sst", "state"),
    [
        ("rsync", None, State.CLEAR),
        ("mysqldump", None, State.ASK),
        ("clone", None, State.ASK),
        ("xtrabackup-v2", None, State.ASK),
        ("xtrabackup-v2", SstOptions(("/etc/my.cnf",), "4"), State.ENCRYPTED),
        ("xtrabackup-v2", SstOptions(("/etc/my.cnf",), "3"), State.BAD),
        ("xtrabackup-v2", SstOptions(("/etc/my.cnf",), "0"), State.CLEAR),
        ("xtrabackup-v2", SstOptions(("/etc/my.cnf",)), State.CLEAR),
    ],
)
def test_state_transfers(method: str, sst: SstOptions | None, state: State) -> None:
    """Without pxc_encrypt_cluster_traffic, by method and by what [sst] says where that can be read."""
    variables = {"pxc_encrypt_cluster_traffic": "OFF", "wsrep_sst_method": method}
    assert galera(variables=variables, sst=sst)["sst"].state is state
    # rsync has no encryption, whatever else is switched on.
    whole = galera(variables={"wsrep_sst_method": method}, sst=sst)["sst"]
    assert whole.state is (State.CLEAR if method == "rsync" else State.ENCRYPTED)


def test_the_account_of_transfers() -> None:
    """Only that it is set."""
    place = galera(sst_auth_set=True)["sst-auth"]
    assert (place.state, place.evidence) == (State.BAD, "wsrep_sst_auth is set")
    assert "sst-auth" not in galera(sst_auth_set=None)


def test_options_of_a_transfer(tmp_path: Path) -> None:
    """The group [sst] of real files, with what they include; None if one cannot be read, or if all may write it."""
    included = tmp_path / "sst.cnf"
    included.write_text("[sst]\nencrypt=4\n")
    file = tmp_path / "my.cnf"
    file.write_text(f"[mysqld]\nwsrep_sst_auth=a:b\n[sst]\nencrypt=0\ntmpdir = /tmp\n!include {included}\n")
    assert sst_options([file]) == SstOptions((str(file),), "4", TMP)
    assert sst_options([file, tmp_path / "none.cnf"]) is None
    file.chmod(0o666)
    assert sst_options([file]) is None
    assert sst_options([]) is None


def test_the_temporary_folder() -> None:
    """One that every user may enter is told."""
    assert galera(sst=SstOptions(("/etc/my.cnf",), "4", TMP + "/"))["sst-tmpdir"].state is State.BAD
    assert galera(sst=SstOptions(("/etc/my.cnf",), "4", "/enc/sst"))["sst-tmpdir"].state is State.ASK


def test_ndb() -> None:
    """Links between nodes: encrypted, or not, or a person has to ask."""
    server = an_inventory(server=a_server(flavour=Flavour.NDB))
    states = [
        look(server, ndb_links=links)["ndb-links"].state for links in (None, ((True, 4),), ((False, 1), (True, 3)))
    ]
    assert states == [State.ASK, State.ENCRYPTED, State.CLEAR]
    assert "ndb-links" not in look()


# -- other servers ------------------------------------------------------------------------------------


def test_members() -> None:
    """Each has to be asked; one that our account may not look for is unknown, with what is missing."""
    asked = look(an_inventory(server=a_server(members=(Member("server_id 7", "replica"),))))["member"]
    assert asked.state is State.ASK
    assert asked.closes[0] == "there: migrator audit"
    hidden = Member("unknown", "unknown", detail="not readable which replicas there are: REPLICATION SLAVE is missing")
    place = look(an_inventory(server=a_server(members=(hidden,))))["member"]
    assert (place.state, place.evidence) == (State.UNKNOWN, hidden.detail)


def test_a_group_that_was_not_joined() -> None:
    """The plugin alone says nothing to anybody."""
    assert look(variables={"group_replication_ssl_mode": "DISABLED"})["group-tls"].state is State.UNUSED
