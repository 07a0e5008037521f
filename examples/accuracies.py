#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""accuracies.py - how well a network learns while some of fifteen ranks lie.

    accuracies.py BUILD --data DIR [--seeds N] [--only TEXT]
                  [--tsv FILE] [--json FILE] [--plot FILE.png]
    accuracies.py BUILD --quick

Trains with 2_sign_sgd under ballot-run, real processes, once for each row and
seed, and compares the accuracy on the test images with what it should be. DIR
holds the four files of the full MNIST. --quick takes two rows and the part of
MNIST that is here. Exits 1 unless all is as expected.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
RANKS = 15
# An accuracy that learning leaves alone varies so much with the batches.
TOLERANCE = 0.01
PLAIN = "--momentum 0"
STS = "--redundancy 3 --design sts"


@dataclass
class Row:
    name: str
    options: str
    # Of seeds 1, 2, ..., where there are fewer the first; or the two ends of a
    # range, where liars have so much say that the seed decides a lot.
    expected: tuple = ()
    between: tuple = ()
    steps: int = 400
    proven: int = -1  # liars that must be proven; -1: it is left open

    def limits(self, seed):
        if self.between:
            return self.between
        value = self.expected[min(seed, len(self.expected)) - 1]
        return value - TOLERANCE, value + TOLERANCE


def plain(name, liars, attack, **options):
    return Row(f"vote, {name}",
               f"{PLAIN} --liars {liars} --attack {attack}", **options)


def tasks(name, liars, attack, more="", **options):
    return Row(f"tasks, {name}",
               f"{STS} --liars {liars} --attack {attack} {more}", **options)


# The expected accuracies were measured with a program of its own, in numpy,
# with other random numbers: the same network, batches of 32, rates and steps.
ROWS = [
    Row("vote, no liars", PLAIN, (.9101, .9084, .9103)),
    plain("3 invert", 3, "invert", expected=(.9065,)),
    plain("3 anti", 3, "anti", expected=(.8964,)),
    plain("3 all plus", 3, "constant", expected=(.8830,)),
    plain("6 invert", 6, "invert", expected=(.8915, .8916, .8938)),
    plain("6 anti", 6, "anti", between=(.40, .70)),
    plain("6 all plus", 6, "constant", between=(.40, .70)),
    plain("7 invert", 7, "invert", expected=(.8564,)),
    plain("7 anti", 7, "anti", between=(.10, .45)),
    plain("6 anti, 300 steps", 6, "anti", between=(.40, .70), steps=300),
    plain("6 selective, 300 steps", 6, "selective", between=(.40, .70),
          steps=300),
    Row("tasks, no liars", STS, (.9117, .9140, .9134), proven=0),
    tasks("3 invert, no detection", 3, "invert", "--rule none",
          expected=(.9133,)),
    tasks("6 invert, no detection", 6, "invert", "--rule none",
          expected=(.9092, .9091, .9097)),
    tasks("3 invert", 3, "invert", expected=(.9146,), proven=3),
    tasks("6 invert", 6, "invert", expected=(.9126,), proven=6),
    tasks("6 invert where most", 6, "invert", "--scheme majority",
          expected=(.9092,)),
    tasks("6 invert, fixed victims", 6, "invert", "--scheme fixed",
          expected=(.9092,)),
    # Whatever liars say, once they are out it is the training without them.
    *(tasks(f"6 {attack}", 6, attack, expected=(.9126,), proven=6)
      for attack in ("reverse", "random", "constant", "anti", "selective",
                     "alie", "product", "mimic", "nan")),
]

# With few images and few steps less is learnt.
QUICK = [
    plain("6 anti", 6, "anti", between=(.10, .50), steps=60),
    tasks("6 invert", 6, "invert", between=(.84, .92), steps=60, proven=6),
]


