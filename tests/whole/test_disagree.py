#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_disagree.py - ranks that call or configure something else, wrong
arguments, abort: errors that say what is wrong, on every rank."""

import time

from whole import (EACCES, ECANCELED, EEXIST, ENOTCONN, EPROTO, ESTALE,
                   ETIMEDOUT, Job, check, done, key_file)

# What the deviating rank calls: how its call and the others' are described.
DEVIATIONS = {
    "count": ("majority of 1001 float32", "majority of 1000 float32"),
    "chunks": ("majority of 100000 float32", "majority of 1000 float32"),
    "type": ("majority of 1000 bfloat16", "majority of 1000 float32"),
    "op": ("all_reduce (sum) of 1000 float32", "majority of 1000 float32"),
    "barrier": ("barrier", "majority of 1000 float32"),
    "root": ("broadcast of 1000 float32 from rank 1",
             "broadcast of 1000 float32 from rank 0"),
    "block": ("reduce_scatter (majority) of 250 float32",
              "majority of 1000 float32"),
    "reduce1": ("reduce (majority) of 1000 float32 to rank 1",
                "reduce (majority) of 1000 float32 to rank 0"),
}
OTHERS = {"root": "broadcast", "reduce1": "reduce0"}  # else a majority


def names_both(text, how, rank):
    theirs, others = DEVIATIONS[how]
    return f"rank {rank} called {theirs}" in text and others in text


def differ(how, rank, placement):
    name = f"rank {rank} calls another {how} ({placement})"
    others = [f"others={OTHERS[how]}"] if how in OTHERS else []
    with Job(4, "disagree", f"how={how}", f"deviates={rank}", *others,
             "after=1", SERVERS=placement) as job:
        for r, line in zip(job.ranks, job.wait_all("call")):
            # Who only sends may be gone before the others look at it.
            early = how == "root" and line and line["rc"] == "0"
            check(f"{name}: rank {r.rank} gets both calls at once",
                  early or line is not None and line.number("rc") == EPROTO and
                  line.number("ms") < 3000 and
                  names_both(line["text"], how, rank), line and line.text)
        for r, line in zip(job.ranks, job.wait_all("after")):
            check(f"{name}: rank {r.rank} gets it again",
                  line is not None and line.number("rc") == EPROTO and
                  names_both(line["text"], how, rank), line and line.text)
        job.finish(name)


def differ_from_quorum(how, rank):
    name = f"rank {rank} calls another {how} than a quorum"
    with Job(5, "disagree", f"how={how}", f"deviates={rank}", "after=5",
             SERVERS="root", QUORUM=3, GRACE_MS=200,
             COUNT_MAX=200000) as job:
        for r, line in zip(job.ranks, job.wait_all("call")):
            deviates = r.rank == rank
            ok = line is not None and (
                line.number("rc") == EPROTO and
                names_both(line["text"], how, rank) if deviates
                else line["rc"] == "0")
            check(f"{name}: rank {r.rank} gets "
                  f"{'the error' if deviates else 'its result'}", ok,
                  line and line.text)
        for r in job.ranks:
            lines = r.all_lines("after")
            # Chunks that nobody else called cost the rounds that come then.
            allowed = ("0", str(ESTALE)) if how == "chunks" else ("0",)
            check(f"{name}: rank {r.rank} goes on",
                  len(lines) == 5 and all(
                      line["rc"] in allowed and line["wrong"] == "0"
                      for line in lines) and lines[-1]["rc"] == "0",
                  [line.text for line in lines])
            check(f"{name}: rank {r.rank} sees all vote again",
                  lines and lines[-1].number("every") == 31,
                  lines and lines[-1].text)
        job.finish(name)


def configure(field, variable, value):
    name = f"rank 2 has another {field}"
    with Job(3, "init", each=lambda r: {variable: value} if r == 2 else {},
             SERVERS="root") as job:
        for r, line in zip(job.ranks, job.wait_all("init")):
            check(f"{name}: rank {r.rank} is told",
                  line is not None and line.number("rc") == EPROTO and
                  f"{field} is " in line["text"] and "on rank 2" in
                  line["text"], line and line.text)
        job.finish(name)


def twice():
    with Job(3, "init", delay={2: 1.0}) as job:
        time.sleep(0.3)
        second = job.start(1)
        line = second.wait_line("init", 10)
        check("a rank that is there already is sent away",
              line is not None and line.number("rc") == EEXIST and
              "rank 1" in line["text"], line and line.text)
        check("it ends", second.exit_code() == 0)
        second.end()
        job.start_late()
        check("the job starts all the same", all(
            line and line["rc"] == "0" for line in job.wait_all("init")))
        job.finish("a rank twice")


def missing():
    with Job(4, "init", delay={2: 0}, INIT_TIMEOUT_MS=1000) as job:
        for r, line in zip(job.ranks, job.wait_all("init")):
            check(f"rank {r.rank} names the missing rank at init",
                  line is not None and line.number("rc") == ETIMEDOUT and
                  "2 of 4" in line["text"] and line.number("ms") < 3000,
                  line and line.text)


def wrong_key():
    other = key_file("other")
    with Job(3, "init", INIT_TIMEOUT_MS=1500,
             each=lambda r: {"KEY_FILE": other} if r == 1 else {}) as job:
        lines = job.wait_all("init")
        check("a wrong key is refused", lines[1] is not None and
              lines[1].number("rc") == EACCES, lines[1] and lines[1].text)
        for line in (lines[0], lines[2]):
            check("the others miss that rank", line is not None and
                  line.number("rc") == ETIMEDOUT and "1 of 3" in line["text"],
                  line and line.text)


def other_count():
    with Job(3, "init", INIT_TIMEOUT_MS=2000,
             each=lambda r: {"RANKS": 4} if r == 1 else {}) as job:
        for r, line in zip(job.ranks, job.wait_all("init")):
            check(f"rank {r.rank} is told that ranks differ about their count",
                  line is not None and line.number("rc") == EPROTO,
                  line and line.text)


def refuse():
    with Job(1, "arguments") as job:
        for line in job.wait_all("refused"):
            check("arguments out of range are refused, and good ones work",
                  line is not None and line["bad"] == "0",
                  [x.text for r in job.ranks for x in r.lines])
        job.finish("arguments")


def abort():
    with Job(3, "abort") as job:
        begin = job.ranks[0].wait_line("aborting")
        end = job.ranks[0].wait_line("end")
        check("abort ends a call at once", begin and end and
              end.number("rc") == ECANCELED and
              end.number("at") - begin.number("at") < 200e6,
              end and end.text)
        final = job.ranks[0].wait_line("finalized")
        check("and finalize says no goodbye", final is not None and
              final.number("at") - end.number("at") < 1000e6,
              final and final.text)
        for r in job.others(0):
            end = r.wait_line("end")
            check(f"rank {r.rank} is told that rank 0 ended it",
                  end is not None and end.number("rc") == ENOTCONN and
                  "rank 0" in end["text"], end and end.text)
        job.finish("abort")


def abort_step():
    """An abort in the middle of an update: it is whole, or was not begun."""
    for ms in (100, 123, 137, 151, 172, 190):
        with Job(2, "stream", "op=signum", "count=4000000", f"abort={ms}",
                 COUNT_MAX=4000000) as job:
            for end, line in zip(job.wait_all("end"), job.wait_all("untouched")):
                check(f"no half of a step after an abort ({ms} ms)",
                      line is not None and line["yes"] == "1" and
                      end.number("rc") in (ECANCELED, ENOTCONN),
                      end and end.text)
            job.finish("abort in a step")


for how in DEVIATIONS:
    differ(how, 2, "ranks")
differ("count", 0, "ranks")
differ("type", 3, "root")
for how in ("count", "chunks", "type", "op", "barrier"):
    differ_from_quorum(how, 3)
for field, variable, value in (("chunk", "CHUNK", 1024), ("tie", "TIE", "zero"),
                               ("window", "WINDOW", 7),
                               ("servers", "SERVERS", "ranks"),
                               ("quorum", "QUORUM", 2),
                               ("timeout_ms", "TIMEOUT_MS", 777)):
    configure(field, variable, value)
twice()
missing()
wrong_key()
other_count()
refuse()
abort()
abort_step()
done()
