#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_check_tree.py - each breach is seen in a copy of the tree.

The copy's own breaches, if it has any, are the business of check_tree.py;
here only what a planted file adds to them is looked at.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import check_tree

C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SHELL = "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"

# rule, planted file, content (None: a folder)
PLANTED = [
    ("include", "aggregate/planted.c", C + '#include "../transport/mesh.h"\n'),
    ("include", "aggregate/planted.c", C + '#include "transport/mesh.h"\n'),
    ("include", "aggregate/planted.c", C + "#include <ballot.h>\n"),
    ("include", "aggregate/planted.c", C + '#include "aspis/field.h"\n'),
    ("include", "aspis/planted.c", C + '#include "transport/mesh.h"\n'),
    ("include", "aspis/planted.c", C + "#include <ballot.h>\n"),
    ("include", "transport/planted.c", C + '#include "aggregate/round.h"\n'),
    ("include", "transport/planted.h", C + "#include <ballot.h>\n"),
    ("include", "collective/planted.c", C + '#include "tools/launch.h"\n'),
    ("include", "tools/planted.c", C + '#include "aggregate/round.h"\n'),
    ("include", "perf/planted.c", C + '#include "tools/lines.h"\n'),
    ("include", "perf/planted.c", C + '#include "transport/mesh.h"\n'),
    ("include", "perf/planted.c", C + '#include "aggregate/round.h"\n'),
    ("include", "perf/planted.cc", C + '#include "transport/mesh.h"\n'),
    ("include", "examples/planted.c", C + '#include "tools/launch.h"\n'),
    ("include", "include/planted.h", C + '#include "aggregate/round.h"\n'),
    ("include", "collective/planted.c", C + '#include "not_there.h"\n'),
    ("length", "transport/planted.c", C + "\n" * 499),
    ("length", "tests/planted.sh", SHELL + "\n" * 498),
    ("licence", "transport/planted.c", "int planted;\n"),
    ("licence", "perf/planted.cc", "int planted;\n"),
    ("licence", "tests/planted.py", "print()\n"),
    ("licence", "tools/planted", "#!/bin/sh\nexit 0\n"),
    ("later", "aggregate/planted.c", C + "/* TO" + "DO: all */\n"),
    ("later", "planted.md", "FIX" + "ME\n"),
    ("later", "planted.md", "X" + "XX\n"),
    ("later", "planted.md", "a HA" + "CK\n"),
    ("machine", "planted.md", "see /wo" + "rk/notes\n"),
    ("machine", "tests/planted.sh", SHELL + "cd /ho" + "me/me\n"),
    ("typedef", "tools/planted.h", C + "typedef struct x x;\n"),
    ("fast", "planted.cmake", SHELL[10:] + "# -ffa" + "st-math\n"),
    ("praise", "planted.md", "A seam" + "less path.\n"),
    ("judgement", "tools/planted.c", C + "/* Obvi" + "ously. */\n"),
    ("blank", "planted.md", "end \n"),
    ("blank", "transport/planted.c", C + "int planted;\t\n"),
    ("tab", "transport/planted.c", C + "\tint planted;\n"),
    ("columns", "transport/planted.c", C + "/* " + "a" * 75 + " */\n"),
    ("columns", "perf/planted.cc", C + "/* " + "a" * 75 + " */\n"),
    ("newline", "transport/planted.c", C + "int planted;"),
    ("name", "transport/planted_util.c", C),
    ("link", "planted.md", "[gone](not_there.md)\n"),
    ("empty", "planted", None),
]

# What must pass: the rules' edges.
ALLOWED = [
    ("collective/planted.c", C + '#include "aggregate/round.h"\n'),
    ("collective/planted.c", C + '#include "../transport/transport.h"\n'),
    ("aspis/planted.c", C + '#include "aggregate/round.h"\n'),
    ("perf/planted.c", C + '#include "tools/launch.h"\n'),
    ("perf/planted.c", C + '#include "aggregate/kernels.h"\n'),
    ("tools/doctor/planted.c", C + '#include "aggregate/round.h"\n'),
    ("examples/planted.c", C + "#include <ballot.h>\n#include <stdio.h>\n"),
    ("tests/planted.c", C + '#include "aggregate/round.h"\n'),
    ("transport/planted.c", C + "\n" * 498),
    ("transport/planted.c", C + "/* " + "a" * 74 + " */\n"),
    ("build/planted.c", "\tTO" + "DO"),
    (".git", "gitdir: /wo" + "rk/tree/.git\n"),
    ("planted.md", "the framework/notes [rules](LICENSE#top)\n"),
]


def plant(root, name, content):
    """The breaches of the tree with the planted file; takes it out again."""
    path = root / name
    made = [p for p in reversed(path.parents) if not p.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
        made.append(path)
    else:
        path.write_text(content)
    breaches = check_tree.check(root)
    if content is not None:
        path.unlink()
    for folder in reversed(made):
        folder.rmdir()
    return breaches


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "tree").resolve()
        shutil.copytree(
            Path(__file__).resolve().parents[2], root,
            ignore=lambda _, names: [
                n for n in names if check_tree.SKIPPED_FOLDER.match(n)])
        before = set(check_tree.check(root))
        for rule, name, content in PLANTED:
            new = set(plant(root, name, content)) - before
            caught = [b for b in new if b[0] == name and b[2] == rule]
            if not caught:
                print(f"not caught: {rule} in {name}: {content!r}")
                failed += 1
        for name, content in ALLOWED:
            new = set(plant(root, name, content)) - before
            if new:
                print(f"wrongly caught: {new}")
                failed += 1
    rules = {rule for rule, _, _ in PLANTED}
    print(f"{len(PLANTED)} breaches of {len(rules)} rules planted, "
          f"{len(ALLOWED)} allowed files, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
