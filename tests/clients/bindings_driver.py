"""NVIDIA's cuda-bindings, straight to the driver: allocation, copies, sets, kernels on streams, events,
pointer queries, stream-ordered allocation, a pool, virtual memory, errors.

Started as: bindings_driver.py BLOCKS BYTES"""

import ctypes
import sys

import numpy as np
from cuda.bindings import driver as cu
from transcript import Transcript, arguments

# add(u32 *p, u32 value, u64 count) for any number of threads
PTX = b"""
.version 6.4
.target sm_50
.address_size 64
.visible .entry add(.param .u64 p, .param .u32 value, .param .u64 count)
{
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .b64 %rd<8>;
  mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mov.u32 %r3, %nctaid.x;
  mul.wide.u32 %rd0, %r0, %r1; cvt.u64.u32 %rd1, %r2; add.u64 %rd0, %rd0, %rd1;
  mul.wide.u32 %rd1, %r1, %r3; ld.param.u64 %rd2, [count]; ld.param.u64 %rd4, [p];
  cvta.to.global.u64 %rd4, %rd4; ld.param.u32 %r4, [value];
LOOP:
  setp.ge.u64 %p0, %rd0, %rd2; @%p0 bra DONE;
  shl.b64 %rd3, %rd0, 2; add.u64 %rd5, %rd4, %rd3;
  ld.global.u32 %r5, [%rd5]; add.u32 %r5, %r5, %r4; st.global.u32 [%rd5], %r5;
  add.u64 %rd0, %rd0, %rd1; bra LOOP;
DONE:
  ret;
}
"""
MIB = 1 << 20
t = Transcript()


def ok(answer):
    """The values of a call that must succeed."""
    if answer[0] != cu.CUresult.CUDA_SUCCESS:
        print("stopped by", answer[0].name, file=sys.stderr)
        sys.exit(1)
    return answer[1] if len(answer) == 2 else answer[1:]