def train(build, data, row, seed):
    """Returns the accuracy and, with a rule that proves, the numbers of liars
    and of honest ranks that were proven liars."""
    command = [build / "ballot-run", "-n", str(RANKS), build / "2_sign_sgd",
               "--seed", str(seed), "--steps", str(row.steps),
               *row.options.split()]
    if data is not None:
        command += ["--data", data]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    accuracy = re.search(r"final test accuracy: ([0-9.]+)", done.stdout)
    if done.returncode != 0 or accuracy is None:
        sys.exit(f"{row.name}: exit status {done.returncode}\n"
                 f"{done.stdout[-1000:]}{done.stderr[-2000:]}")
    proven = re.search(r"proven: (\d+) of .* and (\d+) honest", done.stdout)
    return (float(accuracy[1]),
            tuple(map(int, proven.groups())) if proven else None)


def judge(row, limits, accuracy, proven):
    if not limits[0] <= accuracy <= limits[1]:
        return False
    if row.proven >= 0 and (proven is None or proven[0] != row.proven):
        return False
    return proven is None or proven[1] == 0


def measure(build, data, line, row, seed):
    start = time.monotonic()
    accuracy, proven = train(build, data, row, seed)
    low, high = row.limits(seed)
    return {
        "line": line, "row": row.name, "seed": seed, "low": round(low, 4),
        "high": round(high, 4), "measured": accuracy,
        "proven": proven[0] if proven else None,
        "honest_proven": proven[1] if proven else None,
        "seconds": round(time.monotonic() - start, 1),
        "met": judge(row, (low, high), accuracy, proven),
    }


def show(result):
    proven = "" if result["proven"] is None else \
        f"{result['proven']} liars, {result['honest_proven']} honest"
    print(f"{result['row']:<30} {result['seed']:>4} "
          f"{result['low']:>8.4f} .. {result['high']:.4f} "
          f"{result['measured']:>9.4f}  {proven:<18} "
          f"{'yes' if result['met'] else 'NO'}", flush=True)


def write_tsv(path, results):
    lines = ["\t".join(results[0])]
    for result in results:
        lines.append("\t".join("" if v is None else str(v)
                               for v in result.values()))
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def draw(picture, tsv):
    subprocess.run(["gnuplot", "-c", HERE / "plot_accuracies.gp", picture, tsv],
                   check=True)


def read_arguments():
    parser = argparse.ArgumentParser(
        description="trains with liars and compares the accuracies")
    parser.add_argument("build", type=pathlib.Path,
                        help="where ballot-run and 2_sign_sgd are")
    parser.add_argument("--data", help="folder of the full MNIST")
    parser.add_argument("--quick", action="store_true",
                        help="two short rows, with the data that is here")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows with this in the name")
    parser.add_argument("--tsv", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--plot", type=pathlib.Path,
                        help="a PNG; needs gnuplot and --tsv")
    options = parser.parse_args()
    if options.quick == (options.data is not None):
        parser.error("give --quick, or the full MNIST with --data")
    if options.plot and not options.tsv:
        parser.error("--plot draws what --tsv wrote; give both")
    return options


def main():
    options = read_arguments()
    rows = [row for row in (QUICK if options.quick else ROWS)
            if options.only in row.name]
    if not rows:
        sys.exit(f"--only {options.only}: no row has it in its name")
    print(f"{'row':<30} {'seed':>4} {'expected':>18} {'measured':>11}  "
          f"{'proven':<18} met")
    results = []
    for line, row in enumerate(rows, 1):
        for seed in range(1, 2 if options.quick else options.seeds + 1):
            results.append(measure(options.build, options.data, line,
                                   row, seed))
            show(results[-1])
    if options.tsv:
        write_tsv(options.tsv, results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n",
                                encoding="ascii")
    if options.plot:
        draw(options.plot, options.tsv)
    met = sum(result["met"] for result in results)
    print(f"{met} of {len(results)} trainings, of {len(rows)} rows, are as "
          f"expected, in {sum(r['seconds'] for r in results):.0f} s")
    return 0 if met == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
