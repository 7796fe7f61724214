"""Creates the stream that client.py asks, with a replica on each server, and a consumer for each queue; then it sleeps.

A run has this once: what is lost is not made anew by anybody.

`QUEUES`, from the environment: the names of queues. `ACK_WAIT_MS`: for how long a message is lent.
"""

import asyncio
import os
import pathlib
import sys
import time

import nats
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

# Where client.py looks whether the stream is there.
CREATED = pathlib.Path("/run/stream-created")


def consumer(queue):
    """As many replicas as the stream has, if nothing is said."""
    return ConsumerConfig(
        durable_name=queue,
        filter_subject="duress." + queue,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=int(os.environ["ACK_WAIT_MS"]) / 1000,
    )


async def create(servers):
    queues = os.environ["QUEUES"].split()
    subjects = ["duress." + name for name in ["set", *queues]]
    stream = StreamConfig(name="duress", subjects=subjects, num_replicas=3)
    while True:
        for server in servers:
            try:
                connection = await nats.connect("nats://" + server, allow_reconnect=False, connect_timeout=1)
                try:
                    context = connection.jetstream(timeout=5)
                    await context.add_stream(stream)
                    for queue in queues:
                        await context.add_consumer(stream.name, config=consumer(queue))
                    return
                finally:
                    await connection.close()
            except Exception as error:
                print("not created at %s: %s %s" % (server, type(error).__name__, error), flush=True)
        await asyncio.sleep(0.2)


if not CREATED.exists():
    asyncio.run(create(sys.argv[1:]))
    CREATED.touch()
    print("created", flush=True)
while True:
    time.sleep(3600)
