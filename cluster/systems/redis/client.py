"""A client of Redis: its protocol over a socket, without a driver.

It asks the node that it is told to. A replica says who its primary is, and Duress asks that one from then on: so a client
that has found a primary stays with it for as long as that one answers, as real clients do.

A queue is a stream with one consumer group. An entry that a consumer has had for longer than its lease may be claimed by another.

`REPLICAS`, from the environment: how many replicas have to confirm a write (WAIT) before it counts as done.
"""

import json
import os
import socket

from duress_client import Failed, Keep, Refused, serve

REPLICAS = int(os.environ["REPLICAS"])

# Seconds for one answer. `client.timeout` of a spec is longer, as it also has to do for the start of this program.
TIMEOUT = 0.8

# Milliseconds that a write waits for its replicas.
WAIT_MS = 500

# Errors by which Redis says that it has not run the command.
NOT_EXECUTED = ("READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS")

# Replicas and primaries without enough replicas refuse scripts that may write, and one without flags may: so these reads
# are answered by primaries only.
GET = "#!lua\nreturn redis.call('GET', KEYS[1])"
SMEMBERS = "#!lua\nreturn redis.call('SMEMBERS', KEYS[1])"
CAS = """#!lua
if (redis.call('GET', KEYS[1]) or 'null') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1"""

# An entry whose lease is over, else one that nobody had; else how many are lent. The group is made by whoever is first.
DEQUEUE = """#!lua
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'group', '0', 'MKSTREAM')
local over = redis.call('XPENDING', KEYS[1], 'group', 'IDLE', ARGV[2], '-', '+', '1')[1]
local entry
if over then
  entry = redis.call('XCLAIM', KEYS[1], 'group', ARGV[1], ARGV[2], over[1])[1]
else
  local streams = redis.call('XREADGROUP', 'GROUP', 'group', ARGV[1], 'COUNT', '1', 'STREAMS', KEYS[1], '>')
  entry = streams and streams[1][2][1]
end
if entry then return {entry[1], entry[2][2]} end
return redis.call('XPENDING', KEYS[1], 'group')[1]"""

# An entry that is pending is claimed as if it had been lent for ever; who dequeues next gets it.
NACK = """#!lua
return #redis.call('XCLAIM', KEYS[1], 'group', 'nobody', '0', ARGV[1], 'IDLE', '3600000', 'JUSTID')"""


class RedisError(Exception):
    """An error that Redis answered with."""


class Connection:
    """One connection, and the protocol on it (RESP 2)."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), TIMEOUT)
        self.file = self.socket.makefile("rb")

    def call(self, *words):
        request = b"*%d\r\n" % len(words)
        for word in (str(word).encode() for word in words):
            request += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(request)
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"*":
            return [self.reply() for _ in range(length)]
        return self.file.read(length + 2)[:-2].decode()


class Client:
    """Values are JSON. A key that is absent holds null."""

    def __init__(self):
        self.connections = {}

    def read(self, ask):
        value = self.call(ask, "EVAL", GET, 1, ask.key)
        return value and json.loads(value)

    def write(self, ask):
        self.change(ask, "SET", ask.key, json.dumps(ask.value))

    def cas(self, ask):
        old, new = (json.dumps(value) for value in ask.value)
        if not self.change(ask, "EVAL", CAS, 1, ask.key, old, new):
            raise Failed("mismatch")

    def increment(self, ask):
        self.change(ask, "INCRBY", ask.key, ask.value)

    def add(self, ask):
        self.change(ask, "SADD", "set", json.dumps(ask.value))

    def read_all(self, ask):
        return [json.loads(element) for element in self.call(ask, "EVAL", SMEMBERS, 1, "set")]

    def enqueue(self, ask):
        self.change(ask, "XADD", ask.key, "*", "value", json.dumps(ask.value))

    def dequeue(self, ask):
        found = self.call(ask, "EVAL", DEQUEUE, 1, ask.key, os.getpid(), ask.lease_ms)
        if isinstance(found, list):
            entry, value = found
            return Keep(json.loads(value), entry)
        if found:
            raise Failed("all-lent")
        return None

    def ack(self, ask):
        if not self.change(ask, "XACK", ask.key, "group", ask.kept):
            raise Failed("not-pending")

    def nack(self, ask):
        if not self.change(ask, "EVAL", NACK, 1, ask.key, ask.kept):
            raise Failed("not-pending")

    def change(self, ask, *words):
        """A write, and the wait for the replicas that have to confirm it: where these are too few, nobody knows."""
        result = self.call(ask, *words)
        if REPLICAS and self.exchange(ask.address, "WAIT", REPLICAS, WAIT_MS) < REPLICAS:
            raise RuntimeError("too few replicas confirmed the write")
        return result

    def call(self, ask, *words):
        """The answer to a command. What could not be sent, and what Redis says it has not run, is refused."""
        if ask.address not in self.connections:
            try:
                self.connections[ask.address] = Connection(ask.address)
            except OSError as error:
                raise Refused("not sent: %s" % error)
        try:
            return self.exchange(ask.address, *words)
        except RedisError as error:
            if not str(error).startswith(NOT_EXECUTED):
                raise
            raise Refused(str(error), leader=self.primary(ask.address))

    def primary(self, address):
        """Where the primary of this node is, if the node is a replica."""
        lines = self.exchange(address, "INFO", "replication").split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line).get("master_host")

    def exchange(self, address, *words):
        """The answer to a command on a connection that is there."""
        try:
            return self.connections[address].call(*words)
        except RedisError:
            raise
        except Exception:
            del self.connections[address]  # what comes over it next may be the answer to this
            raise


serve(Client())
