"""A TCP proxy before a server, which cuts a connection exactly where a test wants it.

    with Proxy(server.host, server.port) as proxy:
        proxy.cut("RENAME TABLE", executed=True)      # once, at the next such statement

Before the statement is sent on (the server never sees it), or after the server has answered it (the
client never hears of it). It can also rewrite a statement, as proxies in use do by their rules. Statements
must be readable, so connect without TLS; it can see to that itself, as who stands between and listens would.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

_LOOK = 65536


class Proxy:
    """Listens on a free loopback port; every connection is passed on to the server it points to."""

    def __init__(self, host: str, port: int) -> None:
        self.to = (host, port)
        """Where new connections lead; may be changed at any time, as a failover would."""
        self.cuts = 0
        """How many connections were cut, or statements met."""
        self.without_tls = False
        """True takes away from new connections that the server offers TLS."""
        self._words = b""
        self._executed = False
        self._nth = 1
        self._do: Callable[[], object] | None = None
        self._more = b""
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown wakes the thread that is in accept; close alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in list(self._threads):
            thread.join()

    def cut(self, words: str, *, executed: bool, nth: int = 1) -> None:
        """Cut the connection on which the n-th statement with these words comes, before it or after its answer."""
        with self._lock:
            self._words, self._executed, self._nth, self._do, self._more = words.encode(), executed, nth, None, b""

    def meanwhile(self, words: str, do: Callable[[], object], *, nth: int = 1) -> None:
        """Send the n-th statement with these words on, and do something at once, while the server works on it."""
        with self._lock:
            self._words, self._executed, self._nth, self._do, self._more = words.encode(), False, nth, do, b""

    def lengthen(self, words: str, more: str) -> None:
        """Send the next statement with these words on with more text at its end."""
        with self._lock:
            self._words, self._nth, self._do, self._more = words.encode(), 1, None, more.encode()

    def cut_all(self) -> None:
        """Cut every connection that is open now."""
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name="proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(self.to, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            swallow = threading.Event()
            self._start(self._pass_on, client, server, swallow, True)
            self._start(self._pass_on, server, client, swallow, False)

    def _pass_on(self, source: socket.socket, target: socket.socket, swallow: threading.Event, asking: bool) -> None:
        greeting = not asking
        try:
            while data := source.recv(_LOOK):
                if greeting and self.without_tls:
                    data = _no_tls_offered(data)
                greeting = False
                if asking and self._is_it(data):
                    if self._do is not None:
                        target.sendall(data)
                        self._do()
                        continue
                    if self._more:
                        target.sendall(_longer(data, self._more))
                        continue
                    if not self._executed:
                        break
                    swallow.set()
                if not asking and swallow.is_set():
                    break  # the server has answered, so it has done it
                target.sendall(data)
        except OSError:
            pass  # one of the two is gone: that ends both
        finally:
            for one in (source, target):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._sockets.discard(source)
            source.close()

    def _is_it(self, data: bytes) -> bool:
        with self._lock:
            if not self._words or self._words not in data:
                return False
            self._nth -= 1
            if self._nth:
                return False
            self._words = b""
            self.cuts += 1
            return True


def _longer(packet: bytes, more: bytes) -> bytes:
    """The packet of a statement with more text at its end: three bytes of length, one of its number, the statement."""
    length = int.from_bytes(packet[:3], "little")
    if length != len(packet) - 4:
        raise ValueError("this is not one whole packet")
    return (length + len(more)).to_bytes(3, "little") + packet[3:] + more


def _no_tls_offered(greeting: bytes) -> bytes:
    """The server's first packet without the flag that says that it has TLS (the 12th bit)."""
    flags = greeting.index(b"\0", 5) + 1 + 4 + 8 + 1 + 1  # after version, number of the session, salt, filler
    return greeting[:flags] + bytes([greeting[flags] & ~0x08]) + greeting[flags + 1 :]
