#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_tree.py - the rules that the source tree keeps, as a test.

    check_tree.py [ROOT]

Prints one line for each breach, and exits 1 if there is one. It walks the
folders and needs no git: an archive of the tree passes or fails as a clone.
"""

import os
import re
import sys
from pathlib import Path

LINES_MAX = 500
COLUMNS_MAX = 80

# A folder's C files may include its own files and these: folders or one file.
MAY_INCLUDE = {
    "include": [],
    "aggregate": [],
    "aspis": ["aggregate", "include/ballot_attack.h"],
    "transport": [],
    "collective": ["aggregate", "aspis", "transport", "include"],
    "tools": ["include"],
    "perf": ["include", "tools/launch.h", "aggregate/kernels.h",
             "aggregate/columns.h", "aggregate/avx512.h",
             "aggregate/agree.h", "aspis/verifier.h",
             "collective/launcher.h", "collective/meeting.h",
             "transport/bootstrap.h",
             "transport/shm.h", "transport/transport.h"],
    "examples": ["include"],
    "tests": ["include", "collective", "aggregate", "aspis", "transport",
              "tools", "perf", "examples"],
}

# A folder within one of those that may include more than the rest of it.
MAY_INCLUDE_BELOW = {
    "tools/doctor": ["collective", "aggregate", "transport"],
    "tools/aspis": ["aspis", "aggregate"],
}

SKIPPED_FOLDER = re.compile(r"(\.git|__pycache__|build(-.*)?)$")
C_SUFFIXES = {".c", ".h", ".cc"}
SOURCE_SUFFIXES = C_SUFFIXES | {".sh", ".py", ".cmake", ".gp", ".map"}
COMMENT_STARTS = ("/*", "#", "//")
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")

# What no text says. The brackets keep this file from breaking its own rules.
BANNED = [
    ("later", r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b", "do it now, or leave it"),
    ("machine", r"(?<![\w.$}/-])/(?:work|home|Users|root)/",
     "a path of one machine"),
    ("typedef", r"^\s*typedef\s+(struct|union|enum)\b",
     "write struct x, not a typedef of it"),
    ("fast", r"-ff[a]st-math", "it changes what the kernels compute"),
    ("praise", r"(?i)\b(b[l]azing(ly)?|s[e]amless(ly)?|c[u]tting-edge|"
     r"s[t]ate-of-the-art|r[e]volutionary|w[o]rld-class)\b",
     "say what it does, with a number"),
    ("judgement", r"(?i)\b(o[b]viously|t[r]ivially|b[a]sically|c[l]early)\b",
     "if it were, it need not be said"),
]
BANNED_NAME = re.compile(r"(^|_)(util|utils|common|misc|helpers)(_|$)")
# Not ours to change.
VERBATIM = {"LICENSE"}
# Where names and types are somebody else's.
FOREIGN = {Path("include/nccl")}


def walk(root):
    """All folders and files below root that belong to the tree."""
    folders, files = [], []
    for path, below, names in os.walk(root):
        below[:] = sorted(b for b in below if not SKIPPED_FOLDER.match(b))
        folders += [Path(path, b).relative_to(root) for b in below]
        # .git is a file in a worktree of git.
        files += [Path(path, n).relative_to(root) for n in sorted(names)
                  if n != ".git"]
    return folders, files


def is_source(path, text):
    return (path.suffix in SOURCE_SUFFIXES or text.startswith("#!") or
            path.name == "CMakeLists.txt")


def included(root, path, quote, name):
    """The file of the tree that an include means; None for the system's."""
    places = [root / path.parent] if quote == '"' else []
    for place in places + [root, root / "include"]:
        file = (place / name).resolve()
        if file.is_file() and file.is_relative_to(root):
            return file.relative_to(root)
    return None


def check_include(root, path, line):
    match = INCLUDE.match(line)
    room = path.parts[0]
    if match is None or room not in MAY_INCLUDE:
        return None
    target = included(root, path, *match.groups())
    if target is None:
        return f"there is no {match[2]}" if match[1] == '"' else None
    allowed = [room] + MAY_INCLUDE[room]
    for below, more in MAY_INCLUDE_BELOW.items():
        if path.is_relative_to(below):
            allowed += more
    if any(target.is_relative_to(a) for a in allowed):
        return None
    return f"{room} must not include {target}"


def check_c_line(root, path, line):
    """Rules for C alone, as (rule, message)."""
    if "\t" in line:
        yield "tab", "indent by spaces"
    if len(line) > COLUMNS_MAX:
        yield "columns", f"{len(line)} columns, at most {COLUMNS_MAX}"
    wrong = check_include(root, path, line)
    if wrong is not None:
        yield "include", wrong


def check_file(root, path):
    """Breaches of one file, as (line, rule, message)."""
    content = (root / path).read_bytes()
    if BANNED_NAME.search(path.stem):
        yield 1, "name", "name the file for what it holds"
    if b"\0" in content or path.name in VERBATIM:
        return
    text = content.decode(errors="replace")
    lines = text.split("\n")
    if text and lines.pop() != "":
        yield len(lines) + 1, "newline", "the last line has no end"
    if is_source(path, text):
        first = 1 if text.startswith("#!") else 0
        if not (len(lines) > first and
                "SPDX-License-Identifier: Apache-2.0" in lines[first] and
                lines[first].startswith(COMMENT_STARTS)):
            yield first + 1, "licence", "the SPDX line stands here"
        if len(lines) >= LINES_MAX:
            yield len(lines), "length", f"under {LINES_MAX} lines; split it"
    banned = [b for b in BANNED if re.search(b[1], text, re.MULTILINE) and
              not (b[0] == "typedef" and path.parent in FOREIGN)]
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blank", "blanks at the end of the line"
        for rule, pattern, message in banned:
            if re.search(pattern, line):
                yield number, rule, message
        if path.suffix in C_SUFFIXES:
            for rule, message in check_c_line(root, path, line):
                yield number, rule, message
        if path.suffix == ".md":
            for link in LINK.findall(line):
                if "://" not in link and not (
                        root / path.parent / link).exists():
                    yield number, "link", f"there is no {link}"


def check(root):
    """All breaches below root, as (path, line, rule, message)."""
    root = Path(root).resolve()
    folders, files = walk(root)
    breaches = []
    for folder in folders:
        if not any(f.is_relative_to(folder) for f in files):
            breaches.append((str(folder), 0, "empty", "an empty folder"))
    for path in files:
        breaches += [(str(path), *rest) for rest in check_file(root, path)]
    return breaches


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]
    breaches = check(root)
    for path, line, rule, message in breaches:
        print(f"{path}:{line}: {rule}: {message}")
    if not breaches:
        print(f"{len(walk(root)[1])} files keep the rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
