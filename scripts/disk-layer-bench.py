#!/usr/bin/env python3
"""What a disk layer with nothing armed costs a program that syncs all the time.

    make build && scripts/disk-layer-bench.py target/release/duress [other builds of duress…] [--in FOLDER]

Appends and syncs 4 KiB in a loop, in a folder and under a layer over one of each build, in turns; prints the median time of a sync of
each, and the ratio to the folder without. As root; what is mounted is seen by this script alone.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS, SYNCS = 6, 300


def layer(duress, folder):
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([duress, "disk-layer", "duress-disk-bench", folder], stdin=theirs)
    theirs.close()
    said = json.loads(ours.makefile().readline())
    if "error" in said:
        sys.exit(f"the layer says: {said['error']}")
    return process, ours


def syncs(folder):
    file = os.open(os.path.join(folder, "log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    took = []
    for _ in range(SYNCS):
        began = time.perf_counter()
        os.write(file, b"x" * 4096)
        os.fsync(file)
        took.append((time.perf_counter() - began) * 1e6)
    os.close(file)
    return took


def main():
    arguments, folder = sys.argv[1:], None
    if "--in" in arguments:
        at = arguments.index("--in")
        folder = arguments[at + 1]
        del arguments[at : at + 2]
    if not arguments:
        sys.exit(__doc__)
    if "DISK_LAYER_BENCH" not in os.environ:
        os.environ["DISK_LAYER_BENCH"] = "apart"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory(dir=folder) as root:
        names = ["plain", *arguments]
        folders = [os.path.join(root, str(number)) for number in range(len(names))]
        for path in folders:
            os.mkdir(path)
        layers = [layer(duress, path) for duress, path in zip(arguments, folders[1:])]
        took = [[] for _ in names]
        for _ in range(ROUNDS):
            for of, path in zip(took, folders):
                of += syncs(path)
        for process, control in layers:
            control.close()
            process.wait()
        plain, *layered = (statistics.median(of) for of in took)
        print(f"plain {plain:.0f} us")
        for name, median in zip(arguments, layered):
            print(f"under a layer of {name} {median:.0f} us: {median / plain:.2f} times as long")


main()
