"""Random operations on every allocator by eight threads, with a model of each byte, in columns.

The long form, of the columns that redirect, is `make stress`."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from conftest import ALL_TO_HOST, BUILD, SANITIZE, STEADY, Runner  # noqa: E402

OPERATIONS = int(os.environ.get("STRESS_OPERATIONS", "2000" if SANITIZE else "6000"))
SEED = int(os.environ.get("STRESS_SEED", "1"))

QUIET = {"HYBRIDMEM_LOG": "error"}
# Some blocks stay and some go, and at times there is no room in either place. More of it than one
# granule of physical memory, which may be held from the first operation to the last.
MIXED = {
    **STEADY,
    **QUIET,
    "SIMCUDA_VRAM": "12MiB",
    "HYBRIDMEM_VRAM_LIMIT": "1MiB",
    "HYBRIDMEM_MIN_REDIRECT": "4KiB",
    "HYBRIDMEM_HOST_LIMIT": "5MiB",
    "HYBRIDMEM_STATS_TTL_MS": "0",
}
# Little enough that freed blocks are used again.
ZERO = {**STEADY, **QUIET, **ALL_TO_HOST, "HYBRIDMEM_HOST_LIMIT": "2MiB"}
COLUMNS = {
    "bare": None,
    "off": {"HYBRIDMEM_ENABLE": "false"},
    "room": {**STEADY, **QUIET},
    "zero": ZERO,
    "zero-pinned": {**ZERO, "HYBRIDMEM_BACKING": "pinned"},
    "zero-two-addresses": {**ZERO, "SIMCUDA_HOST_POINTER": "0"},
    "mixed": MIXED,
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("program", ["stress", "stress_per_thread"])
def test_stress(tmp_path, program, column):
    env = COLUMNS[column]
    done = Runner(tmp_path).program(
        [BUILD / "stress" / program, OPERATIONS, SEED],
        shim=env is not None,
        env=env,
        timeout=60 + OPERATIONS // 100,
    )
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
    assert (done.returncode, done.report, done.stderr) == (0, "", "")
    if column in ("bare", "off"):
        return
    redirected = done.device["redirected_allocations"]
    if column == "room":
        assert redirected == 0
    else:
        # Some 14 of 100 operations allocate, some of these find room with the host.
        assert redirected > OPERATIONS // 50
    if column == "mixed":
        assert done.device["device_bytes_peak"] > 0
        assert done.device["insufficient"] > 0
    assert (done.device["device_bytes"], done.device["host_bytes"]) == (0, 0)
