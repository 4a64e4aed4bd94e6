"""Places of a Galera cluster (Percona XtraDB Cluster above all): write sets, state transfers, certificates, gcache.

None of it was seen on a server: settings and their effects are those of Percona's manual (Encrypt PXC traffic, SST).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory
from migrator.posture import Area, Place, Posture, State

_YES: Final = frozenset({"YES", "ON", "TRUE", "1"})
_ALL_STOP: Final = (
    "the same ca.pem, server-cert.pem and server-key.pem on every node (ssl-ca, ssl-cert, ssl-key under [mysqld])",
    "stop all nodes; pxc_encrypt_cluster_traffic = ON under [mysqld] of each, or take its OFF away: ON is the default",
    "start the node that was stopped last with --wsrep-new-cluster, then the others one by one",
)


def galera(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Nothing where the server is in no cluster."""
    if not inventory.server.wsrep_on:
        return
    yield _traffic(posture)
    yield _certificates()
    yield _sst(posture)
    yield _tmpdir(posture)
    if posture.transport.sst_auth_set is not None:
        yield _auth(posture)
    yield _gcache(posture)


def _whole(posture: Posture) -> bool:
    return posture.variables.get("pxc_encrypt_cluster_traffic", "").upper() in _YES


def _traffic(posture: Posture) -> Place:
    code, what = "galera-tls", "write sets and IST between nodes"
    variables, options = posture.variables, posture.transport.provider_options
    named = (
        f"pxc_encrypt_cluster_traffic={variables.get('pxc_encrypt_cluster_traffic', '(not known)')},"
        f" socket.ssl={options.get('socket.ssl', '(not set)')},"
        f" socket.ssl_key {'set' if options.get('socket.ssl_key') else 'not set'}"
    )
    dynamic = options.get("socket.dynamic", "").upper() in _YES
    # Older providers have no socket.ssl: there a key alone is what switches it on.
    on = _whole(posture) or options.get("socket.ssl", "").upper() in _YES
    on = on or bool("socket.ssl" not in options and options.get("socket.ssl_key"))
    risk = "every changed row can be read on the network; who reaches a node may join and get a copy of everything"
    if not on:
        return Place(code, Area.CLUSTER, what, State.CLEAR, named, risk, _ALL_STOP, restart=True)
    if dynamic:
        closes = ("take socket.dynamic out of wsrep_provider_options of each node, and restart them one by one",)
        risk = "socket.dynamic lets a node go on in clear with another that has no TLS"
        return Place(code, Area.CLUSTER, what, State.BAD, f"{named}, socket.dynamic=YES", risk, closes, restart=True)
    return Place(code, Area.CLUSTER, what, State.ENCRYPTED, named)


def _certificates() -> Place:
    closes = (
        "on every node: openssl x509 -noout -fingerprint -sha256 -subject -issuer -enddate -in server-cert.pem",
        "all the same, or all of one authority; the common name must not be the authority's",
        "to change the authority: each node in turn with a ca.pem that has the old and the new one"
        " (cat old-ca.pem new-ca.pem), then each with the new certificate and key, then each without the old one",
    )
    return Place(
        "galera-certificates",
        Area.CLUSTER,
        "certificates of the nodes",
        State.ASK,
        "files of each node; no query shows those of the others",
        "nodes with certificates of different authorities do not find each other, and no state transfer works",
        closes,
    )


_MODES: Final = {
    "1": "encrypt=1 is deprecated (a key of its own in my.cnf)",
    "2": "encrypt=2 is deprecated",
    "3": "encrypt=3 is deprecated, and does not check who the other node is",
}


