#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_collectives.py - every collective with every op, type, root and count,
in place and not, 1 to 17 ranks, against another computation; and on several
communicators at once.

test_collectives.py BUILD-FOLDER [shm|tcp|verbs] [full] [ranks=FIRST-LAST]
                    [one_of=N] [count_max=N]:
a sample by a seed, or all of it with up to 5 ranks and one call of as many as
there are ranks with more, which takes minutes; with so many ranks; and of the
full one, one call of N, no count above N.
"""

import os
import re
import sys

from whole import (EPROTO, ETIMEDOUT, PATIENCE_S, SLOW, Job, check, done,
                   sanitized, transport)

EAGAIN = -11
full = "full" in sys.argv[3:]
words = dict(word.split("=") for word in sys.argv[3:] if "=" in word)
first, last = map(int, words.get("ranks", "1-17").split("-"))
most = [f"count_max={words['count_max']}"] if "count_max" in words else []
seed = int(os.environ.get("BALLOT_TEST_SEED", "1"))


def run(ranks, *arguments, scenario="collectives", **settings):
    name = " ".join([f"{ranks} ranks", scenario, *arguments] +
                    [f"{k}={v}" for k, v in settings.items()])
    patience_s = 1800 if full else PATIENCE_S
    # What stands still goes on when ranks are asked, shortly before the
    # deadline: nobody here waits for that.
    settings = {"TIMEOUT_MS": int(2000 * patience_s), **settings}
    with Job(ranks, scenario, f"seed={seed}", *arguments,
             **settings) as job:
        lines = [r.all_lines(scenario, patience_s) for r in job.ranks]
        said = [line.text for r in job.ranks for line in r.lines
                if line.word != scenario]
        check(f"{name}: every result is right",
              all(len(of) == 1 and of[0]["wrong"] == "0" for of in lines)
              and not said, said[:6])
        job.finish(name)
        calls = [of[0]["calls"] for of in lines if of]
        print(f"     {calls[0] if calls else 0} calls", flush=True)
        return [of[0]["digest"] for of in lines if of]


def unsent():
    timeout = 300 * SLOW
    with Job(4, "unsent", f"sleep_ms={5 * timeout}",
             TIMEOUT_MS=timeout) as job:
        line = job.ranks[0].wait_line("unsent")
        check("who does not send is named, and nobody else",
              line and line.number("rc") == ETIMEDOUT and
              "missing: 2 of 4 ranks" in line["text"], line and line.text)
        job.finish("unsent")


def crowded():
    with Job(2, "crowded") as job:
        for r in job.ranks:
            lines = r.all_lines("crowded")
            check(f"rank {r.rank}: what found no request is not called",
                  len(lines) == 2 and lines[0].number("rc") == EAGAIN and
                  lines[1]["wrong"] == "0", [line.text for line in r.lines])
        job.finish("crowded")


def crossed(extra, called):
    timeout = 600 * SLOW
    with Job(3, "crossed", f"later_ms={timeout // 6}", f"extra={extra}",
             TIMEOUT_MS=timeout) as job:
        for r, line in zip(job.ranks, job.wait_all("crossed")):
            check(f"rank {r.rank}: an exchange that rank 2 calls too late is "
                  f"named, and that rank 2 called {called}",
                  line and line.number("rc") == EPROTO and
                  re.search(r"rank [01] called recv of 1 float32 from rank 2, "
                            f"rank 2 called {called}", line["text"]),
                  line and line.text)
        job.finish("crossed")


def stopped():
    with Job(3, "stopped", SERVERS="root", QUORUM=2) as job:
        exchanges = job.wait_all("exchange")
        calls = job.wait_all("broadcast")
        check("what is received as another type is an error",
              exchanges[2] and exchanges[2].number("rc") == EPROTO,
              exchanges[2] and exchanges[2].text)
        check("afterwards nothing flows at that rank, which says why",
              calls[2] and calls[2].number("rc") == EPROTO and
              "an earlier call that needs every rank has failed" in
              calls[2]["text"], calls[2] and calls[2].text)
        for r, line in zip(job.ranks, job.wait_all("vote")):
            check(f"rank {r.rank}: votes go on",
                  line and line["rc"] == "0" and line["wrong"] == "0",
                  line and line.text)
        job.finish("stopped")


def alike(ranks, *arguments, ways, scenario="collectives"):
    """The same bits, whichever way they take."""
    found = [run(ranks, *arguments, scenario=scenario, **settings)
             for settings in ways]
    check(f"{ranks} ranks, {scenario}: the same bits every time",
          found[0] and all(one == found[0] for one in found), found)


# That transport again, and others beside it: all have the same bits.
beside = {"shm": [{}, {"TRANSPORT": "tcp"}],
          "tcp": [{"TCP_ENGINE": "uring"}, {"TCP_ENGINE": "epoll"}]}.get(
              transport, [{}])
forced = [{"ALGO": name} for name in ("ring", "split", "tree", "doubling", "hub")]

# Four communicators at once: in threads, and all in one.
for ranks in (3,) if sanitized else (3, 4, 7) if full else (2, 3):
    if first <= ranks <= last:
        alike(ranks, f"calls={24 if sanitized else 400 if full else 60}",
              scenario="beside", ways=beside)
if full:
    for ranks in range(first, last + 1):
        one_of = words.get("one_of", 1 if ranks <= 5 else ranks)
        alike(ranks, f"one_of={one_of}", "together=200", *most, ways=beside)
else:
    for ranks in (2, 4) if sanitized else (1, 2, 3, 4, 7):
        alike(ranks, f"one_of={40 * ranks}", "count_max=30011", ways=beside)
    alike(3 if sanitized else 5, "one_of=500", ways=forced)
    if not sanitized:
        run(17, "one_of=4000", "count_max=1000", "together=4")
        run(4, "one_of=1000")
unsent()
crowded()
crossed(0, "(all_)?gather of 1 ")
crossed(1, "barrier")
stopped()
done()
