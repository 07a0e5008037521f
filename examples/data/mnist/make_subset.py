#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_subset.py - the first images of each part of MNIST, as smaller files.

Usage: make_subset.py FULL_DIR OUT_DIR [TRAIN_COUNT TEST_COUNT]

FULL_DIR holds the four gzipped IDX files. Their order is already random, so
the first images are a fair sample. The same input gives the same images and
labels; the compressed bytes may differ between versions of zlib.
"""
import gzip
import os
import struct
import sys


def cut(source, target, count):
    """Writes the first `count` entries of one IDX file."""
    with gzip.open(source, "rb") as file:
        magic = file.read(4)
        dimensions = list(struct.unpack(">%dI" % magic[3],
                                        file.read(4 * magic[3])))
        entry_bytes = 1
        for size in dimensions[1:]:
            entry_bytes *= size
        if dimensions[0] < count:
            sys.exit("%s has %d entries, %d are wanted" %
                     (source, dimensions[0], count))
        entries = file.read(count * entry_bytes)
    dimensions[0] = count
    header = magic + struct.pack(">%dI" % len(dimensions), *dimensions)
    # No name and no time in the gzip header: equal images, equal bytes.
    with open(target, "wb") as raw, \
            gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(header + entries)


def main():
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    full, out = sys.argv[1:3]
    counts = [int(n) for n in sys.argv[3:]] or [10000, 2000]
    for part, count in zip(("train", "t10k"), counts):
        for kind in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
            name = part + "-" + kind
            cut(os.path.join(full, name), os.path.join(out, name), count)


if __name__ == "__main__":
    main()