def numbers(seed, size):
    return np.random.default_rng(seed).integers(0, 1 << 32, size // 4, dtype=np.uint32)


def read(address, size):
    data = np.empty(size, np.uint8)
    ok(cu.cuMemcpyDtoH(data.ctypes.data, address, size))
    return data


class Adder:
    def __init__(self):
        self.module = ok(cu.cuModuleLoadData(PTX))
        self.function = ok(cu.cuModuleGetFunction(self.module, b"add"))

    def __call__(self, address, value, count, stream):
        parameters = ((int(address), value, count), (ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64))
        ok(cu.cuLaunchKernel(self.function, 16, 1, 1, 128, 1, 1, 0, stream, parameters, 0))


def overflow(add, blocks, size):
    """More than the card holds, each block written by a copy and changed by kernels on its stream."""
    streams = [ok(cu.cuStreamCreate(i % 2)) for i in range(3)]
    addresses = [ok(cu.cuMemAlloc(size)) for _ in range(blocks)]
    free, total = ok(cu.cuMemGetInfo())
    t.say("free within total", 0 <= free < total)
    sources = [numbers(i, size) for i in range(blocks)]
    for i, (address, source) in enumerate(zip(addresses, sources)):
        stream = streams[i % 3]
        ok(cu.cuMemcpyHtoDAsync(address, source.ctypes.data, size, stream))
        add(address, i, size // 4, stream)
    first, last = addresses[0], addresses[-1]
    done = ok(cu.cuEventCreate(0))
    ok(cu.cuEventRecord(done, streams[0]))
    ok(cu.cuStreamWaitEvent(streams[2], done, 0))
    ok(cu.cuStreamWaitEvent(streams[1], done, 0))
    ok(cu.cuCtxSynchronize())
    ok(cu.cuMemcpyDtoDAsync(int(last) + size // 2, first, size // 2, streams[2]))
    ok(cu.cuStreamSynchronize(streams[2]))
    t.say("event", cu.cuEventQuery(done)[0].name)
    for i, (address, source) in enumerate(zip(addresses, sources)):
        data = read(address, size)
        if i < blocks - 1:
            t.say(f"sum of {i}", bool((data.view(np.uint32) == source + np.uint32(i)).all()))
        t.digest(f"block {i}", data)
    for stream in streams:
        ok(cu.cuStreamDestroy(stream))
    ok(cu.cuEventDestroy(done))
    return addresses


def planes():
    address, pitch = ok(cu.cuMemAllocPitch(1000, 300, 4))
    t.say("pitch", pitch)
    ok(cu.cuMemsetD8(address, 0, pitch * 300))
    ok(cu.cuMemsetD2D8(address, pitch, 0x5A, 500, 300))
    ok(cu.cuMemsetD32(int(address) + pitch, 0xDEADBEEF, 10))
    ok(cu.cuMemsetD16(int(address) + 2 * pitch + 600, 0xBEEF, 10))
    t.digest("plane", read(address, pitch * 300))
    copy = cu.CUDA_MEMCPY2D()
    target = np.zeros((300, 700), np.uint8)
    copy.srcMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_DEVICE
    copy.srcDevice, copy.srcPitch, copy.srcXInBytes = address, pitch, 300
    copy.dstMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_HOST
    copy.dstHost, copy.dstPitch = target.ctypes.data, 700
    copy.WidthInBytes, copy.Height = 700, 300
    ok(cu.cuMemcpy2D(copy))
    t.digest("part of it", target)
    ok(cu.cuMemFree(address))


def queries(address, size):
    inside = cu.CUdeviceptr(int(address) + size // 3)
    base, length = ok(cu.cuMemGetAddressRange(inside))
    t.say("range", int(base) == int(address), length)
    kinds = cu.CUpointer_attribute
    for kind in (kinds.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, kinds.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                 kinds.CU_POINTER_ATTRIBUTE_IS_MANAGED, kinds.CU_POINTER_ATTRIBUTE_RANGE_SIZE,
                 kinds.CU_POINTER_ATTRIBUTE_MAPPED):
        error, value = cu.cuPointerGetAttribute(kind, inside)
        t.say(kind.name, error.name, int(value) if value is not None else value)
    context = ok(cu.cuPointerGetAttribute(kinds.CU_POINTER_ATTRIBUTE_CONTEXT, inside))
    t.say("context", int(context) == int(ok(cu.cuCtxGetCurrent())))
    start = ok(cu.cuPointerGetAttribute(kinds.CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside))
    t.say("start", int(start) == int(address))
    several = [kinds.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, kinds.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL]
    t.say("several", [int(value) for value in ok(cu.cuPointerGetAttributes(2, several, inside))])
    t.say("host flags", cu.cuMemHostGetFlags(int(address))[0].name)
    t.say("export", cu.cuIpcGetMemHandle(address)[0].name)


def host_memory(add, address):
    host = ok(cu.cuMemHostAlloc(MIB, cu.CU_MEMHOSTALLOC_DEVICEMAP))
    seen = ok(cu.cuMemHostGetDevicePointer(host, 0))
    ctypes.memmove(host, numbers(99, MIB).tobytes(), MIB)
    add(seen, 1, MIB // 4, 0)
    ok(cu.cuMemcpyDtoD(address, seen, MIB))
    ok(cu.cuCtxSynchronize())
    t.digest("mapped", ctypes.string_at(host, MIB))
    t.digest("and copied", read(address, MIB))
    t.say("flags", ok(cu.cuMemHostGetFlags(host)))
    ok(cu.cuMemFreeHost(host))


def stream_ordered(add, blocks, size):
    """Freed and allocated again in stream order, on one stream and across two."""
    one, two = ok(cu.cuStreamCreate(1)), ok(cu.cuStreamCreate(1))
    event = ok(cu.cuEventCreate(2))
    result = ok(cu.cuMemAlloc(size))
    ok(cu.cuMemsetD8(result, 0, size))
    ok(cu.cuCtxSynchronize())
    for i in range(blocks):
        stream, other = (one, two) if i % 2 else (two, one)
        block = ok(cu.cuMemAllocAsync(size, stream))
        ok(cu.cuMemsetD32Async(block, i, size // 4, stream))
        add(block, 1000, size // 4, stream)
        ok(cu.cuMemcpyDtoDAsync(int(result) + i * 4096, block, 4096, stream))
        ok(cu.cuEventRecord(event, stream))
        ok(cu.cuStreamWaitEvent(other, event, 0))
        ok(cu.cuMemFreeAsync(block, other if i % 3 else stream))
    ok(cu.cuCtxSynchronize())
    t.digest("stream-ordered", read(result, size))
    ok(cu.cuMemFreeAsync(result, one))
    ok(cu.cuMemFree(ok(cu.cuMemAllocAsync(size, one))))
    ok(cu.cuStreamDestroy(one))
    ok(cu.cuStreamDestroy(two))
    ok(cu.cuEventDestroy(event))


def pool(add, blocks, size):
    """A memory pool of its own, of which nothing is in use at the end."""
    properties = cu.CUmemPoolProps()
    properties.allocType = cu.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = cu.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    own = ok(cu.cuMemPoolCreate(properties))
    used = cu.CUmemPool_attribute.CU_MEMPOOL_ATTR_USED_MEM_CURRENT
    stream = ok(cu.cuStreamCreate(1))
    held = [ok(cu.cuMemAllocFromPoolAsync(size, own, stream)) for _ in range(blocks)]
    for i, block in enumerate(held):
        ok(cu.cuMemsetD32Async(block, i, size // 4, stream))
        add(block, 7, size // 4, stream)
    ok(cu.cuStreamSynchronize(stream))
    for i, block in enumerate(held):
        t.say(f"pool block {i}", bool((read(block, size).view(np.uint32) == i + 7).all()))
        ok(cu.cuMemFreeAsync(block, stream))
    ok(cu.cuStreamSynchronize(stream))
    t.say("still used", int(ok(cu.cuMemPoolGetAttribute(own, used))))
    ok(cu.cuMemPoolTrimTo(own, 0))
    ok(cu.cuMemPoolDestroy(own))
    ok(cu.cuStreamDestroy(stream))


def virtual(add):
    """Physical memory behind two addresses."""
    properties = cu.CUmemAllocationProp()
    properties.type = cu.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = cu.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    granularity = ok(cu.cuMemGetAllocationGranularity(
        properties, cu.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM))
    t.say("granularity", granularity)
    handle = ok(cu.cuMemCreate(granularity, properties, 0))
    base = int(ok(cu.cuMemAddressReserve(2 * granularity, 0, 0, 0)))
    access = cu.CUmemAccessDesc()
    access.location = properties.location
    access.flags = cu.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
    for part in (base, base + granularity):
        ok(cu.cuMemMap(part, granularity, 0, handle, 0))
    ok(cu.cuMemSetAccess(base, 2 * granularity, [access], 1))
    ok(cu.cuMemsetD32(base, 5, granularity // 4))
    add(base + granularity, 6, granularity // 4, 0)
    ok(cu.cuCtxSynchronize())
    t.say("both see it", bool((read(base, granularity).view(np.uint32) == 11).all()))
    ok(cu.cuMemUnmap(base, 2 * granularity))
    ok(cu.cuMemRelease(handle))
    ok(cu.cuMemAddressFree(base, 2 * granularity))


def refusals(address):
    t.say("nothing", cu.cuMemAlloc(0)[0].name)
    t.say("more than any card", cu.cuMemAlloc(1 << 62)[0].name)
    t.say("freed inside", cu.cuMemFree(int(address) + 512)[0].name)
    ok(cu.cuMemFree(address))
    t.say("freed twice", cu.cuMemFree(address)[0].name)


def main():
    blocks, size = arguments()
    ok(cu.cuInit(0))
    device = ok(cu.cuDeviceGet(0))
    context = ok(cu.cuDevicePrimaryCtxRetain(device))
    ok(cu.cuCtxSetCurrent(context))
    add = Adder()
    addresses = overflow(add, blocks, size)
    planes()
    queries(addresses[-1], size)
    host_memory(add, addresses[-1])
    refusals(addresses.pop())
    for address in addresses:
        ok(cu.cuMemFree(address))
    if ok(cu.cuDriverGetVersion()) >= 11020:
        stream_ordered(add, blocks, size)
        pool(add, 2, size)
        virtual(add)
    ok(cu.cuModuleUnload(add.module))
    ok(cu.cuDevicePrimaryCtxReset(device))
    ok(cu.cuDevicePrimaryCtxRelease(device))
    t.close()


main()
