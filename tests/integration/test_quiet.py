"""Off is off, and a process that never touches CUDA does not notice the library at all."""

import os
import shutil
import subprocess

import pytest
from conftest import SHIM, STEADY
from test_hosts_transcripts import DOORS, OTHERS, name

SOURCE = "; ".join(
    [
        "import os, sys, errno, json, threading",
        "print(len(os.listdir('/proc/self/task')), threading.active_count())",
        "print(json.dumps({'a': [1, 2, 3]}), sys.version_info[0])",
        "print(sum('libcuda' in line for line in open('/proc/self/maps')))",
    ]
)
PROGRAMS = {
    "bash": ["bash", "-c", 'ls /proc/$$/task | wc -l; echo "$((6 * 7))"; false || echo $?'],
    "python3": ["python3", "-c", SOURCE],
    "git": ["git", "--no-pager", "help", "-a"],
    "git-fails": ["git", "-C", "/", "log"],
    "ffmpeg": ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x90:d=1", "-threads"]
    + ["1", "-f", "framemd5", "-"],
    "ffmpeg-fails": ["ffmpeg", "-v", "error", "-i", "/nonexistent.mp4", "-f", "null", "-"],
    "true": ["true"],
}


def traces(folder):
    """All that a library could leave behind: files here, in /tmp and in shared memory."""
    shared = {n for n in os.listdir("/dev/shm") if "hybridmem" in n}
    tmp = {n for n in os.listdir("/tmp") if "hybridmem" in n}
    return {str(p) for p in folder.rglob("*")}, shared, tmp


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("options", [{}, {"HYBRIDMEM_SUMMARY": "true"}], ids=["default", "summary"])
def test_without_cuda(run, tmp_path, unsanitised, program, options):
    argv = PROGRAMS[program]
    assert shutil.which(argv[0]), f"{argv[0]} is not installed"
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(home), "LD_LIBRARY_PATH": ""}
    plain = run.program(argv, env=env, cwd=home)
    before = traces(tmp_path)
    # No statistics file is asked for, so none may appear: shim=True would ask.
    preloaded = run.program(argv, preload=[SHIM], env={**env, **options}, cwd=home)
    assert (preloaded.returncode, preloaded.stdout) == (plain.returncode, plain.stdout)
    assert preloaded.stderr == plain.stderr
    assert traces(tmp_path) == before
    if program == "python3":
        assert preloaded.stdout.splitlines()[0] == "1 1"
        assert preloaded.stdout.splitlines()[2] == "0"
    if program == "bash":
        assert preloaded.stdout.splitlines()[0] == "1"


def test_the_library_is_there(run, unsanitised):
    """The runs above would prove nothing if the library were not loaded."""
    argv = ["python3", "-c", "print(sum('libhybridmem' in l for l in open('/proc/self/maps')) > 0)"]
    assert run.program(argv, preload=[SHIM]).stdout == "True\n"
    assert run.program(argv).stdout == "False\n"


def test_a_library_to_be_missed_says_so(run, tmp_path, unsanitised):
    """And the loader would complain, on stderr, about one that it cannot load."""
    result = run.program(["true"], preload=[tmp_path / "none.so"])
    assert result.stderr != ""


def test_beside_a_sanitizer(run, unsanitised):
    """A sanitizer's run-time calls dlsym before it can be called itself (strcmp among others)."""
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert os.path.isabs(found), "gcc has no libasan.so"
    argv = ["sh", "-c", "echo here"]
    assert run.program(argv, preload=[found]).stdout == "here\n"
    result = run.program(argv, preload=[found, SHIM])
    assert (result.returncode, result.stdout, result.stderr) == (0, "here\n", "")


def log_of(run, tmp_path, host, label, **kwargs):
    log = tmp_path / f"log-{label}"
    env = {"SIMCUDA_LOG": str(log), **kwargs.pop("env", {})}
    result = run(*host, env=env, **kwargs)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return log.read_bytes()


# They take turns as they like, so their calls have no order to compare.
THREADS = ("host_direct_threads", "host_direct_cancel", "host_direct_releases")


@pytest.mark.parametrize("host", [h for h in DOORS + OTHERS if h[0] not in THREADS], ids=name)
def test_disabled_makes_the_same_calls(run, tmp_path, host):
    bare = log_of(run, tmp_path, host, "bare")
    off = log_of(run, tmp_path, host, "off", preload=[SHIM], env={"HYBRIDMEM_ENABLE": "false"})
    assert bare.count(b"\n") > 10
    assert off == bare
    assert not list(tmp_path.glob("stats*"))


def test_the_log_tells_them_apart(run, tmp_path):
    """The comparison above would prove nothing if the log did not show what the library does."""
    host = ("host_direct_script",)
    bare = log_of(run, tmp_path, host, "bare")
    env = {**STEADY, "HYBRIDMEM_VRAM_LIMIT": "8MiB", "HYBRIDMEM_MIN_REDIRECT": "0"}
    assert log_of(run, tmp_path, host, "on", shim=True, env=env) != bare


@pytest.mark.parametrize("options", [{}, STEADY], ids=["default", "steady"])
def test_no_thread_in_a_cuda_program(run, unsanitised, options):
    """Enabled, with CUDA in use, the library starts no thread of its own either."""
    argv = [
        "python3",
        "-c",
        "import ctypes, os\n"
        "cuda = ctypes.CDLL('libcuda.so.1')\n"
        "p, c = ctypes.c_ulonglong(), ctypes.c_void_p()\n"
        "assert cuda.cuInit(0) == 0\n"
        "assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(c), 0) == 0\n"
        "assert cuda.cuCtxSetCurrent(c) == 0\n"
        "assert cuda.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(1 << 22)) == 0\n"
        "assert cuda.cuMemFree_v2(p) == 0\n"
        "print(len(os.listdir('/proc/self/task')))\n",
    ]
    bare = run.program(argv)
    assert bare.returncode == 0, bare.stderr
    shimmed = run.program(argv, shim=True, env={**options, "HYBRIDMEM_VRAM_LIMIT": "1MiB"})
    assert (shimmed.stdout, shimmed.returncode) == (bare.stdout, 0), shimmed.stderr
    assert shimmed.device["redirected_allocations"] == 1
