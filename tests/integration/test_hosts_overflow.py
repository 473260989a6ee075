"""The main job: a program that needs twice the card, on a small card."""

from fractions import Fraction

import pytest
from conftest import GIB, MIB, STEADY

BLOCKS = 16
# The program's own result block; below min_redirect, so it stays on the card.
RESULT = 8


class Case:
    """The program, and a card of which it needs twice."""

    def __init__(self, card, block):
        self.card, self.block = card, block
        self.args = ("host_direct_overflow", BLOCKS, f"{block // MIB}M")
        self.env = {"SIMCUDA_VRAM": f"{card // MIB}MiB"}


FULL = Case(GIB, 128 * MIB)
QUARTER = Case(256 * MIB, 32 * MIB)  # the same, quicker


def budget(total, factor="0.7", overhead="15", reserved=0):
    """The specification's formula, in exact arithmetic; bytes, rounded down."""
    safety = int(Fraction(overhead) * total / 100)
    return int(max(0, total - reserved - safety) * Fraction(factor))


def expected_redirects(case, limit):
    """First come, first served, one block after the other, within `limit` bytes."""
    used, redirected = RESULT, 0
    for _ in range(BLOCKS):
        if used + case.block <= limit:
            used += case.block
        else:
            redirected += case.block
    return redirected


def good(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert (result.report, result.stderr) == ("", "")


def test_formula():
    # 1 GiB: 15 % of it stay free, 0.7 of the rest is the budget: four blocks of sixteen fit.
    assert budget(GIB) == 638876385
    assert expected_redirects(FULL, budget(GIB)) == 12 * FULL.block


@pytest.mark.parametrize("case", [FULL, QUARTER], ids=["1GiB", "256MiB"])
def test_fails_without(run, case):
    result = run(*case.args, env=case.env)
    assert result.returncode == 1
    assert result.stdout == "block 7 of 16: CUDA_ERROR_OUT_OF_MEMORY\n"


@pytest.mark.parametrize("case", [FULL, QUARTER], ids=["1GiB", "256MiB"])
def test_passes_with_no_setting_at_all(run, case):
    bare = run(*QUARTER.args)  # on the default card of 8 GiB
    good(bare)
    says = bare.stdout.replace(str(QUARTER.block), str(case.block))
    result = run(*case.args, shim=True, env=case.env)
    good(result)
    assert result.stdout == says
    assert result.device["redirected_bytes"] == expected_redirects(case, budget(case.card))


@pytest.mark.parametrize(
    "factor, overhead",
    [
        ("0.5", "15"),
        ("0.9", "10"),
        ("0.5", "0"),  # a budget of exactly four blocks: the result block tips the fourth over
        ("1", "0"),
        ("0.7", "90"),  # less than one block
        ("0.000000001", "15"),
    ],
)
def test_budget_to_the_byte(run, factor, overhead):
    env = {
        **STEADY,
        **QUARTER.env,
        "HYBRIDMEM_CONSERVATIVE_FACTOR": factor,
        "HYBRIDMEM_OVERHEAD_PERCENT": overhead,
        "HYBRIDMEM_LOG": "error",
    }
    result = run(*QUARTER.args, shim=True, env=env)
    good(result)
    moved = expected_redirects(QUARTER, budget(QUARTER.card, factor, overhead))
    assert result.device["redirected_bytes"] == moved
    assert result.device["redirected_allocations"] == moved // QUARTER.block
    assert result.device["host_bytes_peak"] == moved
    assert result.device["insufficient"] == 0
    # The peak in VRAM is exact to 1 MiB.
    kept = BLOCKS * QUARTER.block - moved
    assert kept <= result.device["device_bytes_peak"] < kept + MIB


def overflow(run, **options):
    env = {**STEADY, **QUARTER.env, "HYBRIDMEM_LOG": "error", **options}
    return run(*QUARTER.args, shim=True, env=env)


def test_vram_limit_is_another_total(run):
    result = overflow(run, SIMCUDA_VRAM="8GiB", HYBRIDMEM_VRAM_LIMIT="256MiB")
    good(result)
    assert result.device["redirected_bytes"] == expected_redirects(
        QUARTER, budget(QUARTER.card)
    )


def test_device_first_waits_for_the_driver(run):
    result = overflow(run, HYBRIDMEM_PLACEMENT="device_first")
    good(result)
    assert result.device["redirected_bytes"] == 9 * QUARTER.block  # seven fit beside the result


@pytest.mark.parametrize("nth", [2, 3, 17])
def test_a_real_out_of_memory_overflows(run, nth):
    """The driver refuses what our budget allowed: its word is believed, and that block moves."""
    fail = f"cuMemAlloc_v2:{nth}:CUDA_ERROR_OUT_OF_MEMORY"
    bare = run(*QUARTER.args, env={"SIMCUDA_FAIL": fail})
    assert bare.stdout == f"block {nth - 2} of 16: CUDA_ERROR_OUT_OF_MEMORY\n"
    result = overflow(run, SIMCUDA_VRAM="8GiB", SIMCUDA_FAIL=fail)
    good(result)
    assert result.device["redirected_bytes"] == QUARTER.block


def test_another_error_is_passed_on(run):
    """Only an out-of-memory overflows."""
    fail = "cuMemAlloc_v2:5:CUDA_ERROR_UNKNOWN"
    result = overflow(run, SIMCUDA_VRAM="8GiB", SIMCUDA_FAIL=fail)
    assert (result.returncode, result.stdout) == (1, "block 3 of 16: CUDA_ERROR_UNKNOWN\n")
    assert result.device["redirected_bytes"] == 0


def test_host_exhausted_is_the_drivers_own_error(run):
    """No room on the host: the card is filled up to its end, then the driver's error is seen."""
    result = overflow(run, HYBRIDMEM_HOST_LIMIT="64MiB")
    assert result.returncode == 1
    assert result.stdout == "block 9 of 16: CUDA_ERROR_OUT_OF_MEMORY\n"
    assert result.device["redirected_bytes"] == 2 * QUARTER.block
    assert result.device["insufficient"] > 0


@pytest.mark.parametrize("placement, tried", [("strict", 4), ("device_first", 1)])
def test_what_cannot_be_pinned_is_insufficient(run, placement, tried):
    """The budget holds four blocks, the card seven: each block that should overflow is counted once,
    and one line says why."""
    assert expected_redirects(QUARTER, budget(QUARTER.card)) == 12 * QUARTER.block
    fail = "cuMemHostRegister_v2:*:CUDA_ERROR_UNKNOWN,cuMemHostAlloc:*:CUDA_ERROR_OUT_OF_MEMORY"
    result = overflow(run, SIMCUDA_FAIL=fail, HYBRIDMEM_PLACEMENT=placement, HYBRIDMEM_LOG="warn")
    assert result.stdout == "block 7 of 16: CUDA_ERROR_OUT_OF_MEMORY\n"
    assert result.device["redirected_bytes"] == 0
    assert (result.device["insufficient"], result.device["refused"]) == (tried, 1)
    # Sanitized, the host that gives up is told of what it has not freed.
    said = [line for line in result.stderr.splitlines() if line.startswith("hybridmem")]
    assert len(said) == 1 and "could not be pinned" in said[0]


def test_reserved_is_what_others_hold(run):
    """A context that costs 50 MiB leaves that much less for the budget."""
    result = overflow(run, SIMCUDA_CONTEXT="50MiB")
    good(result)
    limit = budget(QUARTER.card, reserved=50 * MIB)
    assert expected_redirects(QUARTER, limit) == 13 * QUARTER.block
    assert result.device["redirected_bytes"] == 13 * QUARTER.block
