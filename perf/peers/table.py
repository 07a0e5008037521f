#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py - medians of compare_peers.sh's rounds, as a table or as JSON.

    table.py RESULTS.tsv [--json]

A line of RESULTS.tsv is one run: case, program, transport, microseconds a call,
bytes that each rank has to send for it. The program "floor" is no program, but
the time in which 4 processes at once read the floats and write them once.
"""

import json
import os
import platform
import statistics
import subprocess
import sys

CASES = {
    "large": "25,560,000 float32, 4 processes on this host",
    "small": "16 float32 (64 B), 2 processes on this host",
    "hosts": "25,560,000 float32, 4 hosts at 1 Gbit/s (network namespaces)",
}
LINK_BYTES_PER_US = 125


def read_runs(path):
    """{(case, program, transport): ([us, ...], wire bytes)} in file order."""
    runs = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            case, program, transport, us, wire = line.rstrip("\n").split("\t")
            key = (case, program, transport)
            runs.setdefault(key, ([], float(wire)))[0].append(float(us))
    return runs


def limit_of(case, transport, us, wire, floor_us):
    """What bounds a row, with how near it is to the bound."""
    if case == "small":
        return "latency of one exchange"
    memory = "no floor was measured"
    if floor_us is not None:
        memory = f"{us / floor_us:.1f} x reading and writing the floats once"
    if case == "hosts":
        share = wire / us / LINK_BYTES_PER_US
        link = f"link {share:.0%} busy"
        if share >= 0.5:
            return link
        return f"cores, which all hosts share here: {memory}; {link}"
    if transport == "tcp":
        return f"loopback at {wire / us / 1e3:.2f} GB/s a rank; {memory}"
    return f"memory: {memory}"


def summarise(runs):
    rows = []
    for (case, program, transport), (times, wire) in runs.items():
        if program == "floor":
            continue
        us = statistics.median(times)
        floor = runs.get(("large", "floor", transport))
        own = runs.get((case, "ballot majority", transport))
        rows.append({
            "case": case, "program": program, "transport": transport,
            "us": us, "us_min": min(times), "us_max": max(times),
            "rounds": len(times),
            "ratio": us / statistics.median(own[0]) if own else None,
            "limit": limit_of(case, transport, us, wire,
                              statistics.median(floor[0]) if floor else None),
        })
    return rows


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    here = os.path.dirname(os.path.abspath(__file__))
    commit = subprocess.run(
        ["git", "-C", here, "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(),
            "kernel": platform.release(), "commit": commit or None}


def print_table(rows, host):
    print(f"# {host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, "
          f"commit {host['commit'] or 'none'}")
    for case, title in CASES.items():
        if not any(row["case"] == case for row in rows):
            continue
        print(f"#\n# {title}\n# {'program':18} {'over':5} {'median us':>11} "
              f"{'least':>11} {'most':>11} {'x ballot':>9}  what limits it")
        for row in rows:
            if row["case"] != case:
                continue
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
            print(f"  {row['program']:18} {row['transport']:5} "
                  f"{row['us']:11.1f} {row['us_min']:11.1f} "
                  f"{row['us_max']:11.1f} {ratio:>9}  {row['limit']}")
    print("#\n# x ballot: median / ballot's median over the same transport. "
          "The others sum floats;\n# ballot votes on their signs, which is "
          "another result with 1/32 of the bytes.")


def main():
    rows = summarise(read_runs(sys.argv[1]))
    host = machine()
    if "--json" in sys.argv[2:]:
        print(json.dumps({"machine": host, "cases": CASES, "results": rows},
                         indent=2))
    else:
        print_table(rows, host)


if __name__ == "__main__":
    main()
