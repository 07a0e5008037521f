#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_all_reduce.py BUILD [note] - whatever the options, RDMA gives the bits
that tcp and shared memory give, and every rank recounts them. See bits.py."""

import sys
from pathlib import Path

import bits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "whole"))
from whole import Job, check, done  # noqa: E402

CONFIGURATIONS = 32  # ties x zeros x servers x weights of "values"


def results(name, ranks, scenario, arguments, settings):
    """What every rank says of its results, if all say the same."""
    with Job(ranks, scenario, *arguments, **settings) as job:
        table = [[line.text for line in r.all_lines(scenario)]
                 for r in job.ranks]
        same = all(lines == table[0] for lines in table)
        right = all("wrong=0" in text for lines in table for text in lines)
        check(f"{name}: every result is right, on all ranks", table[0] and same
              and right, [r.lines[-1].text for r in job.ranks if r.lines])
        job.finish(name)
    return table[0]


def compare(ranks, scenario, *arguments, **verbs):
    name = " ".join([f"{ranks} ranks", scenario, *arguments] +
                    [f"{k}={v}" for k, v in verbs.items()])
    expected = bits.others(name, lambda transport: results(
        f"{name} over {transport}", ranks, scenario, arguments,
        {"TRANSPORT": transport}))
    if bits.notes:
        return
    seen = results(f"{name} over verbs", ranks, scenario, arguments,
                   {"TRANSPORT": "verbs", **verbs})
    check(f"{name}: the same bits as over shm and tcp",
          expected == [seen, seen], f"{seen}, not {expected}")


def compare_values(ranks, first, count, *arguments, **verbs):
    compare(ranks, "values", f"first={first}", f"last={first + count - 1}",
            "random=1", *arguments, **verbs)


compare_values(2, 0, CONFIGURATIONS)
compare_values(4, 0, CONFIGURATIONS, "few=1")
compare_values(7, 0, CONFIGURATIONS, "few=1")
compare_values(3, 16, 4, "few=1", IB_SEAL=1)
compare_values(3, 24, 4, "few=1", IB_QPS_PER_CONNECTION=3)
compare(4, "sums", "comms=2")
for scenario in ("signum", "feedback"):
    compare(4, scenario, "steps=3", "count=20001")
done()
