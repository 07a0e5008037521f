#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_programs.py - programs of collectives from a seed; one of ten contains
a mistake or a death, of which every rank hears, and whose it was.

test_programs.py BUILD-FOLDER [shm|tcp|verbs] [programs=N] [ranks=N] [seed=N]
[mistakes=PERCENT] [timeout=MS]
"""

import collections
import re
import sys

from whole import (ENOTCONN, EPROTO, ETIMEDOUT, SLACK_S, SLOW, Job, check, done,
                   sanitized, transport)

options = dict(word.split("=", 1) for word in sys.argv[3:])
programs = int(options.get("programs", 0))
TIMEOUT_MS = int(options.get("timeout", 2000 if sanitized else 500)) * SLOW
# Who was asked has 200 ms to answer, and a deadline may begin anew when
# something has moved.
LIMIT_MS = 2.5 * TIMEOUT_MS + 400 + 1000 * SLACK_S
DEATHS = ("killed", "shot", "exits")
# What is another call: everybody learns which two.
CALLS = ("count", "type", "op", "root", "kind", "order")
seen = collections.Counter()
wrong = []


def names(text, who):
    """That rank and both calls, or that it is missing, or gone."""
    both = re.search(r"rank (\d+) called .+, rank (\d+) called .+", text)
    if both:
        return "both calls", str(who) in both.groups()
    missing = re.search(r"missing: ([\d, -]+) of ", text)
    if missing:
        return "missing", missing.group(1) == str(who)
    gone = re.search(r"rank (\d+) \([^)]*\)(,| is gone| has left)", text)
    return "gone", bool(gone) and gone.group(1) == str(who)


def judge(line, rank):
    """Why what a rank has printed of a wrong program is not right; or None."""
    fate, who, rc = line["fate"], line.number("who"), line.number("rc")
    how, named = names(line["text"], who)
    seen[f"{fate}: {how}"] += 1
    if fate == "good":
        return "a good program has failed"
    if rc == 0:
        return "no error"
    if line.number("ms") > LIMIT_MS:
        return f"too late (limit {LIMIT_MS:.0f} ms)"
    if not named:
        return "it is not named"
    if fate in DEATHS:
        return None if rc in (ENOTCONN, ETIMEDOUT) else "not a death's error"
    if fate in CALLS and how != "both calls":
        return "not both calls"
    if rc == EPROTO or fate == "missing" and rc in (ENOTCONN, ETIMEDOUT):
        return None
    return "not the error of a mistake"


def note(line, rank, ranks):
    reason = judge(line, rank)
    if reason:
        wrong.append(f"rank {rank} of {ranks}: {reason}: {line.text}")


def play(ranks, first, count, seed):
    """Programs until one has a death; the number of the next one."""
    with Job(ranks, "programs", f"first={first}", f"programs={count}",
             f"seed={seed}", f"mistakes={options.get('mistakes', 10)}",
             TIMEOUT_MS=TIMEOUT_MS) as job:
        following, dead = None, None
        for r in job.ranks:
            last = r.all_lines("programs")
            for line in r.lines:
                if line.word == "ended":
                    note(line, r.rank, ranks)
                elif line.word == "begins":
                    if line["fate"] in DEATHS:
                        dead = line
                elif line.word != "programs":
                    wrong.append(f"rank {r.rank} of {ranks}: {line.text}")
            code = r.exit_code()
            died = dead is not None and dead.number("who") == r.rank
            if code != 0 and not died:
                wrong.append(f"rank {r.rank} of {ranks} returns {code}: "
                             f"{[l.text for l in r.lines][-2:]} "
                             f"{r.stderr()[-1500:]}")
            if last and not died:
                following = last[0].number("next")
                seen["good programs"] += last[0].number("good") * (
                    r.rank == 0)
        if following is None or following == first + count:
            return first + count
        return following + 1


def play_all(ranks, first, count, seed):
    name = f"{count} programs of {ranks} ranks, seed {seed}"
    end, before = first + count, len(wrong)
    while first < end and len(wrong) < before + 5:
        first = play(ranks, first, end - first, seed)
    check(f"{name}: what is right comes out, and whose mistake it was",
          len(wrong) == before, wrong[before:before + 15])


first_seed = int(options.get("seed", 1))
if "ranks" in options:
    play_all(int(options["ranks"]), int(options.get("first", 0)),
             programs or 100, first_seed)
else:
    # A good part of the time is what mistakes take to be noticed.
    parts = [(2, 3), (3, 4), (4, 4), (5, 2), (7, 1)]
    each = max(1, (programs or (30 if sanitized else 60)) // 14)
    for ranks, weight in parts:
        play_all(ranks, 0, each * weight, first_seed * 100 + ranks)
for what, times in sorted(seen.items()):
    print(f"     {times} {what}")
done()
