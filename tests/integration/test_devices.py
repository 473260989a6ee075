"""Several devices in one process: a budget for each, memory that is its own device's whatever is
current, and the devices that `target_gpu` names."""

import pytest
from conftest import ALL_TO_HOST, MIB, STEADY
from test_hosts_overflow import RESULT, budget
from test_hosts_transcripts import COLUMNS, REDIRECTING, good

TWO = {"SIMCUDA_DEVICES": "2"}
BLOCK = 8 * MIB
UUID = "GPU-73696d75-6c61-7465-6463-7564610000{:02x}"


@pytest.mark.parametrize("host", ["host_direct_devices", "host_direct_cards"])
@pytest.mark.parametrize("column", COLUMNS)
def test_same_with_shim(run, host, column):
    bare = run(host, env=TWO)
    good(bare)
    options = {**STEADY, **COLUMNS[column], **TWO, "HYBRIDMEM_LOG": "error"}
    shimmed = run(host, shim=True, env=options)
    assert shimmed.stdout == bare.stdout
    good(shimmed)
    if column == "off":
        return
    assert [d["ordinal"] for d in shimmed.stats["devices"]] == [0, 1]
    for device in shimmed.stats["devices"]:
        assert (device["redirected_allocations"] > 0) == (
            column in REDIRECTING or column == "limit"
        )
        assert (device["device_bytes"], device["host_bytes"]) == (0, 0)


def cards(run, count, **env):
    done = run("host_direct_cards", str(count), f"{BLOCK // MIB}M", shim=True,
               env={**STEADY, "HYBRIDMEM_LOG": "error", **env})
    good(done)
    return done.stats["devices"]


def test_a_budget_for_each(run):
    sizes = [64 * MIB, 128 * MIB, 256 * MIB]
    devices = cards(run, 12, SIMCUDA_DEVICES="3", SIMCUDA_VRAM="64MiB,128MiB,256MiB",
                    HYBRIDMEM_PLACEMENT="strict")
    for device, size in zip(devices, sizes):
        fit = min(12, (budget(size) - RESULT) // BLOCK)
        assert device["host_bytes_peak"] == (12 - fit) * BLOCK
        assert device["redirected_allocations"] == 2 * (12 - fit)  # two rounds
    assert [d["ordinal"] for d in devices] == [0, 1, 2]
    assert [d["redirected_bytes"] > 0 for d in devices] == [True, True, False]


def test_one_ram_for_all_of_them(run):
    """The host's room is the process's: one device cannot have it when the other has, be it in use
    or only pinned for the other's next blocks."""
    devices = cards(run, 12, SIMCUDA_DEVICES="2", SIMCUDA_VRAM="112MiB",
                    HYBRIDMEM_PLACEMENT="strict", HYBRIDMEM_HOST_LIMIT="40MiB")
    assert 0 < sum(d["host_bytes_peak"] for d in devices)
    assert max(d["host_bytes_peak"] for d in devices) <= 40 * MIB
    assert sum(d["insufficient"] for d in devices) > 0


@pytest.mark.parametrize(
    "wish,visible,redirecting",
    [
        ("all", None, {0, 1, 2}),
        ("cuda:1", None, {1}),
        ("cuda:0,cuda:2", None, {0, 2}),
        ("2,0", None, {0, 2}),
        (UUID.format(2), None, {2}),
        (UUID.format(1) + ",0", None, {0, 1}),
        ("cuda:7", None, set()),
        # ordinals are the process's own, UUIDs the card's
        ("cuda:0", "2,0", {0}),
        (UUID.format(0), "2,0", {1}),
        (UUID.format(1), "2,0", set()),
        ("cuda:2", "2,0", set()),
    ],
)
def test_target_gpu(run, wish, visible, redirecting):
    env = {**ALL_TO_HOST, "SIMCUDA_DEVICES": "3", "HYBRIDMEM_TARGET_GPU": wish}
    if visible:
        env["CUDA_VISIBLE_DEVICES"] = visible
    devices = cards(run, 3, **env)
    assert len(devices) == (2 if visible else 3)
    assert {d["ordinal"] for d in devices if d["redirected_bytes"]} == redirecting
    assert {d["device_bytes_peak"] for d in devices} == {0}  # the others are left alone


@pytest.mark.parametrize("nth", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("call", ["cuMemHostRegister_v2", "cuMemAlloc_v2", "cuCtxSynchronize"])
def test_faults(run, call, nth):
    """An out-of-memory in the middle of it, on either device, is not seen or is the driver's own."""
    code = "CUDA_ERROR_OUT_OF_MEMORY"
    env = {**STEADY, **TWO, "SIMCUDA_FAIL": f"{call}:{nth}:{code}", "SIMCUDA_VRAM": "64MiB",
           "HYBRIDMEM_LOG": "silent", "HYBRIDMEM_PLACEMENT": "strict"}
    done = run("host_direct_cards", "12", "8M", shim=True, env=env)
    assert done.returncode == 0, done.stdout
    assert done.stdout == "card 0: all right\ncard 1: all right\ndone\n"
    assert done.report == ""