def _sst(posture: Posture) -> Place:
    code, what = "sst", "state transfers to joining nodes"
    method = posture.variables.get("wsrep_sst_method", "")
    evidence, risk = f"wsrep_sst_method={method}", "a copy of all data travels, for whoever listens"
    if method == "rsync":
        other = ("SET GLOBAL wsrep_sst_method = 'xtrabackup-v2'  -- on every node, and in my.cnf; rsync has no TLS",)
        return Place(code, Area.CLUSTER, what, State.CLEAR, f"{evidence}: it has no encryption", risk, other)
    if _whole(posture):
        return Place(code, Area.CLUSTER, what, State.ENCRYPTED, f"{evidence}, pxc_encrypt_cluster_traffic=ON")
    if method in {"mysqldump", "clone"}:
        require = (
            "REQUIRE SSL for the account of the transfer, and ssl-ca, ssl-cert, ssl-key under [mysqld] and [client]"
            " on donor and joiner",
        )
        why = f"{evidence}: an ordinary connection, in TLS if its account must"
        return Place(code, Area.CLUSTER, what, State.ASK, why, risk, require)
    closes = (
        *_ALL_STOP,
        "or, for state transfers alone, in my.cnf of every node:"
        " [sst] encrypt=4, ssl-ca=..., ssl-cert=..., ssl-key=...; it is read when a transfer begins",
    )
    sst = posture.transport.sst
    if sst is None:
        why = f"{evidence}; [sst] encrypt stands in option files of the node, which cannot be read from here"
        return Place(code, Area.CLUSTER, what, State.ASK, why, risk, closes)
    evidence += f"; [sst] encrypt={sst.encrypt or '(not set: 0)'} in {', '.join(sst.files)}"
    if sst.encrypt == "4":
        return Place(code, Area.CLUSTER, what, State.ENCRYPTED, evidence)
    if sst.encrypt in _MODES:
        return Place(code, Area.CLUSTER, what, State.BAD, f"{evidence}: {_MODES[sst.encrypt]}", risk, closes)
    return Place(code, Area.CLUSTER, what, State.CLEAR, evidence, risk, closes)


def _tmpdir(posture: Posture) -> Place:
    code, what = "sst-tmpdir", "temporary files of a state transfer"
    sst = posture.transport.sst
    risk = "while a node joins, the backup is prepared there, with what opens it: the keyring or a transition key"
    closes = ("a folder for [sst] tmpdir on an encrypted file system, for the server's user only; not /tmp",)
    if sst is None:
        return Place(code, Area.CLUSTER, what, State.ASK, "[sst] tmpdir stands in my.cnf of each node", risk, closes)
    evidence = f"[sst] tmpdir={sst.tmpdir or '(not set)'} in {', '.join(sst.files)}"
    if sst.tmpdir.rstrip("/") in {"/tmp", "/var/tmp"}:  # noqa: S108 what is read, not what is used
        return Place(code, Area.CLUSTER, what, State.BAD, f"{evidence}: open to every user", risk, closes)
    return Place(code, Area.CLUSTER, what, State.ASK, evidence, risk, closes)


def _auth(posture: Posture) -> Place:
    code, what = "sst-auth", "account of state transfers"
    if not posture.transport.sst_auth_set:
        return Place(code, Area.CLUSTER, what, State.OK, "wsrep_sst_auth is not set")
    closes = (
        "on Percona XtraDB Cluster 8.0 and newer take wsrep_sst_auth out of my.cnf: each transfer gets an"
        " account of its own",
        "elsewhere put it into a file of its own that only the server's user may read (chmod 600), with !include",
    )
    risk = "it stands in option files in clear: who reads them can copy all data"
    return Place(code, Area.CLUSTER, what, State.BAD, "wsrep_sst_auth is set", risk, closes)


def _gcache(posture: Posture) -> Place:
    code, what = "gcache", "write sets kept in files (galera.cache)"
    options = posture.transport.provider_options
    names = ("gcache.encryption", "allocator.disk_pages_encryption")
    evidence = ", ".join(f"{name}={options.get(name, '(not known)')}" for name in names)
    if all(options.get(name, "").upper() in _YES for name in names):
        return Place(code, Area.CLUSTER, what, State.ENCRYPTED, evidence)
    closes = (
        "with a keyring, in wsrep_provider_options of each node: gcache.encryption=on;"
        "allocator.disk_pages_encryption=on (PXC 8.0.31 or newer, a technical preview);"
        " then restart the nodes one by one",
        "elsewhere: the folder of galera.cache on an encrypted file system",
    )
    risk = "changed rows, also of encrypted tables, lie in galera.cache and gcache.page files in clear"
    return Place(code, Area.CLUSTER, what, State.CLEAR, evidence, risk, closes, restart=True)
