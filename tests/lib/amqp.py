"""An AMQP 1.0 broker (the stack's ActiveMQ Artemis): queues of a test's own, messages, counts."""

import json
import threading
from contextlib import suppress

from proton import Delivery, Message, ProtonException, symbol
from proton.utils import BlockingConnection

MANAGEMENT = "activemq.management"


class Broker:
    """Names a queue makes it: `address`, with the names of the test in it."""

    def __init__(self, stack, url=None):
        self.stack = stack
        self.url = url or stack["ARTEMIS_URL"]
        self.user, self.password = stack["ARTEMIS_USER"], stack["ARTEMIS_PASSWORD"]
        self._lock, self._management = threading.Lock(), None

    def connect(self, timeout=30):
        return BlockingConnection(self.url, timeout=timeout, user=self.user, password=self.password,
                                  allowed_mechs="PLAIN", allow_insecure_mechs=True)

    def settings(self, *urls, **more):
        """An entry of the list `amqp` in ods-sink.conf."""
        return {"name": "broker", "urls": list(urls or [self.url]), "user": self.user,
                "password": self.password, "connect_timeout_ms": 3000, **more}

    def send(self, address, messages):
        """Texts, or whole messages; texts get a message-id each."""
        connection = self.connect()
        try:
            sender = connection.create_sender(address)
            for number, message in enumerate(messages):
                if isinstance(message, str):
                    message = text_message(message, f"{address}-{number}")
                sender.send(message)
        finally:
            connection.close()

    def blast(self, address, bodies, identity="id"):
        """Many messages, without waiting for each to be acknowledged."""
        self.blast_messages(address, (text_message(body, f"{identity}-{number}")
                                      for number, body in enumerate(bodies)))

    def blast_messages(self, address, messages):
        connection = self.connect()
        try:
            sender = connection.create_sender(address)
            waiting = []
            for message in messages:
                while sender.link.credit <= 0:
                    connection.container.do_work(0.1)
                waiting.append(sender.link.send(message))
                if len(waiting) >= 2000:
                    self._settled(connection, waiting)
            self._settled(connection, waiting)
        finally:
            connection.close()

    @staticmethod
    def _settled(connection, waiting):
        connection.wait(lambda: all(delivery.remote_state == Delivery.ACCEPTED or delivery.settled
                                    for delivery in waiting))
        for delivery in waiting:
            delivery.settle()
        waiting.clear()

    def ask(self, queue, attribute):
        """An attribute of a queue, by the broker's management; None: there is no such queue."""
        with self._lock:
            kept = self._management is not None
            try:
                return self._ask(queue, attribute)
            except ProtonException:
                if not kept:
                    raise
            return self._ask(queue, attribute)  # the one that was kept was closed meanwhile

    def _ask(self, queue, attribute):
        """Tests ask again and again: on one connection."""
        if self._management is None:
            connection = self.connect()
            self._management = (connection, connection.create_receiver(None, dynamic=True),
                                connection.create_sender(MANAGEMENT))
        connection, receiver, sender = self._management
        try:
            sender.send(Message(reply_to=receiver.link.remote_source.address, body="[]", properties={
                "_AMQ_ResourceName": f"queue.{queue}", "_AMQ_Attribute": attribute}))
            answer = receiver.receive(timeout=20)
            receiver.accept()
        except ProtonException:
            self._management = None
            with suppress(ProtonException):
                connection.close()
            raise
        good = answer.properties.get("_AMQ_OperationSucceeded")
        return json.loads(answer.body)[0] if good else None

    def count(self, queue):
        """Messages that are in it, also those that are with a consumer."""
        return self.ask(queue, "MessageCount")

    def take(self, address, count):
        """That many messages, taken out."""
        connection = self.connect()
        try:
            receiver = connection.create_receiver(address, credit=count)
            taken = []
            for _ in range(count):
                taken.append(receiver.receive(timeout=20))
                receiver.accept()
            return taken
        finally:
            connection.close()


def text_message(body, identity, **properties):
    data = body.encode() if isinstance(body, str) else body
    return Message(id=identity, body=data, inferred=True, durable=True, properties=properties or None)


def background(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


__all__ = ["Broker", "background", "symbol", "text_message"]
