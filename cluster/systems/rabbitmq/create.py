"""Creates the queues that client.py asks, with a member or mirror on each node, and then sleeps.

A run has this once: a queue that is lost is not made anew by anybody.
"""

import base64
import json
import os
import pathlib
import sys
import time
import urllib.request

# Where client.py looks whether the queues are there.
CREATED = pathlib.Path("/run/queues-created")


def ask(node, method, path, body=None):
    """A request to the management plugin of a node, and its answer."""
    request = urllib.request.Request("http://%s:15672/api/%s" % (node, path), method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout=5) as answer:
        return json.loads(answer.read() or b"null")


def running(node, nodes):
    """Whether this node knows that all of them run, in one cluster."""
    seen = {other["name"] for other in ask(node, "GET", "nodes") if other["running"]}
    return seen == {"rabbit@" + other for other in nodes}


def create(nodes):
    while not all(running(node, nodes) for node in nodes):
        time.sleep(0.5)
    if os.environ["QUEUE_TYPE"] == "classic":
        mirrored = {"ha-mode": "all", "ha-sync-mode": "automatic"}
        ask(nodes[0], "PUT", "policies/%2F/mirrored", {"pattern": ".*", "definition": mirrored, "apply-to": "queues"})
    for position, queue in enumerate(os.environ["QUEUES"].split()):
        arguments = {"x-queue-type": os.environ["QUEUE_TYPE"]}
        if os.environ["QUEUE_TYPE"] == "quorum":
            arguments["x-quorum-initial-group-size"] = len(nodes)
        body = {"durable": True, "auto_delete": False, "arguments": arguments}
        # Each begins with its leader at another node.
        ask(nodes[position % len(nodes)], "PUT", "queues/%2F/" + queue, body)


def main():
    while not CREATED.exists():
        try:
            create(sys.argv[1:])
            CREATED.touch()
            print("created", flush=True)
        except OSError as error:
            print("not created: %s %s" % (type(error).__name__, error), flush=True)
            time.sleep(0.5)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
