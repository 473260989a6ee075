"""The probe of tests/gpu on the simulated driver: a smoke test, since what it asks a real GPU cannot
be tried here."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / (os.environ.get("BUILD") or "build")


def test_probe_answers_on_the_simulated_driver(tmp_path):
    probe = tmp_path / "probe"
    sources = sorted(str(s) for s in Path(__file__).parent.glob("*.c"))
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-I.",
                    "-Itests/sim/include", *sources, "-o", probe, "-ldl"], cwd=ROOT, check=True)
    env = {"LD_LIBRARY_PATH": str(BUILD / "sim"), "SIMCUDA_VRAM": "1GiB", "PATH": os.environ["PATH"]}
    done = subprocess.run([probe, "--small"], env=env, stdout=subprocess.PIPE, timeout=120, text=True)
    assert done.returncode == 0
    cells = {(a["table"], a["row"], a["column"]): a["value"] for a in json.loads(done.stdout)["answers"]}
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


def test_gpu_check_says_that_there_is_no_gpu():
    check = subprocess.run([ROOT / "scripts/gpu-check", "--no-build", "--quick"], stdout=subprocess.PIPE,
                           text=True, timeout=300)
    assert check.returncode == (0 if Path("/dev/nvidia0").exists() else 77), check.stdout
