#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_direct.py - packed signs in memory that was registered: the same results,
and over RDMA neither side copies them."""

from whole import Job, check, done, transport

SIGNS = 600000  # several chunks of 65,536; the last is not whole


def run(name, registered, **settings):
    with Job(3, "values", "first=0", "last=0", "random=1", f"signs={SIGNS}",
             f"registered={registered}", CHUNK=65536, **settings) as job:
        digests = [[line.text for line in r.all_lines("values")]
                   for r in job.ranks]
        copied = [line for r in job.ranks for line in r.all_lines("copied")]
        check(f"{name}: every result is right",
              digests[0] and all("wrong=0" in text
                                 for lines in digests for text in lines),
              digests[0])
        check(f"{name}: all ranks have the same",
              all(lines == digests[0] for lines in digests))
        job.finish(name)
    return digests[0], copied


for servers in "ranks", "root":
    plain, unregistered = run(f"{servers}, not registered", 0, SERVERS=servers)
    direct, registered = run(f"{servers}, registered", 1, SERVERS=servers)
    check(f"{servers}: registered memory gives the same", plain == direct)
    check(f"{servers}: nothing is direct without registering",
          all(line["direct"] == "0" for line in unregistered))
    if transport != "verbs":
        check(f"{servers}: {transport} has no use for it",
              all(line["direct"] == "0" for line in registered))
        continue
    # Each rank sends its signs to each other rank that counts, and gets a
    # result for all of them: twice, and all but the last chunk.
    least = 2 * (SIGNS - 65536) // 8
    voters = registered if servers == "ranks" else registered[1:]
    check(f"{servers}: whole chunks are sent from there and land there",
          all(int(line["direct"]) > least for line in voters),
          [line.text for line in voters])
    check(f"{servers}: nothing large is copied on the way to a slot",
          all(int(line["copied"]) < int(line["put"]) // 4
              for line in unregistered + registered),
          [line.text for line in unregistered + registered])
done()
