"""CuPy with each of its allocators: integers, compared bit for bit without the library and with it.

    python tests/gpu/cupy_blocks.py --allocator pool|async|none [--mib 128] [--count 20]
"""

import argparse
import sys

import cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--allocator", choices=("pool", "async", "none"), required=True)
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    cupy = cases.need("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        cases.skip(f"CuPy: {error}")
    words = (options.mib << 20) // 4
    pool = {"pool": cupy.cuda.MemoryPool, "async": cupy.cuda.MemoryAsyncPool}.get(options.allocator)
    pool = pool() if pool else None
    cupy.cuda.set_allocator(pool.malloc if pool else None)

    def filled(count=options.count):
        return [cupy.arange(words, dtype=cupy.int32) * (2 * i + 1) + i for i in range(count)]

    def integers(notes):
        notes["cupy"] = cupy.__version__
        blocks = filled()
        for i in range(1, len(blocks)):
            blocks[i] ^= blocks[i - 1]
        return cases.digest(cupy.asnumpy(b) for b in blocks)

    def freed_and_again(notes):
        kept = filled()[::2]
        if pool:
            pool.free_all_blocks()
        kept += filled(options.count // 2)
        return cases.digest(cupy.asnumpy(b) for b in kept)

    def streams(notes):
        several = [cupy.cuda.Stream(non_blocking=True) for _ in range(3)]
        sums = []
        for i in range(60):
            with several[i % 3]:
                sums.append((cupy.full(words // 4, i, dtype=cupy.int32) + 1).sum(dtype=cupy.int64))
        for stream in several:
            stream.synchronize()
        return sum(int(s) for s in sums)

    def memory_info(notes):
        free, total = cupy.cuda.runtime.memGetInfo()
        held = filled()
        after, same = cupy.cuda.runtime.memGetInfo()
        notes["before, with all"] = [free, after, total]
        return f"{len(held)} blocks, free <= total {free <= total and after <= same}, constant {total == same}"

    def too_much(notes):
        try:
            cupy.cuda.alloc(1 << 46)
            return "allocated"
        except Exception as error:
            notes["message"] = str(error)[:300]
            return type(error).__name__

    return 0 if cases.run([integers, freed_and_again, streams, memory_info, too_much]) else 1


if __name__ == "__main__":
    sys.exit(main())
