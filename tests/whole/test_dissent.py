#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_dissent.py - who was outvoted how often, counted by the servers and
again here, coordinate by coordinate."""

from whole import EINVAL, Job, check, done, sanitized

# As worker_dissent.c has them.
COUNTS = (0, 1, 511, 512, 1025, 9000)
WORD = (1 << 64) - 1


def mix(x):
    x = (x + 0x9e3779b97f4a7c15) * 0xd1342543de82ef95 & WORD
    x ^= x >> 29
    x = x * 0xaef17502108ef2d9 & WORD
    return x ^ x >> 32


def signs_of(rank, liar, number, count):
    """1 is minus, 0 is plus, None is zero."""
    common, own = mix(1000 + number), mix(rank * 1000003 + number)
    signs = []
    for i in range(count):
        base, x = mix(common + i & WORD) & 1, mix(own + i & WORD)
        signs.append(None if x % 16 == 0 else 1 - base if rank == liar
                     else 1 - base if x % 8 == 1 else base)
    return signs


def expected(ranks, liar, weights, tie, zero):
    """[(differing, counted)] of each rank."""
    differing = [0] * ranks
    for number, count in enumerate(COUNTS):
        rows = [signs_of(r, liar, number, count) for r in range(ranks)]
        if zero == "plus":
            rows = [[s or 0 for s in row] for row in rows]
        for votes in zip(*rows):
            minus = sum(w for w, s in zip(weights, votes) if s == 1)
            plus = sum(w for w, s in zip(weights, votes) if s == 0)
            if minus == plus and tie in ("zero", "random"):
                continue
            result = 1 if minus > plus or minus == plus and tie == "minus" \
                else 0
            for r, s in enumerate(votes):
                differing[r] += s is not None and s != result
    return [(d, sum(COUNTS)) for d in differing]


def counted_by(rank):
    line = rank.wait_line("dissent")
    if line is None or line["rc"] != "0":
        return None
    return [tuple(map(int, pair.split("/"))) for pair in line["text"].split()]


def run(ranks, placement, tie, zero, weighted, liar):
    name = (f"{ranks} ranks, {placement}, ties {tie}, zeros {zero}"
            f"{', weights' if weighted else ''}")
    weights = [1 + r % 3 if weighted else 1 for r in range(ranks)]
    wanted = expected(ranks, liar, weights, tie, zero)
    with Job(ranks, "dissent", f"weights={int(weighted)}", f"liar={liar}",
             SERVERS=placement, TIE=tie, ZERO=zero, CHUNK=1024,
             DISSENT=1) as job:
        books = [counted_by(r) for r in job.ranks]
        complete = check(f"{name}: every rank says what it counted",
                         all(book and len(book) == ranks for book in books),
                         [line.text for r in job.ranks for line in r.lines])
        if complete and placement == "root":
            check(f"{name}: only rank 0 has counted",
                  not any(d or c for book in books[1:] for d, c in book))
        if complete:
            sums = [tuple(map(sum, zip(*(book[r] for book in books))))
                    for r in range(ranks)]
            check(f"{name}: all is counted, and right", sums == wanted,
                  f"{sums} {wanted}")
            rates = [d / c for d, c in sums]
            print("    ", " ".join(f"{rate:.3f}" for rate in rates))
            check(f"{name}: who flips everything shows", all(
                rates[liar] > .6 and rate < .3
                for r, rate in enumerate(rates) if r != liar), rates)
        job.finish(name)


def refuse():
    with Job(2, "dissent") as job:
        for r, line in zip(job.ranks, job.wait_all("dissent")):
            check(f"rank {r.rank} is told that nothing was counted",
                  line is not None and line.number("rc") == EINVAL and
                  "BALLOT_DISSENT=1" in line["text"], line and line.text)
        job.finish("not configured")


def set_in_call():
    """One rank alone may count."""
    with Job(3, "dissent", SERVERS="root",
             each=lambda r: {"DISSENT": 1} if r == 0 else {}) as job:
        codes = [line and line["rc"]
                 for line in job.wait_all("dissent")]
        check("ranks need not agree whether they count dissent",
              codes == ["0", str(EINVAL), str(EINVAL)], codes)
        job.finish("one rank counts")
    with Job(2, "dissent", "dissent=1") as job:
        check("the program can set it, too",
              all(counted_by(r) for r in job.ranks))
        job.finish("set in the call")


run(5, "ranks", "plus", "plus", False, 3)
run(6, "ranks", "random", "abstain", True, 1)
run(6, "root", "zero", "plus", False, 5)
if not sanitized:
    run(4, "ranks", "plus", "plus", False, 0)
    run(4, "ranks", "minus", "plus", False, 2)
    run(8, "ranks", "zero", "abstain", False, 7)
    run(7, "root", "minus", "abstain", True, 4)
    run(6, "root", "random", "plus", True, 3)
refuse()
set_in_call()
done()
