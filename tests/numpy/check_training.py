#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_training.py - computes a dumped training again, with numpy.

Usage: check_training.py DIR [--ranks N] [--rounds N]

DIR is what `2_sign_sgd --dump DIR` wrote; examples/dump.h describes the files.
From the gradients, the learning rates and the first parameters alone, this
recomputes for each round

    momentum   = (1 - beta) gradient + beta momentum    on each rank
    minus      = more than half of the ranks have a momentum < 0
    parameters = parameters - rate ((minus ? -1 : +1) + lambda parameters)

where every single operation is rounded to float32, and compares momenta and
parameters of all ranks bit for bit. Then it damages single bits of the dump in
memory and makes sure that each is found. The training must have run with the
communicator's defaults: all ranks vote, with weight 1, ties and zeros are plus.

--ranks and --rounds say how many the dump must at least have. The exit status
is 0 when all agrees, 1 at the first difference, 2 when the dump is unusable.
"""
import argparse
import os
import sys

import numpy as np


class Unusable(Exception):
    """The dump is not what examples/dump.h describes."""


class Difference(Exception):
    """A dumped value is not the recomputed one."""


def map_floats(folder, name, shape):
    """The floats of a file; changes to them stay in memory."""
    path = os.path.join(folder, name)
    want_bytes = 4 * int(np.prod(shape))
    try:
        have_bytes = os.path.getsize(path)
    except OSError as error:
        raise Unusable("%s: %s" % (path, error.strerror))
    if have_bytes != want_bytes:
        raise Unusable("%s: has %d bytes, run.txt asks for %d; was the "
                       "training cut short?" % (path, have_bytes, want_bytes))
    return np.memmap(path, dtype="<f4", mode="c", shape=shape)


class Dump:
    def __init__(self, folder):
        self.read_run(os.path.join(folder, "run.txt"))
        if min(self.ranks, self.count, self.rounds) < 1:
            raise Unusable("%s: run.txt describes an empty training" % folder)

        each = (self.rounds, self.count)
        self.initial = map_floats(folder, "initial.f32", (self.count,))
        self.rates = map_floats(folder, "rates.f32", (self.rounds,))
        self.gradient, self.momentum, self.parameters = (
            [map_floats(folder, "%s-%d.f32" % (array, rank), each)
             for rank in range(self.ranks)]
            for array in ("gradient", "momentum", "parameters"))

    def read_run(self, path):
        try:
            with open(path, encoding="ascii") as file:
                run = dict(line.split() for line in file)
            self.ranks = int(run["ranks"])
            self.count = int(run["count"])
            self.rounds = int(run["rounds"])
            self.beta = np.float32(float.fromhex(run["momentum"]))
            self.decay = np.float32(float.fromhex(run["weight_decay"]))
        except KeyError as error:
            raise Unusable("%s: has no %s" % (path, error))
        except (OSError, ValueError) as error:
            raise Unusable("%s: %s" % (path, error))


def compare(array, round_, rank, dumped, computed):
    differs = np.flatnonzero(dumped.view("<u4") != computed.view("<u4"))
    if differs.size == 0:
        return
    i = differs[0]
    raise Difference(
        "round %d, rank %d: %s[%d] is %s (0x%08x), numpy has %s (0x%08x); "
        "%d coordinates differ" %
        (round_, rank, array, i, dumped[i], dumped.view("<u4")[i],
         computed[i], computed.view("<u4")[i], differs.size))


def check(dump):
    """Raises Difference at the first value that is not as recomputed."""
    one = np.float32(1)
    fresh = one - dump.beta
    momenta = [np.zeros(dump.count, np.float32) for _ in range(dump.ranks)]
    parameters = np.array(dump.initial)

    for round_ in range(dump.rounds):
        minuses = np.zeros(dump.count, np.int32)
        for rank in range(dump.ranks):
            gradient = np.asarray(dump.gradient[rank][round_])
            momenta[rank] = fresh * gradient + dump.beta * momenta[rank]
            compare("momentum", round_, rank,
                    np.asarray(dump.momentum[rank][round_]), momenta[rank])
            minuses += momenta[rank] < 0
        threshold = dump.ranks // 2 + 1
        signs = np.where(minuses >= threshold, -one, one)
        rate = np.float32(dump.rates[round_])
        parameters = parameters - rate * (signs + dump.decay * parameters)
        assert parameters.dtype == momenta[0].dtype == np.float32
        for rank in range(dump.ranks):
            compare("parameters", round_, rank,
                    np.asarray(dump.parameters[rank][round_]), parameters)


def damage_is_found(dump, what, values, bit):
    """Flips one bit of the largest of `values`, and puts it back."""
    index = int(np.argmax(np.abs(values)))
    words = values.view("<u4")
    words[index] ^= np.uint32(1 << bit)
    try:
        check(dump)
    except Difference:
        return True
    finally:
        words[index] ^= np.uint32(1 << bit)
    print("FAIL a damaged dump passes: bit %d of %s[%d]" % (bit, what, index))
    return False


def check_the_check(dump):
    rank = dump.ranks - 1
    middle = dump.rounds // 2
    last = dump.rounds - 1
    sign, lowest, exponent = 31, 0, 23
    cases = [
        ("momentum of round %d" % middle, dump.momentum[rank][middle], lowest),
        ("momentum of round %d" % last, dump.momentum[0][last], sign),
        ("parameters of round %d" % last, dump.parameters[rank][last], lowest),
        ("parameters of round 0", dump.parameters[0][0], sign),
        # A low bit of a gradient may be rounded away, an exponent is not.
        ("gradient of round %d" % middle, dump.gradient[rank][middle],
         exponent),
        ("rates", dump.rates, exponent),
        ("initial parameters", dump.initial, exponent),
    ]
    return all([damage_is_found(dump, *case) for case in cases])


def main():
    parser = argparse.ArgumentParser(description="computes a dump again")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    try:
        dump = Dump(arguments.folder)
        if dump.ranks < arguments.ranks or dump.rounds < arguments.rounds:
            raise Unusable("%s: holds %d ranks and %d rounds, fewer than "
                           "asked for" % (arguments.folder, dump.ranks,
                                          dump.rounds))
        check(dump)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    except Difference as error:
        print("FAIL", error)
        return 1
    if not check_the_check(dump):
        return 1
    print("PASS %d ranks, %d rounds, %d coordinates, bit for bit; damage is "
          "found" % (dump.ranks, dump.rounds, dump.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
