#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_death.py - kill -9 and SIGSTOP of every rank, in every kind of call; or
in those that follow the transport, of some ranks."""

import sys
import time

from whole import (CONTINUE, ENOTCONN, ETIMEDOUT, KILL, SLACK_S, SLOW, STOP,
                   Job, check, done, names_rank, sanitized)

RANKS = 4
TIMEOUT_MS = 1000 * SLOW
MARGIN_S = max(TIMEOUT_MS / 8, 200) / 1000
# A ring asks who is there when its deadline has passed.
ASK_S = 0.2 * SLOW
OPS = "majority", "sum", "broadcast", "barrier", "signum"


def look(name, rank, victim, begin, limit_s):
    """One survivor: its error, what comes after it, and its end."""
    end = rank.wait_line("end", limit_s + 10)
    if not check(f"{name}: rank {rank.rank} returns", end is not None,
                 [line.text for line in rank.lines]):
        return
    took = end.number("at") / 1e9 - begin
    ok = (end.number("rc") in (ENOTCONN, ETIMEDOUT) and took <= limit_s and
          names_rank(end["text"], victim))
    check(f"{name}: rank {rank.rank} names it within {limit_s:.2f} s", ok,
          f"{took:.3f} s: {end.text}")
    if "signum" in name:
        line = rank.wait_line("untouched")
        check(f"{name}: rank {rank.rank} keeps its parameters",
              line is not None and line["yes"] == "1")
    again = rank.wait_line("again")
    check(f"{name}: rank {rank.rank} gets it again at once",
          again is not None and again["rc"] == end["rc"] and
          names_rank(again["text"], victim) and
          again.number("us") < 200000 * SLOW, again and again.text)
    final = rank.wait_line("finalized")
    end_ms = 1500 * SLOW + 1000 * SLACK_S
    check(f"{name}: rank {rank.rank} ends", final is not None and
          final["rc"] == "0" and final.number("ms") < end_ms and
          rank.exit_code() == 0, f"{final and final.text} {rank.stderr()}")


def lose(op, how, victim):
    name = f"{how} rank {victim} in {op}"
    with Job(RANKS, "stream", f"op={op}", "count=200000",
             TIMEOUT_MS=TIMEOUT_MS) as job:
        running = job.wait_all("running")
        if not check(f"{name}: runs", None not in running):
            return
        time.sleep(0.05)
        begin = time.monotonic()
        job.ranks[victim].signal(KILL if how == "kill" else STOP)
        limit_s = TIMEOUT_MS / 1000 + SLACK_S
        if how == "stop":
            limit_s += MARGIN_S + (ASK_S if op in ("sum", "broadcast") else 0)
        for rank in job.others(victim):
            look(name, rank, victim, begin, limit_s)
        if how == "stop":
            # It finds out that it is alone, and ends as well.
            job.ranks[victim].signal(CONTINUE)
            final = job.ranks[victim].wait_line("finalized")
            check(f"{name}: it ends when it goes on", final is not None,
                  job.ranks[victim].stderr())


for op in sys.argv[3:] or OPS:
    for how in ("kill", "stop"):
        thorough = op in ("majority", "sum") and not (
            sanitized or sys.argv[3:])
        for victim in range(RANKS) if thorough else (0, 2):
            lose(op, how, victim)
done()
