"""Threads that are cancelled inside our calls leave no lock and no half-done work behind."""

import pytest
from conftest import ALL_TO_HOST, STEADY
from test_hosts_transcripts import good

# Each poll reads files, which are cancellation points of their own.
ENV = {**STEADY, "SIMCUDA_DEVICES": "16", "HYBRIDMEM_STATS_TTL_MS": "0", "HYBRIDMEM_LOG": "error"}


@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
def test_at_each_call_of_the_drivers(run, options):
    """Afterwards everything still goes where it went, and nothing that is gone is counted. (A thread
    that ends while the driver frees VRAM takes that count with it: no lock is held there.)"""
    bare = run("host_nvml_cancel", env={"SIMCUDA_DEVICES": "16"})
    good(bare)
    done = run("host_nvml_cancel", shim=True, env={**ENV, **options})
    good(done)
    assert done.stdout == bare.stdout
    assert len(done.stats["devices"]) == 16
    for device in done.stats["devices"]:
        assert device["host_bytes"] == 0
        assert (device["redirected_allocations"] > 0) == bool(options)
        assert (device["device_bytes_peak"] == 0) == bool(options)
