"""NVML tells the same story as the driver in the same process: the simulated one by itself, and with
the library in between."""

import json

import pytest
from conftest import ALL_TO_HOST, GIB, MIB, SHIM, STEADY

PROGRAM = """
import ctypes, json, sys
cuda, nvml = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvidia-ml.so.1")

def must(result):
    assert result == 0, result

class Memory(ctypes.Structure):
    _fields_ = [(n, ctypes.c_ulonglong) for n in ("total", "free", "used")]

def memory():
    seen = Memory()
    must(nvml.nvmlDeviceGetMemoryInfo(card, ctypes.byref(seen)))
    return seen.total, seen.free, seen.used

card, context, p = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_ulonglong()
raw, text, bus = (ctypes.create_string_buffer(n) for n in (16, 80, 32))
out = {"before_init": nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(card))}
must(nvml.nvmlInit_v2())
must(nvml.nvmlDeviceGetHandleByIndex_v2(1, ctypes.byref(card)))
out["no_such_card"] = nvml.nvmlDeviceGetHandleByIndex_v2(2, ctypes.byref(ctypes.c_void_p()))
must(nvml.nvmlDeviceGetUUID(card, text, 80))
must(cuda.cuInit(0))
must(cuda.cuDeviceGetUuid_v2(raw, 1))
out["uuid"] = [text.value.decode(), raw.raw.hex()]
must(cuda.cuDeviceGetPCIBusId(bus, 32, 1))
by_bus = ctypes.c_void_p()
must(nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(by_bus)))
out["same_card"] = by_bus.value == card.value
out["idle"] = memory()
must(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 1))
must(cuda.cuCtxSetCurrent(context))
must(cuda.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(100 << 20)))
out["used"] = memory()
must(cuda.cuMemFree_v2(p))
out["freed"] = memory()
must(nvml.nvmlShutdown())
out["shut_down"] = nvml.nvmlShutdown()
print(json.dumps(out))
"""


@pytest.mark.usefixtures("unsanitised")
def test_agrees_with_the_driver(run):
    env = {"SIMCUDA_DEVICES": "2", "SIMCUDA_VRAM": "1GiB,3GiB"}
    result = run.program(["python3", "-c", PROGRAM], env=env)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    total = 3 << 30
    assert (said["before_init"], said["no_such_card"], said["shut_down"]) == (1, 2, 1)
    uuid, raw = said["uuid"]
    assert uuid.startswith("GPU-") and uuid[4:].replace("-", "") == raw
    assert said["same_card"]
    assert said["idle"] == [total, total, 0]
    assert said["used"] == [total, total - (100 << 20), 100 << 20]
    assert said["freed"] == [total, total, 0]


# --- with the library in between ----------------------------------------------------------------------

CARDS = {**STEADY, "SIMCUDA_DEVICES": "2", "SIMCUDA_VRAM": "1GiB,2GiB"}
SHARE = 3 * GIB  # STEADY's
BLOCKS = 256 * MIB  # that the host allocates


def memory(run, device, card, **kwargs):
    """What each asked said when, as {(when, who): [total, free, used]}."""
    done = run("host_nvml_memory", device, card, **kwargs)
    assert (done.returncode, done.report) == (0, ""), done.stdout + done.stderr
    said = {}
    for line in done.stdout.splitlines():
        when, who, *numbers = line.split()
        said[when, who] = [int(n) for n in numbers]
    assert len(said) == 17
    return said, done


def everyone(said, when):
    """That all doors to NVML, and the driver where it was asked, say the same; what they say."""
    answers = [numbers for (w, _), numbers in said.items() if w == when]
    assert answers.count(answers[0]) == len(answers), said
    return answers[0]


@pytest.mark.parametrize(
    "env,vram,share",
    [
        ({}, 2 * GIB, SHARE),
        (ALL_TO_HOST, 2 * GIB, SHARE),
        ({"HYBRIDMEM_REPORT": "device"}, 2 * GIB, 0),
        ({"HYBRIDMEM_REPORT": "device", "HYBRIDMEM_VRAM_LIMIT": "1GiB"}, GIB, 0),
        ({"HYBRIDMEM_VRAM_LIMIT": "50%"}, GIB, SHARE),
    ],
    ids=["room", "host", "device", "device-limit", "hybrid-limit"],
)
def test_nvml_says_what_the_driver_says(run, env, vram, share):
    said, done = memory(run, 1, 1, shim=True, env={**CARDS, **env})
    # Until the process has used the card, the truth: the library has not even begun.
    assert everyone(said, "before") == [2 * GIB, 2 * GIB, 0]
    assert everyone(said, "empty") == [vram + share, vram + share, 0]
    assert everyone(said, "full") == [vram + share, vram + share - BLOCKS, BLOCKS]
    assert (done.stats["devices"][-1]["redirected_bytes"] == BLOCKS) == (env is ALL_TO_HOST)


