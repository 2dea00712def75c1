"""A queue's sender for the `messages` source: keeps what is not settled, and sends it again in the next
connection."""

import random
import socket
import threading
import time


def connect(address, patience_s=0):
    """patience_s: for so long whoever is not listening yet is asked again."""
    local = isinstance(address, str)
    deadline = time.monotonic() + patience_s
    while True:
        peer = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        peer.settimeout(60)
        try:
            peer.connect(address)
            return peer
        except OSError:
            peer.close()
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


class Queue:
    """Messages are (identity, text). In each connection what is unsettled goes out again.

    shuffled: in any order, mixed with new ones. twice: each message is in the queue twice over, as by a
    producer that was not sure. cut: the connection is cut after so many lines, again and again.
    """

    def __init__(self, address, messages, *, shuffled=False, twice=False, cut=None, seed=1):
        self.address = address
        self.random = random.Random(seed)
        self.shuffled, self.cut = shuffled, cut
        self.left = {}  # by number: each is in the queue by itself
        for message in [*messages, *(messages if twice else [])]:
            self.left[len(self.left)] = message
        self.rejected = []  # identities
        self.settled = []  # identities, in that order
        self.sent = 0
        self.connections = 0
        self.fault = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self):
        assert not self.fault, self.fault
        return not self.left

    def _run(self):
        while self.left and not self.fault:
            try:
                with connect(self.address) as peer:
                    self._serve(peer)
            except OSError:  # it is gone, or not there yet
                threading.Event().wait(0.02)

    def _serve(self, peer):
        answers = peer.makefile("rb")
        if answers.readline() != b"0\n":
            return
        self.connections += 1
        order = list(self.left)
        if self.shuffled:
            self.random.shuffle(order)
        sending = threading.Thread(target=self._send, args=(peer, list(order)), daemon=True)
        sending.start()
        told = 0
        try:
            while self.left and (answer := answers.readline()).endswith(b"\n"):
                told = self._take(answer.decode().strip(), order, told)
        finally:
            peer.close()
            sending.join()

    def _take(self, answer, order, told):
        if answer.startswith("rejected "):
            place = int(answer.split()[1])
            if place < told:
                self.fault = f"{answer} after {told} were settled"
            self.rejected.append(self.left[order[place]][0])
            return told
        number = int(answer)
        if not told < number <= len(order):
            self.fault = f"told {number} after {told} of {len(order)}"
        for place in order[told:number]:
            self.settled.append(self.left.pop(place)[0])
        return number

    def _send(self, peer, order):
        lines = [f"{identity}\t{text}\n".encode()
                 for identity, text in (self.left.get(place, ("", "")) for place in order)]
        cut = self.cut and self.connections <= 4
        if cut:
            lines = lines[:self.cut]
        try:
            for at in range(0, len(lines), 100):
                peer.sendall(b"".join(lines[at:at + 100]))
                self.sent += len(lines[at:at + 100])
            if cut:
                peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # what was not settled is sent again
