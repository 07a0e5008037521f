#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_pair.py BUILD verbs SCENARIO - one of two machines that vote together
over a wire; the other runs the same. Their case gives them, as cases.sh says,
`end`, `other` and `at`."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "whole"))
from whole import (ENOTCONN, ETIMEDOUT, KILL, PATIENCE_S,  # noqa: E402
                   SLACK_S, SLOW, Job, check, done)

END, OTHER, AT = (os.environ[name] for name in ("end", "other", "at"))
NETDEV = os.environ["BALLOT_TEST_RDMA_NETDEV"]
RANKS = {"a": (0, 1, 2), "b": (3, 4)}
ALL = 0b11111
TIMEOUT_MS = 1000 * SLOW
# A ring asks who is there when its deadline has passed.
ASK_S = 0.2 * SLOW
MARGIN_S = TIMEOUT_MS / 8 / 1000
ports = iter(range(7190, 7200))


def meet(word):
    """As in cases.sh: both ends wait for each other."""
    Path(f"{AT}.{word}.{END}").touch()
    limit = time.monotonic() + PATIENCE_S
    while not Path(f"{AT}.{word}.{OTHER}").exists():
        if time.monotonic() > limit:
            sys.exit(f"end {OTHER} did not come to {word}")
        time.sleep(0.02)


def start(scenario, *arguments, **settings):
    """This end's ranks. The sender waits 67 ms for an acknowledgement."""
    key = Path(f"{AT}.key")
    if END == "a" and not key.exists():
        key.touch(mode=0o600)
        key.write_text(os.urandom(32).hex())
    port = next(ports)
    meet(f"start{port}")
    return Job(5, scenario, *arguments, here=RANKS[END],
               ROOT=f"10.77.0.1:{port}", SOCKET_IFNAME=NETDEV, KEY_FILE=key,
               IB_TIMEOUT=14, **settings)


def named(text):
    """The ranks that an error calls gone or missing."""
    ranks = {int(r) for r in re.findall(r"\brank (\d+) \(", text)}
    missing = re.search(r"missing: ([-\d, ]+) of ", text)
    for first, last in re.findall(r"(\d+)(?:-(\d+))?",
                                  missing[1] if missing else ""):
        ranks.update(range(int(first), int(last or first) + 1))
    return ranks


def is_lost(rank, begin, limit_s, victims):
    """One rank whose call has failed in time, and names these alone."""
    end = rank.wait_line("end", limit_s + 10)
    took = end.number("at") / 1e9 - begin if end else 0
    lost = named(end["text"]) if end else set()
    check(f"rank {rank.rank} names of {victims} within {limit_s:.2f} s",
          end is not None and end.number("rc") in (ENOTCONN, ETIMEDOUT) and
          took <= limit_s and lost and lost <= set(victims),
          f"{took:.3f} s: {end and end.text}")
    final = rank.wait_line("finalized")
    check(f"rank {rank.rank} ends", final is not None and final["rc"] == "0"
          and rank.exit_code() == 0, f"{final and final.text} {rank.stderr()}")


def cut_off():
    """From now on nothing leaves end b; nobody dies."""
    meet("running")
    if END == "b":
        subprocess.run(["tc", "qdisc", "replace", "dev", NETDEV, "root",
                        "netem", "loss", "100%"], check=True)
    meet("cut")
    return time.monotonic()


def votes():
    """Each chunk's signs are four packets, each sum's chunks 25."""
    with start("train", "rounds=30", "count=200000", "pace=0",
               CHUNK=131072) as job:
        for r in job.ranks:
            rounds = r.all_lines("round")
            wrong = [line.text for line in rounds if line["wrong"] != "0" or
                     line.number("every") != ALL]
            check(f"rank {r.rank} counts every round right",
                  len(rounds) == 30 and not wrong,
                  f"{len(rounds)}: {wrong[:3]} {r.lines[-2:]} {r.stderr()}")
        job.finish("votes")
    with start("sums", "comms=1") as job:
        for r in job.ranks:
            sums = r.all_lines("sums")
            check(f"rank {r.rank} adds right", len(sums) == 1 and
                  sums[0]["wrong"] == "0", [line.text for line in r.lines])
        job.finish("sums")


def vanish(op):
    with start("stream", f"op={op}", "count=100000",
               TIMEOUT_MS=TIMEOUT_MS) as job:
        check(f"{op}: all run", None not in job.wait_all("running"))
        begin = cut_off()
        # End b hears what end a says, also that one of its own is lost.
        gone = RANKS["b"] if END == "a" else range(5)
        for r in job.ranks:
            is_lost(r, begin, TIMEOUT_MS / 1000 + SLACK_S + MARGIN_S + ASK_S,
                    [rank for rank in gone if rank != r.rank])


def quorum():
    """Rank 0 counts, and the three of end a decide without the others."""
    with start("train", "rounds=100000", "pace=10", SERVERS="root", QUORUM=3,
               GRACE_MS=20 * SLOW, TIMEOUT_MS=TIMEOUT_MS) as job:
        for r in job.ranks:
            r.wait_line("round", matches=lambda line: line.number("number") > 9)
        begin = cut_off()
        if END == "b":
            for r in job.ranks:
                is_lost(r, begin, TIMEOUT_MS / 1000 + SLACK_S, (0,))
            return
        for r in job.ranks:
            alone = r.wait_line("round", matches=lambda line: line.number(
                "every") == 0b111)
            check(f"rank {r.rank} goes on without end b", alone is not None and
                  r.wait_line("round", matches=lambda line: line.number(
                      "number") > alone.number("number") + 20) is not None,
                  [line.text for line in r.lines][-3:])
            check(f"rank {r.rank} counts every round right", all(
                line["wrong"] == "0" for line in r.lines
                if line.word == "round"))


def killed():
    with start("stream", "count=100000", TIMEOUT_MS=4 * TIMEOUT_MS) as job:
        check("all run", None not in job.wait_all("running"))
        meet("running")
        if END == "b":
            job.ranks[-1].signal(KILL)
        meet("killed")
        begin = time.monotonic()
        for r in job.others(RANKS["b"][-1]):
            is_lost(r, begin, TIMEOUT_MS / 1000, RANKS["b"][-1:])


{"votes": votes, "vanish": lambda: vanish("majority"),
 "vanish_sum": lambda: vanish("sum"), "quorum": quorum,
 "killed": killed}[sys.argv[3]]()
done()
