"""Calls each function of the driver and of NVML in shim/hooks.def, and again with the first, the
second, ... driver call inside it failing, until all have failed once; those of NVML also with each NVML
call failing. A host of both by way of ctypes.

    each_call.py SIZE [full]     of the blocks that the calls are about, in bytes; full: the card
                                 has no room for them, and may say so

After each call: it answered what it answers by itself, or the error that was planted; what it says to
have done it has done; all other blocks hold what they held; as much memory is in use as before. Prints
what is not so, and how many calls it made.
"""

import ctypes
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^(?:NVML_)?HOOK\((\w+), (\w+), \w+, \d+(?:, \w+)?,\n\s+\((.*?)\),\n",
    (ROOT / "shim/hooks.def").read_text(), re.M,
)  # fmt: skip
CODES = (2, 999)  # out of memory is what hybridmem is about; unknown is any other failure
SIZE = int(sys.argv[1])
OUT_OF_MEMORY = 2
FULL = sys.argv[2:] == ["full"]
ROW = 1024  # bytes of a row in copies of planes and boxes
# Whether the context went is then not known, and its memory is kept rather than lost.
UNSURE = {"cuCtxDetach"}
STAYS_MAPPED = {"cuMemSetAccess", "cuMemGetAccess", "cuMemRetainAllocationHandle"}
FREED = {"cuMemFree_v2", "cuMemFreeAsync", "cuMemFreeAsync_ptsz"}

cu, nvml = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libnvidia-ml.so.1")
u64 = ctypes.c_uint64
cu.simcuda_used_bytes.restype = u64
NUMBER, UNIT = re.fullmatch(r"(\d+)([KM])iB", os.environ["SIMCUDA_VRAM"]).groups()
VRAM = int(NUMBER) << {"K": 10, "M": 20}[UNIT]


def call(name, *arguments):
    library = nvml if name.startswith("nvml") else cu
    return getattr(library, name)(*[a if isinstance(a, ctypes.Array) else u64(int(a)) for a in arguments])


def must(name, *arguments):
    result = call(name, *arguments)
    assert result == 0, f"{name}: {result}"


def made(name, *arguments):
    """What a function hands out by its first argument."""
    out = (u64 * 1)()
    must(name, out, *arguments)
    return out[0]


def words(*values):
    return (u64 * len(values))(*values)


def ints(*values):
    return (ctypes.c_int * len(values))(*values)


class Block:
    def __init__(self, size, value):
        self.address = made("cuMemAlloc_v2", size)
        self.bytes = bytes([value]) * size
        must("cuMemcpyHtoD_v2", self.address, ctypes.create_string_buffer(self.bytes, size), size)

    def content(self):
        seen = ctypes.create_string_buffer(len(self.bytes))
        must("cuMemcpyDtoH_v2", seen, self.address, len(self.bytes))
        return seen.raw


