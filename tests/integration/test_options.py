"""Each option does what it says: every test here fails when its option is ignored."""

import json
import re

import pytest
from conftest import ALL_TO_HOST, BUILD, GIB, MIB, SHIM, STEADY

OVERFLOW = ("host_direct_overflow", 8, "32M")  # 256 MiB in all
CARD = {**STEADY, "SIMCUDA_VRAM": "256MiB"}
UUID = "GPU-73696d75-6c61-7465-6463-756461000000"  # the simulator's device 0


def redirected(run, env, args=OVERFLOW):
    done = run(*args, shim=True, env={**CARD, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.device["redirected_bytes"]


@pytest.mark.parametrize("wish", ["all", "cuda:0", "0", "1,0", UUID, UUID[:12]])
def test_target_gpu_is_this_one(run, wish):
    assert redirected(run, {"HYBRIDMEM_TARGET_GPU": wish}) > 0


@pytest.mark.parametrize("wish", ["cuda:1", "GPU-ffffffff-6c61-7465-6463-756461000000"])
def test_target_gpu_is_another(run, wish):
    done = run(*OVERFLOW, shim=True, env={**CARD, "HYBRIDMEM_TARGET_GPU": wish})
    assert done.returncode == 1
    assert "CUDA_ERROR_OUT_OF_MEMORY" in done.stdout
    assert done.device["redirected_bytes"] == 0


def test_min_redirect(run):
    """The budget leaves smaller blocks in VRAM; a real out-of-memory takes them all the same."""
    budget = {"HYBRIDMEM_CONSERVATIVE_FACTOR": "0.5", "HYBRIDMEM_OVERHEAD_PERCENT": "30"}
    few = ("host_direct_overflow", 4, "32M")  # 128 MiB: beyond the budget, within the card
    assert redirected(run, {**budget, "HYBRIDMEM_MIN_REDIRECT": "32MiB"}, few) == 64 * MIB
    assert redirected(run, {**budget, "HYBRIDMEM_MIN_REDIRECT": "33MiB"}, few) == 0
    assert redirected(run, {**budget, "HYBRIDMEM_MIN_REDIRECT": "33MiB"}) > 0


def polls(run, tmp_path, ttl):
    log = tmp_path / f"calls{ttl}"
    redirected(run, {"HYBRIDMEM_STATS_TTL_MS": ttl, "SIMCUDA_LOG": str(log)})
    return log.read_text().count("cuMemGetInfo_v2(")


def test_stats_ttl_ms(run, tmp_path):
    """One poll for all allocations within the period; with 0 one for each that needs a verdict."""
    assert polls(run, tmp_path, "3600000") == 1
    assert polls(run, tmp_path, "0") == 1 + 8  # the program's first, small one; then the blocks


def test_backing(run, tmp_path):
    for backing, call, other in (
        ("registered", "cuMemHostRegister_v2", "cuMemHostAlloc"),
        ("pinned", "cuMemHostAlloc", "cuMemHostRegister_v2"),
        ("auto", "cuMemHostRegister_v2", "cuMemHostAlloc"),
    ):
        log = tmp_path / backing
        assert redirected(run, {"HYBRIDMEM_BACKING": backing, "SIMCUDA_LOG": str(log)}) > 0
        assert call in log.read_text()
        assert other not in log.read_text()
    log = tmp_path / "two-addresses"
    env = {"SIMCUDA_HOST_POINTER": "0", "SIMCUDA_LOG": str(log)}
    assert redirected(run, env) > 0
    assert "cuMemHostAlloc" in log.read_text()


@pytest.mark.parametrize("value,expected", [("auto", True), ("off", False)])
def test_hugepages(run, tmp_path, value, expected):
    log = tmp_path / "log"
    libraries = [BUILD / "hosts/libpreload_mmap.so", SHIM]
    env = {**CARD, "HYBRIDMEM_HUGEPAGES": value, "SYSTEM_LOG": str(log)}
    done = run(*OVERFLOW, preload=libraries, env=env)
    assert done.returncode == 0
    lines = log.read_text().splitlines()
    assert ("madvise 14" in lines) == expected  # MADV_HUGEPAGE
    assert "madvise 10" in lines  # MADV_DONTFORK, always: fork() must not move pinned pages


def test_host_limit_and_pad(run):
    limit = {"HYBRIDMEM_HOST_LIMIT": "64MiB"}
    done = run(*OVERFLOW, shim=True, env={**CARD, **limit})
    assert done.returncode == 0  # 128 MiB within the budget, 64 MiB in RAM, the rest beyond it
    assert done.device["redirected_bytes"] == 64 * MIB
    assert done.device["insufficient"] > 0
    assert "less HYBRIDMEM_SYSTEM_RAM_PAD_GB or more HYBRIDMEM_HOST_LIMIT" in done.stderr
    everything = {"HYBRIDMEM_SYSTEM_RAM_PAD_GB": "1048576"}
    done = run(*OVERFLOW, shim=True, env={**CARD, **everything})
    assert done.returncode == 1
    assert done.device["redirected_bytes"] == 0


def meminfo(run, env, *kind):
    done = run("host_direct_report", *kind, shim=True, env={**STEADY, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"(\w+) (\d+)", done.stdout))


@pytest.mark.parametrize(
    "env,total",
    [
        ({"HYBRIDMEM_REPORT": "device"}, GIB),
        ({"HYBRIDMEM_REPORT": "hybrid"}, GIB + 3 * GIB),
        ({"HYBRIDMEM_REPORT": "device", "HYBRIDMEM_VRAM_LIMIT": "512MiB"}, GIB // 2),
        ({"HYBRIDMEM_REPORT": "hybrid", "HYBRIDMEM_VRAM_LIMIT": "50%"}, GIB // 2 + 3 * GIB),
        ({"HYBRIDMEM_TARGET_GPU": "1"}, GIB),
        ({"HYBRIDMEM_ENABLE": "false"}, GIB),
    ],
    ids=["device", "hybrid", "device-limit", "hybrid-limit", "no-target", "off"],
)
def test_report(run, env, total):
    """STEADY's host share is 3 GiB. free + used <= total throughout, total constant (the host
    checks both); the same from cuMemGetInfo and cuDeviceTotalMem."""
    said = meminfo(run, {"SIMCUDA_VRAM": "1GiB", **env})
    assert int(said["total"]) == total
    assert int(said["device_total"]) == total
    assert int(said["free"]) == total  # nothing allocated yet
    assert int(said["falls"]) == 256 * MIB  # wherever the blocks went


# Where all fits, where part of it overflows, and where all is with the host.
@pytest.mark.parametrize("kind", [(), ("ordered",), ("pool",), ("physical",)], ids="".join)
@pytest.mark.parametrize(
    "env,vram",
    [
        ({}, GIB),
        ({"SIMCUDA_VRAM": "160MiB"}, 160 * MIB),
        (ALL_TO_HOST, GIB),
        ({"HYBRIDMEM_VRAM_LIMIT": "128MiB"}, 128 * MIB),
    ],
    ids=["room", "small", "host", "limit"],
)
def test_report_of_every_allocator(run, kind, env, vram):
    """free + used <= total at every moment (the host checks it), wherever a block lies."""
    said = meminfo(run, {"SIMCUDA_VRAM": "1GiB", **env}, *kind)
    assert int(said["total"]) == int(said["free"]) == vram + 3 * GIB
    assert int(said["falls"]) == 256 * MIB


@pytest.mark.parametrize("kind", [(), ("ordered",), ("pool",), ("physical",)], ids="".join)
@pytest.mark.parametrize("limit", [{}, {"HYBRIDMEM_VRAM_LIMIT": "512MiB"}], ids=["card", "limit"])
def test_report_device_of_every_allocator(run, kind, limit):
    vram = 512 * MIB if limit else GIB
    said = meminfo(run, {"SIMCUDA_VRAM": "1GiB", "HYBRIDMEM_REPORT": "device",
                         "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.9", **limit}, *kind)
    assert int(said["total"]) == int(said["free"]) == vram
    assert int(said["falls"]) == 256 * MIB


@pytest.mark.parametrize("kind,falls", [("array", 256), ("box", 256), ("mipmap", 336)], ids=str)
@pytest.mark.parametrize(
    "env,total",
    [
        ({}, 4 * GIB),
        (ALL_TO_HOST, 4 * GIB),
        ({"HYBRIDMEM_VRAM_LIMIT": "512MiB"}, GIB // 2 + 3 * GIB),
        ({"HYBRIDMEM_VRAM_LIMIT": "128MiB"}, 128 * MIB + 3 * GIB),
        ({"HYBRIDMEM_REPORT": "device"}, GIB),
        ({"HYBRIDMEM_REPORT": "device", "HYBRIDMEM_VRAM_LIMIT": "512MiB"}, GIB // 2),
    ],
    ids=["room", "host", "limit", "beyond-the-limit", "device", "device-limit"],
)
def test_report_of_arrays(run, kind, falls, env, total):
    """They lie in VRAM wherever the budget ends, and free + used <= total (the host checks it); what
    is counted goes with the array, from any context, and with its context."""
    done = run("host_direct_report", kind, shim=True, env={**STEADY, "SIMCUDA_VRAM": "1GiB", **env})
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(re.findall(r"(\w+) (\d+)", done.stdout))
    assert int(said["total"]) == int(said["free"]) == total
    assert int(said["falls"]) == falls * MIB
    # what the budget is compared with
    assert (done.device["device_bytes_peak"], done.device["device_bytes"]) == (falls * MIB, 0)
    assert done.device["redirected_bytes"] == 0


def test_log_levels(run, tmp_path):
    bad = {"HYBRIDMEM_MIN_REDIRECT": "lots", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.4"}
    said = {}
    for level in ("silent", "error", "warn", "info", "debug"):
        done = run(*OVERFLOW, shim=True, env={**CARD, **bad, "HYBRIDMEM_LOG": level})
        assert done.returncode == 0
        said[level] = done.stderr
    assert said["silent"] == ""
    assert re.fullmatch(r"hybridmem: error: HYBRIDMEM_MIN_REDIRECT: .*\n", said["error"])
    assert said["warn"].count("\n") == 2 and "warning: HYBRIDMEM_CONSERVATIVE_FACTOR" in said["warn"]
    assert "cuda:0: budget" in said["info"] and "overflow begins" in said["info"]
    assert "debug:" not in said["info"]
    assert "to host memory at 0x" in said["debug"]
    # disabled: not even that (P4)
    done = run(*("host_direct_overflow", 2, "1M"), shim=True, env={**bad, "HYBRIDMEM_ENABLE": "0"})
    assert (done.returncode, done.stderr) == (0, "")


def test_log_file(run, tmp_path):
    log = tmp_path / "log"
    env = {**CARD, "HYBRIDMEM_LOG": "info", "HYBRIDMEM_LOG_FILE": str(log)}
    assert run(*OVERFLOW, shim=True, env=env).stderr == ""
    assert "overflow begins" in log.read_text()
    env["HYBRIDMEM_LOG_FILE"] = str(tmp_path / "no/such/folder")
    done = run(*OVERFLOW, shim=True, env=env)
    assert done.returncode == 0
    assert "HYBRIDMEM_LOG_FILE" in done.stderr and "overflow begins" in done.stderr


def test_summary(run):
    done = run(*OVERFLOW, shim=True, env={**CARD, "HYBRIDMEM_SUMMARY": "true"})
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].split() == "hybridmem: device VRAM peak host peak redirected allocations refused".split()
    assert re.fullmatch(
        r"hybridmem: cuda:0 +128\.0 MiB +128\.0 MiB +128\.0 MiB +4 +0", lines[1]
    ), lines[1]
    assert len(lines[0]) == len(lines[1])


def test_stats_file(run, tmp_path):
    pattern = tmp_path / "stats-%p.json"
    done = run(*OVERFLOW, shim=True, env={**CARD, "HYBRIDMEM_STATS_FILE": str(pattern)})
    assert (done.returncode, done.stderr) == (0, "")
    files = list(tmp_path.glob("stats-*"))
    assert len(files) == 1 and re.fullmatch(r"stats-\d+\.json", files[0].name)
    stats = json.loads(files[0].read_text())
    assert stats["pid"] == int(re.search(r"\d+", files[0].name).group())
    assert stats["host_share"] == 3 * GIB
    device = stats["devices"][0]
    assert set(device) == {
        "ordinal", "vram_total", "vram_reserved", "gpu_budget", "device_bytes", "device_bytes_peak",
        "host_bytes", "host_bytes_peak", "lent_bytes", "lent_bytes_peak", "recalled_bytes",
        "managed_bytes", "redirected_allocations", "redirected_bytes", "insufficient", "refused",
    }
    total = device["vram_total"]
    assert (total, device["vram_reserved"]) == (256 << 20, 0)
    assert device["gpu_budget"] == (total - total * 15 // 100) * 7 // 10
    assert device["redirected_allocations"] == 4
    env = {**CARD, "HYBRIDMEM_STATS_FILE": str(tmp_path / "no/such/folder")}
    done = run(*OVERFLOW, shim=True, env=env)
    assert done.returncode == 0
    assert "HYBRIDMEM_STATS_FILE" in done.stderr


def test_ipc_capability_is_the_truth(run):
    """The one query that differs from device memory: a redirected block cannot be exported, and a
    host that asks first is not led into trying."""
    for env, capable in (({}, True), (ALL_TO_HOST, False)):
        done = run("host_direct_queries", shim=True, env={**STEADY, **env})
        assert ("ipc capable: 1" in done.stdout) == capable
        assert "ipc capable: 0" in done.stdout
