"""What the scripts that run inside a framework share. Each prints one JSON line for a case as soon
as it is known, so that what was answered before a crash or a time limit is kept:

    {"case": "integers", "result": "...", "notes": {...}}

`result` is to be the same without the library and with it, however little VRAM there is; `notes`
are reported and not compared. A script that cannot run here says {"skipped": why} and exits 77.
"""

import hashlib
import importlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor


def skip(reason):
    print(json.dumps({"skipped": reason}), flush=True)
    sys.exit(77)


def need(name):
    try:
        return importlib.import_module(name)
    except Exception as error:  # a package that is there and broken raises anything
        return skip(f"import {name}: {type(error).__name__}: {error}")


def run(cases, between=None):
    """cases: functions that take a dictionary for notes and return the result. True if none raised."""
    fine = True
    for case in cases:
        notes = {}
        try:
            result = case(notes)
        except Exception as error:
            result = f"raised {type(error).__name__}"
            notes["message"] = str(error)[:400]
            fine = False
        print(json.dumps({"case": case.__name__, "result": str(result), "notes": notes}), flush=True)
        try:
            if between:
                between()
        except Exception as error:
            fine = False
            print(json.dumps({"case": f"after {case.__name__}", "result":
                              f"raised {type(error).__name__}", "notes": {"message": str(error)[:400]}}),
                  flush=True)
    return fine


def digest(buffers):
    """Of the bytes of all the buffers, in order. An iterator is taken a few at a time, so that not
    all need be there at once."""
    whole, batch = hashlib.sha256(), []

    def one(buffer):
        return hashlib.blake2b(memoryview(buffer).cast("B")).digest()

    with ThreadPoolExecutor(4) as pool:
        for buffer in buffers:
            batch.append(buffer)
            if len(batch) == 4:
                for part in pool.map(one, batch):
                    whole.update(part)
                batch = []
        for part in pool.map(one, batch):
            whole.update(part)
    return whole.hexdigest()[:16]
