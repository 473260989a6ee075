"""Every host says and does the same without the library, with it, and when it moves every block."""

import re

import pytest
from conftest import ALL_TO_HOST, BUILD, ROOT, STEADY

DOORS = [
    ("host_dlsym_old",),
    ("host_dlsym_new",),
    ("host_dlsym_default",),
    ("host_dlvsym",),
    ("host_procaddr_v1",),
    ("host_procaddr_v1", "per-thread"),
    ("host_procaddr_v2",),
    ("host_procaddr_v2", "per-thread"),
    ("host_runtime_basic",),
]
OTHERS = [
    ("host_direct_script",),
    ("host_direct_overflow", "6", "8M"),
    ("host_direct_queries",),
    ("host_direct_meminfo",),
    ("host_direct_copies",),
    ("host_direct_copies_per_thread",),
    ("host_direct_planes",),
    ("host_direct_planes_per_thread",),
    ("host_direct_sets",),
    ("host_direct_sets_per_thread",),
    ("host_direct_contexts",),
    ("host_direct_green",),
    ("host_direct_releases",),
    ("host_direct_badinput",),
    ("host_direct_threads",),
    ("host_direct_cancel",),
    ("host_direct_fork",),
    ("host_direct_capture",),
    ("host_direct_graphs",),
    ("host_direct_stream_ordered",),
    ("host_direct_gated",),
    ("host_direct_pools",),
    ("host_direct_expandable",),
    ("host_direct_expandable", "1", "3", "late"),
    ("host_direct_physical",),
    ("host_direct_next",),
    ("host_runtime_calls",),
    ("host_runtime_streams",),
]
# Programs that other tests run.
ELSEWHERE = {
    "host_direct_ballast",
    "host_direct_cards",
    "host_direct_churn",
    "host_direct_constructor",
    "host_direct_corners",
    "host_direct_devices",
    "host_direct_exports",
    "host_direct_fill",
    "host_direct_freed_ram",
    "host_direct_loan",
    "host_direct_loan_corners",
    "host_direct_model",
    "host_direct_report",
    "host_direct_two_devices",
    "host_doors_matrix",
    "host_extension",
    "host_nvml_cancel",
    "host_nvml_memory",
    "host_patched",
}

COLUMNS = {
    # With room for all: nothing moves.
    "room": {},
    # No budget: everything moves, into registered memory and into pinned allocations.
    "host": ALL_TO_HOST,
    "host-pinned": {**ALL_TO_HOST, "HYBRIDMEM_BACKING": "pinned"},
    # A device that cannot use the host's address of registered memory.
    "host-two-addresses": {**ALL_TO_HOST, "SIMCUDA_HOST_POINTER": "0"},
    # Truth about memory instead of the bigger card.
    "report-device": {"HYBRIDMEM_REPORT": "device"},
    # Some of it moves.
    "limit": {"HYBRIDMEM_VRAM_LIMIT": "8MiB", "HYBRIDMEM_MIN_REDIRECT": "0"},
    "off": {"HYBRIDMEM_ENABLE": "false"},
}
# What stays in VRAM all the same.
STAYS = {
    # In a capture nothing is redirected: the one block that a relaxed capture allows.
    ("host_direct_capture",): 4 << 20,
    # What is allocated while another stream captures.
    ("host_direct_graphs",): 4 << 20,
    # Compressible memory and what sparse arrays are mapped to is no host memory.
    ("host_direct_physical",): 4 << 20,
    # What a pool gave in a context that ends before it.
    ("host_direct_contexts",): 64 << 20,
    # A pool whose size is limited keeps to it.
    ("host_direct_pools",): 3 << 20,
}
REDIRECTING = {"host", "host-pinned", "host-two-addresses"}


def name(host):
    return "-".join(host).replace("host_", "")


def test_every_host_is_run():
    sources = {p.stem for p in (ROOT / "tests/hosts").glob("host_*.c")}
    assert sources == {host[0] for host in DOORS + OTHERS} | ELSEWHERE


