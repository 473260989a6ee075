"""Corners that a careful reader of the library would try."""

import os
import subprocess

import pytest
from conftest import ALL_TO_HOST, BUILD, MIB, ROOT, SHIM, STEADY, clean_environment

QUIET = {"HYBRIDMEM_LOG": "error"}


CASES = [
    "capture-ended-elsewhere",
    "empty-copies",
    "no-context",
    "other-contexts-stream",
    "other-contexts-stream-beside-a-capture",
    "over-the-end",
    "over-the-end-beside-arrays",
]


@pytest.mark.parametrize("case", CASES)
def test_as_the_driver_alone(run, case):
    bare = run("host_direct_corners", case)
    env = {**STEADY, **ALL_TO_HOST, **QUIET, "HYBRIDMEM_HOST_LIMIT": "3MiB"}
    if case.startswith("over-the-end"):
        env["HYBRIDMEM_HOST_LIMIT"] = "16MiB"  # neighbours in one arena
    done = run("host_direct_corners", case, shim=True, env=env)
    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout) == (0, bare.stdout)
    assert done.device["redirected_allocations"] > 0
    assert done.report == bare.report


def test_capture_ends_with_its_stream(run):
    env = {**STEADY, "HYBRIDMEM_VRAM_LIMIT": "8MiB"}
    done = run("host_direct_corners", "abandoned-capture", shim=True, env=env)
    assert done.stdout == "destroy: CUDA_SUCCESS\ndone\n"
    assert done.device["device_bytes_peak"] <= 8 * MIB
    assert done.device["redirected_allocations"] == 3


@pytest.mark.parametrize("backing", ["registered", "pinned"])
def test_a_capture_is_none_the_worse_for_what_is_pinned_beside_it(run, backing):
    """The driver has no room for the 48 MiB: they overflow."""
    bare = run("host_direct_corners", "beside-a-capture")
    assert bare.stdout == "48 MiB: CUDA_SUCCESS\nend: CUDA_SUCCESS\ndone\n"
    env = {**STEADY, **ALL_TO_HOST, **QUIET, "SIMCUDA_VRAM": "32MiB", "HYBRIDMEM_BACKING": backing}
    done = run("host_direct_corners", "beside-a-capture", shim=True, env=env)
    assert (done.stdout, done.report) == (bare.stdout, "")
    assert done.device["redirected_bytes"] >= 50 * MIB


def test_a_large_place_is_not_worn_down(run):
    env = {**STEADY, **QUIET, "SIMCUDA_VRAM": "1MiB", "HYBRIDMEM_HOST_LIMIT": "66MiB"}
    done = run("host_direct_corners", "shrinking", shim=True, env=env)
    assert done.stdout == "8 MiB: CUDA_SUCCESS\n" * 7 + "done\n"


@pytest.mark.parametrize("placement", ["strict", "device_first"])
@pytest.mark.parametrize("pool", ["kept-by-the-pool", "kept-by-its-own-pool"])
def test_what_a_pool_keeps_is_the_hosts_own(run, placement, pool):
    """64 MiB card, 45.5 MiB budget: 40 MiB that the pool keeps are neither others' (then the second
    allocation would overflow) nor lost to cuMemAlloc (then the third would)."""
    env = {
        **STEADY,
        "SIMCUDA_VRAM": "64MiB",
        "HYBRIDMEM_OVERHEAD_PERCENT": "0",
        "HYBRIDMEM_PLACEMENT": placement,
        "HYBRIDMEM_STATS_TTL_MS": "0",
        **QUIET,
    }
    done = run("host_direct_corners", pool, shim=True, env=env)
    assert done.stdout == "done\n", done.stdout + done.stderr
    assert done.device["redirected_allocations"] == 0


def test_threads_together_stay_within_the_limit(run):
    env = {**STEADY, **ALL_TO_HOST, **QUIET, "HYBRIDMEM_HOST_LIMIT": "32MiB"}
    done = run("host_direct_corners", "all-at-once", shim=True, env=env)
    assert done.stdout == "done\n"
    assert done.stats["host_pinned_peak"] <= 32 * MIB


