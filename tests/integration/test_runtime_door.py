"""The door of the runtime's own entry points: who is bound to it, who is not, and what it does where the
runtime found the driver by itself."""

import re

import pytest
from conftest import ALL_TO_HOST, BUILD, MIB, ROOT, SHIM, STEADY

ROWS = set(re.findall(r"^RUNTIME_HOOK\(\w+, (\w+),", (ROOT / "shim/hooks.def").read_text(), re.M))
NODES = {"cuda11": "libcudart.so.11.0", "cuda12": "libcudart.so.12", "cuda13": "libcudart.so.13"}
RUNTIME = BUILD / "hosts/libextension_runtime.so"  # 8 blocks of 32 MiB, and one more at a time
BIG = {**STEADY, "SIMCUDA_VRAM": "1GiB"}
SMALL = {**STEADY, "SIMCUDA_VRAM": "192MiB"}
# Opened first and deep, the runtime's dlsym is the C library's: it finds the driver itself.
PAST_US = "deep:libcudart.so.12"


def host(cuda, name):
    return name if cuda == "cuda12" else f"{cuda}/{name}"


def bindings(run, argv, who):
    """{name: where to} of the references by `who` that carry a version of the runtime."""
    done = run.program(argv, preload=[SHIM], env={**BIG, "LD_DEBUG": "bindings", "LD_BIND_NOW": "1"})
    assert done.returncode == 0, done.stdout
    found = re.findall(r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `(cuda\w+)' \[(\S+)\]", done.stderr)
    first = {}  # our own search for the real one, through the same library, comes later
    for file, to, name, node in found:
        if file.endswith(who):
            first.setdefault(name, (to.rsplit("/", 1)[-1], node))
    return first


@pytest.mark.parametrize("cuda", NODES)
def test_references_with_a_version_come_to_us(run, unsanitised, cuda):
    program = BUILD / "hosts" / host(cuda, "host_runtime_calls")
    bound = bindings(run, [program], "/host_runtime_calls")
    node = NODES[cuda]
    assert {"cudaMalloc", "cudaFree", "cudaMemGetInfo"} <= ROWS & set(bound)
    for name, to in bound.items():
        assert to == ("libhybridmem.so" if name in ROWS else node, node), name


def test_every_row_in_an_extension(run, unsanitised):
    bound = bindings(run, [BUILD / "hosts/host_extension", RUNTIME], "/libextension_runtime.so")
    ours = {name for name, (to, _) in bound.items() if to == "libhybridmem.so"}
    assert ours == {name for name in ROWS if not name.endswith(("_ptds", "_ptsz"))}


@pytest.mark.parametrize("cuda", ["cuda11", "cuda13"])
@pytest.mark.parametrize("program", ["host_runtime_basic", "host_runtime_calls", "host_runtime_streams"])
def test_other_runtimes_say_the_same(run, cuda, program):
    """As libcudart.so.12, which the transcripts cover."""
    bare = run(program)
    for env in ({}, ALL_TO_HOST):
        done = run(host(cuda, program), shim=True, env={**STEADY, **env, "HYBRIDMEM_LOG": "error"})
        assert (done.returncode, done.stdout, done.report) == (0, bare.stdout, "")
        assert (done.device["redirected_allocations"] > 0) == bool(env)


def test_old_runtime_on_an_old_driver(run):
    env = {**STEADY, "LD_LIBRARY_PATH": f"{BUILD}/sim/11.4:{BUILD}/sim", "SIMCUDA_DRIVER": "11.4"}
    bare = run("host_runtime_basic")
    done = run("cuda11/host_runtime_basic", shim=True, env={**env, **ALL_TO_HOST, "HYBRIDMEM_LOG": "error"})
    assert (done.returncode, done.stdout) == (0, bare.stdout)
    assert done.device["redirected_allocations"] > 0


def test_a_static_runtime_is_never_captured(run):
    """Its own names, in the open, in a library opened after ours: references without a version."""
    static = BUILD / "hosts/libextension_static.so"
    bare = run("host_extension", static)
    assert bare.stdout == "1 allocated, 1 freed by its own\n"
    assert run("host_extension", static, preload=[SHIM]).stdout == bare.stdout


def test_no_runtime_is_found_through_us(run, unsanitised):
    argv = ["python3", "-c", "import ctypes\nprint(hasattr(ctypes.CDLL(None), 'cudaMalloc'))"]
    assert run.program(argv, preload=[SHIM]).stdout == "False\n"


def test_extension(run):
    """Opened RTLD_LOCAL, its runtime with it: nothing of it is in the global scope."""
    assert run("host_extension", RUNTIME, env=BIG).returncode == 0
    bare = run("host_extension", RUNTIME, env=SMALL)
    assert (bare.returncode, "cudaErrorMemoryAllocation" in bare.stdout) == (1, True)
    done = run("host_extension", RUNTIME, shim=True, env=SMALL)
    assert (done.returncode, done.stderr, done.report) == (0, "", ""), done.stdout
    assert done.device["device_bytes_peak"] > 0 and done.device["host_bytes_peak"] > 64 * MIB
    assert done.device["device_bytes"] == done.device["host_bytes"] == 0


def test_runtime_that_found_the_driver_by_itself(run, unsanitised):
    """What is out of memory overflows, and is freed, copied and described as what it is."""
    done = run("host_extension", PAST_US, RUNTIME, shim=True, env={**SMALL, "HYBRIDMEM_LOG": "info"})
    assert (done.returncode, done.report) == (0, ""), done.stdout
    assert "does not reach the driver through hybridmem" in done.stderr
    assert done.device["device_bytes_peak"] == 0  # it went past us
    assert done.device["host_bytes_peak"] == 96 * MIB  # six blocks fit, two and one more do not
    assert done.device["host_bytes"] == 0
    room = run("host_extension", PAST_US, RUNTIME, shim=True, env=BIG)
    assert (room.returncode, room.stderr, room.report) == (0, "", "")
    assert room.stdout == done.stdout.replace("3264", "4096")


@pytest.mark.parametrize(
    "env",
    [
        {"HYBRIDMEM_ENABLE": "false"},
        {"HYBRIDMEM_TARGET_GPU": "cuda:1"},
        {"HYBRIDMEM_HOST_LIMIT": "32MiB"},
        {"SIMCUDA_FAIL": "cuMemHostRegister_v2:*:2,cuMemHostAlloc:*:2"},
    ],
    ids=["off", "no-target", "no-room", "no-pinning"],
)
def test_past_us_and_nothing_to_be_done(run, unsanitised, env):
    """The runtime's own error (promise P2)."""
    quiet = {**SMALL, **env, "HYBRIDMEM_LOG": "error"}
    done = run("host_extension", PAST_US, RUNTIME, shim=True, env=quiet)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "cudaMalloc(&block[i], SIZE): cudaErrorMemoryAllocation\n"
