"""A quantised transformer, larger than VRAM: how long a step takes under each placement.

    python tests/gpu/torch_placement.py --file model.gguf [--gib 6] [--steps 10]

As programs with GGUF models do: the weights lie in VRAM or host memory as they lie in the file (8-bit
blocks of 32, each with its scale), and each is dequantised into working memory, used once and dropped.
The file is a valid GGUF and is written if it does not exist; weights are uploaded from its mapping.
"""

import argparse
import os
import statistics
import struct
import sys
import time
from pathlib import Path

import cases

Q8_0, BLOCK, BLOCK_BYTES, ALIGNMENT = 8, 32, 34, 32
HIDDEN, WIDE, TOKENS = 4096, 16384, 1024
# name, rows, columns: a layer
LAYER = [("attn_q", HIDDEN, HIDDEN), ("attn_k", HIDDEN, HIDDEN), ("attn_v", HIDDEN, HIDDEN),
         ("attn_output", HIDDEN, HIDDEN), ("ffn_up", WIDE, HIDDEN), ("ffn_down", HIDDEN, WIDE)]


def tensors_of(total_bytes, layer=tuple(LAYER)):
    """As many whole layers as come nearest above: [(name, rows, columns, offset)], and their bytes."""
    found, at = [], 0
    while at < total_bytes:
        number = len(found) // len(layer)
        for name, rows, columns in layer:
            found.append((f"double_blocks.{number}.img_{name}.weight", rows, columns, at))
            at += -(-(rows * columns // BLOCK * BLOCK_BYTES) // ALIGNMENT) * ALIGNMENT
    return found, at


def gguf_header(tensors):
    """All before the data, padded to where the data begins."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), 1)
    out += text("general.architecture") + struct.pack("<I", 8) + text("flux")
    for name, rows, columns, offset in tensors:
        out += text(name) + struct.pack("<IQQIQ", 2, columns, rows, Q8_0, offset)
    return out + bytes(-len(out) % ALIGNMENT)


def write_model(path, tensors, total, numpy):
    """Seeded, and another content for each tensor; scales that keep products in range."""
    largest = max(rows * columns for _, rows, columns, _ in tensors) // BLOCK
    blocks = numpy.empty((2 * largest, BLOCK_BYTES), numpy.uint8)
    random = numpy.random.default_rng(11)
    blocks[:, 2:] = random.integers(0, 256, (2 * largest, BLOCK), numpy.uint8)
    scales = random.uniform(0.0001, 0.0002, (2 * largest, 1)).astype("<f2")
    blocks[:, :2] = scales.view(numpy.uint8)
    partial = Path(f"{path}.partial")
    with partial.open("wb") as file:
        header = gguf_header(tensors)
        file.write(header)
        for i, (_, rows, columns, offset) in enumerate(tensors):
            count = rows * columns // BLOCK
            start = i * 4099 % largest
            file.seek(len(header) + offset)
            file.write(memoryview(blocks[start : start + count]).cast("B"))
        file.truncate(len(header) + total)
    partial.rename(path)
    return len(header)


def dequantised(torch, weight):
    """float16, as ComfyUI's loaders of GGUF do it: a few passes of working memory."""
    packed, rows, columns = weight
    blocks = packed.view(-1, BLOCK_BYTES)
    scale = blocks[:, :2].contiguous().view(torch.float16)
    values = blocks[:, 2:].contiguous().view(torch.int8).to(torch.float16)
    return (values * scale).view(rows, columns)


def one_step(torch, layers, x):
    def normal(t):
        return t * torch.rsqrt(t.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(t.dtype)

    for layer in layers:
        q, k, v, out, up, down = layer
        n = normal(x)
        mixed = torch.sigmoid(n @ dequantised(torch, q).t()) * (n @ dequantised(torch, k).t())
        mixed = mixed + n @ dequantised(torch, v).t()
        x = x + normal(mixed @ dequantised(torch, out).t())
        wide = torch.relu(normal(x) @ dequantised(torch, up).t())
        x = x + normal(wide @ dequantised(torch, down).t())
    return normal(x)


def uploaded(torch, numpy, path, tensors):
    """From the file's mapping, one tensor after the other, as loaders do."""
    start = len(gguf_header(tensors))
    mapped = numpy.memmap(path, numpy.uint8, "c")
    layers = []
    for i, (_, rows, columns, offset) in enumerate(tensors):
        size = rows * columns // BLOCK * BLOCK_BYTES
        here = torch.from_numpy(mapped[start + offset : start + offset + size])
        if i % len(LAYER) == 0:
            layers.append([])
        layers[-1].append((here.to("cuda"), rows, columns))
    torch.cuda.synchronize()
    return layers


# What an operator does without the GPU: other names, shapes and strides for the same memory.
VIEWS = {"view", "t", "transpose", "slice", "alias", "detach", "_unsafe_view", "expand", "select", "as_strided"}


def launches_of(torch, function):
    """Its operators that cannot do without a launch, at least one each; and what it returns."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            self.seen += operator.__name__.split(".")[0] not in VIEWS
            return operator(*args, **(kwargs or {}))

    with Count() as count:
        result = function()
    return result, count.seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--gib", type=float, default=6)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    numpy, torch = cases.need("numpy"), cases.need("torch")
    if not torch.cuda.is_available():
        cases.skip("PyTorch finds no CUDA device")
    torch.use_deterministic_algorithms(True)
    tensors, total = tensors_of(int(options.gib * (1 << 30)))
    if torch.cuda.mem_get_info()[0] < total + (2 << 30):
        cases.skip(f"no room for {total} bytes of weights")
    if not options.file.exists():
        write_model(options.file, tensors, total, numpy)

    def steps(notes):
        began = time.monotonic()
        layers = uploaded(torch, numpy, options.file, tensors)
        notes["weights MiB"], notes["load s"] = total >> 20, round(time.monotonic() - began, 2)
        generator = torch.Generator(device="cuda").manual_seed(12)
        x = torch.randn(TOKENS, HIDDEN, device="cuda", dtype=torch.float16, generator=generator)
        times = []
        for _ in range(2 + options.steps):
            began = time.monotonic()
            if times:
                x = one_step(torch, layers, x)
            else:
                x, launches = launches_of(torch, lambda: one_step(torch, layers, x))
            torch.cuda.synchronize()
            times.append(1000 * (time.monotonic() - began))
        notes["ms a step"] = round(statistics.median(times[2:]), 1)
        notes["ms, fastest"], notes["ms, slowest"] = round(min(times[2:]), 1), round(max(times[2:]), 1)
        notes["launches, at least"] = launches * len(times)
        notes["finite"] = bool(torch.isfinite(x).all())
        return cases.digest([x.cpu().numpy()])

    return 0 if cases.run([steps]) else 1


if __name__ == "__main__":
    sys.exit(main())
