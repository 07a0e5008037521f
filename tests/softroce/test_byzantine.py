#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_byzantine.py BUILD verbs [ATTACK...] - one of five ranks attacks the
others over RDMA, and hurts itself alone: they count every round right and in
time, and drop who breaks the rules."""

import re
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "whole"))
from whole import SLACK_S, SLOW, Job, build, check, done, work  # noqa: E402

RANKS = 5
LIAR = 3
ROUNDS = 60
TIMEOUT_MS = int(2000 * SLOW)
INIT_MS = int(1250 * SLOW)
HALF_OPEN = 1000
BYZANTINE = str(build / "tests" / "byzantine")
TAPPED = str(build / "tests" / "worker_tapped")


def start(scenario, *arguments, stead, init_ms=20 * INIT_MS, each=None,
          seal=0):
    return Job(RANKS, scenario, *arguments, stead=stead, each=each,
               SERVERS="root", QUORUM=RANKS - 1, LIARS=1, COUNT_MAX=4096,
               GRACE_MS=20, TIMEOUT_MS=TIMEOUT_MS, INIT_TIMEOUT_MS=init_ms,
               IB_SEAL=seal, DEBUG="INFO", TEST_SLOW=SLOW)


def attacker(attack, *more, rounds=ROUNDS):
    return {LIAR: [BYZANTINE, f"--{attack}", "--rounds", str(rounds), *more]}


def check_attacker(name, rank):
    """It did what it was to do, and saw what it should."""
    over = rank.wait_line("done")
    said = [line.text for line in rank.lines]
    print("\n".join(f"     {text}" for text in said))
    check(f"{name}: the attack took place", over is not None and
          rank.exit_code() == 0, f"{said[-4:]} {rank.stderr()[-1000:]}")


def tapped(path):
    return lambda rank: {"TEST_TAP": path} if rank == 1 else {}


def losses(rank):
    return re.findall(rf"rank {rank.rank}: lost rank (\d+) \(.*?\): (.*)",
                      rank.stderr())


def check_honest(name, honest, rounds=ROUNDS):
    """Every round is there, right, in time and the same on all of them."""
    first = None
    for rank in honest:
        lines = rank.all_lines("round")
        end = [line.text for line in rank.lines][-2:]
        check(f"{name}: rank {rank.rank} has every round",
              [line.number("number") for line in lines] == list(range(rounds)),
              f"{len(lines)} of {rounds}: {end} {rank.stderr()[-1000:]}")
        wrong = [line.text for line in lines if line.number("wrong") > 0]
        check(f"{name}: rank {rank.rank} counts every round right", not wrong,
              wrong[:3])
        slowest = max((line.number("ms") for line in lines), default=0)
        check(f"{name}: rank {rank.rank} ends each by its deadline",
              slowest <= TIMEOUT_MS, f"{slowest} ms")
        digests = [(line["digest"], line["every"]) for line in lines]
        first = first or digests
        check(f"{name}: rank {rank.rank} has the results of rank 0",
              digests == first, "they differ")
        others = [loss for loss in losses(rank) if int(loss[0]) != LIAR]
        check(f"{name}: rank {rank.rank} loses nobody else", not others,
              others)
        check(f"{name}: rank {rank.rank} ends well", rank.exit_code() == 0 and
              any(line.text == "finalized rc=0" for line in rank.lines),
              f"{end} {rank.stderr()[-1000:]}")


def attack_running(attack, *more, name=None, dropped_by=(0, 1, 2, 4),
                   reason="", counted=False, until_told=False, says_done=True,
                   tap=None, seal=0, rounds=ROUNDS, pace=10, count=4096):
    """The rank joins, votes, and attacks while the others go on."""
    name = name or attack
    stead = attacker(attack, "--count", str(count), *more, rounds=rounds)
    arguments = [f"rounds={rounds}", f"pace={pace}", f"liar={LIAR}",
                 f"count={count}"]
    if tap is not None:
        stead[1] = [TAPPED, "train", *arguments]
    with start("train", *arguments, stead=stead,
               each=tapped(tap) if tap else None, seal=seal) as job:
        honest, liar = job.others(LIAR), job.ranks[LIAR]
        begun = liar.wait_line("attacks")
        if until_told:
            for rank in honest:
                rank.wait_line("end")
            liar.signal(signal.SIGTERM)
        check_honest(name, honest, rounds)
        if says_done:
            check_attacker(name, liar)
        else:
            check(f"{name}: the attack took place", begun is not None and
                  liar.wait_line("vanishes") is not None and
                  liar.exit_code() == 0, liar.stderr()[-1000:])
        for r in dropped_by:
            found = [loss for loss in losses(job.ranks[r])
                     if int(loss[0]) == LIAR and reason in loss[1]]
            check(f"{name}: rank {r} drops it, {reason or 'as lost'}",
                  len(found) == 1, losses(job.ranks[r]))
        ended = [line for line in honest[0].lines if line.word == "round"]
        voting = [line for line in ended if line.number("every") >> LIAR & 1]
        without = [line for line in ended if line.number("dead") == 1 << LIAR]
        if 0 in dropped_by:
            check(f"{name}: rounds go on without it", len(without) >= 20,
                  f"{len(without)} rounds")
        if counted:
            check(f"{name}: it is counted all the same",
                  len(voting) >= rounds // 2, f"{len(voting)} rounds")


def attack_start(attack, allowed):
    """Joining needs every rank: it fails in time, and all know whose fault it
    was."""
    with start("init", init_ms=INIT_MS, stead=attacker(attack)) as job:
        for rank in job.others(LIAR):
            line = rank.wait_line("init")
            check(f"{attack}: rank {rank.rank} names it in time",
                  line is not None and int(line["rc"]) in allowed and
                  re.search(BLAMED, line["text"]) and
                  line.number("ms") <= INIT_MS + 1000 * SLACK_S,
                  line.text if line else rank.stderr()[-1000:])
            check(f"{attack}: rank {rank.rank} ends", rank.exit_code() == 0,
                  rank.stderr()[-1000:])
        if attack != "vanish-early":
            check_attacker(attack, job.ranks[LIAR])
            return
        line = job.ranks[LIAR].wait_line("vanished")
        check(f"{attack}: the attack took place", line is not None and
              line.number("times") >= LIAR and
              job.ranks[LIAR].exit_code() == 0, line and line.text)


def half_open():
    name = "half-open"
    with start("train", f"rounds={ROUNDS}", "pace=10", f"liar={LIAR}",
               stead=attacker(f"half-open={HALF_OPEN}")) as job:
        check_honest(name, job.others(LIAR))
        check_attacker(name, job.ranks[LIAR])


def false_offer():
    """Rank 0 is led to write to rank 1, where it should write to the liar.
    Nothing shows before it does."""
    name, tap = "false-offer", work / "false"
    arguments = ["train", f"rounds={ROUNDS}", "pace=10", f"liar={LIAR}"]
    stead = attacker(f"{name}={tap}.pair")
    stead[1] = [TAPPED, *arguments]
    with start(*arguments, stead=stead, each=tapped(tap)) as job:
        check_honest(name, job.others(LIAR))
        check_attacker(name, job.ranks[LIAR])
        found = [loss for loss in losses(job.ranks[0])
                 if int(loss[0]) == LIAR]
        check(f"{name}: rank 0 gives it up", len(found) == 1, found)


EPROTO, ETIMEDOUT, ECONNRESET = -71, -110, -104
BROKEN = "Protocol error"
BLAMED = rf"with: {LIAR} of {RANKS} ranks: |rank {LIAR} was the first to fail"
ATTACKS = {
    "wrong-key": lambda: [
        attack_running(f"wrong-key={work / 'tap'}", "--shift", str(shift),
                       name=f"wrong-key {shift}", tap=work / "tap")
        for shift in (0, 1)],
    "out-of-bounds": lambda: [
        attack_running("out-of-bounds", "--shift", str(shift),
                       name=f"out-of-bounds {shift}") for shift in (0, 2, 5)],
    "replay": lambda: [
        attack_running("replay", "--shift", str(shift), reason=BROKEN,
                       name=f"replay {shift}") for shift in (0, 1)],
    "zero-length": lambda: attack_running("zero-length", reason=BROKEN),
    "other-opcodes": lambda: [
        attack_running("other-opcodes", "--shift", str(shift),
                       name=f"other-opcodes {shift}") for shift in range(4)],
    "late-data": lambda: attack_running("late-data", reason=BROKEN),
    # Longer votes, which take longer to count.
    "after-count": lambda: attack_running("after-count", dropped_by=(),
                                          counted=True, rounds=60,
                                          count=1 << 16),
    "sealed": lambda: attack_running("sealed", dropped_by=(0,), seal=1),
    "flood": lambda: attack_running("flood", dropped_by=(), until_told=True),
    # The server tries for 4.6 s to reach a receive.
    "never-read": lambda: attack_running("never-read", dropped_by=(0,),
                                         reason="No buffer space",
                                         rounds=300, pace=30),
    "vanish": lambda: [
        attack_running(f"vanish={how}", name=f"vanish by {how}",
                       says_done=False) for how in ("close", "exit")],
    "false-offer": false_offer,
    "vanish-early": lambda: attack_start("vanish-early",
                                         (ECONNRESET, ETIMEDOUT)),
    "huge-offer": lambda: attack_start("huge-offer", (EPROTO,)),
    "garbage-offer": lambda: attack_start("garbage-offer", (EPROTO,)),
    "truncated-offer": lambda: attack_start("truncated-offer",
                                            (ECONNRESET, ETIMEDOUT)),
    "half-open": half_open,
}

for chosen in sys.argv[3:] or ATTACKS:
    ATTACKS[chosen]()
done()
