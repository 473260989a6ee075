"""numba's driver layer without compiled kernels: device arrays, copies, streams, pinned and mapped
memory, memory information, IPC, and a context that is reset.

Started as: numba_arrays.py BLOCKS BYTES"""

import ctypes
import re

import numpy as np
from numba import cuda
from numba.cuda.cudadrv import devices, driver
from transcript import Transcript, arguments

t = Transcript()


def contents(block, size):
    return np.random.default_rng(block).integers(0, 1 << 32, size // 4, dtype=np.uint32)


def error_of(call):
    """The driver's error, which numba's two driver layers and cuda-core word in three ways."""
    try:
        call()
    except Exception as error:  # so their classes differ as well
        return re.search(r"CUDA_ERROR_\w+", str(error)).group()
    return "none"


def memory():
    info = cuda.current_context().get_memory_info()
    return info.free, info.total


def overflow(blocks, size):
    arrays = [cuda.device_array(size // 4, np.uint32) for _ in range(blocks)]
    stream = cuda.stream()
    free, total = memory()
    t.say("free within total", 0 <= free < total)
    for i, array in enumerate(arrays):
        with cuda.pinned(source := contents(i, size)):
            array.copy_to_device(source, stream=stream)
            stream.synchronize()
    for i, array in enumerate(arrays[:-1]):  # device to device, each into its successor
        if i % 4 == 3:
            arrays[i + 1].copy_to_device(array, stream=stream)
    stream.synchronize()
    for i, array in enumerate(arrays):
        t.digest(f"block {i}", array.copy_to_host())


def shapes():
    grid = cuda.to_device(np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8))
    t.digest("sliced", grid[2:5].copy_to_host())
    t.say("of the middle", grid[3, 4, 5], grid[5, 6, 7])
    t.digest("reshaped", grid.ravel().reshape(42, 8).copy_to_host())
    record = np.dtype([("a", np.int8), ("b", np.float64, (3,))], align=True)
    rows = np.zeros(100, record)
    rows["b"] = np.arange(300).reshape(100, 3)
    t.digest("records", cuda.to_device(rows).copy_to_host())
    fortran = cuda.to_device(np.asfortranarray(np.arange(77, dtype=np.float32).reshape(7, 11)))
    t.say("fortran", fortran.is_f_contiguous(), fortran.copy_to_host()[3, 4])
    t.say("empty", cuda.to_device(np.zeros(0)).copy_to_host().size)


def host_memory():
    mapped = cuda.mapped_array(5000, np.int32)
    mapped[:] = np.arange(5000)
    other = cuda.device_array(5000, np.int32)
    driver.device_to_device(other, mapped, mapped.nbytes)
    t.digest("mapped", other.copy_to_host())
    pinned = cuda.pinned_array(5000, np.int32)
    other.copy_to_host(pinned)
    t.digest("pinned", pinned)
    managed = cuda.managed_array(5000, np.int32)
    managed[:] = 7
    t.say("managed", int(managed.sum()))


def pointers():
    context = cuda.current_context()
    memory_of = context.memalloc(1 << 20)
    library = ctypes.CDLL("libcuda.so.1")
    address = ctypes.c_uint64(int(memory_of.device_ctypes_pointer.value))
    kind, ordinal = ctypes.c_uint(), ctypes.c_int()
    base, size = ctypes.c_uint64(), ctypes.c_size_t()
    t.say("type", library.cuPointerGetAttribute(ctypes.byref(kind), 2, address), kind.value)
    t.say("ordinal", library.cuPointerGetAttribute(ctypes.byref(ordinal), 9, address), ordinal.value)
    inside = ctypes.c_uint64(address.value + 4097)
    result = library.cuMemGetAddressRange_v2(ctypes.byref(base), ctypes.byref(size), inside)
    t.say("range", result, base.value == address.value, size.value)
    t.say("host flags", library.cuMemHostGetFlags(ctypes.byref(kind), address))
    memory_of.free()


def refusals(size):
    context = cuda.current_context()
    t.say("more than any card", error_of(lambda: context.memalloc(1 << 62)))
    array = cuda.device_array(size // 4, np.uint32)
    t.say("export", error_of(lambda: context.get_ipc_handle(array.gpu_data)))


def reset():
    """What is left ends with the context. numba over ctypes begins anew; numba-cuda goes on with the
    context that it has released, which the driver refuses."""
    left = cuda.to_device(np.arange(1000))
    devices.get_context().reset()
    cuda.close()
    t.say("after a reset", error_of(lambda: cuda.to_device(np.arange(1000))), left.size)


overflow(*arguments())
shapes()
host_memory()
pointers()
refusals(arguments()[1])
reset()
t.close()
