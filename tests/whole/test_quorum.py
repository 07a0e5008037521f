#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_quorum.py - rank 0 counts, three of five decide: the others may die,
stop, come back and catch up. Each round is recounted by every rank."""

import time

from whole import (CONTINUE, ENOTCONN, ETIMEDOUT, KILL, SLACK_S, SLOW, STOP,
                   Job, check, done, names_rank, sanitized, transport)

RANKS = 5
ALL = (1 << RANKS) - 1
SETTINGS = {"SERVERS": "root", "QUORUM": 3, "GRACE_MS": 20 * SLOW,
            "TIMEOUT_MS": 5000 * SLOW}


def start(rounds, *more, **settings):
    return Job(RANKS, "train", f"rounds={rounds}", *more,
               **{**SETTINGS, **settings})


def reaches(rank, number, timeout_s=60):
    return rank.wait_line("round", timeout_s,
                          lambda line: line.number("number") >= number)


def rounds_of(rank):
    return {line.number("number"): line for line in rank.all_lines("round")}


def compare(name, job, complete, rounds):
    """All ranks have the same results; returns rank 0's rounds."""
    table = {r.rank: rounds_of(r) for r in job.ranks}
    first = table[0]
    for rank, lines in table.items():
        wrong = [line.text for line in lines.values()
                 if line.number("wrong") > 0]
        check(f"{name}: rank {rank} counts every round right", not wrong,
              wrong[:3])
        differ = [n for n, line in lines.items()
                  if n in first and line["digest"] != first[n]["digest"] or
                  n in first and line["every"] != first[n]["every"]]
        check(f"{name}: rank {rank} has the results of rank 0", not differ,
              differ[:10])
        if rank in complete:
            check(f"{name}: rank {rank} has every round",
                  sorted(lines) == list(range(rounds)),
                  f"{len(lines)} of {rounds}; "
                  f"{[line.text for line in job.ranks[rank].lines][-2:]}")
    return table


def kill(victim):
    name = f"kill rank {victim}"
    rounds = 60
    with start(rounds, "sum=1") as job:
        reaches(job.ranks[0], 10)
        job.ranks[victim].signal(KILL)
        survivors = [r.rank for r in job.others(victim)]
        table = compare(name, job, survivors, rounds)
        last = table[0].get(rounds - 1)
        check(f"{name}: it is not counted any more, and is named as dead",
              last is not None and last.number("every") == ALL ^ 1 << victim
              and last.number("lost") == 1 and
              last.number("dead") == 1 << victim, last and last.text)
        for r in job.others(victim):
            said = {line.word: line for line in r.lines}
            check(f"{name}: a sum fails on rank {r.rank}, votes go on",
                  said["sum"].number("rc") == ENOTCONN and
                  said["sum"].number("ms") < 2000 * SLOW and
                  "need every rank" in said["sum"]["text"] and
                  said["barrier"]["rc"] == said["after"]["rc"] == "0",
                  [line.text for line in r.lines][-5:])
            check(f"{name}: rank {r.rank} ends well", r.exit_code() == 0,
                  r.stderr())


def pause(victim, seconds, kept):
    """Stopped for less than what is kept: it gets every round, and votes."""
    name = f"stop rank {victim}, who catches up"
    rounds = 150
    with start(rounds, "pace=10", KEPT_ROUNDS=kept) as job:
        reaches(job.ranks[0], 10)
        job.ranks[victim].signal(STOP)
        time.sleep(seconds * SLOW)
        job.ranks[victim].signal(CONTINUE)
        table = compare(name, job, range(RANKS), rounds)
        masks = [table[0][n].number("every") for n in sorted(table[0])]
        without = sum(mask == ALL ^ 1 << victim for mask in masks)
        check(f"{name}: rounds went on without it", without >= 3, masks)
        check(f"{name}: it votes again", masks[-1] == ALL and
              masks[-10:].count(ALL) >= 5, [hex(m) for m in masks[-10:]])
        job.finish(name)


def stale(victim):
    """Stopped for longer: it is told so, and goes on."""
    name = f"stop rank {victim} for too long"
    rounds = 200
    with start(rounds, "pace=5", "votes=fixed", KEPT_ROUNDS=4) as job:
        before = reaches(job.ranks[victim], 10)
        job.ranks[victim].signal(STOP)
        reaches(job.ranks[0], before.number("number") + 40)
        job.ranks[victim].signal(CONTINUE)
        late = job.ranks[victim].wait_line("stale")
        check(f"{name}: it is told to take the parameters anew",
              late is not None and "parameters anew" in late["text"],
              [line.text for line in job.ranks[victim].lines][-3:])
        others = [r.rank for r in job.others(victim)]
        table = compare(name, job, others, rounds)
        missed = [n for n in range(rounds) if n not in table[victim]]
        check(f"{name}: it goes on with the last rounds",
              20 <= len(missed) < 150 and rounds - 1 in table[victim],
              f"{len(missed)} missed")
        check(f"{name}: it votes again", table[0][rounds - 1].number("every")
              == ALL, table[0][rounds - 1].text)
        job.finish(name)


def lose_root(how):
    name = f"{how} rank 0"
    with start(100000, TIMEOUT_MS=1000 * SLOW) as job:
        for r in job.ranks:
            reaches(r, 10)
        begin = time.monotonic()
        job.ranks[0].signal(KILL if how == "kill" else STOP)
        limit_s = SLOW + SLACK_S + (0.2 * SLOW if how == "stop" else 0)
        for r in job.others(0):
            end = r.wait_line("end", limit_s + 10)
            took = end.number("at") / 1e9 - begin if end else 99
            check(f"{name}: rank {r.rank} names it within {limit_s:.2f} s",
                  end is not None and took <= limit_s and
                  end.number("rc") in (ENOTCONN, ETIMEDOUT) and
                  names_rank(end["text"], 0), end and end.text)
            check(f"{name}: rank {r.rank} ends", r.exit_code() == 0,
                  r.stderr())


few = sanitized or transport == "verbs"  # for both take their time
for victim in (4,) if few else range(1, RANKS):
    kill(victim)
pause(3, 0.5, 64)
if transport != "verbs":
    pause(1, 0.2, 64)
    stale(2)
lose_root("kill")
lose_root("stop")
done()
