"""The simulated NVML tells the same story as the simulated driver in the same process."""

import json

import pytest

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
