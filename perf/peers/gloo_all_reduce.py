#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gloo_all_reduce.py - time of Gloo's all_reduce, measured as ballot-perf does.

    ballot-run -n 4 python3 gloo_all_reduce.py COUNT ITERATIONS WARMUPS

Sums COUNT floats in place, which is all that torch.distributed offers; rank 0
prints the mean time of a call over iterations and ranks, in microseconds. The
ranks and their meeting point are those of ballot-run's environment.
"""

import os
import sys
import time

import torch
import torch.distributed as dist


def reduce_often(values, times):
    for _ in range(times):
        dist.all_reduce(values)


def main():
    if len(sys.argv) != 4 or "BALLOT_RANK" not in os.environ:
        sys.exit("usage: ballot-run -n RANKS python3 gloo_all_reduce.py "
                 "COUNT ITERATIONS WARMUPS")
    count, iterations, warmups = map(int, sys.argv[1:])
    rank = int(os.environ["BALLOT_RANK"])
    ranks = int(os.environ["BALLOT_RANKS"])
    # As many threads as ballot has: the ranks share the cores.
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=ranks,
                            init_method="tcp://" + os.environ["BALLOT_ROOT"])

    values = (torch.arange(count) % 16 + rank).float()
    expected = ranks * (torch.arange(count) % 16) + ranks * (ranks - 1) // 2
    dist.all_reduce(values)
    wrong = int((values != expected).sum())
    # Zeros stay zeros however often they are summed in place.
    values.zero_()

    reduce_often(values, warmups)
    dist.barrier()
    start = time.perf_counter()
    reduce_often(values, iterations)
    own = (time.perf_counter() - start) / iterations * 1e6
    mean = torch.tensor([own], dtype=torch.float64)
    dist.all_reduce(mean)
    if wrong:
        print(f"gloo_all_reduce: {wrong} wrong sums on rank {rank}",
              file=sys.stderr)
    if rank == 0:
        print(f"{mean.item() / ranks:.3f}", flush=True)
    dist.barrier()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
