#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sizes_table.py - ballot's collectives beside the best peer, size by size.

    sizes_table.py TIMES.tsv [--json] [--plot FILE.png] [--gate]

A line of TIMES.tsv is one batch: round, ranks, transport, program, collective,
bytes, microseconds a call on the slowest rank, calls. A ratio is a peer's time
/ ballot's in the same round, of which the median is taken; that of the best
peer, the least, counts. Above 1 ballot is faster. With --gate the exit code is
1 when a required ratio is not reached.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys

from table import machine

PEERS = ("ompi", "ompi-bound", "mpich", "gloo")
# What is required of these five; the others are shown.
JUDGED = ("all_reduce", "broadcast", "all_gather", "reduce_scatter",
          "all_to_all")
KIB = 1024
LIMITS = {
    "mean_below_1k": 1.0,   # geometric means
    "mean_from_1k": 1.2,
    "least": 0.6,           # of single sizes
    "least_from_64k": 0.8,
}


def read_times(path):
    """{(ranks, over, collective): {bytes: {program: {round: us}}}}"""
    cases = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            turn, ranks, over, program, what, size, us, _ = line.split("\t")
            sizes = cases.setdefault((int(ranks), over, what), {})
            programs = sizes.setdefault(int(size), {})
            programs.setdefault(program, {})[int(turn)] = float(us)
    return cases


def paired_ratio(theirs, ours):
    pairs = [us / ours[turn] for turn, us in theirs.items() if turn in ours]
    return statistics.median(pairs) if pairs else None


def row_of(size, times):
    medians = {p: statistics.median(t.values()) for p, t in times.items()}
    ratios = {p: paired_ratio(t, times.get("ballot", {}))
              for p, t in times.items() if p != "ballot"}
    ratios = {p: ratio for p, ratio in ratios.items() if ratio is not None}
    best = min(ratios, key=ratios.get, default=None)
    return {"bytes": size, "us": medians, "best": best,
            "ratio": ratios.get(best),
            "rounds": max(len(t) for t in times.values())}


def geometric_mean(ratios):
    if not ratios:
        return None
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def summarise(rows):
    known = [(r["bytes"], r["ratio"]) for r in rows if r["ratio"] is not None]
    return {
        "mean_below_1k": geometric_mean([r for b, r in known if b < KIB]),
        "mean_from_1k": geometric_mean([r for b, r in known if b >= KIB]),
        "least": min((r for _, r in known), default=None),
        "least_from_64k": min((r for b, r in known if b >= 64 * KIB),
                              default=None),
    }


def judge(cases):
    results = []
    for (ranks, over, what), sizes in cases.items():
        rows = [row_of(size, sizes[size]) for size in sorted(sizes)]
        summary = summarise(rows)
        missed = [name for name, limit in LIMITS.items()
                  if what in JUDGED and summary[name] is not None and
                  summary[name] < limit]
        results.append({"collective": what, "transport": over, "ranks": ranks,
                        "rows": rows, "required": what in JUDGED,
                        "missed": missed, **summary})
    return results


def number(value, decimals=2):
    return "-" if value is None else f"{value:.{decimals}f}"


def print_case(result, programs):
    print(f"#\n# {result['collective']} over {result['transport']}, "
          f"{result['ranks']} ranks, us a call\n#{'bytes':>11}" +
          "".join(f" {p:>11}" for p in programs) + "  best peer   ratio")
    for row in result["rows"]:
        print(f"{row['bytes']:12}" +
              "".join(f" {number(row['us'].get(p)):>11}" for p in programs) +
              f"  {row['best'] or '-':10} {number(row['ratio']):>6}")


def print_tables(results, host):
    rounds = max(r["rounds"] for result in results for r in result["rows"])
    print(f"# {host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, "
          f"commit {host['commit'] or 'none'}\n# float32, root 0; the slowest "
          f"rank's time of a batch after a barrier; medians of {rounds} "
          f"rounds.\n# bytes: of the vector, or of all ranks' blocks. "
          f"ratio: best peer / ballot, round by round")
    present = {p for result in results for row in result["rows"]
               for p in row["us"]}
    programs = ["ballot"] + [p for p in PEERS if p in present]
    for result in results:
        print_case(result, programs)
    print(f"#\n# Ratios: geometric means below 1 KiB (required "
          f"{LIMITS['mean_below_1k']}) and from 1 KiB\n# "
          f"({LIMITS['mean_from_1k']}), the least of all sizes "
          f"({LIMITS['least']}) and from 64 KiB ({LIMITS['least_from_64k']})\n"
          f"# {'collective':15} {'over':5} {'ranks':>5} {'< 1K':>7} "
          f"{'>= 1K':>7} {'least':>7} {'>= 64K':>7}")
    for r in results:
        verdict = "not required"
        if r["required"]:
            verdict = "missed" if r["missed"] else "met"
        print(f"  {r['collective']:15} {r['transport']:5} {r['ranks']:5}" +
              "".join(f" {number(r[name]):>7}" for name in LIMITS) +
              f"  {verdict}")


def draw(results, png):
    """A picture for each transport and number of ranks, a line each."""
    panels = sorted({(r["transport"], r["ranks"]) for r in results})
    columns = min(2, len(panels))
    script = [
        "set terminal pngcairo size 1200,"
        f"{450 * math.ceil(len(panels) / columns)}",
        f"set output '{png}'",
        f"set multiplot layout {math.ceil(len(panels) / columns)},{columns}",
        "set logscale x 2", "set logscale y 2", "set format x '2^{%L}'",
        "set ylabel 'best peer / ballot'",
        "set key below noenhanced", "set grid", "set yrange [0.125:8]"]
    for over, ranks in panels:
        lines = [r for r in results
                 if (r["transport"], r["ranks"]) == (over, ranks)]
        script.append(f"set title '{over}, {ranks} ranks, by bytes'")
        plots = [f"'-' with linespoints title '{r['collective']}'"
                 for r in lines]
        script.append("plot " + ", ".join(
            plots + ["1 with lines dt 2 lc 'black' notitle"]))
        for r in lines:
            script += [f"{row['bytes']} {row['ratio']}" for row in r["rows"]
                       if row["ratio"] is not None] + ["e"]
    script.append("unset multiplot")
    done = subprocess.run(["gnuplot"], input="\n".join(script) + "\n",
                          text=True, check=False)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("times")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot")
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    results = judge(read_times(options.times))
    if not results:
        sys.exit("sizes_table: there are no times; did every program fail?")
    if options.json:
        print(json.dumps({"machine": machine(), "limits": LIMITS,
                          "results": results}, indent=2))
    else:
        print_tables(results, machine())
    if options.plot and not draw(results, options.plot):
        sys.exit("sizes_table: gnuplot could not draw; is it installed "
                 "(apt-get install gnuplot-nox)?")
    if options.gate and any(r["missed"] for r in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
