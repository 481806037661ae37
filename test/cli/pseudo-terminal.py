"""Runs a program in a pseudo-terminal and plays a person.

Arguments: the steps as JSON, then the program. Each step waits until what has come since the step before matches a regular
expression, typing "again" from time to time meanwhile, then sets the window's size (rows, columns), or types, or both. Prints as
JSON all that came, and the exit code.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE_SECONDS = 30


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    steps = json.loads(sys.argv[1])
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    resize(terminal, 24, 80)
    everything = b""
    seen = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    typed_again = time.monotonic()
    while time.monotonic() < deadline:
        while steps and re.search(steps[0]["wait"], everything[seen:].decode("utf8", "replace")):
            step = steps.pop(0)
            seen = len(everything)
            deadline = time.monotonic() + PATIENCE_SECONDS
            if "size" in step:
                resize(terminal, *step["size"])
                os.kill(child, signal.SIGWINCH)
            if "type" in step:
                os.write(terminal, step["type"].encode("utf8"))
        readable, _, _ = select.select([terminal], [], [], 0.1)
        if steps and "again" in steps[0] and time.monotonic() > typed_again + 0.5:
            typed_again = time.monotonic()
            os.write(terminal, steps[0]["again"].encode("utf8"))
        if not readable:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        everything += piece
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"screen": everything.decode("utf8", "replace"), "code": code, "left": len(steps)}))


main()
