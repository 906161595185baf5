"""An ElectrumX connection as a wallet has one: what README.md shows, with a limit."""

from __future__ import annotations

import socket


class Line:
    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._lines = self._socket.makefile("rb")
        self.send(b'{"jsonrpc":"2.0","id":0,"method":"server.version","params":["wallet","1.4"]}\n')
        self.receive(65536)

    def send(self, text: bytes) -> None:
        self._socket.sendall(text)

    def receive(self, limit: int) -> bytes:
        line = self._lines.readline(limit)
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection ended, or the answer is too long")
        return line

    def ask(self, text: bytes, limit: int) -> bytes:
        self.send(text)
        return self.receive(limit)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
