"""Memory on loan (backing=vmm): weights beyond the budget lie in VRAM until somebody needs the room, and
then move to host memory behind the same address, which nobody notices."""

import json
import random
import re

import pytest
from conftest import BUILD, MIB, STEADY
from model_files import gguf_file

HOST = "host_direct_loan"
TENSORS = 28
BYTES = 4 * MIB
WORK = 13  # blocks of 8 MiB
# 21 MiB are the budget: 5 tensors lie within it, 92 MiB are beyond. Working memory may have all but 64
# MiB of the card, and that is what it takes: beside it there is no room for them.
CARD = {"SIMCUDA_VRAM": "192MiB", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.13", "HYBRIDMEM_LOG": "error"}
WITHIN = 5 * BYTES
BEYOND = (TENSORS - 5) * BYTES
LARGE = {"SIMCUDA_VRAM": "1GiB"}
VMM = {**STEADY, **CARD, "HYBRIDMEM_BACKING": "vmm"}


def model_of(folder, count, size):
    """The host's arguments: a file, and where its tensors lie."""
    tensors = [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", [1024, size // 2048]) for i in range(count)]
    path = gguf_file(folder / "flux.gguf", tensors, {"general.architecture": "flux"})
    start = path.stat().st_size - count * size
    with open(path, "r+b") as file:
        for i in range(count):
            file.seek(start + i * size)
            file.write(random.Random(i).randbytes(size))
    return [path, *(f"{start + i * size}:{size}" for i in range(count))]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_of(tmp_path_factory.mktemp("model"), TENSORS, BYTES)


@pytest.fixture(scope="module")
def bare(model, tmp_path_factory):
    """What the host says on a card that has room for all, each way once."""
    known = {}

    def get(run, way):
        if way not in known:
            done = run(HOST, way, WORK, *model, env=LARGE)
            assert (done.returncode, done.report, done.stderr) == (0, "", ""), done.stdout
            known[way] = done.stdout
        return known[way]

    return get


def good(done):
    assert (done.returncode, done.report, done.stderr) == (0, "", ""), done.stdout
    assert (done.device["device_bytes"], done.device["host_bytes"], done.device["lent_bytes"]) == (0, 0, 0)
    return done


def lent(done):
    return done.device["lent_bytes_peak"], done.device["recalled_bytes"]


WAYS = ["plain", "ordered", "threads", "behind", "asks", "capture", "capturing", "graph", "multicast",
        "early", "contexts", "fork", "ordered,threads"]


@pytest.mark.parametrize("backing", ["auto", "vmm"])
@pytest.mark.parametrize("way", WAYS)
def test_nobody_notices(run, model, bare, way, backing):
    done = good(run(HOST, way, WORK, *model, shim=True, env={**VMM, "HYBRIDMEM_BACKING": backing}))
    assert done.stdout == bare(run, way)
    peak, recalled = lent(done)
    if backing == "auto" or way == "early":  # a graph was made before anything could be lent
        assert (peak, recalled) == (0, 0)
    else:
        assert BYTES <= peak <= BEYOND + done.device["host_bytes_peak"]
        assert (recalled > 0) == (way not in ("capture", "capturing", "graph", "multicast"))
    assert done.device["redirected_bytes"] >= BEYOND
    assert done.device["host_bytes_peak"] >= BEYOND


def on_the_card(run, model, **env):
    """When all is loaded: VRAM in use, memory that is free; VRAM in use at most; and the run."""
    done = good(run(HOST, "card", WORK, *model, shim=True, env={**VMM, **env}))
    return *map(int, re.findall(r"(?m)^card: (\d+) ", done.stdout)), done


def test_what_is_lent_lies_in_vram(run, model):
    """By the simulated driver's own count."""
    loaded, expected, _, _ = on_the_card(run, model, HYBRIDMEM_BACKING="auto")
    assert loaded - WITHIN < MIB
    loaded, free, most, done = on_the_card(run, model)
    assert abs(free - expected) < 32 * MIB  # as if it lay on the host; arenas differ in size
    peak, recalled = lent(done)
    assert loaded >= WITHIN + peak
    assert most <= 192 * MIB
    assert recalled > 0


def test_a_limit_holds_for_what_is_lent_too(run, model):
    env = {"SIMCUDA_VRAM": "1GiB", "HYBRIDMEM_VRAM_LIMIT": "192MiB"}
    _, _, most, done = on_the_card(run, model, **env)
    assert lent(done)[0] > 0
    assert most <= 192 * MIB


def test_no_more_is_lent_than_host_memory_can_take_back(run, model):
    _, _, _, done = on_the_card(run, model, HYBRIDMEM_HOST_LIMIT="48MiB")
    assert 0 < lent(done)[0] <= 48 * MIB
    assert done.stats["host_pinned_peak"] <= 48 * MIB


def test_all_is_back_when_the_room_is_needed(run, model):
    """On a card that working memory fills, nearly all of what was lent."""
    done = good(run(HOST, "plain", WORK + 4, *model, shim=True, env={**VMM, "SIMCUDA_VRAM": "160MiB"}))
    assert lent(done)[1] > 0


@pytest.mark.parametrize("size", [2, 10, 32, 34, 64, 70])
def test_tensors_of_any_size(run, tmp_path, size):
    """Also such as are as large as what moves at once, or a multiple of it, or lie in several."""
    host = [HOST, "asks", 1 + 96 // 8, *model_of(tmp_path, 1 + 96 // size, size * MIB)]
    done = good(run(*host, shim=True, env=VMM))
    assert done.stdout == run(*host, env=LARGE).stdout
    assert lent(done)[0] >= size * MIB
    assert lent(done)[1] > 0


def unknown(model, folder):
    """The same bytes, of which nothing says that they are a model."""
    path = folder / "flux.bin"
    path.write_bytes(b"NONE" + model[0].read_bytes()[4:])
    return [path, *model[1:]]


NEVER = {
    "auto": {"HYBRIDMEM_BACKING": "auto"},
    "registered": {"HYBRIDMEM_BACKING": "registered"},
    "pinned": {"HYBRIDMEM_BACKING": "pinned"},
    "two devices": {"SIMCUDA_DEVICES": "2"},
    "no host memory to map": {"SIMCUDA_HOST_NUMA": "0"},
    "strict": {"HYBRIDMEM_PLACEMENT": "strict"},
    "off": {"HYBRIDMEM_ENABLE": "false", **LARGE},
}


@pytest.mark.parametrize("why", NEVER)
def test_nothing_is_lent(run, model, bare, why):
    done = run(HOST, "plain", WORK, *model, shim=True, env={**VMM, **NEVER[why]})
    assert (done.returncode, done.report, done.stderr) == (0, "", "")
    assert done.stdout == bare(run, "plain")
    if why != "off":
        assert lent(good(done)) == (0, 0)
        assert done.device["redirected_bytes"] >= BEYOND


@pytest.mark.parametrize("driver", ["11.4", "12.2"])
def test_older_drivers(run, model, bare, driver):
    """11.4 has no host memory of a NUMA node, 12.2 no event of a whole context (12.5)."""
    library = {"LD_LIBRARY_PATH": f"{BUILD}/sim/{driver}:{BUILD}/sim", "SIMCUDA_DRIVER": driver}
    done = good(run(HOST, "plain", WORK, *model, shim=True, env={**VMM, **library}))
    assert done.stdout == bare(run, "plain")
    assert lent(done)[0] == 0


def test_no_weights_that_anybody_knows(run, model, bare, tmp_path):
    done = good(run(HOST, "plain", WORK, *unknown(model, tmp_path), shim=True, env=VMM))
    assert done.stdout == bare(run, "plain")
    assert lent(done) == (0, 0)


def test_what_a_rule_sends_to_the_host_goes_there(run, model, bare, tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"rules": [{"match": {"tensor": "*.weight"}, "place": "host"}]}))
    done = good(run(HOST, "plain", WORK, *model, shim=True, env={**VMM, "HYBRIDMEM_POLICY": str(path)}))
    assert done.stdout == bare(run, "plain")
    assert lent(done) == (0, 0)


@pytest.mark.parametrize("grain", ["4MiB", "64MiB"])
def test_another_granularity(run, model, bare, grain):
    """Of the host's memory: coarser than the device's."""
    done = good(run(HOST, "plain", WORK, *model, shim=True, env={**VMM, "SIMCUDA_HOST_NUMA": grain}))
    assert done.stdout == bare(run, "plain")


# --- what fails -----------------------------------------------------------------------------------

UNSURE = "cuDevicePrimaryCtxGetState"  # has the context gone? Nothing is taken away in case it has not
# What the driver does not let go, or does not say it has finished with, stays: a leak of its own.
ENDS = {"cuMemUnmap", "cuMemRelease", "cuMemAddressFree", "cuStreamSynchronize", UNSURE}


def failing(run, model, way, env, steps=WORK):
    """A run in which something failed, and nothing came of it but a leak where one cannot be helped."""
    log = run.folder / "calls"
    log.unlink(missing_ok=True)
    done = run(HOST, way, steps, *model, shim=True, env={**VMM, **env, "SIMCUDA_LOG": str(log)})
    failed = set(re.findall(r"(?m)^.*?(\w+)\(.*(?:CUDA_ERROR_OUT_OF_MEMORY|CUDA_ERROR_UNKNOWN)", log.read_text()))
    assert (done.returncode, done.stderr) == (0, ""), (way, failed, done.stdout + done.report)
    assert (done.device["device_bytes"], done.device["host_bytes"]) == (0, 0)
    assert done.device["lent_bytes"] == 0 or UNSURE in failed
    leak = "(simcuda: leak: .*, by cuMemCreate\n|simcuda: leaks: .*\n)*"
    assert done.report == "" or (failed & ENDS and re.fullmatch(leak, done.report)), (way, failed, done.report)
    return done, failed


CALLS = ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess", "cuStreamCreate", "cuMemcpyAsync",
         "cuStreamSynchronize", "cuEventCreate", "cuCtxRecordEvent"]  # fmt: skip


