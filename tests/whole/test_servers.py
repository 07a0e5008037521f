#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_servers.py - ballot-server counts and does not vote: the same bits as
elsewhere, any rank may die, it serves one job after the other, and its own end
has a name."""

import os
import signal
import socket
import threading
import time

from whole import (CONTINUE, EHOSTUNREACH, EINVAL, ENOTCONN, EPROTO, ETIMEDOUT,
                   KILL, SLACK_S, SLOW, STOP, Job, Server, check, done,
                   key_file, sanitized, transport)

RANKS = 4
QUORUM = {"QUORUM": 3, "GRACE_MS": 20 * SLOW, "TIMEOUT_MS": 5000 * SLOW}
HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def digests(settings, name, *arguments):
    with Job(RANKS, "values", *arguments, **settings) as job:
        table = [[line.text for line in r.all_lines("values")]
                 for r in job.ranks]
        check(f"{name}: all ranks have the same",
              table[0] and all(lines == table[0] for lines in table), table)
        job.finish(name)
        return table[0]


def same_bits():
    """Of the configurations, those that leave it to the environment where the
    servers are: all ties, both zeros, with and without weights."""
    for first in (0, 16):
        arguments = (f"first={first}", f"last={first + 7}",
                     f"random={1 if sanitized else 3}")
        ranks = digests({}, f"values from {first}, ranks", *arguments)
        for count in (1, 2):
            name = f"values from {first}, {count} servers"
            with Server(RANKS, count=count) as server:
                others = [Server(RANKS, index=i, ports=server.ports)
                          for i in range(1, count)]
                got = digests(server.settings(), name, *arguments)
                check(f"{name}: the bits are those of servers = ranks",
                      got == ranks, [got, ranks])
                for other in others:
                    with other:
                        ended = [other.wait_event("ended") for _ in range(8)]
                        check(f"{name}: every server has counted",
                              any(e and e["votes"] > 0 for e in ended), ended)
                        other.finish(name)
                server.finish(name)
    with Server(RANKS) as server:
        with Job(RANKS, "signum", **server.settings()) as job:
            lines = [line for r in job.ranks for line in r.all_lines("signum")]
            check("fused steps with a server are right", lines and all(
                line["wrong"] == "0" for line in lines),
                  [line.text for line in lines][:4])
            job.finish("signum")
        with Job(RANKS, "stream", "op=sum", "calls=20",
                 **server.settings()) as job:
            check("sums go around beside a server", all(
                line and line["rc"] == "0" for line in job.wait_all("end")))
            job.finish("sum")
        server.finish("sums")


def compare(name, ranks, rounds):
    """All of `ranks` have the same results of all rounds."""
    table = [{line.number("number"): line for line in r.all_lines("round")}
             for r in ranks]
    wrong = [line.text for lines in table for line in lines.values()
             if line.number("wrong") > 0]
    check(f"{name}: every round is counted right", not wrong, wrong[:3])
    check(f"{name}: every rank has every round", all(
        sorted(lines) == list(range(rounds)) for lines in table),
          [len(lines) for lines in table])
    differ = [n for n, line in table[0].items() for lines in table
              if n in lines and lines[n]["digest"] != line["digest"]]
    check(f"{name}: all have the same results", not differ, differ[:10])
    return table


def train(server, rounds, *more, **settings):
    return Job(5, "train", f"rounds={rounds}", *more,
               **{**server.settings(), **QUORUM, **settings})


def reaches(rank, number, timeout_s=60):
    return rank.wait_line("round", timeout_s,
                          lambda line: line.number("number") >= number)


def kill_rank(server, victim):
    """Any rank may die, rank 0 too."""
    name = f"kill rank {victim}"
    with train(server, 60) as job:
        reaches(job.ranks[1], 10)
        job.ranks[victim].signal(KILL)
        survivors = job.others(victim)
        table = compare(name, survivors, 60)
        last = table[0].get(59)
        check(f"{name}: it is not counted any more, and is named as dead",
              last and last.number("every") == 31 ^ 1 << victim and
              last.number("dead") == 1 << victim, last and last.text)
        for r in survivors:
            check(f"{name}: rank {r.rank} ends well", r.exit_code() == 0,
                  r.stderr())
    ended = server.wait_event("ended")
    check(f"{name}: the server tells of it", ended and ended["lost"] == 1 and
          ended["departed"] == 4 and ended["error"] == 0, ended)


def late_rank(server, kept, missed):
    """It catches up, or is told that it is too late, and votes again."""
    name = f"stop a rank for {missed} rounds"
    rounds = 200
    with train(server, rounds, "pace=5", "votes=fixed",
               KEPT_ROUNDS=kept) as job:
        before = reaches(job.ranks[0], 10)
        job.ranks[0].signal(STOP)
        reaches(job.ranks[1], before.number("number") + missed)
        job.ranks[0].signal(CONTINUE)
        table = compare(name, job.others(0), rounds)
        first = before.number("number") + missed
        lines = job.ranks[0].all_lines("round")
        stale = any(line.word == "stale" for line in job.ranks[0].lines)
        check(f"{name}: it is told so, if it is too late",
              stale == (missed > kept), f"{len(lines)} rounds")
        check(f"{name}: it has the rounds that it can have",
              stale or len(lines) == rounds, len(lines))
        votes = [n for n, line in table[0].items()
                 if n > first and line.number("every") == 31]
        check(f"{name}: it votes again", len(votes) >= 3, votes)
        job.finish(name)
    server.wait_event("ended")


def silent_rank(server):
    """Stopped for good: the server does not wait for it for ever."""
    name = "a rank that never leaves"
    with train(server, 20, TIMEOUT_MS=1000 * SLOW) as job:
        reaches(job.ranks[0], 5)
        job.ranks[2].signal(STOP)
        for r in job.others(2):
            r.exit_code()
        ended = server.wait_event("ended", 10 * SLOW)
        check(f"{name} is given up, and named", ended and
              ended["error"] == ETIMEDOUT and "from: 2 of 5" in ended["why"],
              ended or server.events[-3:])


def one_job_after_the_other():
    with Server(5, "--status", "0.2") as server:
        for victim in (0, 4):
            kill_rank(server, victim)
        late_rank(server, 64, 20)
        if transport != "verbs":
            late_rank(server, 4, 40)
        silent_rank(server)
        with train(server, 10) as job:
            compare("the last job", job.ranks, 10)
            job.finish("the last job")
        status = [e for e in server.events if e["event"] == "status"]
        check("status lines came meanwhile", any(
            e["round"] > 0 and e["voters"] >= 3 and e["bytes_in"] > 0
            for e in status), status[-2:])
        server.finish("one job after the other")


def lose_server(how, count=1, victim=0):
    name = f"{how} server {victim} of {count}"
    with Server(RANKS, count=count) as server:
        others = [Server(RANKS, index=i, ports=server.ports)
                  for i in range(1, count)]
        lost = ([server] + others)[victim]
        with Job(RANKS, "stream", TIMEOUT_MS=1000 * SLOW,
                 **server.settings()) as job:
            job.wait_all("running")
            begin = time.monotonic()
            lost.process.send_signal({"kill": KILL, "stop": STOP,
                                      "end": signal.SIGTERM}[how])
            limit_s = SLACK_S + (1.2 * SLOW if how == "stop" else 0.5)
            for r in job.ranks:
                end = r.wait_line("end", limit_s + 10)
                took = end.number("at") / 1e9 - begin if end else 99
                check(f"{name}: rank {r.rank} names it within {limit_s:.1f} s",
                      end and took <= limit_s and end.number("rc") ==
                      (ETIMEDOUT if how == "stop" else ENOTCONN) and
                      f"server {victim} (" in end["text"],
                      f"{took:.2f} s: {end and end.text}")
            for r in job.ranks:
                check(f"{name}: rank {r.rank} ends", r.exit_code() == 0,
                      r.stderr())
        if how == "end":
            check(f"{name}: it returns 0", lost.process.wait(10) == 0)
        for other in others + [server]:
            if other is not lost:
                check(f"{name}: the other server goes on",
                      other.wait_event("ended", 20) is not None,
                      other.events)
                other.finish(name)
        for other in others:
            other.__exit__()


def refusals():
    with Server(RANKS) as server:
        with Job(RANKS, "init", KEY_FILE=key_file("other"),
                 INIT_TIMEOUT_MS=5000 * SLOW, **server.settings()) as job:
            lines = job.wait_all("init")
            check("a wrong key is refused", all(
                line and line["rc"] == "-13" for line in lines),
                  [line and line.text for line in lines])
        for what, settings, word in (
                ("another number of ranks", {"RANKS": 5}, "ballot-server the "
                 "same --ranks"),
                ("another number of servers",
                 {"SERVERS": server.list + ",127.0.0.1:1"}, "BALLOT_SERVERS")):
            with Job(RANKS, "init", INIT_TIMEOUT_MS=5000 * SLOW,
                     **{**server.settings(), **settings}) as job:
                lines = job.wait_all("init")
                check(f"{what} is an error with its cure", all(
                    line and line.number("rc") == EPROTO and
                    word in line["text"] for line in lines),
                      [line and line.text for line in lines])
        with Job(RANKS, "init", each=lambda r: {"WINDOW": 4 + r % 2},
                 **server.settings()) as job:
            check("ranks that differ are told", all(
                line and line.number("rc") == EPROTO and
                "window" in line["text"] for line in job.wait_all("init")))
        with Job(2, "init", QUORUM=2, **{
                **server.settings(),
                "SERVERS": server.list + ",127.0.0.1:1"}) as job:
            check("a quorum with two servers is refused", all(
                line and line.number("rc") == EINVAL and "one server" in
                line["text"] for line in job.wait_all("init")))
        with Job(RANKS, "init", delay={3: 0}, INIT_TIMEOUT_MS=1000 * SLOW,
                 **server.settings()) as job:
            check("a rank that does not come is named", all(
                line and line.number("rc") == ETIMEDOUT and
                "missing: 3 of 4 ranks" in line["text"]
                for line in job.wait_all("init")))
        with Job(RANKS, "init", **server.settings()) as job:
            check("then a job comes together", all(
                line and line["rc"] == "0" for line in job.wait_all("init")))
            job.finish("then")
        ended = server.wait_event("ended")
        check("who had a wrong key is a stranger",
              ended and ended["strangers"] >= 4, ended)
        server.finish("refusals")
    with Job(RANKS, "init", INIT_TIMEOUT_MS=500 * SLOW, ROOT=None,
             SERVERS=server.list) as job:
        check("without a server ranks say where they looked", all(
            line and line.number("rc") == ETIMEDOUT and
            str(server.ports[0]) in line["text"] and
            "ballot-server" in line["text"] for line in job.wait_all("init")))
    with Server(RANKS, key=None) as server:
        check("without a key it does not start",
              server.process.wait(10) == 1 and "--auth none" in
              open(server.errors.name, encoding="utf-8").read())
    with Server(RANKS, "--auth", "none", key=None) as server:
        with Job(RANKS, "init", AUTH="none", KEY_FILE=None,
                 **server.settings()) as job:
            check("without a key everybody joins, if that was said", all(
                line and line["rc"] == "0" for line in job.wait_all("init")))
            job.finish("auth none")
        server.finish("auth none")


def strangers():
    """Whatever else talks to its port, before and during a job."""
    with Server(RANKS) as server:
        server.wait_event("listening")
        stopped = threading.Event()
        silent = []

        def talk(content):
            while not stopped.is_set():
                try:
                    s = socket.create_connection(
                        ("127.0.0.1", server.ports[0]), 0.5)
                    if content is None and len(silent) < 200:
                        silent.append(s)
                        continue
                    s.sendall(content or os.urandom(300))
                    s.settimeout(0.02)
                    s.recv(100)
                    s.close()
                except OSError:
                    pass
                time.sleep(0.005)

        threads = [threading.Thread(target=talk, args=(content,))
                   for content in (HTTP, b"\x16\x03\x01", b"\0", None)]
        for t in threads:
            t.start()
        time.sleep(0.3)
        begin = time.monotonic()
        with Job(RANKS, "init", "calls=300", **server.settings()) as job:
            lines = job.wait_all("called")
            check("a job starts and runs among strangers", all(lines) and
                  time.monotonic() - begin < 5 + SLACK_S,
                  [line and line.text for line in lines])
            job.finish("strangers")
        ended = server.wait_event("ended")
        check("strangers are counted", ended and ended["error"] == 0 and
              ended["strangers"] >= 20, ended)
        stopped.set()
        for t in threads:
            t.join()
        for s in silent:
            s.close()
        server.finish("strangers")


def idle():
    with Server(RANKS) as server:
        server.wait_event("listening")
        with Job(RANKS, "idle", "ms=3000", **server.settings()) as job:
            server.wait_event("joined")
            time.sleep(0.5)
            before = server.cpu_s()
            time.sleep(2)
            took = server.cpu_s() - before
            check("a server idles without the processor", took <= 0.02, took)
            job.finish("idle")
        server.wait_event("ended")
        before = server.cpu_s()
        time.sleep(1)
        took = server.cpu_s() - before
        check("and so does one that waits", took <= 0.01, took)
        server.finish("idle", signal.SIGINT)


def leaves_nothing():
    """A server in a program of its own, which can look at itself."""
    jobs, first = (12, 4) if sanitized else (40, 20)
    with Server(2, "--once") as probe:  # a port that is free, and --once
        settings = probe.settings()
        with Job(2, "init", **settings) as job:
            job.finish("once")
        check("with --once it ends after a job", probe.process.wait(20) == 0)
    settings["KEY_FILE"] = key_file()
    with Job(1, "serve", f"jobs={jobs}", f"first={first}", "ranks=2",
             f"trust={int(transport == 'shm')}", **settings) as server, \
            Job(2, "cycles", f"cycles={jobs}", f"first={first}",
                **settings) as job:
        usage = server.ranks[0].all_lines("usage")
        if check("every job ends", len(usage) == 3,
                 [line.text for line in server.ranks[0].lines]):
            before, last = usage[1:]
            # The next job's ranks may be at its door already.
            check("a job leaves no descriptor and no thread",
                  abs(before.number("fds") - last.number("fds")) <= 3 and
                  before["threads"] == last["threads"],
                  f"{before.text} -> {last.text}")
            check("a job leaves no memory", sanitized or
                  last.number("maps") <= before.number("maps") + 1 and
                  last.number("size") <= before.number("size") + 256 and
                  last.number("rss") <= before.number("rss") + 512,
                  f"{before.text} -> {last.text}")
        said = {line.word: line for line in server.ranks[0].lines}
        check("what was stopped does not wait", "stopped" in said and
              said["stopped"]["await"] == "-125", said)
        server.finish("serve")
        job.finish("cycles")


def no_shared_memory():
    """Only with --trust-host: a server's own user could be a liar."""
    with Server(RANKS, trusts=False) as server:
        with Job(RANKS, "init", TRANSPORT="shm", **server.settings()) as job:
            check("a server shares no memory with its own user", all(
                line and line.number("rc") in (EPROTO, EHOSTUNREACH) and
                "--trust-host" in line["text"]
                for line in job.wait_all("init")))
        with Job(RANKS, "init", TRANSPORT=None, **server.settings(),
                 DEBUG="INFO") as job:
            job.wait_all("finalized")
            check("unless it is told to, it chooses another transport",
                  "tcp with server 0 (" in job.ranks[0].stderr() and
                  "shm with 0-3 of 4 ranks" in job.ranks[0].stderr(),
                  job.ranks[0].stderr())
            job.finish("no shared memory")
        server.finish("no shared memory")


same_bits()
one_job_after_the_other()
for how in ("kill", "stop", "end"):
    lose_server(how)
lose_server("kill", 2, 1)
lose_server("end", 2, 0)
refusals()
strangers()
idle()
leaves_nothing()
no_shared_memory()
done()
