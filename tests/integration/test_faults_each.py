"""Every hooked function, with each driver call inside it failing in turn (tests/hosts/each_call.py)."""

import re

import pytest
from conftest import ALL_TO_HOST, ROOT, STEADY

SYMBOLS = re.findall(r"^(?:NVML_)?HOOK\(\w+, (\w+),", (ROOT / "shim/hooks.def").read_text(), re.M)
COMMON = {
    **STEADY,
    "HYBRIDMEM_HOST_LIMIT": "256MiB",
    "HYBRIDMEM_STATS_TTL_MS": "0",
    "HYBRIDMEM_LOG": "error",
    "SIMCUDA_VRAM": "64MiB",
}
ZERO = {**COMMON, **ALL_TO_HOST, "HYBRIDMEM_MIN_REDIRECT": "64KiB"}
# The blocks that the calls are about: with the host, on the device beside others with the host, with
# the host because the card is full.
COLUMNS = {
    "bare": (None, 256),
    "redirected": (ZERO, 256),
    "device": (ZERO, 16),
    "full": ({**COMMON, "HYBRIDMEM_PLACEMENT": "device_first", "SIMCUDA_VRAM": "600KiB"}, 256),
}
# A handle of another process that does not exist, and memory that cannot be exported.
REFUSED = {
    "cuMemImportFromShareableHandle",
    "cuIpcGetMemHandle",
    "cuMemPoolExportPointer",
    "cuMemGetHandleForAddressRange",
}
# Not in the simulator.
ABSENT = re.compile(
    r"cuLaunch(Grid(Async)?)?|cuLaunchCooperativeKernelMultiDevice|cuImportExternalSemaphore"
    r"|cuStream(WaitValue|WriteValue|BatchMemOp|BeginRecapture).*|cuStream\w+CaptureToCig(_ptsz)?"
    r"|cuMem(Discard|BatchDecompress)\w+|cuFabricCpyBatchAsync(_ptsz)?|cuMulticastBindAddr(_v2)?|cuLogicalEndpointBindAddr"
)


@pytest.mark.parametrize("column", COLUMNS)
def test_each_driver_call_fails_once(run, column):
    env, kib = COLUMNS[column]
    program = ["/usr/bin/python3", ROOT / "tests/hosts/each_call.py", kib << 10]
    program += ["full"] if column == "full" else []
    done = run.program(program, shim=env is not None, env=env or {"SIMCUDA_VRAM": "64MiB"})
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "wrong:" not in done.stdout, done.stdout
    assert done.report == ""
    table = dict(re.findall(r"(?m)^(\w+) (\d+ \d+)$", done.stdout))
    assert list(table) == SYMBOLS
    assert {s for s, cells in table.items() if cells[0] != "0" and not ABSENT.fullmatch(s)} <= REFUSED
    calls = {s: int(cells.split()[1]) for s, cells in table.items()}
    if column == "bare":
        assert set(calls.values()) == {1}
        return
    # The library makes calls of its own, and these were met.
    assert calls["cuMemAllocAsync"] >= 4
    assert calls["cuMemAlloc_v2"] >= 2
    # NVML's answer, its UUID of the card, and the driver's.
    assert calls["nvmlDeviceGetMemoryInfo"] >= 3 and calls["nvmlDeviceGetMemoryInfo_v2"] >= 3
    moved = done.device["redirected_allocations"]
    assert moved < 200 if column == "device" else moved > 1000
