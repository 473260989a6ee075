"""comfy-aimdo (ComfyUI's offloader), which overwrites the driver's functions for allocation with jumps into
itself, beside blocks that come and go before, while and after it does.

    aimdo_patch.py before|after       the first blocks come before it patches, or only after
"""

import ctypes
import sys

from comfy_aimdo import control

BLOCKS, SIZE = 4, 32 << 20


def must(result):
    assert result == 0, result


cuda = ctypes.CDLL("libcuda.so.1")
must(cuda.cuInit(0))
context = ctypes.c_void_p()
must(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
must(cuda.cuCtxSetCurrent(context))


def allocate(content):
    p = ctypes.c_ulonglong()
    must(cuda.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(SIZE)))
    must(cuda.cuMemsetD8_v2(p, ctypes.c_ubyte(content), ctypes.c_size_t(SIZE)))
    return p


def check(p, content):
    seen = ctypes.create_string_buffer(SIZE)
    must(cuda.cuMemcpyDtoH_v2(seen, p, ctypes.c_size_t(SIZE)))
    return seen.raw == bytes([content]) * SIZE


early = [allocate(1 + n) for n in range(BLOCKS)] if sys.argv[1] == "before" else []
assert control.init("cuda")
print("hooked:", control.init_device(0))
late = [allocate(101 + n) for n in range(BLOCKS)]
print("early:", [check(p, 1 + n) for n, p in enumerate(early)])
print("late:", [check(p, 101 + n) for n, p in enumerate(late)])
print("it counts:", control.get_total_vram_usage() // SIZE)
for p in early[:2] + late[:2]:
    must(cuda.cuMemFree_v2(p))
print("it counts:", control.get_total_vram_usage() // SIZE)
control.deinit()
last = allocate(7)
print("last:", check(last, 7))
for p in early[2:] + late[2:] + [last]:
    must(cuda.cuMemFree_v2(p))
print("done")
