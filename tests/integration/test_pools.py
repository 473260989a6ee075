"""Memory pools whose blocks are redirected, and what cannot be shared then."""

import re

import pytest
from conftest import ALL_TO_HOST, MIB, STEADY

QUIET = {"HYBRIDMEM_LOG": "error"}
HOST = ("host_direct_pools",)


def good(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("done\n")
    assert result.report == ""


# The blocks below 4 MiB stay in VRAM, the others do not: what a pool says is the sum of both.
@pytest.mark.parametrize("smallest,moved", [("4MiB", 9 * MIB + 100), ("2MiB", 16 * MIB + 100)])
def test_a_pool_in_two_places(run, smallest, moved):
    bare = run(*HOST)
    env = {**STEADY, **QUIET, **ALL_TO_HOST, "HYBRIDMEM_MIN_REDIRECT": smallest}
    result = run(*HOST, shim=True, env=env)
    good(result)
    # Of two high-water marks that are not reached together the sum is told.
    mark = re.compile(r", \d+ at most|begun again: \d+")
    assert mark.sub("", result.stdout) == mark.sub("", bare.stdout)
    assert result.device["redirected_bytes"] == moved
    assert result.device["host_bytes"] == 0


def test_a_limited_pool_keeps_its_memory(run):
    """Its blocks are not redirected, and no lack of host memory is reported for it."""
    result = run(*HOST, shim=True, env={**STEADY, **ALL_TO_HOST})
    good(result)
    assert result.device["device_bytes_peak"] == 3 * MIB
    assert "overflow, but" not in result.stderr


# Each is a call of the library's own as well as of the program.
@pytest.mark.parametrize("function", ["cuDeviceGetDefaultMemPool", "cuMemPoolGetAttribute",
                                      "cuMemPoolDestroy", "cuMemPoolSetAttribute", "cuMemPoolCreate"])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
def test_nth_call_fails(run, function, n, options):
    fault = {"SIMCUDA_FAIL": f"{function}:{n}:999"}
    bare = {run(*HOST).stdout} | {
        run(*HOST, env={"SIMCUDA_FAIL": f"{function}:{i}:999"}).stdout for i in range(1, n + 1)
    }
    result = run(*HOST, shim=True, env={**STEADY, **QUIET, **options, **fault})
    assert result.stdout in bare, result.stdout + result.stderr


def test_the_current_pool_cannot_be_told(run):
    """Then what is asked of it stays in VRAM."""
    env = {**STEADY, **QUIET, **ALL_TO_HOST, "SIMCUDA_FAIL": "cuDeviceGetMemPool:*:999"}
    bare = run(*HOST)
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["device_bytes_peak"] >= 3 * MIB


def test_exports(run):
    """What cannot be shared gets the driver's own error, and one warning that names the options."""
    bare = run("host_direct_exports")
    good(bare)
    room = run("host_direct_exports", shim=True, env=STEADY)
    good(room)
    assert (room.stdout, room.stderr) == (bare.stdout, "")
    result = run("host_direct_exports", shim=True, env={**STEADY, **ALL_TO_HOST})
    good(result)
    assert "ipc of a block: CUDA_SUCCESS\n" in bare.stdout
    expected = bare.stdout.replace("ipc of a block: CUDA_SUCCESS", "ipc of a block: CUDA_ERROR_INVALID_VALUE")
    assert result.stdout == expected
    warnings = [line for line in result.stderr.splitlines() if "cannot be shared" in line]
    assert len(warnings) == 1
    assert "cuMemPoolExportPointer" in warnings[0] and "HYBRIDMEM_MIN_REDIRECT" in warnings[0]


@pytest.mark.parametrize("call", ["dma-buf of a mapping", "ipc of a mapping", "ipc of a block", "multicast of a block",
                                  "multicast of a mapping", "endpoint of a block"])
def test_every_export_warns(run, call):
    result = run("host_direct_exports", call, shim=True, env={**STEADY, **ALL_TO_HOST})
    assert result.stderr.count("cannot be shared") == 1
