"""Physical memory (cuMemCreate): what PyTorch's expandable segments need overflows too, and whatever
the driver cannot do leaves the host as it was without us."""

import re

import pytest
from conftest import ALL_TO_HOST, BUILD, MIB, STEADY

QUIET = {"HYBRIDMEM_LOG": "error"}
# The program: pieces of 2 MiB and of 20 MiB in turn, four of each, that is 88 MiB; then every other
# one goes and comes back.
HOST = ("host_direct_expandable", "1", "4")
SMALL_CARD = {"SIMCUDA_VRAM": "64MiB"}


def good(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("done\n")
    assert result.report == ""


def nothing_left(result):
    assert (result.device["host_bytes"], result.device["device_bytes"]) == (0, 0)
    # Arenas may be kept until the end; what the driver pinned for physical memory is not.
    assert result.stats["host_pinned"] <= 32 * MIB


@pytest.fixture
def bare(run):
    result = run(*HOST)
    good(result)
    return result


def test_fails_without(run):
    result = run(*HOST, env=SMALL_CARD)
    assert (result.returncode, result.stdout) == (1, "large: piece 2: CUDA_ERROR_OUT_OF_MEMORY\n")


def test_overflows_by_the_budget(run, bare):
    """64 MiB: a budget of 38 MiB. The first large piece fits, the other three do not; those of the
    two small ones and two large ones that come back are the same again."""
    result = run(*HOST, shim=True, env={**STEADY, **QUIET, **SMALL_CARD})
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["host_bytes_peak"] == 3 * 20 * MIB
    assert result.device["redirected_bytes"] == 5 * 20 * MIB
    assert result.device["redirected_allocations"] == 5
    assert 28 * MIB <= result.device["device_bytes_peak"] < 29 * MIB
    nothing_left(result)


def test_overflows_when_the_card_is_full(run, bare):
    env = {**STEADY, **QUIET, **SMALL_CARD, "HYBRIDMEM_PLACEMENT": "device_first"}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["host_bytes_peak"] == 2 * 20 * MIB
    nothing_left(result)


def test_host_exhausted_is_the_drivers_own_error(run):
    env = {**STEADY, **QUIET, **SMALL_CARD, "HYBRIDMEM_HOST_LIMIT": "30MiB"}
    result = run(*HOST, shim=True, env=env)
    assert (result.returncode, result.stdout) == (1, "large: piece 3: CUDA_ERROR_OUT_OF_MEMORY\n")
    assert result.device["redirected_bytes"] == 22 * MIB
    assert result.device["insufficient"] > 0


def test_host_memory_is_counted_once(run):
    """Arenas and physical memory share the room: what an arena takes, pieces cannot have."""
    env = {**STEADY, **QUIET, **ALL_TO_HOST, "HYBRIDMEM_HOST_LIMIT": "90MiB"}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert 70 * MIB <= result.stats["host_pinned_peak"] <= 90 * MIB
    assert result.device["device_bytes_peak"] >= 20 * MIB
    assert result.device["insufficient"] > 0


def test_budget_without_a_context(run):
    """The first piece comes before any context: the budget holds for it as well."""
    host = (*HOST, "late")
    env = {**STEADY, **QUIET, "HYBRIDMEM_VRAM_LIMIT": "1MiB", "HYBRIDMEM_MIN_REDIRECT": "0"}
    result = run(*host, shim=True, env=env)
    good(result)
    assert result.device["redirected_allocations"] == 12
    assert result.device["device_bytes_peak"] < MIB
    assert result.stdout == run(*host).stdout


@pytest.mark.parametrize("context,fit", [(0, 1), (40, 0)])
def test_the_other_device(run, context, fit):
    """Each device has its own budget and its own memory, whichever is current. What others hold of
    it (here its context) is known without its being current."""
    host = ("host_direct_two_devices",)
    cards = {"SIMCUDA_DEVICES": "2", "SIMCUDA_VRAM": "8GiB,64MiB", "SIMCUDA_CONTEXT": f"{context}MiB"}
    bare = run(*host, env={"SIMCUDA_DEVICES": "2"})
    good(bare)
    result = run(*host, shim=True, env={**STEADY, **QUIET, **cards})
    good(result)
    assert result.stdout == bare.stdout
    first, second = result.stats["devices"]
    assert first["redirected_bytes"] == 0
    # 38 MiB of budget, or 10 beside the context, for three pieces
    assert second["redirected_bytes"] == (3 - fit) * 20 * MIB
    assert fit * 20 * MIB <= second["device_bytes_peak"] < fit * 20 * MIB + MIB
    assert {d["host_bytes"] for d in (first, second)} == {0}


# --- where the driver cannot -----------------------------------------------------------------------


@pytest.mark.parametrize("numa", ["0", "4MiB"])
def test_no_host_memory_that_suits(run, bare, numa):
    """None at all, or one whose granularity is not the device's: VRAM, and a word on what to do."""
    env = {**STEADY, **ALL_TO_HOST, "SIMCUDA_HOST_NUMA": numa}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["redirected_bytes"] == 8  # the program's result
    assert result.device["insufficient"] == 0  # of RAM there is enough
    assert result.stderr.count("expandable_segments:False") == 1


@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
@pytest.mark.parametrize("version", ["11.4", "12.2"])
def test_older_driver(run, version, options):
    """12.2 has memory of a NUMA node and no attribute that says so; 11.4 has none."""
    library = {"LD_LIBRARY_PATH": f"{BUILD}/sim/{version}:{BUILD}/sim", "SIMCUDA_DRIVER": version}
    old = run(*HOST, env=library)
    good(old)
    result = run(*HOST, shim=True, env={**STEADY, **QUIET, **library, **options})
    good(result)
    assert result.stdout == old.stdout
    pieces = 0 if version == "11.4" else 12 * (2 + 20) // 2 * MIB  # six of each, with those that came back
    assert result.device["redirected_bytes"] == (pieces + 8 if options else 0)


# The trial that comes before the first redirection calls each of these once.
TRIED = [
    "cuMemAddressReserve",
    "cuMemCreate",
    "cuMemMap",
    "cuMemSetAccess",
    "cuMemGetAllocationGranularity",
]
# The program's own reservations and its question come before it.
BEFORE = {"cuMemAddressReserve": 2, "cuMemGetAllocationGranularity": 1}


@pytest.mark.parametrize("function", TRIED)
def test_the_trial_fails(run, bare, function):
    """Then nothing is ever redirected, and the program sees nothing of it."""
    n = 1 + BEFORE.get(function, 0)
    env = {**STEADY, **QUIET, **ALL_TO_HOST, "SIMCUDA_FAIL": f"{function}:{n}:999"}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["redirected_bytes"] == 8
    assert result.device["host_bytes_peak"] == 8
    nothing_left(result)


@pytest.mark.parametrize("n", range(2, 8))
@pytest.mark.parametrize("code", [2, 999])
def test_host_memory_fails(run, bare, n, code):
    """The n-th piece cannot be had in host memory: it lies in VRAM, the others do not."""
    env = {**STEADY, **QUIET, **ALL_TO_HOST, "SIMCUDA_FAIL": f"cuMemCreate:{n}:{code}"}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["redirected_allocations"] == 12
    nothing_left(result)


@pytest.mark.parametrize("n", range(1, 6))
def test_an_out_of_memory_of_the_drivers(run, bare, n):
    env = {**STEADY, **QUIET, "SIMCUDA_FAIL": f"cuMemCreate:{n}:2"}
    result = run(*HOST, shim=True, env=env)
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["redirected_allocations"] == 1
    nothing_left(result)


@pytest.mark.parametrize("n", range(1, 6))
def test_another_error_is_passed_on(run, n):
    fault = {"SIMCUDA_FAIL": f"cuMemCreate:{n}:999"}
    bare = run(*HOST, env=fault)
    assert "CUDA_ERROR_UNKNOWN" in bare.stdout
    result = run(*HOST, shim=True, env={**STEADY, **QUIET, **fault})
    assert (result.returncode, result.stdout) == (bare.returncode, bare.stdout)
    assert result.device["redirected_bytes"] == 0


CALLED = {"cuMemMap": 3, "cuMemSetAccess": 3, "cuMemUnmap": 3, "cuMemRelease": 3,
          "cuMemRetainAllocationHandle": 1, "cuMemGetAllocationPropertiesFromHandle": 1}


@pytest.mark.parametrize(
    "function,n", [(f, n) for f, times in CALLED.items() for n in range(1, times + 1)]
)
def test_nth_call_fails(run, tmp_path, function, n):
    """The program's own n-th call: its error, and what it still holds is still counted."""
    log = tmp_path / "log"
    fault = {"SIMCUDA_FAIL": f"{function}:{n}:999"}
    bare = run(*HOST, env=fault)
    assert "CUDA_ERROR_UNKNOWN" in bare.stdout
    trial = {"cuMemMap": 1, "cuMemSetAccess": 1, "cuMemUnmap": 1, "cuMemRelease": 1}.get(function, 0)
    fault = {"SIMCUDA_FAIL": f"{function}:{n + trial}:999", "SIMCUDA_LOG": str(log)}
    result = run(*HOST, shim=True, env={**STEADY, **QUIET, **ALL_TO_HOST, **fault})
    assert (result.returncode, result.stdout) == (bare.returncode, bare.stdout)
    assert re.search(rf" {function}\(.*\)=CUDA_ERROR_UNKNOWN\n", log.read_text())
    # The driver's list of leaks at the end is what the library counts (and the result's arena).
    leaked = re.search(r"leaks: \d+ blocks, (\d+) bytes", result.report)
    assert leaked and int(leaked[1]) == result.device["host_bytes"] - 8


@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
def test_remote_access_is_kept_in_vram(run, options):
    """What is to be reached by network cards stays in VRAM while there is any."""
    host = (*HOST, "late", "rdma")
    bare = run(*host)
    good(bare)
    result = run(*host, shim=True, env={**STEADY, **QUIET, **options})
    good(result)
    assert result.stdout == bare.stdout
    assert result.device["redirected_bytes"] == (8 if options else 0)
    full = run(*host, shim=True, env={**STEADY, **QUIET, **SMALL_CARD})
    good(full)
    assert full.device["redirected_bytes"] > 0


def test_no_false_alarm(run):
    """What the driver refuses anyway is no lack of host memory."""
    result = run("host_direct_physical", shim=True, env={**STEADY, **ALL_TO_HOST})
    good(result)
    assert "expandable_segments" not in result.stderr
