#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_collectives.py BUILD [note] - a tenth of all collectives, ops, types,
roots and counts, by a seed: RDMA gives the bits that tcp and shared memory
give, and every rank computes them for itself. See bits.py."""

import sys
from pathlib import Path

import bits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "whole"))
from whole import Job, check, done  # noqa: E402

# Of large vectors a tenth takes minutes in a virtual machine.
SAMPLE = ["seed=3", "one_of=10", "count_max=1000", "together=20"]


def results(count, transport):
    """What every rank has received, as a hash, if all of it was right."""
    name = f"{count} ranks over {transport}"
    with Job(count, "collectives", *SAMPLE, TRANSPORT=transport) as job:
        lines = [r.all_lines("collectives") for r in job.ranks]
        said = [line.text for r in job.ranks for line in r.lines
                if line.word != "collectives"]
        check(f"{name}: every result is right", all(
            len(of) == 1 and of[0]["wrong"] == "0" for of in lines)
            and not said, said[:6])
        job.finish(name)
    calls = [of[0]["calls"] for of in lines if of]
    print(f"     {calls[0] if calls else 0} calls", flush=True)
    return [of[0]["digest"] for of in lines if of]


for count in (2, 4, 7):
    expected = bits.others(str(count), lambda to, n=count: results(n, to))
    if bits.notes:
        continue
    seen = results(count, "verbs")
    check(f"{count} ranks: the same bits as over shm and tcp",
          seen and expected == [seen, seen], f"{seen}, not {expected}")
done()