def plane(dst, src):
    return words(0, 0, 2, 0, src, 0, ROW, 0, 0, 2, 0, dst, 0, ROW, ROW, SIZE // ROW)


def box(dst, src, context):
    half = SIZE // ROW // 2
    side = (0, 0, 0, 0, 2, 0)
    return words(*side, src, 0, context, ROW, half, *side, dst, 0, context, ROW, half, ROW, half, 2)


def box_of_batch(dst, src):
    return words(1, src, 0, 0, 0, 1, dst, 0, 0, 0, ROW, SIZE // ROW // 2, 2, 1)


def green_context():
    processors = words(*[0] * 32)  # a CUdevResource and more
    must("cuDeviceGetDevResource", 0, processors, 1)
    return made("cuGreenCtxCreate", made("cuDevResourceGenerateDesc", processors, 1), 0, 1)


class Scene:
    """What one call needs, by the type and name of its parameters."""

    def __init__(self, symbol, group, stage):
        self.symbol, self.stage = symbol, stage
        self.undo = []
        self.dst, self.src = Block(SIZE, 0xD5), Block(SIZE, 0x5C)
        must("cuCtxSynchronize")
        self.buffer = ctypes.create_string_buffer(b"\xb0" * SIZE, SIZE)
        self.stream = self.own("cuStreamCreate", 1, end="cuStreamDestroy_v2")
        self.out = words(0)
        dst, src, context = self.dst.address, self.src.address, stage.context
        self.values = {
            "CUdeviceptr dstDevice": dst, "CUdeviceptr dst": dst, "CUdeviceptr dptr": dst,
            "CUdeviceptr ptr": dst, "CUdeviceptr srcDevice": src, "CUdeviceptr src": src,
            "CUcontext dstContext": context, "CUcontext srcContext": context,
            "void *dstHost": self.buffer, "const void *srcHost": self.buffer,
            "CUstream hStream": self.stream, "CUmemoryPool pool": stage.pool, "CUdevice dev": 0,
            "CUdeviceptr *dptr": self.out, "CUdeviceptr *pbase": self.out, "size_t *psize": words(0),
            "CUdeviceptr *pdptr": self.out, "CUcontext *pctx": self.out, "size_t *free": words(0),
            "size_t *total": words(0), "size_t *bytes": words(0), "size_t *pPitch": words(0),
            "unsigned int *pFlags": self.out, "size_t *failIdx": words(0), "void **pfn": self.out,
            "size_t ByteCount": SIZE, "size_t bytesize": SIZE, "size_t N": SIZE // 4,
            "size_t WidthInBytes": ROW, "size_t Height": SIZE // ROW, "unsigned int ElementSizeBytes": 4,
            "size_t dstPitch": ROW, "size_t Width": ROW // 4, "unsigned char uc": 0x11,
            "unsigned short us": 0x2222, "unsigned int ui": 0x33333333, "size_t dstOffset": 0,
            "size_t srcOffset": 0, "const CUDA_MEMCPY2D *pCopy": plane(dst, src),
            "const CUDA_MEMCPY3D *pCopy": box(dst, src, 0),
            "const CUDA_MEMCPY3D_PEER *pCopy": box(dst, src, context),
            "size_t numOps": 1, "CUDA_MEMCPY3D_BATCH_OP *opList": box_of_batch(dst, src),
            "CUdeviceptr *dsts": words(dst, dst + SIZE // 2), "CUdeviceptr *srcs": words(src, src),
            "CUdeviceptr *dptrs": words(dst, src),
            "CUmemLocation *prefetchLocs": ints(1, 0), "size_t *prefetchLocIdxs": words(0),
            "size_t numPrefetchLocs": 1, "size_t *sizes": words(SIZE // 2, SIZE // 2), "size_t *attrsIdxs": words(0),
            "CUmemcpyAttributes *attrs": ints(1, 0, 0, 0, 0, 0), "size_t numAttrs": 1,
            "size_t count": 2 if group == "COPY" else 1,
            "CUpointer_attribute attribute": 6 if "Set" in symbol else 2, "void *data": self.out,
            "unsigned int numAttributes": 2, "CUpointer_attribute *attributes": ints(2, 12),
            "const void *value": words(1), "CUipcMemHandle *pHandle": words(*[0] * 8),
            "unsigned int flags": 1, "unsigned int Flags": 0, "void **pp": self.out, "CUstreamCaptureMode mode": 2,
            "CUgraph *phGraph": self.out, "const CUgraphNode *dependencies": 0,
            "const CUgraphEdgeData *dependencyData": 0, "size_t numDependencies": 0,
            "CUarray *pHandle": self.out, "CUmipmappedArray *pHandle": self.out,
            "const CUDA_ARRAY_DESCRIPTOR *pAllocateArray": PLANE,
            "const CUDA_ARRAY3D_DESCRIPTOR *pAllocateArray": CUBE,
            "const CUDA_ARRAY3D_DESCRIPTOR *pMipmappedArrayDesc": CUBE, "unsigned int numMipmapLevels": 3,
            "const char *symbol": ctypes.create_string_buffer(b"cuMemAlloc"), "int cudaVersion": 12000,
            "cuuint64_t flags": 0, "CUdriverProcAddressQueryResult *symbolStatus": words(0),
            "nvmlDevice_t device": stage.card, "nvmlMemory_t *memory": words(0, 0, 0),
            "nvmlMemory_v2_t *memory": words(2 << 24 | 40, 0, 0, 0, 0),
            "CUdeviceptr addr": dst, "cuuint32_t value": 1, "cuuint64_t value": 1,
            "CUstreamBatchMemOpParams *paramArray": words(*[0] * 6), "unsigned int count": 1,
            "CUfunction f": stage.fill, "void **extra": 0, "int grid_width": 1, "int grid_height": 1,
            "CUmemDecompressParams *paramsArray": words(*[0] * 8), "size_t *errorIndex": self.out,
            "CUDA_LAUNCH_PARAMS *launchParamsList": words(*[0] * 7), "unsigned int numDevices": 1,
            **{f"unsigned int {what}Dim{axis}": 1 for what in ("grid", "block") for axis in "XYZ"},
            "CUmemcpyAttributes *attr": ints(1, 0, 0, 0, 0, 0), "size_t size": SIZE,
            "CUDA_MEMCPY3D_BATCH_OP *op": box_of_batch(dst, src), "unsigned int syncMode": 0,
            "CUDA_FABRIC_COPY_BATCH_OP *opList": words(1, src, 0, 1, dst, 0, SIZE, 0),
            "CUstreamCigCaptureParams *streamCigCaptureParams": words(0),
            "CUgraphRecaptureCallback callbackFunc": NOTHING, "CUmemGenericAllocationHandle mcHandle": 0,
            "size_t mcOffset": 0, "CUdeviceptr memptr": dst, "CUlogicalEndpointId leId": 0,
            "cuuint64_t offset": 0, "void *ptr": dst, "cuuint64_t size": SIZE,
            "unsigned int sharedMemBytes": 0, "CUhostFn fn": NOTHING, "CUstreamCallback callback": NOTHING,
            "void *userData": 0, "CUexternalSemaphore *extSem_out": self.out,
            "const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC *semHandleDesc": words(*[0] * 12),
            "const CUlaunchConfig *config": words(1 << 32 | 1, 1 << 32 | 1, 1 << 32 | 1, 0, self.stream, 0, 0),
        }  # fmt: skip
        # fill(u32 *p, u32 value, u64 count) of the block
        self.kernel = [words(dst), ints(0x44444444), words(SIZE // 4)]
        self.values["void **kernelParams"] = words(*map(ctypes.addressof, self.kernel))
        for prepare in (self.prepare_host, self.prepare_arrays, self.prepare_ends, self.prepare_pool,
                        self.prepare_vmm):
            prepare()

    def own(self, maker, *arguments, end):
        thing = made(maker, *arguments)
        self.undo.append((end, thing))
        return thing

    def prepare_host(self):
        pages = self.stage.pages
        self.values["void *p"] = pages
        if self.symbol in ("cuMemHostUnregister", "cuMemHostGetFlags", "cuMemHostGetDevicePointer_v2"):
            must("cuMemHostRegister_v2", pages, self.stage.PAGES, 2)
        if self.symbol == "cuMemFreeHost":
            self.values["void *p"] = made("cuMemHostAlloc", SIZE, 0)
        if self.symbol == "cuPointerGetAttributes":
            self.values["void **data"] = words(ctypes.addressof(self.out), ctypes.addressof(self.buffer))

    def prepare_arrays(self):
        if self.symbol == "cuMipmappedArrayDestroy":
            array = self.own("cuMipmappedArrayCreate", CUBE, 3, end="cuMipmappedArrayDestroy")
            self.values["CUmipmappedArray hMipmappedArray"] = array
        if "CUarray" in ROWS_BY_SYMBOL[self.symbol] and "Create" not in self.symbol:
            size = min(SIZE, 64 << 10)
            shape = words(size, 0, 1 << 32 | 1)  # one dimension, one channel of bytes
            array = self.own("cuArrayCreate_v2", shape, end="cuArrayDestroy")
            must("cuMemcpyDtoA_v2", array, 0, self.src.address, size)
            must("cuCtxSynchronize")
            self.values["size_t ByteCount"] = size
            for role in ("dstArray", "srcArray", "hArray"):
                self.values[f"CUarray {role}"] = array

    def prepare_ends(self):
        """A context or a capture to end; a graph to capture into."""
        if self.symbol.startswith("cuCtxD"):
            self.values["CUcontext ctx"] = context = made("cuCtxCreate_v2", 0, 0)
            made("cuMemAlloc_v2", SIZE)
            if self.symbol != "cuCtxDetach":
                must("cuCtxSetCurrent", self.stage.context)
            self.undo.append(("cuCtxDestroy_v2", context))
        if self.symbol.startswith("cuDevicePrimaryCtx"):
            must("cuCtxSetCurrent", made("cuDevicePrimaryCtxRetain", 0))
            made("cuMemAlloc_v2", SIZE)
            must("cuCtxSetCurrent", self.stage.context)
        if self.symbol == "cuGreenCtxDestroy":  # it holds the primary context, with a block
            self.values["CUgreenCtx hCtx"] = self.green = green_context()
            must("cuCtxSetCurrent", made("cuCtxFromGreenCtx", self.green))
            made("cuMemAlloc_v2", SIZE)
            must("cuCtxSetCurrent", self.stage.context)
        if self.symbol.startswith(("cuGraphCreate", "cuStreamAddCallback")):
            self.values["unsigned int flags"] = 0
        if "ToGraph" in self.symbol:
            self.values["CUgraph hGraph"] = self.own("cuGraphCreate", 0, end="cuGraphDestroy")
        if self.symbol.startswith("cuStreamEndCapture"):
            must("cuStreamBeginCapture_v2", self.stream, 2)

    def prepare_pool(self):
        if self.symbol in ("cuMemPoolDestroy", "cuMemPoolTrimTo", "cuMemPoolSetAttribute"):
            self.values["CUmemoryPool pool"] = self.own("cuMemPoolCreate", POOL, end="cuMemPoolDestroy")
        self.values.update({
            "CUmemoryPool *pool": self.out, "const CUmemPoolProps *poolProps": POOL,
            "size_t minBytesToKeep": 0, "CUmemPool_attribute attr": 4, "void *value": words(1 << 20),
            "CUmemPoolPtrExportData *shareData_out": words(*[0] * 8), "CUdeviceptr ptr": self.dst.address,
            "void *handle": self.out, "size_t size": SIZE, "CUmemRangeHandleType handleType": 1,
            "unsigned long long flags": 0,
        })  # fmt: skip

    def prepare_vmm(self):
        if self.stage.groups[self.symbol] != "VMM":
            return
        size = 2 << 20
        prop = words(1, 1, 0, 0)
        handle = 0
        if self.symbol not in ("cuMemCreate", "cuMemImportFromShareableHandle"):
            handle = made("cuMemCreate", size, prop, 0)
        address = made("cuMemAddressReserve", size, 0, 0, 0)
        mapped = self.symbol in (*STAYS_MAPPED, "cuMemUnmap")
        if mapped:
            must("cuMemMap", address, size, 0, handle, 0)
        self.vmm = (address, size, handle)
        self.values.update({
            "CUmemGenericAllocationHandle *handle": self.out, "size_t size": size,
            "const CUmemAllocationProp *prop": prop, "CUmemAllocationProp *prop": words(0, 0, 0, 0),
            "unsigned long long flags": 0, "CUmemGenericAllocationHandle handle": handle,
            "CUdeviceptr ptr": address, "size_t offset": 0, "const CUmemAccessDesc *desc": ints(1, 0, 3),
            "unsigned long long *flags": self.out, "const CUmemLocation *location": ints(1, 0),
            "void *addr": address, "void *osHandle": 0, "CUmemAllocationHandleType shHandleType": 1,
        })  # fmt: skip

    def outcome(self):
        must("cuCtxSynchronize")
        if self.symbol.startswith("nvml"):
            return self.told()
        return b"".join(
            b.content() for b in (self.dst, self.src) if not (b is self.dst and self.symbol in FREED)
        ) + self.buffer.raw

    def told(self):
        """What NVML says of the card, which adds up; and, for `every`, what it would say by itself."""
        used = cu.simcuda_used_bytes(0)
        self.stage.truth = (VRAM, 0, VRAM - used, used)
        second = self.symbol.endswith("_v2")
        memory = self.values["nvmlMemory_v2_t *memory" if second else "nvmlMemory_t *memory"]
        total, reserved, free, used = memory[1:] if second else (memory[0], 0, *memory[1:])
        assert total == reserved + free + used, f"{reserved} + {free} + {used} of {total} bytes"
        return (total, reserved, free, used)

    def close(self, result):
        """Undoes what the call did, or was prepared for; a call that failed has done nothing."""
        symbol, done = self.symbol, result == 0
        if done and symbol.startswith("cuMemAlloc") and "Host" not in symbol:
            must("cuMemsetD8_v2", self.out[0], 1, ROW)
            must("cuCtxSynchronize")
            must("cuMemFree_v2", self.out[0])
        if symbol in FREED and not done:
            must("cuMemFree_v2", self.dst.address)
        begins, ends = symbol.startswith("cuStreamBegin"), symbol.startswith("cuStreamEnd")
        if begins and done or ends and not done:
            must("cuStreamEndCapture", self.stream, self.out)
        if ((begins and done or ends) and "ToGraph" not in symbol) or (symbol == "cuGraphCreate" and done):
            must("cuGraphDestroy", self.out[0])
        self.close_host(done)
        self.close_context(done)
        if hasattr(self, "vmm"):
            self.close_vmm(done)
        if done and symbol == "cuMemPoolCreate":
            must("cuMemPoolDestroy", self.out[0])
        if done and symbol == "cuMemPoolDestroy":
            self.undo.pop()
        if done and "ArrayCreate" in symbol or done and symbol == "cuArray3DCreate_v2":
            must("cuMipmappedArrayDestroy" if "Mipmapped" in symbol else "cuArrayDestroy", self.out[0])
        if done and symbol.endswith("ArrayDestroy"):
            self.undo.pop()
        if symbol.startswith("cuStreamDestroy") and done:
            self.undo.remove(("cuStreamDestroy_v2", self.stream))
        for name, thing in self.undo:
            must(name, thing)
        for block in (self.dst, self.src):
            if not (symbol in FREED and block is self.dst):
                must("cuMemFree_v2", block.address)

    def close_host(self, done):
        registers, unregisters = self.symbol == "cuMemHostRegister_v2", self.symbol == "cuMemHostUnregister"
        asks = self.symbol in ("cuMemHostGetFlags", "cuMemHostGetDevicePointer_v2")
        if registers and done or unregisters and not done or asks:
            must("cuMemHostUnregister", self.stage.pages)
        if done and self.symbol in ("cuMemAllocHost_v2", "cuMemHostAlloc"):
            must("cuMemFreeHost", self.out[0])
        if self.symbol == "cuMemFreeHost" and not done:
            must("cuMemFreeHost", self.values["void *p"])

    def close_context(self, done):
        if self.symbol.startswith("cuCtxD"):
            if done:
                self.undo.pop()
            must("cuCtxSetCurrent", self.stage.context)
        if self.symbol == "cuGreenCtxDestroy" and not done:
            must("cuGreenCtxDestroy", self.green)
        if self.symbol.startswith(("cuDevicePrimaryCtx", "cuGreenCtx")):
            must("cuDevicePrimaryCtxReset_v2", 0)
            while call("cuDevicePrimaryCtxRelease_v2", 0) == 0:
                pass

    def close_vmm(self, done):
        address, size, handle = self.vmm
        mapped = {"cuMemMap": done, "cuMemUnmap": not done}.get(
            self.symbol, self.symbol in STAYS_MAPPED
        )
        if mapped:
            must("cuMemUnmap", address, size)
        if self.symbol != "cuMemAddressFree" or not done:
            must("cuMemAddressFree", address, size)
        if done and self.symbol in ("cuMemCreate", "cuMemRetainAllocationHandle"):
            must("cuMemRelease", self.out[0])
        if handle and not (self.symbol == "cuMemRelease" and done):
            must("cuMemRelease", handle)


# 4 KiB of one channel of floats, and as much in a box: a full card has room for little more.
PLANE = words(32, 32, 1 << 32 | 0x20)
CUBE = words(16, 16, 4, 1 << 32 | 0x20, 0)
# Of the device, pinned, not to be exported, of any size.
POOL = words(1, 1, 0, 0, *[0] * 7)

# A function that the driver may call on any thread.
NOTHING = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value
# The simulator reads no more of it than the names.
PTX = ctypes.create_string_buffer(b".version 6.4\n.target sm_50\n.visible .entry fill(.param .u64 p) { ret; }\n")


class Stage:
    """What stays while all calls are made: a context with blocks in both places."""

    PAGES = SIZE

    def __init__(self):
        must("cuInit", 0)
        self.context = made("cuCtxCreate_v2", 0, 0)
        self.pool = made("cuDeviceGetDefaultMemPool", 0)
        module = made("cuModuleLoadData", PTX)
        self.fill = made("cuModuleGetFunction", module, ctypes.create_string_buffer(b"fill"))
        self.others = [Block(256 << 10, 0xA1), Block(256 << 10, 0xA2), Block(16 << 10, 0xA3)]
        memory = ctypes.create_string_buffer(self.PAGES + 4096)
        self.memory = memory
        self.pages = (ctypes.addressof(memory) + 4095) & ~4095
        self.groups = {symbol: group for group, symbol, _ in ROWS}
        must("nvmlInit_v2")
        card = words(0)
        must("nvmlDeviceGetHandleByIndex_v2", 0, card)
        self.card = card[0]
        self.calls, self.wrong = 0, []

    def free(self):
        free, total = words(0), words(0)
        must("cuCtxSynchronize")
        must("cuMemGetInfo_v2", free, total)
        return free[0]

    def run(self, symbol, parameters, nth, code, within="driver"):
        """Returns the result, what was done, and how many calls of the driver, or of NVML, it took."""
        plant = PLANTS[within]
        before = self.free()
        scene = Scene(symbol, self.groups[symbol], self)
        unknown = [p for p in parameters if p not in scene.values]
        assert not unknown, f"{symbol}: this program has no value for {unknown}"
        arguments = [scene.values[p] for p in parameters]
        plant(u64(nth), code)
        result = call(symbol, *arguments)
        made_calls = plant(u64(0), 0)
        self.calls += 1
        here = f"{symbol}, {within} call {nth} answers {code}: "
        try:
            if symbol.startswith(("cuCtxD", "cuDevicePrimaryCtx")):
                must("cuCtxSetCurrent", self.context)
            capturing = symbol.startswith("cuStream")
            silent = capturing or (result and symbol.startswith("nvml"))
            outcome = b"" if silent else scene.outcome()
            scene.close(result)
            for i, block in enumerate(self.others):
                assert block.content() == block.bytes, f"block {i} has changed"
            after = self.free()
            assert after == before or symbol in UNSURE, f"{before - after} bytes are lost"
        except AssertionError as reason:
            self.wrong.append(f"{here}answered {result}: {reason}")
            outcome = None
        return result, outcome, made_calls

    def every(self, symbol, parameters):
        if symbol.startswith("nvml"):
            return self.every_of_nvml(symbol, parameters)
        usual, done, calls = self.run(symbol, parameters, 0, 0)
        for code in CODES:
            for nth in range(1, calls + 20):
                result, outcome, made_calls = self.run(symbol, parameters, nth, code)
                honest = FULL and result == OUT_OF_MEMORY and symbol.startswith(("cuMemAlloc", "cuMemCreate"))
                if result not in (usual, code) and not honest:
                    self.wrong.append(f"{symbol}, driver call {nth} answers {code}: answered {result}")
                if result == 0 and outcome is not None and outcome != done:
                    self.wrong.append(f"{symbol}, driver call {nth} answers {code}: did something else")
                if made_calls < nth:
                    break
        return usual, calls

    def every_of_nvml(self, symbol, parameters):
        """NVML's own answer or error; no other failure is the host's, which is then told the truth."""
        usual, done, of_driver = self.run(symbol, parameters, 0, 0)
        _, _, of_nvml = self.run(symbol, parameters, 0, 0, "NVML")
        for within, calls in (("driver", of_driver), ("NVML", of_nvml)):
            for code in CODES:
                for nth in range(1, calls + 1):
                    result, outcome, _ = self.run(symbol, parameters, nth, code, within)
                    here = f"{symbol}, {within} call {nth} answers {code}: "
                    if result != (code if within == "NVML" and nth == 1 else usual):
                        self.wrong.append(f"{here}answered {result}")
                    if result == 0 and outcome is not None and outcome not in (done, self.truth):
                        self.wrong.append(f"{here}told {outcome}, not {done}")
        return usual, of_driver + of_nvml


PLANTS = {"driver": cu.simcuda_fail_nth, "NVML": nvml.simnvml_fail_nth}
ROWS_BY_SYMBOL = {symbol: parameters for _, symbol, parameters in ROWS}


def main():
    stage = Stage()
    for _, symbol, text in ROWS:
        parameters = [re.sub(r"\* ", "*", p) for p in text.split(", ")]
        usual, calls = stage.every(symbol, parameters)
        print(f"{symbol} {usual} {calls}")
    for block in stage.others:
        must("cuMemFree_v2", block.address)
    must("cuCtxDestroy_v2", stage.context)
    for line in stage.wrong:
        print("wrong:", line)
    print(f"{stage.calls} calls")


main()
