"""PyTorch with one of its three allocators: results to be compared bit for bit, without the library
and with it, with room and without.

    python tests/gpu/torch_allocators.py --allocator native|expandable|async [--mib 128] [--count 20]

Plain allocations only, count x mib MiB of them at a time. Every number is an integer, or a product of
seeded floats by a deterministic algorithm.
"""

import argparse
import os
import sys

import cases

ALLOCATORS = {"native": ("", "native", False),
              "expandable": ("expandable_segments:True", "native", True),
              "async": ("backend:cudaMallocAsync", "cudaMallocAsync", False)}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--allocator", choices=ALLOCATORS, required=True)
    parser.add_argument("--mib", type=int, default=128, help="one tensor")
    parser.add_argument("--count", type=int, default=20, help="tensors at a time")
    return parser.parse_args()


options = arguments()
SETTING, BACKEND, EXPANDABLE = ALLOCATORS[options.allocator]
for variable in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):  # its older and its newer name
    os.environ.pop(variable, None)
    if SETTING:
        os.environ[variable] = SETTING
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # one order of additions
torch = cases.need("torch")
if not torch.cuda.is_available():
    cases.skip("PyTorch finds no CUDA device")
torch.use_deterministic_algorithms(True)
torch.backends.cuda.matmul.allow_tf32 = False
CUDA = torch.device("cuda:0")
WORDS = (options.mib << 20) // 4


def raw(tensor):
    return tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy()


def digest(tensors):
    return cases.digest(raw(t) for t in tensors)


def filled(count=None, words=WORDS):
    """More than the limit lets stay in VRAM; each with a content of its own."""
    return [torch.arange(words, dtype=torch.int32, device=CUDA).mul_(2 * i + 1).add_(i)
            for i in range(count or options.count)]


def allocator(notes):
    notes["torch"], notes["cuda"] = torch.__version__, torch.version.cuda
    kept = torch.ones(WORDS, dtype=torch.int32, device=CUDA)
    expandable = False
    if BACKEND == "native":
        expandable = any(s.get("is_expandable") for s in torch.cuda.memory_snapshot())
    found = (torch.cuda.get_allocator_backend(), expandable)
    if found != (BACKEND, EXPANDABLE):
        raise RuntimeError(f"asked for {(BACKEND, EXPANDABLE)}, found {found}")
    return f"{found[0]}, expandable {found[1]}, {int(kept.sum())}"


def integers(notes):
    """Written, read, changed and copied between blocks, wherever each of them lies."""
    tensors = filled()
    for i in range(1, len(tensors)):
        tensors[i].bitwise_xor_(tensors[i - 1])
    tensors[0].copy_(tensors[-1])
    notes["MiB"] = len(tensors) * options.mib
    return digest(tensors)


