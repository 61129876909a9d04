"""A wire on this machine before an IMAP server: it takes words out of what the server says, and does what
bad lines and bad servers do. It knows nothing of who asks.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Wire:
    """What is done to what passes."""

    port: int
    #: Changes what the server says; raises ConnectionError to end the line.
    said: Callable[[bytes], bytes] = bytes
    #: Nothing passes either way, and nobody is told.
    dead: threading.Event = field(default_factory=threading.Event)
    #: Lines that are open.
    lines: list[socket.socket] = field(default_factory=list)
    #: How many were opened so far.
    opened: int = 0

    def cut(self) -> None:
        """Ends every line that is open."""
        for line in list(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(server: int) -> Iterator[Wire]:
    """A wire to the server's port."""
    listener = socket.create_server(("127.0.0.1", 0))
    made = Wire(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", server))
            except OSError:
                return
            made.opened += 1
            made.lines += [near, far]
            for one, other, change in ((near, far, bytes), (far, near, lambda data: made.said(data))):
                threads.append(threading.Thread(target=pump, args=(one, other, change), daemon=True))
                threads[-1].start()

    def pump(one: socket.socket, other: socket.socket, change: Callable[[bytes], bytes]) -> None:
        with suppress(OSError, ConnectionError):
            while data := one.recv(65536):
                if not made.dead.is_set():
                    other.sendall(change(data))
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with suppress(ValueError):
                made.lines.remove(end)
            end.close()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield made
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        made.cut()
        accepting.join(5)
        for thread in threads:
            thread.join(5)


@contextmanager
def stripped(server: int, capabilities: Sequence[str]) -> Iterator[int]:
    """A server that says nothing of these capabilities: the port."""

    def said(data: bytes) -> bytes:
        if b"CAPABILITY" not in data:
            return data
        for name in capabilities:
            data = data.replace(b" " + name.encode(), b"")
        return data

    with wire(server) as made:
        made.said = said
        yield made.port
