#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_aspis_races.py - redundant rounds of which only the truth is known: a
worker that writes its slots anew while they are read, an arbiter, replicas that
differ as rounding makes them, and the memory that a server takes.

    test_aspis_races.py BUILD TRANSPORT [rewrites | arbiter | tolerance | memory]
"""

import re
import sys
from pathlib import Path

from whole import (EINVAL, SLOW, Job, Server, build, check, done, sanitized,
                   transport)

SUBSETS, STS = 1, 2
FIXED, TAKE_OVER = 1, 3
GRADIENT = 25560000  # of a ResNet-50
# Whose slots at the server can be written again.
WRITERS = {"shm": "worker_rewriting", "verbs": "worker_writing_again"}
parts = sys.argv[3:] or ["rewrites", "arbiter", "tolerance", "memory"]


def truths(name, *arguments, **settings):
    """What all ranks say of each step."""
    with Job(7, "truths", *arguments, **settings) as job:
        table = [[line.text for line in r.all_lines("truth")]
                 for r in job.ranks]
        check(f"{name}: all ranks have the same",
              table[0] and all(lines == table[0] for lines in table), table)
        lines = [line for line in job.ranks[0].lines if line.word == "truth"]
        job.finish(name)
        return lines


def rewrite(rank, design, count):
    """The others agree, so each task has a value that is true; and whoever is
    in the evidence was read twice, or wrote."""
    name = f"rank {rank} rewrites, design {design}, {count}"
    steps = 4 if sanitized or SLOW > 1 else 12
    command = [str(build / "tests" / WRITERS[transport]), "truths",
               f"design={design}", f"count={count}", f"steps={steps}",
               f"release={rank}"]
    lines = truths(name, TEST_REWRITES=rank, command=command)
    check(f"{name}: no result is anything but the truth",
          len(lines) == steps and all(
              line["distorted"] == "0" and line["dropped"] == "0"
              for line in lines), [line.text for line in lines])
    check(f"{name}: nobody else is in the evidence", all(
        int(line["ends"], 16) >> rank & 1 for line in lines),
          [line.text for line in lines])
    check(f"{name}: nobody else is proven a liar", all(
        int(line["byzantine"], 16) & ~(1 << rank) == 0 for line in lines),
          [line.text for line in lines])
    return sum(int(line["disputes"]) for line in lines)


def arbitrate(scheme):
    name = f"an arbiter, scheme {scheme}"
    lines = truths(name, f"scheme={scheme}", "liars=3", "arbiter=1",
                   f"design={SUBSETS}", "steps=2")
    check(f"{name}: who cannot be told apart is told apart by it",
          lines and lines[0].number("arbitrations") > 0 and
          lines[-1]["byzantine"] == lines[-1]["liars"] and
          lines[0]["convicted"] != "0", [line.text for line in lines])
    lines = truths(name + ", and without", f"scheme={scheme}", "liars=3",
                   f"design={SUBSETS}", "steps=2")
    check(f"{name}: without it they are not",
          lines and lines[-1]["byzantine"] == "0",
          [line.text for line in lines])


def flip(name, lines, byzantine, disputes):
    check(f"flips, {name}: who is proven a liar", all(
        int(line["byzantine"], 16) == byzantine for line in lines),
          [line.text for line in lines])
    check(f"flips, {name}: disputes", lines and
          (int(lines[0]["disputes"]) > 0) == disputes,
          [line.text for line in lines])


def tolerate():
    """Three signs of each replica are others, of 100000."""
    rate = {"FLIP_RATE": "3e-5", "STEP_COUNT": 100000}
    flips = ("flips=3", "count=100000")
    flip("exact", truths("flips, exact", *flips), 0, True)
    flip("tolerated", truths("flips, tolerated", *flips, **rate), 0, False)
    flip("beside liars", truths("flips, beside liars", *flips, "liars=2",
                                **rate), 3, True)
    with Job(7, "truths", *flips, FLIP_RATE="0.3", STEP_COUNT=100000) as job:
        failed = job.wait_all("failed")
        check("a rate that proves nothing is refused", all(
            line and line.number("rc") == EINVAL and
            "flip_rate: 0.3" in line["text"] for line in failed),
              [line and line.text for line in failed])


def peak_kb(count):
    """Of a server in two rounds of 15 workers."""
    name = f"memory of {count} coordinates"
    with Server(15) as server:
        with Job(15, "memory", f"count={count}", THREADS=1,
                 **server.settings()) as job:
            voted = job.wait_all("voted")
            check(f"{name}: the result is right",
                  all(line and line["wrong"] == "0" for line in voted),
                  [line and line.text for line in voted])
            job.finish(name)
        server.wait_event("ended")
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        server.finish(name)
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))


if "rewrites" in parts and transport in WRITERS:
    disputes = rewrite(4, STS, 8192) + rewrite(6, SUBSETS, 20000)
    disputes += rewrite(2, STS, 300000 if SLOW == 1 else 100000)
    check("some of it was seen while it was written", disputes > 0)
if "arbiter" in parts:
    for scheme in (FIXED, TAKE_OVER):
        arbitrate(scheme)
if "tolerance" in parts:
    tolerate()
if "memory" in parts and not sanitized:
    small, large = peak_kb(1000000), peak_kb(GRADIENT)
    print(f"peak memory of the server: {small} kB with 1000000 coordinates, "
          f"{large} kB with {GRADIENT}")
    check("a server's memory does not grow with the gradient",
          large < small + 4096, f"{small} kB, {large} kB")
done()
