"""Authorities and certificates, made when a test needs them and thrown away with its folder."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate, and its number."""

    file: Path
    key: Path
    serial: int


class Authority:
    """Signs certificates; `file` is what those trust who trust it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _called(f"authority {name}")
        unsigned = _builder(self._subject, self._subject, self._key.public_key(), valid_for=3 * _DAY)
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}-ca.pem"
        self.file.write_bytes(unsigned.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def certificate(
        self,
        name: str,
        names: Sequence[str] = (),
        *,
        expired: bool = False,
        passphrase: str | None = None,
        common_name: str = "",
        key: Key | None = None,
        valid_for: timedelta | None = None,
    ) -> Certificate:
        """A certificate for DNS names and IP addresses, three days long; its common name is `name` unless given."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        until = valid_for or (-_DAY if expired else 3 * _DAY)
        unsigned = _builder(_called(common_name or name), self._subject, key.public_key(), valid_for=until)
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName([_name(n) for n in names]), critical=False)
        signed = unsigned.sign(self._key, hashes.SHA256())
        made = Certificate(
            self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key", signed.serial_number
        )
        made.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        made.key.touch(mode=0o600)
        lock = (
            serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        )
        made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
        return made

    def revoked(self, *certificates: Certificate) -> Path:
        """A list of revoked certificates."""
        now = datetime.now(UTC)
        unsigned = x509.CertificateRevocationListBuilder().issuer_name(self._subject)
        unsigned = unsigned.last_update(now - _DAY).next_update(now + _DAY)
        for each in certificates:
            one = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(now - _DAY).build()
            unsigned = unsigned.add_revoked_certificate(one)
        file = self._folder / f"{self._name}-{len(certificates)}.crl"
        file.write_bytes(unsigned.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return file


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, *, valid_for: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * _DAY)
        .not_valid_after(now + valid_for)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
