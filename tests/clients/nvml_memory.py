"""A card's memory by nvidia-ml-py beside cuda-bindings, as monitors ask: prints total and free."""

import pynvml
from cuda.bindings import driver as cu

MIB = 1 << 20


def must(answer):
    assert answer[0] == 0, answer[0]
    return answer[1] if len(answer) == 2 else answer[1:]


pynvml.nvmlInit()
first = pynvml.nvmlDeviceGetHandleByIndex(0)
must(cu.cuInit(0))
device = must(cu.cuDeviceGet(0))
must(cu.cuCtxSetCurrent(must(cu.cuDevicePrimaryCtxRetain(device))))
block = must(cu.cuMemAlloc(64 * MIB))
free, total = must(cu.cuMemGetInfo())
for card in (
    first,
    pynvml.nvmlDeviceGetHandleByUUID(pynvml.nvmlDeviceGetUUID(first)),
    pynvml.nvmlDeviceGetHandleByPciBusId(must(cu.cuDeviceGetPCIBusId(32, device)).rstrip(b"\0")),
):
    seen = pynvml.nvmlDeviceGetMemoryInfo(card)
    assert (seen.total, seen.free, seen.used) == (total, free, total - free)
    seen = pynvml.nvmlDeviceGetMemoryInfo(card, version=pynvml.nvmlMemory_v2)
    assert (seen.total, seen.free, seen.used + seen.reserved) == (total, free, total - free)
must(cu.cuMemFree(block))
print(total, free)
