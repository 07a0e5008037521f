# SPDX-License-Identifier: Apache-2.0
"""whole.py - starts workers as the ranks of a job, and looks at what they say.

Every test_*.py here is a program: test_X.py BUILD-FOLDER [shm|tcp|verbs]. It
prints a line for each check and exits 1 if one failed.
"""

import json
import os
import queue
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

build = Path(sys.argv[1])
transport = sys.argv[2] if len(sys.argv) > 2 else ""
# Continuous integration has little time.
few = os.environ.get("CI") == "true"
sanitized = bool(re.search(r"^BALLOT_SANITIZE:\w+=.+$",
                           (build / "CMakeCache.txt").read_text(), re.M))
# A virtual machine is so many times slower; deadlines are multiplied by it.
SLOW = int(os.environ.get("BALLOT_TEST_SLOW", "1"))
# What a busy machine may add to a deadline; sanitizers are slow besides.
SLACK_S = (3.0 if sanitized else 0.6) * SLOW
PATIENCE_S = 120.0
worker = build / "tests" / "worker"
failures = []

if not worker.exists():
    print(f"SKIP: there is no program {worker}; build it (cmake --build)")
    sys.exit(77)
work = Path(tempfile.mkdtemp(prefix="test-whole-"))


def check(name, holds, seen=""):
    if not holds:
        failures.append(name)
        print(f"FAIL {name}: {seen}", flush=True)
    else:
        print(f"PASS {name}", flush=True)
    return holds


