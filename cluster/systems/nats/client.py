"""A client of NATS JetStream, by nats-py: one stream with three replicas, which create.py has made.

It asks the server that it is told to, which passes on what it can't do itself. Every element of the set is a message; what a
set holds is what a consumer of the stream is given.

`MESSAGE_BYTES`, from the environment: how long a message is at least, by spaces at its end.
"""

import asyncio
import json
import os
import pathlib
import time
import urllib.request

import nats
import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from duress_client import Failed, Keep, Refused, serve

MESSAGE_BYTES = int(os.environ["MESSAGE_BYTES"])

STREAM = "duress"
CREATED = pathlib.Path("/run/stream-created")

# Seconds for one answer. `client.timeout` of a spec is longer, as it also has to do for the start of this program.
TIMEOUT = 1.5

# Seconds without a message after which a read of everything has failed.
SILENCE = 3

# The status by which a consumer says that it has no message to give.
NO_MESSAGES = "404"

# The status by which a server says that nobody had subscribed.
NO_RESPONDERS = "503"

# Messages that are read at most.
MESSAGES_MAX = 1_000_000

# Consumers that are made at most until one is at the server that is asked. Each is at one of three.
CONSUMERS_MAX = 40


class Client:
    """Values are JSON."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.connections = {}

    def add(self, ask):
        self.run(self.publish(ask, "duress.set", str(ask.value)))

    def read_all(self, ask):
        return self.run(self.everything(ask))

    def enqueue(self, ask):
        self.run(self.publish(ask, "duress." + ask.key, "%s-%s" % (ask.key, ask.value)))

    def dequeue(self, ask):
        return self.run(self.next(ask))

    def ack(self, ask):
        self.run(self.settle(ask, b"+ACK"))

    def nack(self, ask):
        self.run(self.settle(ask, b"-NAK"))

    def contents(self, ask):
        return self.run(self.replica(ask))

    def close(self):
        for connection in self.connections.values():
            self.run(connection.close())

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def connect(self, ask):
        """The connection to the server that is to be asked. Without one nothing is sent."""
        connection = self.connections.get(ask.address)
        if connection is None or not connection.is_connected:
            try:
                connection = await nats.connect(
                    "nats://" + ask.address, allow_reconnect=False, connect_timeout=1, error_cb=say
                )
            except Exception as error:
                raise Refused("not sent: no connection: %r" % error)
            self.connections[ask.address] = connection
        return connection

    async def publish(self, ask, subject, identity):
        """Publishes a message and waits until the stream has acknowledged it. It knows two messages of one identity for one."""
        connection = await self.connect(ask)
        try:
            message = json.dumps(ask.value).encode().ljust(MESSAGE_BYTES)
            answer = await connection.request(subject, message, TIMEOUT, headers={"Nats-Msg-Id": identity})
        except nats.errors.NoRespondersError:
            # The server's word that nobody had subscribed to the subject, so that it gave the message to nobody.
            raise Refused("no-responders")
        acknowledged = json.loads(answer.data)
        if acknowledged.get("stream") != STREAM or "error" in acknowledged:
            raise RuntimeError("not acknowledged: %s" % acknowledged.get("error", acknowledged))

    async def next(self, ask):
        """The next message of a queue. Where there is none, the consumer is asked whether any is lent."""
        connection = await self.connect(ask)
        subject = "$JS.API.CONSUMER.MSG.NEXT.%s.%s" % (STREAM, ask.key)
        request = json.dumps({"batch": 1, "no_wait": True}).encode()
        # A message comes with the subject that it was published to, which nats-py's common inbox for answers can't tell apart.
        message = await connection.request(subject, request, TIMEOUT, old_style=True)
        status = (message.headers or {}).get("Status")
        if status is None:
            return Keep(json.loads(message.data), message.reply)
        if status == NO_RESPONDERS:
            raise Refused("no-responders")
        if status != NO_MESSAGES:
            raise RuntimeError("the consumer says %s" % message.headers)
        consumer = await connection.jetstream(timeout=TIMEOUT).consumer_info(STREAM, ask.key)
        if consumer.num_pending or consumer.num_ack_pending:
            raise Failed("all-lent")
        return None

    async def settle(self, ask, word):
        """An ack, or a nack, which the consumer acknowledges in turn: a double ack."""
        connection = await self.connect(ask)
        try:
            await connection.request(ask.kept, word, TIMEOUT)
        except nats.errors.NoRespondersError:
            raise Refused("no-responders")

    async def everything(self, ask):
        """What a new consumer of the stream is given, up to the message that was the last one when the stream's leader was asked.
        A consumer may be at a replica that is behind: it is waited for."""
        connection = await self.connect(ask)
        try:
            state = (await connection.jetstream(timeout=TIMEOUT).stream_info(STREAM)).state
        except NotFoundError:
            # Said by the leader of the cluster: there is no stream, and nobody makes it anew.
            return []
        if not state.messages:
            return []
        consumer = await self.consumer(connection)
        messages = self.messages(connection, consumer, lambda read: read.sequence.stream >= state.last_seq)
        return [json.loads(message.data) async for message in messages]

    async def replica(self, ask):
        """What the replica of this very server holds: what a consumer there is given, as it reads what that server has."""
        state = self.state(ask)
        connection = await self.connect(ask)
        for _ in range(CONSUMERS_MAX):
            consumer = await self.consumer(connection)
            if consumer.cluster.leader == ask.node:
                break
            await connection.jetstream(timeout=TIMEOUT).delete_consumer(STREAM, consumer.name)
        else:
            raise RuntimeError("no consumer came to be at this server")
        keys = {}
        if consumer.num_pending:
            async for message in self.messages(connection, consumer, lambda read: not read.num_pending):
                sequence = message.metadata.sequence.stream
                keys[str(sequence)] = {"revision": sequence, "value": json.loads(message.data)}
        if len(keys) != state["messages"]:
            raise RuntimeError("the server has %s messages by its own words, and gave %s" % (state["messages"], len(keys)))
        return {"applied": state["last_seq"], "keys": keys}

    async def consumer(self, connection):
        """A consumer of the whole stream, which is for this one read, at a server that NATS chooses among those with a replica."""
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1, inactive_threshold=60)
        return await connection.jetstream(timeout=TIMEOUT).add_consumer(STREAM, config=config)

    async def messages(self, connection, consumer, last):
        """The messages that a consumer is given, up to the one whose metadata say that it is the last. None for a while is an
        error."""
        inbox = connection.new_inbox()
        inbound = await connection.subscribe(inbox)
        request = json.dumps({"batch": MESSAGES_MAX, "expires": 60 * 10**9}).encode()
        await connection.publish("$JS.API.CONSUMER.MSG.NEXT.%s.%s" % (STREAM, consumer.name), request, inbox)
        while True:
            message = await inbound.next_msg(SILENCE)
            if message.headers and "Status" in message.headers:
                raise RuntimeError("the consumer ends: %s" % message.headers)
            yield message
            if last(message.metadata):
                break
        await inbound.unsubscribe()

    def state(self, ask):
        """What this server says of its own replica of the stream."""
        url = "http://%s:8222/jsz?accounts=true&streams=true" % ask.address.rsplit(":", 1)[0]
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            accounts = json.load(answer).get("account_details", [])
        for stream in accounts and accounts[0].get("stream_detail", []):
            if stream["name"] == STREAM:
                return stream["state"]
        raise RuntimeError("the server has no replica of the stream")


async def say(error):
    print("connection: %r" % error)


# Whoever has answered the greeting can be asked.
while not CREATED.exists():
    time.sleep(0.05)
client = Client()
serve(client)
client.close()
