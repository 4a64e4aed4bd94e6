"""What is said of the certificate that the server shows to clients, replicas and members."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from migrator.model import Inventory, Server
from migrator.planner.posture.words import MANAGED, end_of, few, now_of, set_variable
from migrator.posture import Area, Place, Posture, State
from migrator.transport import Certificate

SOON_DAYS: Final = 30
"""An end that is so near is told as a mistake: a certificate has to be asked for, signed and distributed."""

RELOAD: Final = "ALTER INSTANCE RELOAD TLS"
FOLDER: Final = "/etc/mysql/certs"
_AUTO: Final = "_Auto_Generated_Server_Certificate"
_SHORTEST: Final = {"RSA": 2048, "DSA": 2048, "EC": 224}
"""Bits: NIST SP 800-57 has 112 bits of strength as the least, and that is RSA 2048 and EC 224."""
_BROKEN_DIGESTS: Final = frozenset({"md5", "sha1"})
_NOT_CHECKED: Final = "clients cannot check that they speak with this server, so somebody else can answer in its place"


def set_files(server: Server, *, prefix: str = "ssl") -> tuple[str, ...]:
    """The statements that name the files of a certificate."""
    files = (("ca", "ca.pem"), ("cert", "server-cert.pem"), ("key", "server-key.pem"))
    return tuple(set_variable(server, f"{prefix}_{name}", f"'{FOLDER}/{file}'") for name, file in files)


def reload(server: Server, *, channel: str = "") -> tuple[str, ...]:
    """The statement by which new connections get what was set; nothing where a parameter group does it."""
    if server.flavour in MANAGED:
        return ()
    of = f" FOR CHANNEL {channel}" if channel else ""
    return (f"{RELOAD}{of}  -- no restart: new connections use it",)


def new_certificate(server: Server, *, prefix: str = "ssl", channel: str = "") -> tuple[str, ...]:
    """How to get another certificate and let the server use it without a restart.

    New connections get the new one; where the files are no good, ALTER INSTANCE RELOAD TLS fails (3888, seen on 9.7.4)
    and the old one stays.
    """
    if server.flavour in MANAGED:
        return (
            "aws rds describe-db-engine-versions --query 'DBEngineVersions[].[EngineVersion,"
            "SupportsCertificateRotationWithoutRestart]'  # does it need a restart?",
            "give clients the provider's bundle of authorities first; aws rds modify-db-instance"
            " --db-instance-identifier ... --ca-certificate-identifier rds-ca-rsa2048-g1 --apply-immediately",
        )
    subject = shlex.quote(f"/CN={server.host}")
    names = shlex.quote(f"subjectAltName=DNS:{server.host}")
    return (
        "openssl req -newkey rsa:3072 -nodes -keyout server-key.pem -out server-req.pem"
        f" -subj {subject} -addext {names}",
        "openssl x509 -req -in server-req.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -sha256 -days 365"
        " -copy_extensions copy -out server-cert.pem  # or let your authority sign it, names included",
        f"put ca.pem, server-cert.pem and server-key.pem into {FOLDER}, for the server's user only; with a new"
        " authority, give clients, replicas and members first a file that has both: cat old-ca.pem new-ca.pem > ca.pem",
        *set_files(server, prefix=prefix),
        *reload(server, channel=channel),
    )


def certificates(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Dates, authority, names, key and signature."""
    found, now = posture.transport.certificate, now_of(inventory.read_at)
    if found is None:
        yield from _without(inventory, posture, now)
        return
    dates = _dates(inventory, found.not_before, found.not_after, now)
    yield dates
    first = dates.code if dates.closes else ""
    for code, what, wrong, evidence, risk in _judged(found):
        if not wrong:
            yield Place(code, Area.TRANSIT, what, State.OK, evidence)
            continue
        closes = (f"the same new certificate as for {first}",) if first else new_certificate(inventory.server)
        first = first or code
        yield Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, closes)


def _without(inventory: Inventory, posture: Posture, now: datetime) -> Iterator[Place]:
    """The certificate was not seen; the server may tell its end."""
    main = next((each for each in posture.transport.interfaces or () if each.name == "mysql_main"), None)
    what = "certificate of the server"
    if main is not None and not main.enabled:
        yield Place("certificate", Area.TRANSIT, what, State.UNUSED, "the server offers no TLS")
        return
    end = end_of(main.not_after) if main else None
    if end is not None:
        yield _dates(inventory, None, end, now)
    why = f"not seen: {posture.transport.certificate_why or 'this connection has no TLS'}"
    closes = ("audit again over TCP with --ssl-mode=REQUIRED",)
    yield Place("certificate", Area.TRANSIT, what, State.UNKNOWN, why, _NOT_CHECKED, closes)


def _dates(inventory: Inventory, begin: datetime | None, end: datetime, now: datetime) -> Place:
    code, what = "certificate-dates", "validity of the certificate"
    days = (end - now).days
    since = f"{begin:%Y-%m-%d} to " if begin else "until "
    evidence = f"{since}{end:%Y-%m-%d %H:%M} UTC, by the server's clock {days} days left"
    risk = ""
    if begin is not None and begin > now:
        evidence = f"not valid before {begin:%Y-%m-%d %H:%M} UTC"
        risk = "clients that check it are refused; those that do not, cannot tell who answers"
    elif end <= now:
        evidence = f"ended {end:%Y-%m-%d %H:%M} UTC"
        risk = "clients, replicas and members that check it are refused; those that do not, cannot tell who answers"
    elif days < SOON_DAYS:
        risk = "from then on clients, replicas and members that check it are refused"
    if not risk:
        return Place(code, Area.TRANSIT, what, State.OK, evidence)
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, new_certificate(inventory.server))


def _judged(found: Certificate) -> Iterator[tuple[str, str, bool, str, str]]:
    """Code, what, is it wrong, evidence, risk."""
    auto = found.common_name.endswith(_AUTO)
    says = "made by the server for itself" if auto else "signed by itself" if found.signed_by_itself else "signed"
    authority = f"{says}; issuer {found.issuer}"
    wrong = auto or found.signed_by_itself
    yield "certificate-authority", "authority of the certificate", wrong, authority, _NOT_CHECKED

    names = f"subject {found.subject}; issuer {found.issuer}"
    same = not found.signed_by_itself and bool(found.common_name) and found.common_name == found.issuer_common_name
    whole = same and found.subject == found.issuer
    trap = "OpenSSL takes it for signed by itself: who verifies is refused, and with this authority in ssl_ca"
    trap += " ALTER INSTANCE RELOAD TLS fails with 3888"
    yield (
        "certificate-common-name",
        "common name of the certificate",
        same,
        names,
        trap if whole else "the common name is the authority's: MySQL's manual forbids it, clients may refuse it",
    )

    shortest = _SHORTEST.get(found.key, 0)
    short = 0 < found.key_bits < shortest
    risk = "its private key can be computed, and then all be read and forged"
    yield "certificate-key", "key of the certificate", short, f"{found.key} {found.key_bits} bits", risk

    broken = found.signature in _BROKEN_DIGESTS
    digest = found.signature or "no digest of its own"
    risk = "another certificate with the same signature can be made; today's clients refuse it"
    yield "certificate-signature", "signature of the certificate", broken, digest, risk

    none = "no subjectAltName"
    risk = "clients with VERIFY_IDENTITY refuse it, so they do not check which host answers"
    yield "certificate-names", "hosts in the certificate", not found.names, few(found.names) or none, risk
