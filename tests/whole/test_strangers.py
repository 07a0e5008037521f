#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_strangers.py - whatever else talks to the ports while a job starts: the
job starts in time all the same, and says how many strangers there were."""

import os
import random
import re
import resource
import socket
import threading
import time
from pathlib import Path

from whole import SLACK_S, Job, check, done, free_port, key_file, transport

DELAY_S = 1.5
HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
TLS = bytes.fromhex("16030100c8010000c40303") + os.urandom(189)
SILENT = 1000


class Hammer:
    """Talks to ports until it is told to stop."""

    def __init__(self, ports):
        self.ports = list(ports)
        self.stopped = threading.Event()
        self.made = 0
        self.silent = []
        self.threads = [
            threading.Thread(target=self.repeat, args=(lambda b=b: b,))
            for b in (HTTP, TLS, b"\x00", b"BLT1" * 3)]
        self.threads += [
            threading.Thread(target=self.repeat,
                             args=(lambda: random.randbytes(
                                 random.randrange(1, 4096)),)),
            threading.Thread(target=self.drip),
            threading.Thread(target=self.open_half)]
        for t in self.threads:
            t.start()

    def connect(self):
        try:
            s = socket.create_connection(
                ("127.0.0.1", random.choice(self.ports)), 0.5)
            self.made += 1
            return s
        except OSError:
            return None

    def repeat(self, content):
        while not self.stopped.is_set():
            s = self.connect()
            if s is not None:
                try:
                    s.sendall(content())
                    s.settimeout(0.02)
                    s.recv(100)
                except OSError:
                    pass
                s.close()
            time.sleep(0.005)

    def drip(self):
        """One byte a second, on one connection after the other."""
        while not self.stopped.is_set():
            s = self.connect()
            try:
                while s is not None and not self.stopped.wait(1.0):
                    s.sendall(b"B")
            except OSError:
                pass
            if s is not None:
                s.close()
            self.stopped.wait(0.05)

    def open_half(self):
        for _ in range(SILENT):
            if self.stopped.is_set():
                return
            s = self.connect()
            if s is not None:
                self.silent.append(s)

    def stop(self):
        self.stopped.set()
        for t in self.threads:
            t.join()
        for s in self.silent:
            s.close()


def listening(rank):
    """The ports on which a process listens."""
    inodes = set()
    folder = Path(f"/proc/{rank.process.pid}/fd")
    for link in folder.iterdir():
        try:
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(link)))
        except OSError:
            pass  # closed meanwhile
    ports = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            ports.append(int(fields[1].split(":")[1], 16))
    return ports


def start_under_fire():
    port = free_port()
    begin = time.monotonic()
    with Job(4, "init", "calls=2000", delay={3: DELAY_S}, port=port) as job:
        time.sleep(0.2)
        ports = {port}
        for r in job.ranks:
            ports.update(listening(r))
        check("the ports were found", transport == "shm" or len(ports) >= 4,
              ports)
        hammer = Hammer(ports)
        job.start_late()
        lines = job.wait_all("init", 20)
        took = time.monotonic() - begin
        ok = all(line is not None and line["rc"] == "0" for line in lines)
        check("the job starts among strangers", ok,
              [line and line.text for line in lines])
        limit_s = DELAY_S + 1.5 + SLACK_S
        check(f"within {limit_s:.1f} s", took < limit_s, f"{took:.2f} s")
        called = job.wait_all("called", 20)
        check("its rounds go on among strangers",
              None not in called and max(line.number("ms") for line in called)
              < 5000, [line and line.text for line in called])
        hammer.stop()
        counted = sum(line.number("strangers") for line in called if line)
        print(f"     {hammer.made} connections, {len(hammer.silent)} silent, "
              f"{counted} strangers counted, started after {took:.2f} s")
        check("strangers are counted", 50 <= counted <= hammer.made + 1000,
              f"{counted} of {hammer.made}")
        job.finish("strangers")


def wrong_key_besides():
    """A process with a wrong key, again and again, as one of the ranks."""
    with Job(3, "init", delay={1: 1.0}) as job:
        for _ in range(3):
            other = job.start(1, KEY_FILE=key_file("other"),
                              INIT_TIMEOUT_MS=2000)
            line = other.wait_line("init", 10)
            check("a wrong key is refused", line is not None and
                  line["rc"] == "-13", line and line.text)
            other.end()
        job.start_late()
        check("the ranks with the right key start", all(
            line and line["rc"] == "0" for line in job.wait_all("init")))
        called = job.wait_all("called")
        check("who had a wrong key is a stranger",
              called[0] is not None and called[0].number("strangers") >= 3,
              called[0] and called[0].text)
        job.finish("wrong key")


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
start_under_fire()
wrong_key_besides()
done()
