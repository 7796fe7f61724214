"""A client of RabbitMQ, by py-amqp: queues that create.py has made, publisher confirms, messages fetched one by one, manual acks.

A message can only be acknowledged on the channel that it came by. So its receipt names the program that has the channel, and a
program that is asked for an ack of another one's message passes that on to it.

RabbitMQ lends a message for as long as its channel is there. That it is lent for some time only is the work of this program, which gives
back what nobody has acknowledged by then.
"""

import json
import os
import pathlib
import socket
import threading
import time

import amqp
from create import ask as manage
from duress_client import Failed, Keep, Refused, serve

CREATED = pathlib.Path("/run/queues-created")

# Where each program can be asked for acks, below this folder, by its number.
PROGRAMS = pathlib.Path("/run/programs")

# Whole seconds for one answer. `client.timeout` of a spec is longer, as it also has to do for the start of this program.
TIMEOUT = 2

# Seconds for which a queue has given nothing, and its node has said that nothing of it is lent, until it is called empty. What a node
# says of its queues is up to 5 s old.
QUIET = 10

# The reply code of a message that no queue took: AMQP 0-9-1, 1.8.3.8 (no-route).
NO_ROUTE = 312


class Gone(Exception):
    """The connection by which a message came is there no more: the node has given the message back to its queue."""


class Connection:
    """A connection to one node, and a channel with confirms on it. For one thread at a time."""

    def __init__(self, address):
        self.lock = threading.Lock()
        # Until when, by delivery tag.
        self.lent = {}
        self.connection = amqp.Connection(
            address,
            heartbeat=0,
            connect_timeout=1,
            read_timeout=TIMEOUT,
            write_timeout=TIMEOUT,
            confirm_publish=True,
        )
        try:
            self.connection.connect()
            self.channel = self.connection.channel()
        except BaseException:
            self.connection.collect()
            raise

    def exchange(self, call):
        """The answer to a call. After one that failed the connection is not used again: what comes by it next may be the answer to
        that. The node then gives back to the queue what was not acknowledged."""
        with self.lock:
            if self.connection is None:
                raise Gone()
            try:
                return call(self.channel)
            except BaseException:
                self.connection.collect()
                self.connection = None
                raise

    def settle(self, queue, tag, f):
        """An ack, or a nack, by which a message goes back to its queue. Neither is answered: it is waited until the node has read it,
        for it answers what it is asked after it."""

        def call(channel):
            if tag not in self.lent:
                raise Gone()
            del self.lent[tag]
            if f == "ack":
                channel.basic_ack(tag)
            else:
                channel.basic_reject(tag, requeue=True)
            channel.queue_declare(queue, passive=True)

        self.exchange(call)

    def give_back_overdue(self):
        """Gives back what was lent until now."""

        def call(channel):
            now = time.monotonic()
            for tag in [tag for tag, until in self.lent.items() if until < now]:
                del self.lent[tag]
                channel.basic_reject(tag, requeue=True)

        self.exchange(call)


class Client:
    """Values are JSON."""

    def __init__(self):
        self.connections = {}
        # By number, for receipts.
        self.all = []
        self.quiet_since = {}
        PROGRAMS.mkdir(exist_ok=True)
        self.listener = socket.create_server(str(PROGRAMS / str(os.getpid())), family=socket.AF_UNIX)
        threading.Thread(target=self.answer_others, daemon=True).start()
        threading.Thread(target=self.give_back_overdue, daemon=True).start()

    def enqueue(self, ask):
        message = amqp.Message(json.dumps(ask.value), delivery_mode=2)

        def call(channel):
            returned = []
            channel.events["basic_return"].add(lambda error, *_: returned.append(error))
            channel.basic_publish_confirm(message, routing_key=ask.key, mandatory=True, confirm_timeout=TIMEOUT)
            channel.events["basic_return"].clear()
            return returned

        for error in self.connect(ask).exchange(call):
            if error.reply_code == NO_ROUTE:
                # Returned, and then confirmed: the node says that it has put the message into no queue.
                raise Refused("no-route")
            raise error

    def dequeue(self, ask):
        connection = self.connect(ask)

        def call(channel):
            message = channel.basic_get(ask.key)
            if message is not None:
                connection.lent[message.delivery_tag] = time.monotonic() + ask.lease_ms / 1000
            return message

        message = connection.exchange(call)
        if message is not None:
            self.quiet_since.pop(ask.key, None)
            receipt = [os.getpid(), self.all.index(connection), message.delivery_tag]
            return Keep(json.loads(message.body), receipt)
        if not self.nothing_lent(ask):
            self.quiet_since.pop(ask.key, None)
        elif time.monotonic() - self.quiet_since.setdefault(ask.key, time.monotonic()) > QUIET:
            return None
        raise Failed("all-lent")

    def nothing_lent(self, ask):
        """Whether the node says that nothing is in the queue, lent or not. It is asked at most once in a while, as that costs it more
        than a message."""
        time.sleep(0.2)
        try:
            queue = manage(ask.node, "GET", "queues/%2F/" + ask.key)
        except OSError:
            return False
        return queue.get("messages_unacknowledged") == 0 and queue.get("messages_ready") == 0

    def ack(self, ask):
        self.settle(ask.key, ask.kept, "ack")

    def nack(self, ask):
        self.settle(ask.key, ask.kept, "nack")

    def settle(self, queue, receipt, f):
        program, number, tag = receipt
        if program != os.getpid():
            return self.pass_on(program, [queue, receipt, f])
        try:
            self.all[number].settle(queue, tag, f)
        except Gone:
            # It was never sent: the lease is over, or the connection.
            raise Failed("no-receipt")

    def connect(self, ask):
        """The connection to the node that is to be asked. Without one nothing is sent."""
        connection = self.connections.get(ask.address)
        if connection is None or connection.connection is None:
            try:
                connection = Connection(ask.address)
            except Exception as error:
                raise Refused("not sent: no connection: %r" % error)
            self.connections[ask.address] = connection
            self.all.append(connection)
        return connection

    def pass_on(self, program, what):
        """Asks another program for an ack."""
        try:
            other = socket.socket(socket.AF_UNIX)
            other.settimeout(2 * TIMEOUT)
            other.connect(str(PROGRAMS / str(program)))
        except OSError:
            # It has ended, and its connections with it.
            raise Failed("no-receipt")
        with other, other.makefile("rw") as file:
            file.write(json.dumps(what) + "\n")
            file.flush()
            answer = json.loads(file.readline())
        if answer == "no-receipt":
            raise Failed(answer)
        if answer is not None:
            raise RuntimeError(answer)

    def give_back_overdue(self):
        while True:
            time.sleep(0.1)
            for connection in list(self.connections.values()):
                try:
                    if connection.lent:
                        connection.give_back_overdue()
                except Exception as error:
                    print("not given back: %r" % error)

    def answer_others(self):
        """Acknowledges what came by this program's channels, when another one is asked for it."""
        while True:
            other, _ = self.listener.accept()
            with other, other.makefile("rw") as file:
                try:
                    self.settle(*json.loads(file.readline()))
                    answer = None
                except Exception as error:
                    answer = str(error) or repr(error)
                try:
                    file.write(json.dumps(answer) + "\n")
                    file.flush()
                except OSError:
                    pass


# Whoever has answered the greeting can be asked.
while not CREATED.exists():
    time.sleep(0.05)
serve(Client())
