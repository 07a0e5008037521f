#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gloo_sizes.py - the collectives of Gloo, timed as sizes.c times the others.

    ballot-run -n 4 python3 gloo_sizes.py COLLECTIVE,... BYTES,... BATCH_MS CHECK

Arguments and output are those of sizes.h. Sums are in place, which is all that
torch.distributed offers. The ranks and their meeting point are those of
ballot-run's environment. torch 1.13 has no reduce_scatter over Gloo: such rows
are left out.
"""

import os
import sys
import time

import torch
import torch.distributed as dist

CALLS_MOST = 20000
PATTERN = 16
ABSENT = {"reduce_scatter"}


def values_of(rank, first, count):
    """What rank gives from coordinate `first` on; see value_of() in sizes.c."""
    pattern = ((torch.arange(PATTERN) + first) % PATTERN + rank).float()
    return pattern.repeat(count // PATTERN + 1)[:count]


class Gloo:
    """The buffers of one size, and a call of each collective on them."""

    def __init__(self, rank, ranks, count, blocks):
        self.rank, self.ranks, self.count = rank, ranks, count
        self.send = values_of(rank, 0, count * blocks)
        self.vector = self.send[:count].clone()
        self.recv = torch.full((count * blocks,), -1.0)
        self.blocks = list(self.recv.split(count))
        self.parts = list(self.send.split(count)) if rank == 0 else None
        self.gathered = self.blocks if rank == 0 else None

    def all_reduce(self):
        dist.all_reduce(self.vector)

    def reduce(self):
        dist.reduce(self.vector, 0)

    def broadcast(self):
        dist.broadcast(self.vector, 0)

    def all_gather(self):
        dist.all_gather(self.blocks, self.vector)

    def all_to_all(self):
        dist.all_to_all_single(self.recv, self.send)

    def gather(self):
        dist.gather(self.vector, self.gathered, 0)

    def scatter(self):
        dist.scatter(self.vector, self.parts, 0)

    def wrong(self, what):
        """How many values of the first call's result are not what they are."""
        first = self.rank * self.count

        def of_all(start):
            return torch.cat([values_of(r, start, self.count)
                              for r in range(self.ranks)])

        def sums():
            return (self.ranks * values_of(0, 0, self.count) +
                    self.ranks * (self.ranks - 1) // 2)

        if self.rank != 0 and what in ("reduce", "gather"):
            return 0
        got, expected = {
            "all_reduce": (self.vector, sums),
            "reduce": (self.vector, sums),
            "broadcast": (self.vector, lambda: values_of(0, 0, self.count)),
            "all_gather": (self.recv, lambda: of_all(0)),
            "gather": (self.recv, lambda: of_all(0)),
            "scatter": (self.vector,
                        lambda: values_of(0, first, self.count)),
            "all_to_all": (self.recv, lambda: of_all(first)),
        }[what]
        return int((got != expected()).sum())


def most(value):
    tensor = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor.item()


def time_batch(call, calls):
    """Microseconds on the slowest rank."""
    dist.barrier()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return most((time.perf_counter() - start) * 1e6)


def calls_for(us, call_us):
    return min(max(1, int(us / call_us)), CALLS_MOST)


def least_call_us(call, batch_us, first_us):
    """About the time of a call; see sizes.c."""
    least, following = first_us, 1
    while True:
        calls = following
        least = min(least, time_batch(call, calls) / calls)
        following = min(calls_for(batch_us / 4, least), 8 * calls)
        if following <= calls:
            return least


def measure(what, rank, ranks, size, batch_us, checked):
    """Prints a line on rank 0; returns the number of wrong values."""
    has_blocks = what in ("all_gather", "all_to_all", "gather", "scatter")
    blocks = ranks if has_blocks else 1
    count = max(1, size // 4 // blocks)
    gloo = Gloo(rank, ranks, count, blocks)
    call = getattr(gloo, what)
    us = time_batch(call, 1)
    wrong = gloo.wrong(what) if checked else 0
    if wrong:
        print(f"gloo_sizes: {wrong} wrong values of {what} with {count} "
              f"floats, rank {rank}", file=sys.stderr)
    # Zeros stay zeros however often they are summed in place.
    gloo.vector.zero_()
    calls = calls_for(batch_us, least_call_us(call, batch_us, us))
    us = time_batch(call, calls) / calls
    if rank == 0:
        print(f"{what}\t{4 * count * blocks}\t{us:.3f}\t{calls}", flush=True)
    return wrong


def main():
    if len(sys.argv) != 5 or "BALLOT_RANK" not in os.environ:
        sys.exit("usage: ballot-run -n RANKS python3 gloo_sizes.py "
                 "COLLECTIVE,... BYTES,... BATCH_MS CHECK")
    rank = int(os.environ["BALLOT_RANK"])
    ranks = int(os.environ["BALLOT_RANKS"])
    batch_us = 1e3 * float(sys.argv[3])
    # As many threads as ballot has: the ranks share the cores.
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=ranks,
                            init_method="tcp://" + os.environ["BALLOT_ROOT"])
    wrong = 0
    for what in sys.argv[1].split(","):
        for size in sys.argv[2].split(","):
            if what not in ABSENT:
                wrong += measure(what, rank, ranks, int(size), batch_us,
                                 sys.argv[4] == "1")
    dist.barrier()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
