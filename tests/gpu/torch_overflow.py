"""Allocates more with PyTorch than hybridmem lets it keep in VRAM, and verifies every byte.

    LD_PRELOAD=build/libhybridmem.so HYBRIDMEM_VRAM_LIMIT=2GiB \
        python tests/gpu/torch_overflow.py --limit-mib 2048

Plain device allocations only (torch's caching allocator over cudaMalloc). The last line printed is
a JSON object; exit code 1 if a tensor was wrong.
"""

import argparse
import json
import sys

import torch

BLOCK = 256 << 20  # bytes of one tensor
WORDS = BLOCK // 4


def wrong_words(tensor, value):
    """Counts on the GPU, then looks at the ends through a copy to the CPU."""
    bad = int((tensor != value).sum().item())
    ends = torch.cat([tensor[:1024], tensor[-1024:]]).cpu()
    return bad + int((ends != value).sum().item())


def uploads_and_downloads(device):
    """Pageable and pinned uploads into fresh blocks; back again byte by byte."""
    bad = 0
    source = torch.arange(WORDS, dtype=torch.int32)
    for host in (source, source.pin_memory()):
        there = host.to(device, non_blocking=host.is_pinned())
        torch.cuda.synchronize()
        bad += int((there.cpu() != source).sum().item())
    return bad


def matrices(device):
    """A product whose exact result is known: small integers in float32."""
    size = 4096
    a = torch.full((size, size), 2.0, device=device)
    b = torch.full((size, size), 3.0, device=device)
    return int(((a @ b) != 6.0 * size).sum().item())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit-mib", type=int, required=True, help="what HYBRIDMEM_VRAM_LIMIT says")
    options = parser.parse_args()
    device = torch.device("cuda:0")
    count = 3 * (options.limit_mib << 20) // BLOCK  # three times the limit
    tensors = [torch.full((WORDS,), i, dtype=torch.int32, device=device) for i in range(count)]
    for i, tensor in enumerate(tensors):
        tensor.add_(1000 + i)
    values = [2 * i + 1000 for i in range(count)]
    bad = sum(wrong_words(t, v) for t, v in zip(tensors, values))
    bad += uploads_and_downloads(device)
    bad += matrices(device)
    # Every second one goes back to the driver; what is left must stay, and new ones must be whole.
    tensors, values = tensors[::2], values[::2]
    torch.cuda.empty_cache()
    for i in range(count // 2):
        tensors.append(torch.full((WORDS,), -i, dtype=torch.int32, device=device))
        values.append(-i)
    tensors[0].copy_(tensors[-1])  # between blocks, wherever each of them lies
    values[0] = values[-1]
    bad += sum(wrong_words(t, v) for t, v in zip(tensors, values))
    free, total = torch.cuda.mem_get_info()
    print(json.dumps({"torch": torch.__version__, "tensors": count, "mib": count * BLOCK >> 20,
                      "mismatches": bad, "free": free, "total": total}))
    return 1 if bad or free > total else 0


if __name__ == "__main__":
    sys.exit(main())
