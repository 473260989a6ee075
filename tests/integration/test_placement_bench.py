"""The placement benchmark (tests/bench/placement): its small trace from end to end, the simulated
driver's times against an independent sum, and its optimum against trying everything."""

import itertools
import json
import random
import subprocess
import sys

import pytest
from conftest import ALL_TO_HOST, BUILD, GIB, ROOT, STEADY, clean_environment

FOLDER = ROOT / "tests/bench/placement"
sys.path.insert(0, str(FOLDER))
import optimum  # noqa: E402
import traces  # noqa: E402

COST = optimum.Cost(vram=100, pcie=10, ram=20, launch=5)
TIMED = {"SIMCUDA_COST": COST.setting(), "SIMCUDA_CONTENT": "64"}


def seconds(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.report == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[-1] == ["verified", "13", "uploads"]
    return sum(float(line[1]) for line in lines[:-1]) / 1e6


@pytest.fixture
def tiny(tmp_path):
    trace = traces.tiny()
    path = trace.write(tmp_path)
    best = optimum.optimum(trace.text(), COST, trace.card, trace.card // 2)
    return path, best


REPLAY = BUILD / "bench/placement_replay"


def test_all_in_vram_takes_the_time_that_the_trace_adds_up_to(run, tiny):
    path, best = tiny
    played = run.program([REPLAY, path], env=TIMED)
    assert seconds(played) == pytest.approx(best.everything_in_vram, rel=1e-3)


def test_all_in_host_memory_too(run, tiny):
    path, best = tiny
    played = run.program([REPLAY, path], shim=True, env={**TIMED, **STEADY, **ALL_TO_HOST})
    assert played.device["device_bytes_peak"] < 1 << 20
    assert seconds(played) == pytest.approx(best.everything_in_host, rel=1e-3)
    assert best.everything_in_host > 5 * best.everything_in_vram


def test_a_trace_that_makes_no_sense_is_refused(run, tmp_path):
    for text in ("alloc 0\n", "move 0:1 1:1 2:1 3:1 4:1\n", "fly\n", "free 99999999999\n"):
        path = tmp_path / "bad.trace"
        path.write_text(text)
        assert run.program([REPLAY, path]).returncode == 2, text
    path.write_text("free 3\n")
    played = run.program([REPLAY, path])
    assert (played.returncode, played.stdout) == (1, "wrong: block 3 is not allocated\n")


def test_the_small_trace_from_end_to_end(unsanitised):
    done = subprocess.run(
        [FOLDER / "run", "--build", BUILD, "--json", "tiny"],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)["tiny"]
    best = result["optimum"]
    assert best["everything_in_vram"] <= best["bound"] <= best["found"] <= best["everything_in_host"]
    assert best["found"] <= best["within"]
    for column in ("first-come", "strict", "hybridmem", "whole card"):
        assert result[column]["seconds"] >= best["bound"] * 0.9999, column
        assert result[column]["vram"] > 100 << 20
        assert result[column]["host"] > 10 << 20
    assert result["strict"]["vram"] < 0.7 * 0.85 * (768 << 20) < result["first-come"]["vram"]


def blocks_at_random(dice, sizes):
    """Up to nine blocks with a life and a gain; PEAKS lie between their births and deaths."""
    blocks = []
    for _ in range(dice.randint(1, 9)):
        born, died = sorted(dice.sample(range(8), 2))
        blocks.append(optimum.Block(dice.choice(sizes), 10 * born, 10 * died, 0, dice.randint(0, 50)))
    return blocks


PEAKS = [10 * i + 5 for i in range(8)]


def best_by_trying(blocks, capacity):
    most = 0
    for chosen in itertools.product((False, True), repeat=len(blocks)):
        kept = [block for block, keep in zip(blocks, chosen) if keep]
        if all(sum(b.bytes for b in kept if b.born <= peak < b.died) <= capacity for peak in PEAKS):
            most = max(most, sum(block.in_host for block in kept))
    return most


def test_the_bound_is_the_optimum_where_blocks_are_of_one_size():
    dice = random.Random(1)
    for _ in range(60):
        blocks = blocks_at_random(dice, (64,))
        capacity = 64 * dice.randint(1, 3)
        best = best_by_trying(blocks, capacity)
        assert optimum.bound(blocks, PEAKS, capacity) == pytest.approx(best, rel=1e-4)
        assert optimum.found(blocks, PEAKS, capacity)[0] <= best


def test_the_bound_is_never_passed():
    dice = random.Random(2)
    for _ in range(60):
        blocks = blocks_at_random(dice, (16, 40, 64, 100))
        capacity = dice.randint(16, 200)
        best = best_by_trying(blocks, capacity)
        assert optimum.bound(blocks, PEAKS, capacity) >= best * 0.9999
        assert optimum.found(blocks, PEAKS, capacity)[0] <= best


def test_every_trace_is_sound():
    """What is freed was allocated, kernels touch what lives, a repetition changes nothing."""
    for make in traces.TRACES.values():
        trace = make()
        blocks, peaks, _ = optimum.read(trace.text(), COST)
        assert blocks and peaks
        assert sum(b.bytes for b in blocks if b.uploaded) > 5 * GIB
