"""The probe of tests/gpu on the simulated driver: a smoke test, since what it asks a real GPU cannot
be tried here."""

import os
import re
import subprocess
from pathlib import Path

import gpu_report
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / (os.environ.get("BUILD") or "build")


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Runs a part of the probe: its exit code, its cells, what the simulated driver complained of."""
    probe = tmp_path_factory.mktemp("probe") / "probe"
    sources = sorted(str(s) for s in Path(__file__).parent.glob("*.c"))
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-I.",
                    "-Itests/sim/include", *sources, "-o", probe, "-ldl", "-pthread"], cwd=ROOT, check=True)

    def run(part, **settings):
        env = {"LD_LIBRARY_PATH": str(BUILD / "sim"), "SIMCUDA_VRAM": "1GiB", "PATH": os.environ["PATH"], **settings}
        done = subprocess.run([probe, part, "--small"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120, text=True)
        answers = gpu_report.probe_answers(done.stdout)
        return done.returncode, {(a["table"], a["row"], a["column"]): a["value"] for a in answers}, done.stderr

    return run


def test_probe_answers_on_the_simulated_driver(ask):
    code, cells, _ = ask("facts")
    assert code == 0
    tables = {table for table, _, _ in cells}
    assert tables >= {"speed", "cost per GiB", "pointer attributes", "writing to it as device memory",
                      "calls on its address", "device attributes", "cuGetProcAddress and dlsym",
                      "calls beside a running kernel", "pinned PORTABLE, then its context ended",
                      "physical memory", "the default pool's numbers", "free memory, bytes",
                      "calls of the thread whose stream captures",
                      "cuMemcpyAsync from host to host behind a kernel"}
    # What the simulator promises, so that the probe cannot pass by answering nothing.
    assert cells["writing to it as device memory", "cuMemcpyHtoD", "cuMemAlloc"] == "ok"
    assert cells["pointer attributes", "MEMORY_TYPE", "cuMemAlloc"] == "2"
    assert cells["pointer attributes", "MEMORY_TYPE", "cuMemHostAlloc"] == "1"
    assert cells["calls beside a running kernel", "cuMemFree", "waited"] == "yes"
    assert cells["physical memory", "import of the descriptor", "HOST_NUMA, for a descriptor"] == "ok"
    assert cells["physical memory", "export as a descriptor", "HOST_NUMA"] == "INVALID_VALUE"
    assert cells["pointer attributes", "MEMORY_TYPE", "of a pool"] == "2"
    assert cells["the default pool's numbers", "after an allocation of 4 MiB", "used"] == str(4 << 20)
    assert cells["the default pool's numbers", "after trimming to 0", "reserved"] == "0"
    free = {row: int(value) for (table, row, column), value in cells.items()
            if (table, column) == ("free memory, bytes", "cuMemGetInfo free")}
    assert free["at first"] == free["at last"] == free["with 3 MiB"] + (3 << 20)
    assert (cells["calls of the thread whose stream captures", "cuMemAlloc", "global"]
            == "STREAM_CAPTURE_UNSUPPORTED; capture invalidated, its end STREAM_CAPTURE_INVALIDATED")
    assert cells["device attributes", "CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM (91)", "value"] == "1"


def test_parts_are_those_of_the_check(ask):
    text = (ROOT / "scripts/gpu-check").read_text()
    parts = re.findall(r'"([\w-]+)"', re.search(r"(?m)^PROBES = (.*)$", text)[1])
    code, _, said = ask("no-such-part")
    assert code == 2 and said.split("PART of:")[1].split() == parts


MOVED = "memory moved behind its address"


def test_moves(ask):
    code, cells, said = ask("moves")
    assert (code, said) == (0, "")
    assert cells[MOVED, "moves, to host memory and back", "answer"] == "100 of 100, ok"
    for way in ("a kernel", "cuMemcpyDtoH", "cuMemcpyDtoD"):
        assert cells[MOVED, way, "right before"] == cells[MOVED, way, "right after"] == "100"
    for way in ("cuCtxSynchronize", "an event"):
        assert cells["another thread's stream across a move", "right after", f"waited for by {way}"] == "20 of 20"
    needed = {row: value for (table, row, column), value in cells.items() if column == "as needed"}
    assert len(needed) == 5 and set(needed.values()) == {"yes"}
    assert cells[MOVED, "a stream from before", "answer"] == "right; cuEventRecord ok, elapsed ok"
    free = {column: value for (_, row, column), value in cells.items() if row == "free VRAM, MiB"}
    assert free == {"in VRAM": "-16.0", "moved down": "+16.0", "moved up again": "-16.0", "given back": "+16.0"}


@pytest.mark.parametrize("settings,cell,answer", [
    ({"SIMCUDA_FAIL": "cuMemMap:30:999"}, (MOVED, "moves, to host memory and back", "answer"), "cuMemMap: UNKNOWN"),
    # Copies that move only a part of their bytes.
    ({"SIMCUDA_CONTENT": "4096"}, (MOVED, "cuMemcpyDtoH", "right after"), "0"),
    ({"SIMCUDA_FAIL": "cuCtxRecordEvent:2:999"},
     ("an event of the whole context", "in the thread's default stream", "as needed"), "no"),
    ({"SIMCUDA_FAIL": "cuCtxRecordEvent:7:999"},
     ("another thread's stream across a move", "moves", "waited for by an event"), "1 of 20, waiting: UNKNOWN"),
    ({"SIMCUDA_HOST_NUMA": "0"}, (MOVED, "the move for these", "answer"), "cuMemCreate: ")])
def test_moves_that_fail_are_told(ask, settings, cell, answer):
    code, cells, _ = ask("moves", **settings)
    assert code == 1 and (answer in cells[cell] if len(answer) > 2 else answer == cells[cell])


@pytest.mark.parametrize("part", ["facts", "moves"])
def test_older_drivers(ask, part):
    """Which have no event of a whole context, so that nothing is lent."""
    code, cells, said = ask(part, LD_LIBRARY_PATH=f"{BUILD}/sim/12.2:{BUILD}/sim", SIMCUDA_DRIVER="12.2")
    assert code == 0 and len(cells) > 20, said
    if part == "moves":
        assert cells["an event of the whole context", "cuCtxRecordEvent", "cuCtxRecordEvent"] == "absent"
        assert cells["another thread's stream across a move", "right after", "waited for by cuCtxSynchronize"] == "20 of 20"


@pytest.mark.parametrize("part,node", [
    ("graph-kernel", "kernel"), ("graph-copy-from", "copy from it to VRAM"), ("graph-copy-to", "copy from VRAM to it"),
    ("graph-download", "copy to pinned memory"), ("graph-set", "set")])
def test_graphs_across_a_move(ask, part, node):
    """The simulated driver complains of all but kernels; the bytes arrive."""
    code, cells, said = ask(part)
    rows = {row: value for (_, row, column), value in cells.items() if column == node}
    assert code == 0 and list(rows) == ["made", "launched", "the move", "launched after it", "instantiated after it",
                                        "the move back", "launched at last"]
    assert rows["launched"] == rows["launched after it"] == "right"
    assert ("the memory was moved since the graph was made" in said) == (part != "graph-kernel")


def test_gpu_check_says_that_there_is_no_gpu():
    check = subprocess.run([ROOT / "scripts/gpu-check", "--no-build", "--quick"], stdout=subprocess.PIPE,
                           text=True, timeout=300)
    assert check.returncode == (0 if Path("/dev/nvidia0").exists() else 77), check.stdout
