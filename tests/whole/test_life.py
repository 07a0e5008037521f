#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_life.py - what is left behind, what idling costs, who finds whom, and
what BALLOT_DEBUG and its like do."""

import os
import re
import socket

from whole import Job, check, done, sanitized, transport, work

CYCLES, FIRST = (60, 20) if sanitized else (1000, 100)


def compare(name, lines):
    """The numbers of cycle 100 against those of the last one."""
    if not check(f"{name}: all cycles end", len(lines) == 3,
                 [line.text for line in lines]):
        return
    _, first, last = lines
    print(f"     {name}: {last.number('ms') / CYCLES:.1f} ms a cycle")
    check(f"{name}: no descriptor, no thread is left",
          first["fds"] == last["fds"] and first["threads"] == last["threads"],
          f"{first.text} -> {last.text}")
    if sanitized:
        return  # their own memory grows
    check(f"{name}: no mapping, no memory is left",
          last.number("maps") <= first.number("maps") + 1 and
          last.number("size") <= first.number("size") + 256 and
          last.number("rss") <= first.number("rss") + 512,
          f"{first.text} -> {last.text}")
    check(f"{name}: a cycle takes less than 100 ms",
          last.number("ms") < 100 * CYCLES, last.text)


def cycles():
    arguments = (f"cycles={CYCLES}", f"first={FIRST}")
    with Job(2, "cycles", *arguments) as job:
        for r in job.ranks:
            compare(f"two processes, rank {r.rank}", r.all_lines("usage"))
        job.finish("cycles")
    with Job(1, "threads", *arguments, ROOT=None) as job:
        compare("two threads", job.ranks[0].all_lines("usage"))
        job.finish("threads")


def idle():
    with Job(4, "idle", THREADS=3) as job:
        for r, line in zip(job.ranks, job.wait_all("idle")):
            check(f"rank {r.rank} idles for less than 20 ms in 10 s",
                  line is not None and line.number("cpu_us") < 20000,
                  line and line.text)
            print(f"     rank {r.rank}: {line.number('cpu_us')} us")
        job.finish("idle")


def by_id():
    def identify(rank):
        return {"RANK": None, "RANKS": None, "ROOT": None, "KEY_FILE": None}

    jobs = []
    for rank in (2, 1, 0):
        job = Job(1, "id", f"rank={rank}", "ranks=3", f"file={work / 'id'}",
                  each=identify)
        jobs.append(job)
    for job in jobs:
        with job:
            line = job.ranks[0].wait_line("joined")
            check("a rank joins by a unique id from a file",
                  line is not None and line["of"] == "3",
                  [x.text for x in job.ranks[0].lines])
            job.finish("by id")


def damaged_id():
    def identify(rank):
        return {"RANK": None, "RANKS": None, "ROOT": None, "KEY_FILE": None,
                "INIT_TIMEOUT_MS": 1500}

    path = work / "other-id"
    first = Job(1, "id", "rank=0", "ranks=2", f"file={path}", each=identify)
    second = Job(1, "id", "rank=1", "ranks=2", "flip=1", f"file={path}",
                 each=identify)
    with first, second:
        for job in (first, second):
            line = job.ranks[0].wait_line("failed", 20)
            check("an id with another secret lets nobody in",
                  line is not None and line["rc"] in ("-13", "-110", "-22"),
                  [x.text for x in job.ranks[0].lines])


def debug_text(name, *arguments, **settings):
    """What rank 0 of two says, through a file of its own."""
    with Job(2, "init", *arguments, DEBUG="INFO",
             DEBUG_FILE=work / f"{name}.%h.%p", **settings) as job:
        job.wait_all("finalized")
        job.finish(name)
        path = work / f"{name}.{socket.gethostname()}.{job.ranks[0].process.pid}"
        check(f"{name}: BALLOT_DEBUG_FILE has host and process",
              path.exists(), sorted(os.listdir(work)))
        return path.read_text() if path.exists() else ""


def choices():
    text = debug_text("debug")
    check("INFO says the kernels, servers and who may join",
          "kernels=" in text and "servers=ranks" in text and
          "auth=group" in text, text)
    check("INFO says which pages and which NUMA node memory has",
          re.search(r"memory: \d+ slots of \d+ bytes, .* 2 ranks; huge pages "
                    r"from 2 MiB on, none for tcp: private (yes|no \(.*\)), "
                    r"shared (yes|no \(.*\)); NUMA: (one node|bound to node "
                    r"\d+|\d+ nodes, |not known)", text) is not None, text)
    if transport == "shm":
        check("INFO says shm and with whom", "shm with 0-1 of 2 ranks" in text,
              text)
    else:
        check("INFO says how tcp moves bytes", "tcp moves bytes with" in text,
              text)
        text = debug_text("refused", "refuse_uring=1")
        check("epoll is chosen where io_uring is refused",
              "tcp moves bytes with epoll" in text, text)
        text = debug_text("forced", TCP_ENGINE="epoll")
        check("BALLOT_TCP_ENGINE=epoll is obeyed",
              "tcp moves bytes with epoll" in text, text)
    for kernels in ("portable", "avx2"):
        text = debug_text(kernels, KERNELS=kernels)
        check(f"BALLOT_KERNELS={kernels} is obeyed",
              f"kernels={kernels}" in text, text)
    for threads in (1, 3):
        text = debug_text(f"threads{threads}", THREADS=threads)
        check(f"BALLOT_THREADS={threads} is obeyed",
              f"kernels run in {threads} thread" in text, text)
    with Job(1, "init", THREADS=65) as job:
        line = job.ranks[0].wait_line("init")
        check("too many threads are refused", line is not None and
              line["rc"] == "-22" and "BALLOT_THREADS" in line["text"],
              line and line.text)
    with Job(1, "init", KERNELS="abacus") as job:
        line = job.ranks[0].wait_line("init")
        check("unknown kernels are refused", line is not None and
              line["rc"] == "-22" and "BALLOT_KERNELS" in line["text"],
              line and line.text)
    with Job(1, "init", ROOT=None) as job:
        line = job.ranks[0].wait_line("init")
        check("without BALLOT_ROOT init says what to set",
              line is not None and line["rc"] == "-2" and
              "BALLOT_ROOT" in line["text"], line and line.text)


by_id()
damaged_id()
choices()
idle()
cycles()
done()
