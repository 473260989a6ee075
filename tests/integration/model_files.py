"""Model files written byte by byte; their data is a hole, so that they may be of any size."""

import json
import os
import struct
import subprocess

from conftest import ROOT

# name -> (number, elements of a block, bytes of a block)
GGML = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210), "I8": (24, 1, 1)}
SAFETENSORS = {"U8": 1, "BF16": 2, "F32": 4}


def product(shape):
    result = 1
    for n in shape:
        result *= n
    return result


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(content):
    if isinstance(content, int):
        return struct.pack("<II", 4, content)
    if isinstance(content, list):
        return struct.pack("<IIQ", 9, 8, len(content)) + b"".join(map(text, content))
    return struct.pack("<I", 8) + text(content)


def gguf_file(path, tensors, metadata):
    """tensors: (name, type, shape), the shape with the fastest dimension first."""
    out = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))]
    out += [text(key) + value(content) for key, content in metadata.items()]
    at = 0
    for name, kind, shape in tensors:
        number, block, size = GGML[kind]
        out.append(text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        out.append(struct.pack("<IQ", number, at))
        at += -(-(product(shape) // block * size) // 32) * 32
    header = b"".join(out)
    path.write_bytes(header)
    os.truncate(path, -(-len(header) // 32) * 32 + at)
    return path


def parts(folder, name, tensors, count, metadata):
    """A model in `count` files; the first has the metadata, as llama.cpp splits."""
    size = -(-len(tensors) // count)
    bounds = [0, size, *(size + (len(tensors) - size) * i // (count - 1) for i in range(1, count))]
    found = []
    for i in range(count):
        split = {"split.no": i, "split.count": count, "split.tensors.count": len(tensors)}
        path = folder / f"{name}-{i + 1:05}-of-{count:05}.gguf"
        chosen = tensors[bounds[i] : bounds[i + 1]]
        found.append(gguf_file(path, chosen, {**(metadata if i == 0 else {}), **split}))
    return found


def safetensors_file(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape in tensors:
        end = at + product(shape) * SAFETENSORS[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    os.truncate(path, 8 + len(raw) + at)
    return path


def real_packages():
    """A Python that has the packages gguf and safetensors: that of build/venv, or the one that
    HM_MODEL_PYTHON names. None if there is neither."""
    for python in (ROOT / "build/venv/bin/python", os.environ.get("HM_MODEL_PYTHON", "")):
        if python and os.access(python, os.X_OK):
            probe = [str(python), "-c", "import gguf, numpy, safetensors"]
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return python
    return None
