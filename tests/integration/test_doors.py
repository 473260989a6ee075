"""The matrix of doors: every hooked function, looked up by every door, on every driver generation."""

import re

import pytest
from conftest import BUILD, ROOT

HOOKS = (ROOT / "shim/hooks.def").read_text()
ROWS = re.findall(r"^HOOK\(\w+, (\w+), \w+, (\d+),", HOOKS, re.M)
NVML_ROWS = re.findall(r"^NVML_HOOK\(\w+, (\w+),", HOOKS, re.M)
DOORS = ["dlsym", "dlsym of 2.2.5", "dlsym RTLD_DEFAULT", "cuGetProcAddress", "cuGetProcAddress_v2"]
# When each way to ask came, and which driver can be asked.
PROC, PROC_V2 = 11030, 12000
DRIVERS = {"11.4": 11040, "12.2": 12020, "13.0": 13000, "13.5": 13050}


def matrix(run, driver, **kwargs):
    folder = BUILD / "sim" if driver == "13.5" else BUILD / "sim" / driver
    env = {"LD_LIBRARY_PATH": f"{folder}:{BUILD}/sim", "SIMCUDA_DRIVER": driver, **kwargs.pop("env", {})}
    done = run("host_doors_matrix", env=env, **kwargs)
    assert (done.returncode, done.stderr) == (0, "")
    table = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert NVML_ROWS and list(table) == [symbol for symbol, _ in ROWS] + NVML_ROWS
    return table


@pytest.mark.parametrize("driver", DRIVERS)
def test_bare(run, driver):
    """What the driver has is found by each door that the driver has; the test would show nothing if
    the simulator were to answer everything or nothing."""
    version = DRIVERS[driver]
    for symbol, cells in matrix(run, driver).items():
        if symbol in NVML_ROWS:  # a library of its own, of one generation here
            assert cells == ["driver"] * 3
            continue
        there = "driver" if int(dict(ROWS)[symbol]) <= version else "-"
        v2 = there if version >= PROC_V2 else "-"
        assert cells == [there, there, there, there, v2], symbol


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_door_leads_to_the_hook(run, driver):
    bare = matrix(run, driver)
    shimmed = matrix(run, driver, shim=True)
    for symbol, cells in bare.items():
        expected = [{"driver": "preloaded"}.get(cell, cell) for cell in cells]
        assert shimmed[symbol] == expected, (symbol, DOORS)
    assert sum(cell == "preloaded" for cells in shimmed.values() for cell in cells) > 300


@pytest.mark.parametrize("driver", DRIVERS)
def test_disabled_leads_to_the_driver(run, driver):
    """dlsym on RTLD_DEFAULT included: there our own export stands first."""
    off = matrix(run, driver, shim=True, env={"HYBRIDMEM_ENABLE": "false"})
    assert off == matrix(run, driver)
