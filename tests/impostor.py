"""Somebody who answers in the server's place and wants the password: a thread that speaks MySQL's protocol so far.

with Impostor(asks_for="mysql_clear_password") as impostor:
    ...                       # connect to impostor.host, impostor.port
impostor.password             # what it got to know, or None
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.certificates import Certificate

_SALT = b"abcdefghijklmnopqrst"
_CAPABILITIES = 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x100000 | 0x200000
_TLS = 0x800
_PATIENCE_SECONDS = 30.0


class Impostor:
    """Listens on a free loopback port; asks every client for its password in one of the ways that the protocol has."""

    def __init__(self, *, asks_for: str, first: str = "caching_sha2_password", tls: Certificate | None = None) -> None:
        self._asks_for = asks_for
        self._first = first
        self._tls = tls
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.password: str | None = None
        """What a client told."""
        self.heard = b""
        """All that clients sent, decrypted if it was by TLS."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name="impostor", daemon=True)

    @property
    def public_key(self) -> bytes:
        """What it says is the server's public key."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def __enter__(self) -> Impostor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            client.settimeout(_PATIENCE_SECONDS)
            with suppress(OSError, EOFError, ValueError), client:  # ValueError: not encrypted with our key
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        _send(client, 0, self._greeting())
        number, answer = self._read(client)
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls.file, self._tls.key)
            client = context.wrap_socket(client, server_side=True)
            number, answer = self._read(client)
        with client:
            if self._asks_for != self._first:
                _send(client, number + 1, b"\xfe" + self._asks_for.encode() + b"\0" + _SALT + b"\0")
                number, answer = self._read(client)
            elif self._asks_for == "sha256_password":
                answer = b"\x01"  # it stands in the middle of what the client said first
            self._ask(client, number, answer)

    def _ask(self, client: socket.socket, number: int, answer: bytes) -> None:
        """From the first answer that belongs to the way that was asked for."""
        if self._asks_for in {"mysql_clear_password", "dialog"}:
            self.password = answer.rstrip(b"\0").decode()
            return
        if self._asks_for == "caching_sha2_password":
            _send(client, number + 1, b"\x01\x04")  # the scrambled one will not do: the whole password
            number, answer = self._read(client)
        if answer in {b"\x02", b"\x01"}:  # the wish for our public key
            _send(client, number + 1, b"\x01" + self.public_key)
            number, answer = self._read(client)
            sha1 = hashes.SHA1()  # noqa: S303 - what the protocol has
            scrambled = self._key.decrypt(answer, padding.OAEP(padding.MGF1(sha1), sha1, None))
            answer = bytes(byte ^ _SALT[at % len(_SALT)] for at, byte in enumerate(scrambled))
        self.password = answer.rstrip(b"\0").decode()

    def _greeting(self) -> bytes:
        capabilities = _CAPABILITIES | (_TLS if self._tls else 0)
        return b"".join(
            [
                b"\x0a9.7.4\0",
                (7).to_bytes(4, "little"),
                _SALT[:8] + b"\0",
                (capabilities & 0xFFFF).to_bytes(2, "little"),
                b"\xff\x02\0",
                (capabilities >> 16).to_bytes(2, "little"),
                bytes([21]) + bytes(10),
                _SALT[8:] + b"\0",
                self._first.encode() + b"\0",
            ]
        )

    def _read(self, client: socket.socket) -> tuple[int, bytes]:
        head = self._exactly(client, 4)
        return head[3], self._exactly(client, int.from_bytes(head[:3], "little"))

    def _exactly(self, client: socket.socket, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = client.recv(count - len(found))
            if not more:
                raise EOFError
            found += more
        self.heard += found
        return found


def _send(client: socket.socket, number: int, packet: bytes) -> None:
    client.sendall(len(packet).to_bytes(3, "little") + bytes([number % 256]) + packet)
