"""A network that forgets connections, as a firewall does: neither end is told."""

import socket
import threading
from contextlib import suppress


class Network:
    """Between a client and a port of this machine; it can forget the connections that there are."""

    def __init__(self, port, scheme):
        self.port, self.pairs, self.lost = port, [], set()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"{scheme}://127.0.0.1:{self.server.getsockname()[1]}"
        _background(self._accept)

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            pair = (client, socket.create_connection(("127.0.0.1", self.port)))
            self.pairs.append(pair)
            _background(self._carry, pair, *pair)
            _background(self._carry, pair, *reversed(pair))

    def _carry(self, pair, source, sink):
        try:
            while data := source.recv(65536):
                if pair not in self.lost:
                    sink.sendall(data)
            if pair not in self.lost:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def forget(self):
        """What is sent on them comes to nobody, and nobody is told."""
        self.lost.update(self.pairs)

    def end(self):
        """The clients see the end of theirs."""
        for client, _ in self.pairs:
            with suppress(OSError):  # it is gone already
                client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.server.close()
        for one in (end for pair in self.pairs for end in pair):
            one.close()


def _background(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()