def freed_and_again(notes):
    """Every second one back to the driver; what is left must stay, new ones must be whole. What is
    only cached must come back before the host's memory is used (native: a retry)."""
    tensors = filled()[::2]
    torch.cuda.empty_cache()
    tensors += filled(options.count // 2)
    before = digest(tensors)
    del tensors
    cached = torch.cuda.memory_reserved() >> 20
    larger = filled(options.count // 2, 3 * WORDS // 2)
    stats = torch.cuda.memory_stats()
    notes["cached MiB before"] = cached
    notes["retries"] = stats.get("num_alloc_retries")
    notes["out of memory"] = stats.get("num_ooms")
    return before + " " + digest(larger)


def matrices(notes):
    """A chain through weights of which only some stay in VRAM."""
    generator = torch.Generator(device=CUDA).manual_seed(7)
    side = 4096
    rows = WORDS // side
    weights = [torch.randn(rows, side, device=CUDA, generator=generator) for _ in range(options.count)]
    x = torch.randn(64, side, device=CUDA, generator=generator)
    for weight in weights:
        x = (x @ weight.t()) @ weight
        x = x / x.abs().amax()
    notes["finite"] = bool(torch.isfinite(x).all())
    return digest([x, weights[0], weights[-1]])


def integer_product(notes):
    generator = torch.Generator(device=CUDA).manual_seed(8)
    ballast = filled()
    a = torch.randint(-128, 128, (1024, 4096), device=CUDA, generator=generator, dtype=torch.int8)
    b = torch.randint(-128, 128, (8192, 4096), device=CUDA, generator=generator, dtype=torch.int8)
    notes["ballast"] = len(ballast)
    return digest([torch._int_mm(a, b.t())])


def graph(notes):
    """Captured once, replayed with other inputs; the weight was allocated past the limit."""
    ballast = filled()
    generator = torch.Generator(device=CUDA).manual_seed(9)
    weight = torch.randn(4096, WORDS // 4096, device=CUDA, generator=generator)
    inputs = [torch.randn(32, 4096, device=CUDA, generator=generator) for _ in range(3)]
    x = inputs[0].clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        _ = x @ weight
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        y = (x @ weight).relu_()
    results = []
    for given in inputs:
        x.copy_(given)
        captured.replay()
        results.append(y.clone())
    direct = all(torch.equal((given @ weight).relu_(), y) for given, y in zip(inputs, results))
    notes["as without the graph"] = direct
    captured.reset()
    return digest(results + ballast[-1:])


def pinned_loaders(notes):
    """DataLoader's pinning thread, with and without worker processes; copies that do not block."""
    data = torch.arange(64 * (1 << 18), dtype=torch.int32).view(64, -1)
    loaded = []
    for workers in (0, 2):
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=8,
                                             num_workers=workers, pin_memory=True)
        for (batch,) in loader:
            notes["pinned"] = batch.is_pinned()
            loaded.append(batch.to(CUDA, non_blocking=True))
    return digest(loaded)


def pinned_copies(notes):
    """Uploads from pinned memory into blocks past the limit, downloads into pinned memory."""
    ballast = filled()
    source = torch.arange(WORDS, dtype=torch.int32).pin_memory()
    target = torch.empty(WORDS, dtype=torch.int32, pin_memory=True)
    there = [source.to(CUDA, non_blocking=True).add_(i) for i in range(4)]
    target.copy_(there[-1], non_blocking=True)
    torch.cuda.synchronize()
    notes["ballast"] = len(ballast)
    return digest([*there, target])


def streams(notes):
    """Blocks handed from stream to stream and freed while they are in use."""
    ballast = filled()
    several = [torch.cuda.Stream() for _ in range(4)]
    total = torch.zeros(1, dtype=torch.int64, device=CUDA)
    torch.cuda.synchronize()
    for i in range(100):
        first, second = several[i % 4], several[(i + 1) % 4]
        with torch.cuda.stream(first):
            block = torch.full((WORDS // 4,), i, dtype=torch.int32, device=CUDA)
        second.wait_stream(first)
        with torch.cuda.stream(second):
            block.add_(1)
            part = block.sum(dtype=torch.int64)
        block.record_stream(second)
        del block
        torch.cuda.current_stream().wait_stream(second)
        total += part
        part.record_stream(torch.cuda.current_stream())
    return f"{int(total)} {digest(ballast[-2:])}"


def memory_info(notes):
    """free + what PyTorch holds <= total, total constant."""
    held, totals, wrong = [], set(), []
    for step in range(options.count):
        free, total = torch.cuda.mem_get_info()
        totals.add(total)
        if step in (0, options.count // 2, options.count - 1):
            notes[f"free, total at {step}"] = [free, total]
        if free + torch.cuda.memory_reserved() > total:
            wrong.append(step)
        held += filled(1)
    notes["get_device_properties"] = torch.cuda.get_device_properties(0).total_memory
    return f"totals {len(totals)}, above the total {wrong}"


def too_much(notes):
    """More than any machine has: PyTorch's own error, and all goes on."""
    try:
        torch.empty(1 << 46, dtype=torch.uint8, device=CUDA)
        said = "allocated"
    except Exception as error:
        said = type(error).__name__
        notes["message"] = str(error)[:300]
    return f"{said}, then {digest(filled(2))}"


def sharing(notes):
    """With another process: of what was redirected it cannot work; what is said then."""
    tensors = filled()
    for name, tensor in (("first", tensors[0]), ("last", tensors[-1])):
        try:
            tensor.untyped_storage()._share_cuda_()
            notes[name] = "shared"
        except Exception as error:
            notes[name] = f"{type(error).__name__}: {str(error)[:200]}"
    return digest(tensors[-2:])


def main():
    fine = cases.run([allocator, integers, freed_and_again, matrices, integer_product, graph,
                      pinned_loaders, pinned_copies, streams, memory_info, too_much, sharing],
                     torch.cuda.empty_cache)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
