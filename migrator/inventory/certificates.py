"""Certificates, read as values. Pure."""

from __future__ import annotations

import warnings

from migrator.transport import Certificate


def certificate_of(der: bytes) -> Certificate:
    """What stands in a certificate. Raises ValueError for what is none.

    Of names only the common name and the whole as RFC 4514 writes it; of the subjectAltName DNS names and addresses.
    """
    # Its library takes 50 ms to load, and no other command looks at certificates.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.utils import CryptographyDeprecationWarning
    from cryptography.x509.oid import NameOID

    with warnings.catch_warnings():
        # MariaDB gives the certificate that it makes for itself a serial number below zero.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        found = x509.load_der_x509_certificate(der)

    def common(name: x509.Name) -> str:
        return next((str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")

    try:
        key = found.public_key()
        kind, bits = type(key).__name__.removesuffix("PublicKey"), int(getattr(key, "key_size", 0))
    except (UnsupportedAlgorithm, ValueError):
        kind, bits = "unknown", 0
    try:
        found.verify_directly_issued_by(found)
        by_itself = True
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        by_itself = False
    try:
        digest = found.signature_hash_algorithm
    except UnsupportedAlgorithm:
        digest = None
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, ValueError):
        hosts = []
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        common_name=common(found.subject),
        issuer_common_name=common(found.issuer),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        key=kind,
        key_bits=bits,
        signature=digest.name if digest else "",
        names=tuple(hosts),
        signed_by_itself=by_itself,
    )
