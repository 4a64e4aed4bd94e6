"""Every code that a place in transit or on another server can have, with what it is about."""

from __future__ import annotations

from typing import Final

TRANSIT: Final[dict[str, str]] = {
    "tls": "does the server offer TLS at all?",
    "tls-versions": "versions of TLS that it takes",
    "tls-ciphers": "ciphers that it takes",
    "own-connection": "how this audit is connected",
    "secure-transport": "is a connection over TCP without TLS refused?",
    "admin-tls": "TLS of the administrative interface",
    "x-plugin-tls": "TLS of the X protocol",
    "tls-key-file": "where the private key of the certificate lies",
    "certificate": "the certificate that the server shows",
    "certificate-dates": "is it valid, and for how long?",
    "certificate-authority": "can a client check whose it is?",
    "certificate-common-name": "has it another name than its authority? With the same, MySQL refuses it",
    "certificate-key": "its key: algorithm and length",
    "certificate-signature": "the digest that its authority has signed",
    "certificate-names": "does it name hosts, for clients that compare?",
    "sessions-in-clear": "sessions that are connected without TLS now",
    "accounts-without-tls": "accounts that may connect over TCP without TLS",
    "password-exchange": "passwords on connections without TLS",
    "old-authentication": "accounts with a deprecated way to log in",
    "anonymous-accounts": "accounts without a name",
    "empty-passwords": "accounts without a password",
    "channel-tls": "a replication channel by which this server reads from another",
    "channel-verify": "does a channel check who its source is?",
    "channel-credentials": "where the password of a channel is kept",
    "replicas-tls": "sessions that are being sent the binary log",
}
"""Area `in transit`."""

CLUSTER: Final[dict[str, str]] = {
    "group-tls": "Group Replication: what members say to each other",
    "group-recovery-tls": "Group Replication: what a joining member is sent",
    "clone": "the clone plugin: a copy of all data over the network",
    "galera-tls": "Galera: write sets and IST",
    "galera-certificates": "Galera: one certificate for all nodes",
    "sst": "Galera: the copy of all data that a joining node is sent",
    "sst-tmpdir": "Galera: where a state transfer puts its temporary files",
    "sst-auth": "Galera: user and password of a state transfer",
    "gcache": "Galera: write sets kept in files",
    "ndb-links": "NDB: what nodes say to each other",
    "source": "the server that a channel reads from",
    "member": "a replica, a member of the group, a node of the cluster",
}
"""Area `other servers`."""
