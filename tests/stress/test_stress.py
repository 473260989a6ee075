"""Random operations on every allocator by eight threads, with a model of each byte, in columns.

The long form, of the columns that redirect, is `make stress`."""

import json
import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from conftest import ALL_TO_HOST, BUILD, SANITIZE, STEADY, Runner  # noqa: E402
from model_files import safetensors_file  # noqa: E402

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
# Beyond 6 MiB weights are lent VRAM; the other blocks, for which there is a rule, take it back. They
# share 16 MiB: all but 64 of the card, which are the driver's.
TENSOR = 768 << 10
LOANS = {
    **STEADY,
    **QUIET,
    "SIMCUDA_VRAM": "80MiB",
    "HYBRIDMEM_BACKING": "vmm",
    "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.09",
    "HYBRIDMEM_MIN_REDIRECT": str(TENSOR),
    "HYBRIDMEM_STATS_TTL_MS": "0",
}
COLUMNS = {
    "bare": None,
    "off": {"HYBRIDMEM_ENABLE": "false"},
    "room": {**STEADY, **QUIET},
    "zero": ZERO,
    "zero-pinned": {**ZERO, "HYBRIDMEM_BACKING": "pinned"},
    "zero-two-addresses": {**ZERO, "SIMCUDA_HOST_POINTER": "0"},
    "mixed": MIXED,
    "loans": LOANS,
}


def weights(folder, env):
    """The arguments of a model that lasts so long: a tensor for each 20 operations. And the rule."""
    count = OPERATIONS // 20
    path = safetensors_file(folder / "flux.safetensors", [(f"t.{i}.weight", "U8", [TENSOR]) for i in range(count)])
    start = path.stat().st_size - count * TENSOR
    with open(path, "r+b") as file:
        for i in range(count):
            file.seek(start + i * TENSOR)
            file.write(random.Random(i).randbytes(4096))
    policy = folder / "policy.json"
    policy.write_text(json.dumps({"rules": [{"match": {"max_size": TENSOR - 1}, "place": "device"}]}))
    return [8, path, start, TENSOR, count], {**env, "HYBRIDMEM_POLICY": str(policy)}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("program", ["stress", "stress_per_thread"])
def test_stress(tmp_path, program, column):
    env, more = COLUMNS[column], []
    if column == "loans":
        more, env = weights(tmp_path, env)
    done = Runner(tmp_path).program(
        [BUILD / "stress" / program, OPERATIONS, SEED, *more],
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
    if column == "loans":
        assert done.device["lent_bytes_peak"] > 0
        assert done.device["recalled_bytes"] >= OPERATIONS // 3000 * (2 << 20)
        assert done.device["lent_bytes"] == 0
    assert (done.device["device_bytes"], done.device["host_bytes"]) == (0, 0)
