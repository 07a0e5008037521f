#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_values.py - every type and option through the public API, 1 to 9 ranks;
each rank recounts each result, and all have the same bits."""

from whole import Job, check, done, few, sanitized, transport


def run(scenario, ranks, *arguments, **settings):
    name = " ".join([scenario, f"{ranks} ranks", *arguments] +
                    [f"{k}={v}" for k, v in settings.items()])
    with Job(ranks, scenario, *arguments, **settings) as job:
        table = [[line.text for line in r.all_lines(scenario)]
                 for r in job.ranks]
        wrong = [line.text for r in job.ranks for line in r.lines
                 if line.word == "differs" or
                 line.word == scenario and line["wrong"] != "0"]
        check(f"{name}: every result is right", table[0] and not wrong,
              wrong[:6])
        check(f"{name}: all ranks have the same",
              all(lines == table[0] for lines in table))
        job.finish(name)


for ranks in (1, 2, 4, 5) if sanitized or few else range(1, 10):
    # Half of the configurations; who runs with one rank more has the others.
    first = ranks % 2 * 16
    some = 6 if sanitized else 8 if transport == "tcp" and ranks > 5 else 16
    run("values", ranks, f"first={first}", f"last={first + some - 1}",
        f"random={1 if sanitized else 4}")
    run("sums", ranks)
run("values", 3, "last=0", f"every={100 if sanitized else 2000}")
if not sanitized:
    run("values", 4, "first=16", "last=31", "large=1000003")
    run("signum", 4)
    run("signum", 9, "count=300007", "steps=5")
    for kernels in ("portable", "avx2"):
        run("values", 3, KERNELS=kernels)
        run("feedback", 3, "steps=5", KERNELS=kernels)
    # Chunks of 1 MiB of signs, so that even votes are cut for the threads.
    run("values", 3, "first=0", "last=15", "large=1000003", THREADS=3,
        CHUNK=1 << 23)
    run("signum", 2, "count=3000007", "steps=3", THREADS=3, CHUNK=1 << 23)
    run("feedback", 4)
    run("feedback", 4, "scale=512")
    # Chunks that are not whole blocks, until they are cut to them.
    run("feedback", 9, "count=300007", "steps=5", CHUNK=40960)
    run("feedback", 2, "count=3000007", "steps=3", THREADS=3, CHUNK=1 << 23)
    run("feedback", 4, "abstain=1", ZERO="abstain")
run("signum", 3, SERVERS="root", CHUNK=512)
# Chunks that are less than a block.
run("feedback", 3, "block=512", SERVERS="root", CHUNK=512)
run("feedback", 3, "steps=3", "scale=512", CHUNK=512)
done()