def done():
    shutil.rmtree(work, ignore_errors=True)
    print(f"{len(failures)} checks failed" if failures else "all checks hold")
    sys.exit(1 if failures else 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def key_file(name="key"):
    path = work / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path


class Line:
    """word key=value ... text=the rest"""

    def __init__(self, text):
        self.text = text
        self.word = text.split(" ", 1)[0]
        before, _, rest = text.partition(" text=")
        self.values = dict(re.findall(r"(\w+)=(\S*)", before))
        self.values["text"] = rest

    def __getitem__(self, key):
        return self.values[key]

    def number(self, key):
        value = self.values[key]
        return int(value, 16) if key in ("every", "some", "dead") else (
            int(value))


class Rank:
    def __init__(self, command, environment, rank):
        self.rank = rank
        self.lines = []
        self.arrived = queue.Queue()
        self.errors = open(work / f"err.{time.monotonic_ns()}.{rank}", "w+b")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE,
            stderr=self.errors, env=environment, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for text in self.process.stdout:
            self.arrived.put(Line(text.rstrip("\n")))
        self.arrived.put(None)

    def wait_line(self, word, timeout_s=PATIENCE_S, matches=None):
        """The next line of that word; None if it does not come."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self.arrived.get(
                    timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                self.arrived.put(None)
                return None
            self.lines.append(line)
            if line.word == word and (matches is None or matches(line)):
                return line

    def all_lines(self, word, timeout_s=PATIENCE_S):
        """Those of that word until the rank has ended; so long for each."""
        while self.wait_line(word, timeout_s) is not None:
            pass
        return [line for line in self.lines if line.word == word]

    def signal(self, number):
        self.process.send_signal(number)

    def exit_code(self, timeout_s=PATIENCE_S):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stderr(self):
        self.errors.flush()
        return Path(self.errors.name).read_text(errors="replace")

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE_S)
        self.process.stdout.close()
        self.errors.close()


class Job:
    """Ranks that are ended when the `with` is left."""

    def __init__(self, ranks, scenario, *arguments, delay=None, each=None,
                 stead=None, here=None, **settings):
        """settings become BALLOT_ variables; each(rank) gives more of them;
        delay = {rank: seconds} starts some of them that much after;
        command = in place of the worker's, stead = {rank: command} for some;
        here = the ranks that this machine starts, else all."""
        self.port = settings.pop("port", None) or free_port()
        self.count = ranks
        self.command = settings.pop("command", None) or [
            str(worker), scenario, *arguments]
        self.stead = stead or {}
        self.settings = settings
        self.each = each
        self.ranks = []
        delay = delay or {}
        for r in range(ranks) if here is None else here:
            if r not in delay:
                self.ranks.append(self.start(r))
        self.late = sorted((s, r) for r, s in delay.items())

    def start(self, rank, **more):
        settings = {"RANK": rank, "RANKS": self.count,
                    "ROOT": f"127.0.0.1:{self.port}",
                    "KEY_FILE": key_file(), "TIMEOUT_MS": 20000 * SLOW,
                    "INIT_TIMEOUT_MS": 30000 * SLOW}
        if transport:
            settings["TRANSPORT"] = transport
        settings.update(self.settings)
        settings.update(self.each(rank) if self.each else {})
        settings.update(more)
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("BALLOT_") or k == "BALLOT_KERNELS"}
        environment.update({f"BALLOT_{k}": str(v)
                            for k, v in settings.items() if v is not None})
        return Rank(self.stead.get(rank, self.command), environment, rank)

    def start_late(self):
        begin = time.monotonic()
        for seconds, rank in self.late:
            time.sleep(max(0.0, begin + seconds - time.monotonic()))
            self.ranks.append(self.start(rank))
        self.ranks.sort(key=lambda r: r.rank)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for r in self.ranks:
            r.end()

    def others(self, rank):
        return [r for r in self.ranks if r.rank != rank]

    def wait_all(self, word, timeout_s=PATIENCE_S, ranks=None):
        end = time.monotonic() + timeout_s
        return [r.wait_line(word, max(0.1, end - time.monotonic()))
                for r in (self.ranks if ranks is None else ranks)]

    def finish(self, name):
        """All ranks return 0, and no sanitizer had anything to say."""
        for r in self.ranks:
            code = r.exit_code()
            if code != 0:
                check(f"{name}: rank {r.rank} returns 0", False,
                      f"{code}: {[line.text for line in r.lines][-3:]} "
                      f"{r.stderr()[-2000:]}")


class Server:
    """A ballot-server that is ended when the `with` is left. Jobs get
    **server.settings()."""

    def __init__(self, ranks, *options, count=1, index=0, ports=None,
                 key="key", trusts=transport == "shm"):
        self.ports = ports or [free_port() for _ in range(count)]
        self.list = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        command = [str(build / "ballot-server"), "--servers", self.list,
                   "--index", str(index), "--ranks", str(ranks), "--json",
                   *(["--key", str(key_file(key))] if key else []), *options]
        if trusts:
            command.append("--trust-host")
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("BALLOT_") or k == "BALLOT_KERNELS"}
        self.errors = open(work / f"server.{time.monotonic_ns()}", "w+b")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors,
            env=environment, text=True)
        self.events = []
        self.arrived = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for text in self.process.stdout:
            self.arrived.put(json.loads(text))
        self.arrived.put(None)

    def settings(self):
        return {"SERVERS": self.list, "ROOT": None}

    def wait_event(self, name, timeout_s=PATIENCE_S):
        """The next one of that name; None if it does not come."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                event = self.arrived.get(
                    timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if event is None:
                self.arrived.put(None)
                return None
            self.events.append(event)
            if event["event"] == name:
                return event

    def cpu_s(self):
        """Processor time until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = fields.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE_S)
        self.process.stdout.close()
        self.errors.close()

    def finish(self, name, number=signal.SIGTERM):
        """Ends it by a signal: it returns 0 and has printed no error."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            code = None
        self.errors.flush()
        said = Path(self.errors.name).read_text(errors="replace")
        check(f"{name}: the server returns 0", code == 0 and said == "",
              f"{code}: {self.events[-2:]} {said[-2000:]}")


def names_rank(text, rank):
    """Whether an error names this rank, and as the one that is missing."""
    return bool(re.search(rf"(\brank {rank} \(|missing: {rank} of )", text))


STOP, CONTINUE, KILL = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL
EINVAL, EACCES, EEXIST, EPROTO = -22, -13, -17, -71
ETIMEDOUT, ENOTCONN, ESTALE, ECANCELED = -110, -107, -116, -125
EHOSTUNREACH = -113