def test_what_the_driver_keeps(run):
    """NVML counts it, and CUDA does not; the sum holds (the host checks it)."""
    kept = 100 * MIB
    said, _ = memory(run, 1, 1, shim=True, env={**CARDS, "SIMCUDA_RESERVED": "100MiB"})
    assert said["empty", "nvml2"] == said["empty", "nvml"] == [2 * GIB + kept + SHARE, 2 * GIB + SHARE, kept]
    assert said["full", "nvml2"] == [2 * GIB + kept + SHARE, 2 * GIB + SHARE - BLOCKS, BLOCKS + kept]
    assert said["full", "cuda"] == [2 * GIB + SHARE, 2 * GIB + SHARE - BLOCKS, BLOCKS]
    limit = {"SIMCUDA_RESERVED": "100MiB", "HYBRIDMEM_VRAM_LIMIT": "1GiB"}
    said, _ = memory(run, 1, 1, shim=True, env={**CARDS, **limit})
    assert said["empty", "nvml2"] == [GIB + SHARE, GIB + SHARE, 0]


@pytest.mark.parametrize(
    "env",
    [{"HYBRIDMEM_ENABLE": "false"}, {"HYBRIDMEM_TARGET_GPU": "cuda:0"}],
    ids=["off", "no-target"],
)
def test_nvml_tells_the_truth(run, env):
    bare, _ = memory(run, 1, 1, env=CARDS)
    assert bare["full", "nvml"] == [2 * GIB, 2 * GIB - BLOCKS, BLOCKS]
    assert memory(run, 1, 1, shim=True, env={**CARDS, **env})[0] == bare


def test_another_card_is_told_of_truthfully(run):
    """The process uses device 0 and asks NVML about the other card."""
    said, _ = memory(run, 0, 1, shim=True, env=CARDS)
    for when in ("before", "empty", "full"):
        assert said[when, "nvml"] == said[when, "dlsym"] == [2 * GIB, 2 * GIB, 0]
    assert said["full", "cuda"] == [GIB + SHARE, GIB + SHARE - BLOCKS, BLOCKS]


def test_cards_and_devices_have_numbers_of_their_own(run):
    """NVML knows nothing of CUDA_VISIBLE_DEVICES: its card 1 is CUDA's device 0 here."""
    swapped = {**CARDS, "CUDA_VISIBLE_DEVICES": "1,0"}
    said, _ = memory(run, 0, 1, shim=True, env=swapped)
    assert everyone(said, "full") == [2 * GIB + SHARE, 2 * GIB + SHARE - BLOCKS, BLOCKS]
    said, _ = memory(run, 0, 0, shim=True, env=swapped)
    assert said["full", "nvml"] == [GIB, GIB, 0]
    assert said["full", "cuda"][0] == 2 * GIB + SHARE


ONLY_NVML = """
import ctypes, os
nvml = ctypes.CDLL("libnvidia-ml.so.1")
card, seen = ctypes.c_void_p(), (ctypes.c_ulonglong * 3)()
assert nvml.nvmlInit_v2() == 0
assert nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(card)) == 0
assert nvml.nvmlDeviceGetMemoryInfo(card, seen) == 0
print(*seen, any("libcuda.so" in line for line in open("/proc/self/maps")))
"""
NO_NVML = """
import ctypes
try:
    print(ctypes.CDLL(None).nvmlDeviceGetMemoryInfo)
except AttributeError:
    print("none")
"""


@pytest.mark.usefixtures("unsanitised")
def test_nvml_alone_loads_no_driver(run):
    """As in nvidia-smi: no driver, no context, no file, no word."""
    bare = run.program(["python3", "-c", ONLY_NVML], env=CARDS)
    assert bare.stdout.splitlines()[0] == f"{GIB} {GIB} 0 False"
    noisy = {**CARDS, "HYBRIDMEM_SUMMARY": "true", "HYBRIDMEM_LOG": "debug"}
    shimmed = run.program(["python3", "-c", ONLY_NVML], shim=True, env=noisy)
    assert (shimmed.stdout, shimmed.stderr) == (bare.stdout, bare.stderr)
    assert shimmed.stats is None
    # who has no NVML finds none through us
    assert run.program(["python3", "-c", NO_NVML], preload=[SHIM]).stdout == "none\n"
