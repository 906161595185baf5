#!/usr/bin/env python3
"""Records doc/terminal.svg: a sync that is interrupted and goes on, as a terminal of 92 columns
shows it. Run in a build folder, after make check or make tests/server/anonset-testserver:

    ../scripts/record.py > ../doc/terminal.svg

The server is the test server with a line of 10 Mbit/s and 100 ms; what is shown is what was printed."""
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from html import escape

COLUMNS, ROWS = 92, 13
INTERRUPT_AFTER = 7.0
CELL, LINE, MARGIN = 8.4, 19, 14


class Screen:
    """Lines as they stand, and a frame of them whenever they change."""

    def __init__(self):
        self.lines, self.frames, self.now = [""], [], 0.0

    def put(self, text):
        for part in re.findall(r"\r\n|\n|\r|\x1b\[K|[^\r\n\x1b]+", text):
            if part in ("\r\n", "\n"):
                self.lines.append("")
            elif part in ("\r", "\x1b[K"):
                self.lines[-1] = ""
            else:
                self.lines[-1] += part
        wrapped = [line[at:at + COLUMNS] for line in self.lines
                   for at in range(0, max(len(line), 1), COLUMNS)]
        self.frames.append((self.now, wrapped[-ROWS:]))

    def type(self, text):
        self.put("$ ")
        self.now += 0.6
        self.put(text + "\n")


def run(screen, words, interrupt_after=None):
    screen.type(" ".join(words))
    begun, pid_fd = time.monotonic(), pty.fork()
    if pid_fd[0] == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv("./anonset", words)
    at = screen.now
    while True:
        try:
            got = os.read(pid_fd[1], 65536)
        except OSError:  # the program has ended
            break
        if not got:
            break
        elapsed = time.monotonic() - begun
        screen.now = at + elapsed
        screen.put(got.decode())
        if interrupt_after and elapsed > interrupt_after:
            os.kill(pid_fd[0], signal.SIGINT)
            interrupt_after = None
    os.waitpid(pid_fd[0], 0)
    screen.now += 1.5


def svg(frames, length):
    width, height = COLUMNS * CELL + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    steps = "".join(f"{100 * at / length:.2f}%{{transform:translateX({-i * width:.1f}px)}}"
                    for i, (at, _) in enumerate(frames))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
           f'viewBox="0 0 {width:.1f} {height}" role="img" xml:space="preserve">',
           "<title>anonset sync, interrupted and run again</title>",
           "<style>text{font:14px monospace;fill:#ddd}"
           f"@keyframes play{{{steps}}}g.film{{animation:play {length:.2f}s step-end infinite}}"
           "</style>", '<rect width="100%" height="100%" rx="6" fill="#1b1f24"/>', '<g class="film">']
    for i, (_, lines) in enumerate(frames):
        out += [f'<text x="{i * width + MARGIN:.1f}" y="{MARGIN + (row + 0.75) * LINE:.1f}" '
                f'textLength="{len(line) * CELL:.1f}">{escape(line)}</text>'
                for row, line in enumerate(lines) if line]
    return "\n".join(out + ["</g>", "</svg>"])


def main():
    server = subprocess.Popen(
        ["tests/server/anonset-testserver", "--lifeline", "--coins", "32000",
         "--do", "shape latency=100 rate=1250000 hold-small=0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = re.search(r" electrumx=(\d+)", server.stdout.readline()).group(1)
    folder = tempfile.mkdtemp()
    screen, here = Screen(), os.getcwd()
    try:
        os.symlink(f"{here}/anonset", f"{folder}/anonset")
        os.symlink(f"{here}/.libs", f"{folder}/.libs")
        os.chdir(folder)
        sync = ["anonset", "sync", "--db", "spark.set", "--server", f"tcp://127.0.0.1:{port}",
                "--group", "1", "--prove"]
        run(screen, sync, INTERRUPT_AFTER)
        run(screen, sync)
        run(screen, ["anonset", "status", "--db", "spark.set"])
    finally:
        os.chdir(here)
        server.stdin.close()
        server.wait()
        shutil.rmtree(folder)
    print(svg(screen.frames, screen.now + 4))


if __name__ == "__main__":
    sys.exit(main())
