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
                      "calls beside a running kernel", "pinned PORTABLE, then its context ended"}
    # What the simulator promises, so that the probe cannot pass by answering nothing.
    assert cells["writing to it as device memory", "cuMemcpyHtoD", "cuMemAlloc"] == "ok"
    assert cells["pointer attributes", "MEMORY_TYPE", "cuMemAlloc"] == "2"
    assert cells["pointer attributes", "MEMORY_TYPE", "cuMemHostAlloc"] == "1"
    assert cells["calls beside a running kernel", "cuMemFree", "waited"] == "yes"
    assert cells["device attributes", "CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM (91)", "value"] == "1"


def test_gpu_check_says_that_there_is_no_gpu():
    check = subprocess.run([ROOT / "scripts/gpu-check", "--no-build", "--quick"], stdout=subprocess.PIPE,
                           text=True, timeout=300)
    assert check.returncode == (0 if Path("/dev/nvidia0").exists() else 77), check.stdout
