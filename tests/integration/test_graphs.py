"""Stream capture: nothing is redirected, recorded or waited for behind the host's back while it lasts."""

import re

import pytest
from conftest import ALL_TO_HOST, STEADY

# None of these is the host's between the ends of its captures (tests/hosts/host_direct_graphs.c).
NEVER = {
    "cuCtxSynchronize",
    "cuStreamSynchronize",
    "cuStreamSynchronize_ptsz",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventRecord_ptsz",
    "cuEventQuery",
    "cuMemAlloc_v2",
    "cuMemHostAlloc",
    "cuMemHostRegister_v2",
    "cuMemHostUnregister",
    "cuMemFreeHost",
    "cuMemPoolTrimTo",
}
# The host asks for as much as there is room for, and for more.
LIMITS = {"roomy": "3GiB", "tight": "14MiB"}


def captures(log):
    lines = re.findall(r"^T0 (\w+)\((.*)\)=(\w+)$", log.read_text(), re.M)
    inside, found = False, []
    for function, arguments, result in lines:
        if function.startswith("cuStreamBeginCapture"):
            inside = True
            found.append([])
        elif function == "cuStreamEndCapture":
            inside = False
        elif inside:
            found[-1].append((function, arguments, result))
    return found


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("backing", ["registered", "pinned"])
def test_captures_stay_the_hosts_own(run, tmp_path, limit, backing):
    bare = run("host_direct_graphs", env={"SIMCUDA_LOG": str(tmp_path / "bare")})
    env = {
        **STEADY,
        **ALL_TO_HOST,
        "HYBRIDMEM_HOST_LIMIT": LIMITS[limit],
        "HYBRIDMEM_BACKING": backing,
        "HYBRIDMEM_LOG": "error",
        "SIMCUDA_LOG": str(tmp_path / "log"),
    }
    done = run("host_direct_graphs", shim=True, env=env)
    assert done.stdout == bare.stdout, done.stdout + done.stderr
    assert done.report == ""
    assert done.device["redirected_allocations"] > 10
    own, shimmed = captures(tmp_path / "bare"), captures(tmp_path / "log")
    assert len(own) == len(shimmed) == 3
    for bare_calls, calls in zip(own, shimmed):
        functions = [function for function, _, _ in calls]
        assert not NEVER & {function for function, _, _ in bare_calls}
        assert not NEVER & set(functions)
        # All that the host allocates meanwhile, in the capture and beside it, is the driver's.
        assert functions.count("cuMemAllocAsync") == 3
        assert "CUDA_ERROR" not in " ".join(result for function, _, result in calls)


def test_a_capture_may_begin_while_events_are_asked(run, tmp_path):
    """A query is among the calls that spoil another thread's capture, but not where this thread's
    captures are relaxed (cuThreadExchangeStreamCaptureMode)."""
    env = {**STEADY, **ALL_TO_HOST, "SIMCUDA_LOG": str(tmp_path / "log")}
    done = run("host_direct_gated", shim=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = re.findall(r"^T\d+ (\w+)\((.*)\)=\w+$", (tmp_path / "log").read_text(), re.M)
    relaxed, queries = False, 0
    for function, arguments in calls:
        if function == "cuThreadExchangeStreamCaptureMode":  # tells what was before
            relaxed = arguments == "*0"
        elif function == "cuEventQuery":  # the host asks none itself
            queries += 1
            assert relaxed
    assert queries > 0
