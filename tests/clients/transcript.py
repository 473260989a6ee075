"""What the clients share: a transcript that is the same on every card and in every run. Addresses are
left out, and so are sizes that depend on how much memory a card has."""

import hashlib
import sys


class Transcript:
    def __init__(self):
        self.lines = 0

    def say(self, what, *values):
        self.lines += 1
        print(f"{what}:", *values, flush=True)

    def digest(self, what, data):
        """The bytes of an array or a buffer, by their hash."""
        self.say(what, len(bytes(data)), hashlib.sha256(bytes(data)).hexdigest()[:16])

    def close(self):
        print(f"{self.lines} lines")


def arguments():
    """How many blocks of how many bytes the client keeps alive at once."""
    return int(sys.argv[1]), int(sys.argv[2])
