"""The program's side of Duress' exec protocol, for Python 3.8 or later. One file, nothing else: copy it beside your client.

    from duress_client import Failed, Refused, serve

    class Client:
        def read(self, ask):
            return my_driver(ask.address).get(ask.key)

        def write(self, ask):
            my_driver(ask.address).put(ask.key, ask.value)

    serve(Client())

A method for each operation: `read`, `write`, `cas`, …, and `read_all` for a read of everything; `contents` and `status`,
where Duress is told to ask for them. What it returns is the result; nothing (None) stands for what was asked, but for a
read or a dequeue, where it is null.

A message of a queue may come with something that its ack needs, a receipt: `return Keep(message, receipt)` from `dequeue`, and
`ask.kept` is that receipt in the `ack` and the `nack` of the message, whichever program is asked.

What it raises says what happened:

- `Failed("mismatch")`: it did not happen and never will, and asking again is pointless.
- `Refused("not-leader", leader="n2")`: it did not happen and never will, for a reason that may pass.
- anything else: nobody knows. That is always true; the other two must be proven.
"""

import json
import os
import sys
import traceback

__all__ = ["Ask", "Failed", "Keep", "Refused", "serve"]


class Failed(Exception):
    """It did not happen and never will, for a reason that lies in the operation itself."""


class Refused(Exception):
    """It did not happen and never will, for a reason that may pass.

    `leader`: the node to ask instead, where the system named one. `retry_after`: seconds to leave the system alone.
    """

    def __init__(self, error, leader=None, retry_after=None):
        super().__init__(error)
        self.leader = leader
        self.retry_after = retry_after


class Keep:
    """A message, and what is to come back with its ack or nack: a receipt, anything that JSON has."""

    def __init__(self, value, kept):
        self.value = value
        self.kept = kept


class Ask:
    """One question. `key` is None where there is only one object; `value` is the argument; a cas has [old, new]."""

    def __init__(self, question):
        self.f = question["f"]
        self.key = question.get("key")
        self.value = question.get("value")
        self.node = question["node"]
        self.address = question["address"]
        """Host and port, e.g. "10.77.0.12:8080"."""
        self.read = question.get("read", "linearizable")
        """How to read: "linearizable", "lease" or "local"."""
        self.token = question.get("token")
        """{"client": "p3", "seq": 9}, where the system is to execute what is asked only once; else None."""
        self.lease_ms = question.get("lease-ms")
        """For how long a lock (`acquire`) or a message (`dequeue`) is to be lent."""
        self.kept = question.get("kept")
        """Of an `ack` or a `nack`: what the `dequeue` of the message wanted kept; else None."""

    @property
    def method(self):
        """The name of the method that answers: `read` of a key, `read_all` of everything."""
        name = self.f.replace("-", "_")
        return name + "_all" if name == "read" and self.key is None else name


def answer(client, ask):
    """What a client says to a question, without its id."""
    method = getattr(client, ask.method, None)
    if method is None:
        return {"type": "fail", "error": "the program knows no " + ask.method}
    try:
        value = method(ask)
    except Failed as error:
        return {"type": "fail", "error": str(error)}
    except Refused as error:
        reply = {"type": "refused", "error": str(error)}
        if error.leader is not None:
            reply["leader"] = error.leader
        if error.retry_after is not None:
            reply["retry-after-ms"] = int(error.retry_after * 1000)
        return reply
    except Exception as error:  # whatever it is, nobody knows what happened
        traceback.print_exc()
        return {"type": "info", "error": "%s: %s" % (type(error).__name__, error)}
    if isinstance(value, Keep):
        return {"type": "ok", "value": value.value, "keep": value.kept}
    if value is None and ask.f not in ("read", "dequeue"):
        return {"type": "ok"}
    return {"type": "ok", "value": value}


def serve(client):
    """Answers questions until there are no more. What the program prints goes to standard error: standard output is the
    protocol's."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        reply = {"type": "ok"} if question["f"] == "hello" else answer(client, Ask(question))
        reply["id"] = question["id"]
        out.write(json.dumps(reply) + "\n")
        out.flush()
