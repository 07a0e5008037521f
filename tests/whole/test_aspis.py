#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_aspis.py - redundant rounds with liars: every rank counts each result
anew, finds the verdict by going through all sets of workers, and holds both
against what ballot gave. All ranks have the same.

    test_aspis.py BUILD TRANSPORT [seven | apart | fifteen | every]...

`every` is each attack with each assignment of it, and each rule; it takes
minutes and is not among the others.
"""

import sys

from whole import CONTINUE, EINVAL, SLOW, Job, Server, check, done, sanitized

SUBSETS, STS, REPETITION = 1, 2, 4
PROOF, PAPER, PAPER_PLUS = range(3)
(INDEPENDENT, FIXED, MAJORITY, TAKE_OVER, SCAPEGOAT, FRAMING, MATCHING,
 PROMISE_BROKEN, SILENT_GROUP) = range(9)
SILENT = 8
ATTACKS = [attack for attack in range(10) if attack != SILENT]
parts = sys.argv[3:] or ["seven", "apart", "fifteen"]
QUORUM = {"QUORUM": 4, "GRACE_MS": 10000}


def run(ranks, want=None, gone=(), settings=None, **options):
    """`want` holds of the last step; the ranks in
    `gone` are not there any more at the end."""
    arguments = [f"{k}={v}" for k, v in options.items()]
    name = " ".join([f"{ranks} ranks", *arguments])
    with Job(ranks, "aspis", *arguments, **(settings or {})) as job:
        table = {r.rank: r.all_lines("step") for r in job.ranks}
        steps = table[min(set(table) - set(gone))]
        texts = [line.text for line in steps]
        wrong = [line.text for r in job.ranks for line in r.lines
                 if line.word != "step" or line["wrong"] != "0" or
                 line["unlike"] != "0"]
        check(f"{name}: results and reports are the jury's",
              len(steps) == options.get("steps", 3) and not wrong,
              wrong[:6] or [r.stderr()[-500:] for r in job.ranks])
        check(f"{name}: all ranks have the same",
              all([line.text for line in lines] == texts
                  for rank, lines in table.items() if rank not in gone))
        if want and steps:
            check(f"{name}: {want}",
                  all(steps[-1][k] == str(v) for k, v in want.items()),
                  steps[-1].text)
        job.finish(name)


def refuse(name, design, ranks, texts):
    with Job(ranks, "designs", f"design={design}") as job:
        lines = job.ranks[0].all_lines("refused")
        for what, text in texts.items():
            check(f"{name}: {what} is refused",
                  any(line["what"] == what and line.number("rc") == EINVAL and
                      text in line["text"] for line in lines),
                  [line.text for line in lines])
        job.finish(name)


def lie_as_they_like():
    """Whatever they say, liars are found and change nothing."""
    for attack in ATTACKS:
        run(7, {"framed": 0, "caught": 3, "distorted": 0}, liars=3,
            attack=attack, votes=1 + attack % 3, tie=attack % 4,
            evidence=attack % 2, seed=attack, design=SUBSETS, steps=2)
    run(7, {"framed": 0, "caught": 3}, liars=3, design=STS, votes=3, steps=5)


def lie_where_they_like():
    """Wherever they lie, no honest rank is framed while the promise holds."""
    for scheme in range(PROMISE_BROKEN):
        run(7, {"framed": 0}, liars=3, scheme=scheme, design=SUBSETS, steps=2,
            tie=scheme % 4, evidence=scheme % 2, seed=scheme + 5)
    run(7, {"framed": 0, "caught": 0}, liars=3, scheme=SILENT_GROUP,
        design=SUBSETS, steps=2)
    # More than was promised: three colluders of seven, where one may lie.
    run(7, {"framed": 0, "caught": 0, "outcome": 2}, liars=3, promise=1,
        steps=2)
    run(6, {"framed": 0, "caught": 0, "dropped": 0}, design=REPETITION, liars=2,
        steps=2, scheme=SILENT_GROUP)
    run(7, {"framed": 0, "caught": 3}, liars=3, release=1, steps=4, evidence=1)
    run(7, liars=3, disputes=5, design=SUBSETS, steps=2)
    for scheme in (INDEPENDENT, TAKE_OVER, MATCHING):
        lie_and_round(7, 3, 2500, liars=3, scheme=scheme, design=SUBSETS)


def lie_and_round(ranks, flips, count, **options):
    """Replicas of the honest differ too, in as many signs as are tolerated."""
    run(ranks, {"framed": 0}, flips=flips, count=count, steps=2,
        settings={"FLIP_RATE": 2 * flips / count, "STEP_COUNT": count},
        **options)


def lie_by_the_printed_rule():
    """The printed rule turns on the honest."""
    run(7, {"framed": 2, "caught": 0}, liars=3, rule=PAPER, scheme=TAKE_OVER,
        design=SUBSETS, evidence=1)
    run(7, liars=2, rule=PAPER, scheme=INDEPENDENT, design=SUBSETS)


def lie_by_the_degree_rule():
    """It frames nobody, and finds who lies in many tasks of its window."""
    run(7, {"framed": 0, "caught": 2}, liars=2, promise=2, rule=PAPER_PLUS,
        design=SUBSETS, votes=2)
    run(7, {"framed": 0, "caught": 2}, liars=2, promise=2, rule=PAPER_PLUS,
        scheme=MAJORITY, design=STS, steps=15)
    # The first step of the next window knows nothing of this one.
    run(7, {"framed": 0}, liars=2, promise=2, rule=PAPER_PLUS, scheme=MAJORITY,
        design=STS, steps=16)


def be_absent():
    """Who is absent is not suspected."""
    run(7, {"framed": 0, "caught": 0}, gone=range(1, 7), settings=QUORUM,
        liars=2, attack=SILENT)
    run(7, {"framed": 0, "caught": 2, "absent": "10"}, gone=(4, 5),
        settings=QUORUM, liars=2, dies=0x30, dies_at=1, steps=4, evidence=1)
    run(7, gone=(3,), settings=QUORUM, liars=3, dies=8, dies_at=1, steps=3,
        design=SUBSETS, votes=2, tie=3)


def catch_up(name, settings, stopped, steps=24, **options):
    """A rank is stopped for some steps. It gets all of them when it goes on,
    and is counted again."""
    arguments = [f"{k}={v}" for k, v in options.items()]
    settings = {**settings, "QUORUM": 4, "GRACE_MS": 100 * SLOW,
                "KEPT_ROUNDS": 64}
    with Job(7, "aspis", f"steps={steps}", f"stops={1 << stopped}",
             "stops_at=2", "count=1000", "liars=2", *arguments,
             **settings) as job:
        other = job.ranks[stopped - 1]
        job.ranks[stopped].wait_line("stops")
        other.wait_line("step", matches=lambda line:
                        line.number("number") >= 6)
        job.ranks[stopped].signal(CONTINUE)
        table = {r.rank: r.all_lines("step") for r in job.ranks}
        texts = [line.text for line in table[stopped]]
        wrong = [line.text for r in job.ranks for line in r.lines
                 if line.word not in ("step", "stops")]
        check(f"{name}: all ranks have the same, which is right",
              len(texts) == steps and not wrong and
              all([line.text for line in lines] == texts and
                  all(line["wrong"] == line["unlike"] == "0"
                      for line in lines) for lines in table.values()),
              wrong[:6] or [r.stderr()[-500:] for r in job.ranks])
        absent = [int(line["absent"], 16) >> stopped & 1
                  for line in table[stopped]]
        # Where there are few cores it may be late later, too.
        check(f"{name}: it is absent, and is counted again",
              sum(absent) >= 3 and 0 in absent[absent.index(1) + 3:], absent)
        check(f"{name}: nobody is framed", all(
            line["framed"] == "0" for line in table[stopped]), texts)
        job.finish(name)


def serve_apart():
    """A server that is none of them."""
    with Server(7) as server:
        # Rank 0 may lie, and die.
        run(7, {"framed": 0, "caught": 3}, settings=server.settings(), liars=3,
            attack=2, votes=2, seed=0, servers=0)
        run(7, {"framed": 0, "absent": "1"}, gone=(0,),
            settings={**server.settings(), **QUORUM}, liars=2, dies=1,
            dies_at=1, servers=0)
        catch_up("rank 0 is stopped", {**server.settings()}, 0, servers=0)
        server.finish("server")


def lie_in_every_way(ranks, design, attack, scheme, rule=PROOF):
    """Proofs frame nobody while the promise holds; any rule does what it says,
    which is the jury's to find out."""
    settings = {}
    gone = ()
    if attack == SILENT:
        settings = {"QUORUM": ranks // 2 + 1, "GRACE_MS": 10000 * SLOW}
        gone = range(1, ranks)
    # With one more who is silent there would be no quorum.
    fewer = rule == PAPER_PLUS or (attack, scheme) == (SILENT, PROMISE_BROKEN)
    liars = (ranks - 1) // 2 - fewer
    want = {} if rule == PAPER or scheme == PROMISE_BROKEN else {"framed": 0}
    want.update({"caught": 0} if attack == SILENT else {})
    run(ranks, want, gone=gone, settings=settings, steps=2, liars=liars,
        promise=liars, design=design, attack=attack, scheme=scheme, rule=rule,
        votes=1 + scheme % 2, tie=(attack + scheme) % 4, count=1100, chunk=512,
        evidence=scheme // 2 % 2, seed=100 * scheme + attack)


def exceed_cores():
    """More ranks than cores."""
    run(15, {"framed": 0, "caught": 7}, liars=7, design=STS,
        steps=2, votes=2)
    if sanitized:
        return
    run(15, {"framed": 0, "caught": 7}, liars=7, steps=2,
        design=SUBSETS, scheme=MAJORITY, count=1500, chunk=512)
    # Each attack, and each assignment.
    for attack in range(10):
        lie_in_every_way(15, STS, attack, attack % (SILENT_GROUP + 1))


def lie_in_all_ways():
    for ranks in (7, 15):
        for design in (STS, SUBSETS):
            for scheme in range(SILENT_GROUP + 1):
                for attack in range(10):
                    lie_in_every_way(ranks, design, attack, scheme)
                for rule in (PAPER, PAPER_PLUS):
                    lie_in_every_way(ranks, design, 0, scheme, rule)
                if scheme != PROMISE_BROKEN:
                    lie_and_round(ranks, 1 + scheme, 3000, votes=2,
                                  liars=(ranks - 1) // 2, scheme=scheme,
                                  design=design, evidence=scheme % 2)


def be_refused():
    """What is out of range."""
    refuse("no design", 0, 2, {"plan": "no design", "null": "no design",
                               "list": "no design", "worker": "no design"})
    refuse("subsets", SUBSETS, 4, {"null": "task 1 of 3 is NULL",
                                   "zero": "no zero for ties",
                                   "type": "floats and signs vote",
                                   "list": "up to 4096",
                                   "worker": "worker 99 is not one of 4"})
    refuse("sts", STS, 8, {"init": "design: "})


if "seven" in parts:
    lie_as_they_like()
    lie_where_they_like()
    lie_by_the_printed_rule()
    lie_by_the_degree_rule()
    be_absent()
    catch_up("rank 4 is stopped", {}, 4, evidence=1)
    be_refused()
if "apart" in parts:
    serve_apart()
if "fifteen" in parts:
    exceed_cores()
if "every" in parts:
    lie_in_all_ways()
done()
