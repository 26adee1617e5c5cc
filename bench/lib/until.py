"""Waits for words on an emulator's console."""
import os
import select
import time


def read_until(pipe, words, seconds, log):
    """True when the words came within the time; all that comes goes into the log."""
    end, tail = time.monotonic() + seconds, b""
    while select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return False
        log.write(data)
        log.flush()
        tail = (tail + data)[-len(data) - len(words):]
        if words in tail:
            return True
    return False
