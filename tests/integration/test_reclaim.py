"""Reclaim first: who is known to give back its cache and try again, and only who, is told once of an
out-of-memory that would overflow."""

import pytest
from conftest import BUILD, MIB, STEADY

PYTORCH = BUILD / "hosts/torch/libc10_cuda.so"
OTHER = BUILD / "hosts/libextension_caching.so"  # the same under another name
# A budget of 152 MiB: 128 fit, of which the allocator gives 96 back when it is asked to.
CARD = {**STEADY, "SIMCUDA_VRAM": "256MiB", "HYBRIDMEM_PLACEMENT": "strict"}
WITHOUT = (48 + 60 + 61 + 62 + 63) * MIB  # what overflows where nothing comes back
WITH = (61 + 62 + 63) * MIB


def allocate(run, library, **env):
    done = run("host_extension", library, shim=True, env={**CARD, "HYBRIDMEM_LOG": "error", **env})
    assert (done.returncode, done.stderr, done.report) == (0, "", ""), done.stdout
    assert done.device["device_bytes"] == done.device["host_bytes"] == done.device["refused"] == 0
    return done.stdout.splitlines(), done.device["redirected_bytes"]


def test_its_cache_comes_back(run):
    assert allocate(run, PYTORCH) == (
        ["first: 1 retries, 0 failures", "then: 4 retries, 0 failures"], WITH
    )


NOBODY_ASKED = ["first: 0 retries, 0 failures", "then: 0 retries, 0 failures"]


@pytest.mark.parametrize(
    "library,env",
    [
        (OTHER, {}),
        (PYTORCH, {"HYBRIDMEM_RECLAIM": "off"}),
        (PYTORCH, {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}),
        (OTHER, {"GIVES_UP": "1"}),
        (PYTORCH, {"CAPTURES": "1", "GIVES_UP": "1"}),
    ],
    ids=["another", "off", "caches-nothing", "never-retries", "private-pool-of-a-graph"],
)
def test_nobody_else_is_told(run, library, env):
    assert allocate(run, library, **env) == (NOBODY_ASKED, WITHOUT)


def test_nor_is_one_in_its_place(run):
    """A library that comes to lie where PyTorch's was."""
    done = run("host_extension", f"close:{PYTORCH}", OTHER, shim=True, env={**CARD, "HYBRIDMEM_LOG": "error"})
    assert done.stdout.splitlines()[1:] == ["then: 4 retries, 0 failures", *NOBODY_ASKED]


def test_the_drivers_own_refusal(run):
    """Passed on once instead of hidden: the cache comes back then, too."""
    said, redirected = allocate(run, PYTORCH, HYBRIDMEM_PLACEMENT="device_first")
    assert said == ["first: 0 retries, 0 failures", "then: 3 retries, 0 failures"]
    assert redirected == (62 + 63) * MIB
    assert allocate(run, OTHER, HYBRIDMEM_PLACEMENT="device_first")[1] == (61 + 62 + 63) * MIB


def test_who_does_not_try_again_is_not_told_again(run):
    """A library by that name that is not what we take it for loses one allocation, no more."""
    env = {**CARD, "GIVES_UP": "1"}
    done = run("host_extension", PYTORCH, shim=True, env=env)
    assert done.stdout.splitlines()[-1] == "then: 0 retries, 1 failures"
    assert "HYBRIDMEM_RECLAIM=off" in done.stderr
