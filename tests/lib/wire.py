"""What a client of PostgreSQL sends: a way to the server that counts messages."""

import collections
import socket
import threading

NAMES = {b"E": "executed", b"P": "prepared", b"Q": "queries", b"S": "syncs", b"c": "copies"}


class Wire:
    """Listens on `port` for as long as it is used in a `with`. `counts` are by NAMES: each query and
    each sync is a round trip, executed are the statements of those that ended in a sync."""

    def __init__(self, server_port):
        self._server_port = int(server_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.counts = collections.Counter()

    @property
    def round_trips(self):
        return self.counts["syncs"] + self.counts["queries"] + self.counts["copies"]

    @property
    def statements(self):
        return self.counts["executed"] + self.counts["queries"]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one, other, count in ((client, server, Messages(self.counts)), (server, client, None)):
                threading.Thread(target=carry, args=(one, other, count), daemon=True).start()


class Messages:
    """Counts the messages of one connection, whose bytes come in any pieces. The first message has no
    type: with sslmode=disable and gssencmode=disable there is one such."""

    def __init__(self, counts):
        self._counts = counts
        self._kind = b"start"
        self._head = b""
        self._left = 0

    def __call__(self, data):
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            elif not self._kind:
                step, self._kind = 1, data[at:at + 1]
                self._counts[NAMES.get(self._kind, "others")] += 1
            else:
                step = min(4 - len(self._head), len(data) - at)
                self._head += data[at:at + step]
                if len(self._head) == 4:
                    self._left = int.from_bytes(self._head, "big") - 4
                    self._kind, self._head = b"", b""
            at += step


def carry(source, target, count):
    try:
        while data := source.recv(65536):
            if count:
                count(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()
