#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_membership.py - communicators made of others: parts, copies, and what
is left after deaths. --slow: more deaths, at more times."""

import random
import sys
import time

from whole import (ECANCELED, EINVAL, ENOTCONN, EPROTO, ETIMEDOUT, KILL,
                   SLACK_S, SLOW, STOP, CONTINUE, Job, check, done, few,
                   sanitized, transport)

THOROUGH = "--slow" in sys.argv
# On one machine, without sanitizers.
SHRINK_S = 0.05
# 17 connect with each other a hundred times, which takes tcp seconds.
MANY = [17] if not sanitized and (THOROUGH or transport != "tcp") else []


def right(name, job, word, key="wrong"):
    for r, line in zip(job.ranks, job.wait_all(word)):
        check(f"{name}: rank {r.rank} computes what it should",
              line is not None and line[key] == "0",
              f"{line and line.text} {[x.text for x in r.lines][-2:]} "
              f"{r.stderr()[-2000:]}")
    job.finish(name)


def parts():
    for ranks in (2, 7) if sanitized else (1, 2, 3, 7, *MANY):
        with Job(ranks, "part") as job:
            right(f"parts of {ranks} ranks", job, "part")
    with Job(4, "part", SERVERS="root") as job:
        right("parts, one server", job, "part")
    with Job(3, "part", KEY_FILE=None, AUTH="none") as job:
        right("parts without a key", job, "part")


def sides():
    with Job(3, "side", f"calls={20 if sanitized else 60}") as job:
        right("three threads", job, "side")


def refused(name, line, rc, *words):
    check(name, line is not None and line.number("rc") == rc and
          line["null"] == "1" and all(w in line["text"] for w in words),
          line and line.text)


def mistakes():
    with Job(3, "mistake") as job:
        lines = {r.rank: {x["what"]: x for x in r.all_lines("refused")}
                 for r in job.ranks}
        for rank in range(3):
            own = rank == 1
            said = lines[rank]
            for what, word in (("color", "color is"),
                               ("config", "multiple of 512")):
                refused(f"rank {rank} learns of a wrong {what}",
                        said.get(what), EINVAL if own else EPROTO, word,
                        *([] if own else ["rank 1 ("]))
            refused(f"rank {rank} learns of windows that differ",
                    said.get("differs"), EPROTO, "window is 4", "rank 1")
            for what, word in (("excluded", "not one of"),
                               ("self", "does not call"), ("flags", "flags"),
                               ("group", "within a group")):
                refused(f"rank {rank}: {what} is refused", said.get(what),
                        EINVAL, word)
            refused(f"rank {rank} learns of another call in its place",
                    said.get("order"), EPROTO, "split", "barrier")
            ends = [x for x in job.ranks[rank].lines if x.word == "mistake"]
            check(f"rank {rank}: all else is as it should be",
                  [x["wrong"] for x in ends] == ["0"],
                  f"{[x.text for x in ends]} {job.ranks[rank].stderr()}")
        job.finish("mistakes")


def cancellations():
    # Either takes a second, in which who was left waits for a goodbye.
    calls = {"shrink": EPROTO, "split": ENOTCONN}
    if few:
        calls.pop("split" if transport == "tcp" else "shrink")
    for call, other in calls.items():
        with Job(3, "cancel", f"call={call}") as job:
            for rank, rc in ((0, ECANCELED), (1, other)):
                r = job.ranks[rank]
                refused(f"abort of {call}: rank {rank}",
                        r.wait_line("refused"), rc)
                line = r.wait_line("cancelled")
                check(f"abort of {call}: rank {rank} waits no longer",
                      line is not None and
                      line.number("ms") < 300 + 1000 * SLACK_S,
                      line and line.text)
            job.finish(f"abort of {call}")


def inheritance():
    with Job(4, "inherit") as job:
        for r in job.ranks:
            made = {x["what"]: x for x in r.all_lines("made")}
            check(f"rank {r.rank}: what one cannot have is no part of others",
                  made["one"].number("rc") ==
                  (EINVAL if r.rank == 2 else EPROTO), made["one"].text)
            check(f"rank {r.rank}: two cannot have a quorum of three",
                  made["half"].number("rc") == EINVAL and
                  "as the old communicator" in made["half"]["text"],
                  made["half"].text)
            check(f"rank {r.rank}: a configuration can be given",
                  made["given"]["rc"] == "0" and
                  made["given"].number("dissent") == EINVAL,
                  made["given"].text)
            weighed = [x for x in r.lines if x.word == "weighed"]
            check(f"rank {r.rank}: weights go with their ranks",
                  [x["vote"] for x in weighed] == ([] if r.rank == 0
                                                   else ["-1"]), weighed)
        job.finish("inheritance")


def cycles():
    count = 40 if sanitized else 100
    with Job(3, "remake", f"cycles={count}", "first=20") as job:
        for r in job.ranks:
            lines = r.all_lines("usage")
            if not check(f"rank {r.rank}: all cycles end", len(lines) == 3,
                         f"{[x.text for x in r.lines]} {r.stderr()}"):
                continue
            _, first, last = lines
            check(f"rank {r.rank}: no descriptor, no thread is left",
                  first["fds"] == last["fds"] and
                  first["threads"] == last["threads"],
                  f"{first.text} -> {last.text}")
            check(f"rank {r.rank}: no mapping, no memory is left", sanitized or
                  (last.number("maps") <= first.number("maps") + 1 and
                   last.number("rss") <= first.number("rss") + 512),
                  f"{first.text} -> {last.text}")
        print(f"     {last.number('ms') / count:.1f} ms for one that is made, "
              "used and ended")
        job.finish("cycles")


# ---- What is left ----

def mask(ranks):
    return sum(1 << r for r in ranks)


def look(name, ranks, left, limit_s=None, begin=None):
    """Survivors have a communicator of each other; what it took, in ms."""
    took = []
    for r in ranks:
        line = r.wait_line("shrunk", matches=lambda x: x["rc"] == "0" and
                           int(x["every"], 16) == mask(left))
        ok = check(f"{name}: rank {r.rank} goes on with the others",
                   line is not None and line["wrong"] == "0",
                   f"{[x.text for x in r.lines][-3:]} {r.stderr()[-2000:]}")
        if ok:
            took.append(line.number("us") / 1000)
            if begin is not None:
                whole = line.number("at") / 1e9 - begin
                check(f"{name}: rank {r.rank} is through within "
                      f"{limit_s:.2f} s", whole <= limit_s, f"{whole:.3f} s")
    return took


def kill(victims, ranks=4, delays=(), timeout_ms=5000, **settings):
    name = f"{ranks} ranks, death of {victims}"
    if settings:
        name += f" {settings}"
    left = [r for r in range(ranks) if r not in victims]
    arguments = [f"left={mask(left)}"]
    if victims[0] % 2:
        arguments.append("forwards=1")
    with Job(ranks, "survive", *arguments, TIMEOUT_MS=timeout_ms * SLOW,
             **settings) as job:
        if not check(f"{name}: runs", None not in job.wait_all("running")):
            return []
        time.sleep(0.02)
        begin = time.monotonic()
        for i, victim in enumerate(victims):
            job.ranks[victim].signal(KILL)
            time.sleep(delays[i] if i < len(delays) else 0)
        survivors = [job.ranks[r] for r in left]
        limit_s = 2 * SLACK_S
        if "QUORUM" in settings:
            limit_s += timeout_ms / 1000 * SLOW * 9 / 8
        took = look(name, survivors, left, limit_s, begin)
        for r in survivors:
            if r.wait_line("finalized") is None or r.exit_code() != 0:
                check(f"{name}: rank {r.rank} ends", False,
                      f"{[x.text for x in r.lines][-3:]} {r.stderr()}")
        return took


def deaths():
    took = []
    for victim in (0, 2):
        took += kill([victim])
    took += kill([1], ranks=2)
    took += kill([0, 1])
    # Who has completed what others could not may be in a vote alone.
    kill([3], timeout_ms=1000, SERVERS="root", QUORUM=3)
    times = sorted(took)
    if times:
        print(f"     shrink: median {times[len(times) // 2]:.1f} ms, worst "
              f"{times[-1]:.1f} ms of {len(times)} calls")
        check("half of the shrinks take less than 50 ms", sanitized or
              times[len(times) // 2] < 1000 * SHRINK_S * SLOW, times)
    for ranks in MANY:
        kill([4, 0, 11], ranks=ranks)


def deaths_meanwhile():
    """The second dies while the others shrink."""
    draw = random.Random(7)
    for i in range(40 if THOROUGH else 2 if sanitized else 5):
        victims = draw.sample(range(4), 2)
        kill(victims, delays=[draw.uniform(0, 0.012)])


def exclusions():
    for late in [200] if sanitized or few else [0, 400]:
        with Job(4, "survive", "excluded=1", f"late={late}") as job:
            look(f"exclusion, {late} ms", job.others(1), [0, 2, 3])
            line = job.ranks[1].wait_line("refused")
            refused("who was excluded is told so", line, ENOTCONN)
            job.finish("exclusion")
    with Job(3, "survive", "excluded=0", "abort=1") as job:
        look("abort", job.others(0), [1, 2])
        for r in job.others(0):
            line = r.wait_line("ended")
            check(f"rank {r.rank}: what was under way ends", line is not None
                  and line.number("rc") in (ECANCELED, ENOTCONN),
                  line and line.text)
        for r in job.ranks:
            line = r.wait_line("async")
            check(f"rank {r.rank}: the old one has ended", line is not None and
                  line.number("rc") in (ECANCELED, ENOTCONN),
                  line and line.text)
        job.finish("abort")


def silence():
    """A rank that stands still is no dead one."""
    if sanitized:
        return  # what differs is only how long it takes
    with Job(3, "survive", TIMEOUT_MS=500 * SLOW,
             INIT_TIMEOUT_MS=500 * SLOW) as job:
        job.wait_all("running")
        job.ranks[1].signal(STOP)
        for r in job.others(1):
            line = r.wait_line("refused")
            refused(f"rank {r.rank} names who stands still", line, ETIMEDOUT)
            check(f"rank {r.rank} names it as missing", line is not None and
                  ("1 of 3 ranks" in line["text"] or
                   "cannot go on" in line["text"]), line and line.text)
        job.ranks[1].signal(CONTINUE)
        for r in job.ranks:
            check(f"silence: rank {r.rank} ends", r.exit_code() == 0,
                  r.stderr())


for section in (parts, sides, mistakes, cancellations, inheritance, cycles,
                deaths, deaths_meanwhile, exclusions, silence):
    begun = time.monotonic()
    section()
    print(f"     {section.__name__}: {time.monotonic() - begun:.1f} s")
done()
