"""The specification's formulas, read independently of the code, over a table of machines, models
and settings: strategy and bytes as `hybridmem plan` computes them, to the byte.

Overhead is a percentage of total VRAM; the budget is (total - reserved - overhead) x factor; the pad
is what was given or max(2 GiB, 10 % of RAM); an estimate is max(2 GiB, bytes x 1.5 (GGUF) or 1.2).
Exact fractions here, whole bytes only at the end; a fraction of a byte is dropped.
"""

import itertools
import json
import subprocess
from fractions import Fraction

import pytest

from conftest import BUILD, GIB, MIB, clean_environment
from model_files import gguf_file, safetensors_file

SIZES = [100 * MIB, 1 * GIB, 3 * GIB + 12345 * MIB // 100, 6 * GIB, 12 * GIB, 40 * GIB]  # of tensors
MACHINES = list(itertools.product(
    [2, 6, 8, 12, 16, 24],  # GiB of VRAM
    [Fraction(0), Fraction(1, 16), Fraction(3, 8), Fraction(1)],  # of which others hold
    [(2, 1), (8, 6), (32, 24), (128, 120)],  # GiB of RAM, and available
))
SETTINGS = [("0.7", "15", "auto"), ("0.5", "10", "4"), ("0.9", "30", "0"), ("1", "0", "0.5"),
            ("0.333333333", "12.5", "100")]


def strategy(total, reserved, ram, available, numbers, factor, percent, pad):
    """(strategy, GPU bytes, host bytes, shortfall) of a model whose tensors and format are given."""
    size, is_gguf = numbers
    estimate = max(Fraction(2 * GIB), size * (Fraction(3, 2) if is_gguf else Fraction(6, 5)))
    estimate = int(estimate)
    overhead = int(total * Fraction(percent) / 100)
    budget = int(max(0, total - reserved - overhead) * Fraction(factor))
    kept = max(2 * GIB, ram // 10) if pad == "auto" else int(Fraction(pad) * GIB)
    room = max(0, available - kept)
    if estimate <= budget:
        return "gpu_only", estimate, 0, 0
    if estimate <= budget + room:
        return "gguf_hybrid", budget, estimate - budget, 0
    return "gguf_insufficient", budget, room, estimate - budget - room


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files that are headers only: each size in both formats."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for i, size in enumerate(SIZES):
        gguf = gguf_file(folder / f"{i}.gguf", [("blk.0.attn_q.weight", "F16", [size // 2])],
                         {"general.architecture": "flux"})
        other = safetensors_file(folder / f"{i}.safetensors", [("img_in.weight", "BF16", [size // 2])])
        found[str(gguf)] = (size // 2 * 2, True)
        found[str(other)] = (size // 2 * 2, False)
    return found


@pytest.mark.parametrize("factor, percent, pad", SETTINGS)
def test_strategy_and_bytes(models, factor, percent, pad):
    strategies = set()
    for vram, held, (ram, available) in MACHINES:
        total, reserved = vram * GIB, int(vram * GIB * held)
        done = subprocess.run(
            [BUILD / "hybridmem", "plan", "--json", "--vram", str(total), "--free", str(total - reserved),
             "--ram", str(ram * GIB), "--ram-free", str(available * GIB),
             "--set", f"conservative_factor={factor}", "--set", f"overhead_percent={percent}",
             "--set", f"system_ram_pad_gb={pad}", *models],
            env=clean_environment(), capture_output=True, text=True, timeout=60, check=True,
        )
        rows = json.loads(done.stdout)["models"]
        assert len(rows) == len(models)
        for row in rows:
            expected = strategy(total, reserved, ram * GIB, available * GIB, models[row["file"]],
                                factor, percent, pad)
            found = (row["strategy"], row["gpu_bytes"], row["host_bytes"], row["shortfall"])
            assert found == expected, (vram, held, ram, row["file"])
            strategies.add(row["strategy"])
    assert strategies == {"gpu_only", "gguf_hybrid", "gguf_insufficient"}