# Of the work nothing needs to be there but where it is what fails.
PHASES = {"load": ("l", 0, 9), "work": ("w", WORK, TENSORS), "free": ("f", 2, 9)}


@pytest.mark.parametrize("code", [2, 999])
@pytest.mark.parametrize("phase", PHASES)
def test_each_driver_call_fails_in_turn(run, model, phase, code):
    """The same call within each allocation, or each free, until there is none that is the n-th: nothing
    that was written is lost, nothing stays behind, and what fails does not when it is tried again."""
    letter, steps, tensors = PHASES[phase]
    some = model[: 1 + tensors]
    usual = run(HOST, "fail=-:1:0", steps, *some, env=LARGE).stdout
    most_lent = most_recalled = 0
    met = set()
    for nth in range(1, 100):
        done, failed = failing(run, some, f"fail={letter}:{nth}:{code}", {}, steps)
        said, times = re.fullmatch(r"(?s)(.*met: )(\d+)\ndone\n", done.stdout).groups()
        assert said + "0\ndone\n" == usual, (nth, failed)
        met |= failed
        most_lent, most_recalled = map(max, lent(done), (most_lent, most_recalled))
        if times == "0":
            break
    wanted = {"cuMemUnmap", "cuMemRelease", "cuMemAddressFree"}
    if phase != "free":
        wanted |= {*CALLS}
    assert met >= wanted
    assert most_lent > 0 and (most_recalled > 0) == (phase == "work")


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("cuStreamCreate", "cuStreamSynchronize")])
def test_a_call_that_always_fails(run, model, bare, call):
    done, _ = failing(run, model, "plain", {"SIMCUDA_FAIL": f"{call}:*:999"})
    assert done.stdout == bare(run, "plain")
    assert lent(done)[0] == 0


@pytest.mark.parametrize("call", ["cuMemAddressReserve", "cuMemCreate", "cuCtxRecordEvent"])
@pytest.mark.parametrize("first", [3, 5, 7, 9])
def test_a_call_that_fails_from_some_time_on(run, model, bare, call, first):
    """What is lent stays where it is, and working memory goes elsewhere."""
    faults = ",".join(f"{call}:{nth}:2" for nth in range(first, first + 32))
    done, _ = failing(run, model, "plain", {"SIMCUDA_FAIL": faults})
    assert done.stdout == bare(run, "plain")


def test_a_kernel_that_the_driver_has_no_room_for(run, model, bare):
    """What is lent comes back, and it is launched again."""
    host = [HOST, "plain", 0, *model]
    quiet = lent(good(run(*host, shim=True, env=VMM)))
    done = good(run(*host, shim=True, env={**VMM, "SIMCUDA_FAIL": "cuLaunchKernel:5:2"}))
    assert done.stdout == run(*host, env=LARGE).stdout
    assert quiet[1] == 0 < lent(done)[1]
