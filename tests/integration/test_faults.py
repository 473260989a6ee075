"""Whatever call fails, and at whichever time: nothing the host owns is lost, and what it sees is the
driver's own answer."""

import re

import pytest
from conftest import ALL_TO_HOST, BUILD, SHIM, STEADY

# A card that holds part of what the host asks for, so that both places are in use, and room for one
# arena, so that it is used again and again, and waited for; each verdict polls.
SMALL = {
    **STEADY,
    "HYBRIDMEM_HOST_LIMIT": "16MiB",
    "SIMCUDA_VRAM": "12MiB",
    "HYBRIDMEM_MIN_REDIRECT": "64KiB",
    "HYBRIDMEM_STATS_TTL_MS": "0",
}
QUIET = {"HYBRIDMEM_LOG": "error"}
CLEAN = "words wrong: 0\ndone\n"

# Each driver function that the library calls by itself, and how often the run below does at least.
CALLED = {
    "cuMemHostRegister_v2": 1,
    "cuMemHostGetDevicePointer_v2": 1,
    "cuMemHostUnregister": 1,
    "cuDeviceGetAttribute": 1,
    "cuDeviceGet": 2,
    "cuCtxSynchronize": 3,
    "cuCtxGetCurrent": 8,
    "cuCtxGetDevice": 1,
    "cuMemGetInfo_v2": 6,
    "cuMemAlloc_v2": 6,
    "cuMemFree_v2": 4,
    "cuDevicePrimaryCtxGetState": 1,
}


@pytest.mark.parametrize(
    "function,n", [(f, n) for f, times in CALLED.items() for n in range(1, times + 1)]
)
def test_nth_driver_call_fails(run, tmp_path, function, n):
    # out of memory is what hybridmem is about; 999 (unknown) is any other failure
    for code in ("2", "999"):
        fault = {"SIMCUDA_FAIL": f"{function}:{n}:{code}"}
        # the call may be the host's own: on a card with room it then stops with the same words
        bare = run("host_direct_churn", 300, 1, 3, env=fault)
        log = tmp_path / code
        env = {**SMALL, **fault, **QUIET, "SIMCUDA_LOG": str(log)}
        done = run("host_direct_churn", 300, 1, 3, shim=True, env=env)
        failed = r" %s\(.*\)=CUDA_ERROR_(OUT_OF_MEMORY|UNKNOWN)\n" % function
        assert re.search(failed, log.read_text()), f"{function} was not called {n} times"
        assert done.stdout in (CLEAN, bare.stdout), done.stdout + done.stderr
        assert done.report == "" or done.stdout != CLEAN


@pytest.mark.parametrize("function", ["cuMemHostRegister_v2", "cuMemHostGetDevicePointer_v2"])
def test_pinning_never_works(run, function):
    """Registration refused throughout: cuMemHostAlloc takes its place."""
    env = {**STEADY, **ALL_TO_HOST, "SIMCUDA_FAIL": f"{function}:*:999"}
    done = run("host_direct_overflow", 4, "8MiB", shim=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.report == ""
    expected = 4 * (8 << 20) if function == "cuMemHostRegister_v2" else 0
    assert done.device["redirected_bytes"] >= expected


def test_nothing_can_be_pinned(run):
    """Then VRAM is used beyond the budget, and a warning names the option."""
    env = {
        **STEADY,
        **ALL_TO_HOST,
        "SIMCUDA_VRAM": "64MiB",
        "SIMCUDA_FAIL": "cuMemHostRegister_v2:*:2,cuMemHostAlloc:*:2",
    }
    done = run("host_direct_overflow", 4, "8MiB", shim=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.device["redirected_bytes"] == 0
    assert "HYBRIDMEM_BACKING" in done.stderr
    done = run("host_direct_overflow", 16, "8MiB", shim=True, env=env)
    assert done.returncode == 1
    assert "CUDA_ERROR_OUT_OF_MEMORY" in done.stdout


@pytest.mark.parametrize("n", range(1, 13))
def test_nth_mmap_fails(run, tmp_path, n):
    log = tmp_path / "log"
    libraries = [BUILD / "hosts/libpreload_mmap.so", SHIM]
    env = {**SMALL, **QUIET, "FAIL_MMAP": str(n), "SYSTEM_LOG": str(log)}
    done = run("host_direct_churn", 300, 1, 3, preload=libraries, env=env)
    assert done.stdout == CLEAN, done.stdout + done.stderr
    assert done.report == ""
    assert f"mmap failed {n}\n" in log.read_text()


@pytest.mark.parametrize("seed", range(1, 4))
def test_churn(run, seed):
    """Random allocations and frees on four threads, half of them redirected."""
    done = run("host_direct_churn", 400, 4, seed, shim=True, env=SMALL)
    assert done.stdout == CLEAN, done.stdout + done.stderr
    assert done.report == ""
    assert done.device["redirected_allocations"] > 0
    assert done.device["host_bytes"] == 0
    assert done.device["device_bytes"] == 0


STREAM_ORDERED = {**STEADY, **QUIET, **ALL_TO_HOST, "HYBRIDMEM_HOST_LIMIT": "40MiB"}


@pytest.mark.parametrize("seed", range(1, 5))
def test_stream_order(run, seed):
    """Redirected blocks freed in stream order while work on them waits, in little memory."""
    done = run("host_direct_stream_ordered", 500, 3, seed, shim=True, env=STREAM_ORDERED)
    assert done.stdout == CLEAN, done.stdout + done.stderr
    assert done.report == ""
    assert done.device["redirected_allocations"] > 500
    assert done.device["host_bytes"] == 0


@pytest.mark.parametrize("function", ["cuEventCreate", "cuEventRecord", "cuEventQuery"])
@pytest.mark.parametrize("n", [1, 2, 30, "*"])
def test_an_event_fails(run, tmp_path, function, n):
    """Then a block waits until its context is idle."""
    log = tmp_path / "log"
    fault = {"SIMCUDA_FAIL": f"{function}:{n}:999", "SIMCUDA_LOG": str(log)}
    bare = run("host_direct_stream_ordered", 400, 1, 1, env=fault)
    done = run("host_direct_stream_ordered", 400, 1, 1, shim=True, env={**STREAM_ORDERED, **fault})
    assert done.stdout in (CLEAN, bare.stdout), done.stdout + done.stderr
    assert done.report == "" or done.stdout != CLEAN
    assert re.search(r" %s\(.*\)=CUDA_ERROR_UNKNOWN\n" % function, log.read_text())
