"""JAX with each of its allocators: integers, compared bit for bit without the library and with it.

    python tests/gpu/jax_blocks.py --allocator bfc|platform|cuda_async [--mib 128] [--count 20]
"""

import argparse
import os
import sys

import cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--allocator", choices=("bfc", "platform", "cuda_async"), required=True)
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    # Grow as needed, instead of taking most of the card at the start.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    os.environ["XLA_PYTHON_CLIENT_ALLOCATOR"] = options.allocator
    os.environ["JAX_PLATFORMS"] = "cuda"
    jax = cases.need("jax")
    numpy = cases.need("numpy")
    try:
        device = jax.devices("cuda")[0]
    except RuntimeError as error:
        cases.skip(f"JAX: {str(error)[:200]}")
    words = (options.mib << 20) // 4
    jnp = jax.numpy
    fill = jax.jit(lambda i: jnp.arange(words, dtype=jnp.int32) * (2 * i + 1) + i)
    mix = jax.jit(jnp.bitwise_xor)

    def filled(count=options.count):
        return [fill(jnp.int32(i)) for i in range(count)]

    def integers(notes):
        notes["jax"], notes["device"] = jax.__version__, str(device)
        blocks = filled()
        for i in range(1, len(blocks)):
            blocks[i] = mix(blocks[i], blocks[i - 1])
        return cases.digest(numpy.asarray(b) for b in blocks)

    def freed_and_again(notes):
        blocks = filled()
        kept = blocks[::2]
        del blocks
        kept += filled(options.count // 2)
        return cases.digest(numpy.asarray(b) for b in kept)

    def uploads(notes):
        source = numpy.arange(words, dtype=numpy.int32)
        there = [jax.device_put(source + i, device) for i in range(options.count)]
        notes["memory_stats"] = {k: v for k, v in (device.memory_stats() or {}).items()
                                 if k in ("bytes_in_use", "bytes_limit", "pool_bytes")}
        return cases.digest(numpy.asarray(b) for b in there)

    return 0 if cases.run([integers, freed_and_again, uploads]) else 1


if __name__ == "__main__":
    sys.exit(main())
