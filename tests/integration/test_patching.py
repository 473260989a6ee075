"""A host that overwrites the first bytes of the driver's functions, or of ours, before or after we begin."""

import pytest
from conftest import ALL_TO_HOST, STEADY

ALL = {"first": "7 allocated, 8 freed", "late": "3 allocated, 8 freed"}
NONE = "0 allocated, 0 freed"


def patched(run, where, when, **kwargs):
    """What it says, and which calls went through its jumps."""
    done = run("host_patched", where, when, **kwargs)
    assert (done.returncode, done.stderr, done.report) == (0, "", ""), done.stdout
    said, through = done.stdout.split("through the jumps: ")
    return said, through.strip(), done


@pytest.mark.parametrize("when", ALL)
@pytest.mark.parametrize("where", ["driver", "found"])
def test_patched_functions(run, where, when):
    """What stays in VRAM goes through the driver's patched functions; what is redirected does not come
    to the driver. Ours are called for everything."""
    bare, through, _ = patched(run, where, when)
    assert through == ALL[when]
    for options in ({}, ALL_TO_HOST):
        env = {**STEADY, **options, "HYBRIDMEM_LOG": "error"}
        said, through, done = patched(run, where, when, shim=True, env=env)
        assert said == bare
        assert through == (NONE if where == "driver" and options else ALL[when])
        assert done.device["redirected_allocations"] == (7 if options else 0)
        assert done.device["device_bytes"] == done.device["host_bytes"] == 0
    off = patched(run, where, when, shim=True, env={"HYBRIDMEM_ENABLE": "false"})
    assert off[:2] == (bare, ALL[when])
