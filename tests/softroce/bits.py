# SPDX-License-Identifier: Apache-2.0
"""bits.py - what shm and tcp give, which a host computes before its guest.

In a virtual machine most of the time would go to these two. A test that is
started as `test_X.py BUILD note` runs them alone, and notes what they gave in
the folder BALLOT_TEST_BITS; where it finds such notes, it runs RDMA alone, and
without that variable all three.
"""

import json
import os
import sys
from pathlib import Path

folder = os.environ.get("BALLOT_TEST_BITS")
notes = sys.argv[2:] == ["note"]
del sys.argv[2:]  # whole.py would take it for a transport
_file = folder and Path(folder) / f"{Path(sys.argv[0]).stem}.json"
_known = {} if notes or not folder else json.loads(_file.read_text())


def others(name, compute):
    """What shm and tcp give: compute(transport) for each, or what is noted."""
    if name not in _known:
        if folder and not notes:
            sys.exit(f"{_file} has no \"{name}\": note it with this very test")
        _known[name] = [compute(transport) for transport in ("shm", "tcp")]
        if notes:
            _file.write_text(json.dumps(_known))
    return _known[name]
