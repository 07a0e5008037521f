#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""perftest_table.py - medians of compare_perftest.sh's pairs, and what holds.

    perftest_table.py RESULTS.tsv [--json]

A line of RESULTS.tsv is one run: measurement, program, pair, value. Perftest's
programs begin with ib_. A ratio is taken within a pair, and one that a failed
program left incomplete has none.
"""

import json
import statistics
import sys

from table import machine

TITLES = {
    "bw 32768": "slots of 32 KiB, MB/s",
    "bw 1048576": "slots of 1 MiB, MB/s",
    "lat 64": "64 B one way, us",
    "round 64": "a vote on 16 floats (64 B), us",
}
# (measurement, program): (least or most ratio, factor of perftest's value)
REQUIRED = {
    ("bw 32768", "ballot-perf p2p"): ("at least", 0.8),
    ("bw 1048576", "ballot-perf p2p"): ("at least", 0.9),
    ("round 64", "all_reduce root"): ("at most", 2.0),
    ("round 64", "all_reduce ranks"): ("at most", 2.0),
}
# A round is a vote to the server and a result back.
MESSAGES = {"round 64": 2}


def read_runs(path):
    """{measurement: {program: {pair: value}}} in file order."""
    runs = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            measurement, program, pair, value = line.rstrip("\n").split("\t")
            values = runs.setdefault(measurement, {}).setdefault(program, {})
            values[pair] = float(value)
    return runs


def summarise(runs):
    rows = []
    for measurement, programs in runs.items():
        first = next((p for p in programs if p.startswith("ib_")), None)
        beside = programs.get(first, {})
        factor = MESSAGES.get(measurement, 1)
        for program, values in programs.items():
            ratios = [value / (factor * beside[pair])
                      for pair, value in values.items() if pair in beside]
            ratio = None
            if program != first and ratios:
                ratio = statistics.median(ratios)
            way, bound = REQUIRED.get((measurement, program), (None, None))
            met = None
            if bound is not None and ratio is not None:
                met = ratio >= bound if way == "at least" else ratio <= bound
            rows.append({
                "measurement": measurement, "program": program,
                "median": statistics.median(values.values()),
                "least": min(values.values()),
                "most": max(values.values()), "runs": len(values), "beside": first,
                "messages": factor, "ratio": ratio, "way": way,
                "required": bound, "met": met})
    return rows


def print_table(rows, host):
    print(f"# {host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, "
          f"commit {host['commit'] or 'none'}")
    last = None
    for row in rows:
        if row["measurement"] != last:
            last = row["measurement"]
            print(f"#\n# {TITLES[last]}\n# {'program':18} {'median':>10} "
                  f"{'least':>10} {'most':>10} {'ratio':>7}")
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"  {row['program']:18} {row['median']:10.2f} "
              f"{row['least']:10.2f} {row['most']:10.2f} {ratio:>7}")
    print("#\n# ratio: to perftest, median of the pairs; of a vote, to two "
          "one-way times.")
    for row in rows:
        if row["met"] is not None:
            print(f"{row['measurement']}, {row['program']}: "
                  f"{row['ratio']:.2f} of {row['beside']}"
                  f"{' twice' if row['messages'] == 2 else ''}, "
                  f"{row['way']} {row['required']}: "
                  f"{'met' if row['met'] else 'NOT MET'}")


def main():
    rows = summarise(read_runs(sys.argv[1]))
    if "--json" in sys.argv[2:]:
        print(json.dumps({"machine": machine(), "results": rows}, indent=2))
    else:
        print_table(rows, machine())


if __name__ == "__main__":
    main()