def good(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("done\n")
    assert result.report == ""
    assert result.stderr == ""


def without_ipc(transcript):
    """The one answer that differs by design: redirected memory cannot be exported, and says so."""
    return re.sub(r"(?m)^  ipc capable: [01]$", "", transcript)


@pytest.mark.parametrize("host", DOORS + OTHERS, ids=name)
def test_bare(run, host):
    good(run(*host))


@pytest.mark.parametrize("host", DOORS, ids=name)
def test_doors_agree(run, host):
    assert run(*host).stdout == run("host_direct_script").stdout


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("host", DOORS + OTHERS, ids=name)
def test_same_with_shim(run, host, column):
    bare = run(*host)
    shimmed = run(*host, shim=True, env={**STEADY, **COLUMNS[column], "HYBRIDMEM_LOG": "error"})
    assert without_ipc(shimmed.stdout) == without_ipc(bare.stdout)
    good(shimmed)
    if column in REDIRECTING:
        assert shimmed.device["redirected_allocations"] > 0
        assert shimmed.device["device_bytes_peak"] == STAYS.get(host, 0)
    if column in ("room", "report-device"):
        assert shimmed.device["redirected_allocations"] == 0
        assert shimmed.device["device_bytes_peak"] > 0
    if column != "off":
        assert shimmed.device["device_bytes"] == 0
        assert shimmed.device["host_bytes"] == 0


# A green stream needs no green context to be current.
def test_green_contexts_overflow(run):
    shimmed = run("host_direct_green", shim=True, env={**STEADY, **ALL_TO_HOST})
    assert shimmed.device["redirected_allocations"] == 17  # all that it allocates


# Host memory has little room: a second block is there when the first one's streams are done.
@pytest.mark.parametrize("lacks", [None, "cuStreamGetCtx_v2"])
def test_green_contexts_use_blocks_again(run, lacks):
    bare = run("host_direct_green")
    env = {**STEADY, **ALL_TO_HOST, "HYBRIDMEM_HOST_LIMIT": "80MiB", "HYBRIDMEM_LOG": "error"}
    # CUDA 12.4 does not tell whose memory a green context's is: it stays the driver's.
    if lacks:
        env["SIMCUDA_FAIL"] = f"{lacks}:*:CUDA_ERROR_NOT_FOUND"
    shimmed = run("host_direct_green", shim=True, env=env)
    assert shimmed.stdout == bare.stdout
    assert " 0 words wrong" in bare.stdout and not re.search(r" [1-9]\d* words wrong", bare.stdout)
    good(shimmed)
    assert shimmed.device["redirected_allocations"] > 0
    assert shimmed.device["device_bytes"] == shimmed.device["host_bytes"] == 0


# Preloaded before ours, the other library is called first and finds ours next; after ours, it finds
# the driver. Ours must not hide behind it, nor it behind ours.
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
def test_rtld_next(run, first, options):
    other = BUILD / "hosts/libpreload_next.so"
    ours = BUILD / "libhybridmem.so"
    order = [other, ours] if first else [ours, other]
    bare = run("host_direct_next", preload=[other])
    assert bare.returncode == 0, bare.stdout + bare.stderr
    assert bare.stdout.endswith("preload_next: 5 allocated, 5 freed, next is libcuda.so.1\n")
    both = run("host_direct_next", shim=True, preload=order, env={**STEADY, **options, "HYBRIDMEM_LOG": "error"})
    assert both.returncode == 0, both.stdout + both.stderr
    assert (both.report, both.stderr) == ("", "")
    own = bare.stdout.rsplit("preload_next:", 1)[0]
    said = both.stdout.rsplit("preload_next:", 1)
    assert said[0] == own
    if first:
        assert said[1] == " 5 allocated, 5 freed, next is libhybridmem.so\n"
    else:
        assert said[1] == " 0 allocated, 0 freed, next is libcuda.so.1\n"
    assert both.device["redirected_allocations"] == (5 if options else 0)


# What a name is looked up with decides what is found, on each driver that has it.
@pytest.mark.parametrize("driver", ["11.4", "12.2"])
@pytest.mark.parametrize(
    "host", [("host_dlsym_old",), ("host_dlsym_new",), ("host_procaddr_v1",)], ids=name
)
@pytest.mark.parametrize("options", [{}, ALL_TO_HOST], ids=["room", "host"])
def test_older_drivers(run, driver, host, options):
    library = {"LD_LIBRARY_PATH": f"{BUILD}/sim/{driver}:{BUILD}/sim", "SIMCUDA_DRIVER": driver}
    bare = run(*host, env=library)
    good(bare)
    shimmed = run(*host, shim=True, env={**library, **STEADY, **options, "HYBRIDMEM_LOG": "error"})
    good(shimmed)
    assert shimmed.stdout == bare.stdout


@pytest.mark.parametrize("shim", [False, True], ids=["bare", "shim"])
def test_missing_function_stays_missing(run, shim):
    library = {"LD_LIBRARY_PATH": f"{BUILD}/sim/11.4:{BUILD}/sim", "SIMCUDA_DRIVER": "11.4"}
    result = run("host_procaddr_v2", shim=shim, env=library)
    assert result.returncode == 1
    assert result.stdout == "cuGetProcAddress_v2: not found\n"