def test_a_child_forked_before_cuinit_is_served(run, tmp_path):
    log = tmp_path / "log"
    env = {**STEADY, **ALL_TO_HOST, "HYBRIDMEM_LOG": "debug", "HYBRIDMEM_LOG_FILE": str(log)}
    done = run("host_direct_corners", "fork-first", shim=True, env=env)
    assert done.stdout == "before: CUDA_ERROR_NOT_INITIALIZED\nchild: allocated\n"
    assert log.read_text().count("4.0 MiB to host memory") == 4


def test_a_cloned_child_ends_in_silence(run, tmp_path):
    """It has none of the parent's memory, and nothing to say of it: one summary, one file."""
    stats = tmp_path / "stats-%p"
    env = {**STEADY, **ALL_TO_HOST, **QUIET, "HYBRIDMEM_SUMMARY": "true", "HYBRIDMEM_STATS_FILE": str(stats)}
    done = run("host_direct_corners", "cloned-child", shim=True, env=env)
    assert done.stdout == "done\n", done.stdout + done.stderr
    assert done.stderr.count("hybridmem: cuda:0") == 1
    assert len(list(tmp_path.glob("stats-*"))) == 1


def test_a_constructor_asks_while_another_thread_begins(run, tmp_path):
    """The loader's lock and ours: with a policy file both are taken at once."""
    policy = {"HYBRIDMEM_POLICY": str(ROOT / "config/default.json")}
    library = BUILD / "hosts/libpreload_constructor.so"
    for _ in range(5):
        done = run("host_direct_constructor", library, shim=True, env=policy, timeout=20)
        assert (done.returncode, done.stdout) == (0, "done\n")


def host_environment(env):
    full = {**clean_environment(), **env, "LD_LIBRARY_PATH": str(BUILD / "sim")}
    return {**full, "LD_PRELOAD": str(SHIM)}


def test_a_reader_that_is_gone(unsanitised):
    """A line on a stderr that nobody reads must not kill a host that never wrote there."""
    read, write = os.pipe()
    os.close(read)
    env = host_environment({"HYBRIDMEM_LOG": "debug", "HYBRIDMEM_SUMMARY": "true"})
    done = subprocess.run(
        [BUILD / "hosts/host_direct_script"], env=env, stdout=subprocess.PIPE, stderr=write, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert done.stdout.endswith(b"done\n")


def test_log_file_keeps_no_descriptor(run, tmp_path, unsanitised):
    """A host may close every descriptor that it did not open, and open its own."""
    log = tmp_path / "log"
    env = {**STEADY, **ALL_TO_HOST, "HYBRIDMEM_LOG": "debug", "HYBRIDMEM_LOG_FILE": str(log)}
    program = (
        "import ctypes, os; cu = ctypes.CDLL('libcuda.so.1'); cu.cuInit(0); c = ctypes.c_void_p();"
        "cu.cuDevicePrimaryCtxRetain(ctypes.byref(c), 0); before = set(os.listdir('/proc/self/fd'));"
        "cu.cuCtxSetCurrent(c); p = ctypes.c_uint64(); cu.cuMemAlloc_v2(ctypes.byref(p), 4 << 20);"
        "print(set(os.listdir('/proc/self/fd')) == before)"
    )
    done = run.program(["/usr/bin/python3", "-c", program], shim=True, env=env)
    assert done.stdout == "True\n"
    assert "to host memory at" in log.read_text()


def test_dlerror_after_a_failed_look_up(unsanitised):
    """p = dlsym(...); if (dlerror()) ... is the usual idiom: it must not call NULL."""
    program = (
        "import ctypes; d = ctypes.CDLL(None); d.dlsym.restype = ctypes.c_void_p;"
        "d.dlerror.restype = ctypes.c_char_p; d.dlerror();"
        "print(d.dlsym(None, b'cuMemAlloc_v2'), b'cuMemAlloc_v2' in (d.dlerror() or b''))"
    )
    for preload in ("", str(SHIM)):
        env = {**clean_environment(), "LD_PRELOAD": preload}
        done = subprocess.run(
            ["/usr/bin/python3", "-c", program], env=env, capture_output=True, text=True, check=False
        )
        assert done.stdout == "None True\n", preload
