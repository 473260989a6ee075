"""Programs that we did not write, in columns: a big card, the same with the library, the same with each
block in host memory, a card too small, the same with the library. What they print must be the same,
and a card too small must fail without the library.

tests/clients has the scripts; scripts/deps clients installs numba, cuda-bindings, cuda-core and
GStreamer."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ALL_TO_HOST, BUILD, MIB, ROOT, STEADY

CLIENTS = ROOT / "tests/clients"
VENV = ROOT / "build/venv"
PYTHON = VENV / "bin/python"
WANTED = CLIENTS / "requirements.txt"

BLOCKS, BLOCK = 24, 8 * MIB
BIG = {**STEADY, "SIMCUDA_VRAM": "1GiB"}
SMALL = {**STEADY, "SIMCUDA_VRAM": "64MiB"}
# The library's own warnings are not the client's output.
IN_HOST = {**BIG, **ALL_TO_HOST, "HYBRIDMEM_LOG": "error"}

pytestmark = pytest.mark.usefixtures("unsanitised")


@pytest.fixture
def venv():
    copy = VENV / "requirements.txt"
    if not copy.exists() or copy.read_text() != WANTED.read_text():
        pytest.skip("build/venv is not there or out of date: scripts/deps clients makes it")


def driver(version):
    """Where the simulated driver of this version is; 13.5 is the one without a folder."""
    return {"LD_LIBRARY_PATH": str(BUILD / "sim" / ("" if version == "13.5" else version))}


def clean(result):
    """The simulated driver saw no illegal use. That blocks are still there at the end may be."""
    wrong = [line for line in result.report.splitlines() if "leak" not in line]
    assert not wrong, wrong
    return result


# --- scripts over numba, cuda-bindings and cuda-core -------------------------------------------------

CTYPES = {"PYTHONPATH": str(CLIENTS / "ctypes_only")}
# numba's ctypes layer takes cuCtxGetDevice_v2 of driver 13.0 for a name of the function it knows.
SCRIPTS = [
    pytest.param("numba_arrays.py", "11.4", CTYPES, id="numba-ctypes-11.4"),
    pytest.param("numba_arrays.py", "12.2", CTYPES, id="numba-ctypes-12.2"),
    pytest.param("numba_arrays.py", "13.0", {}, id="numba-cuda-13.0"),
    pytest.param("bindings_driver.py", "11.4", {}, id="cuda-bindings-11.4"),
    pytest.param("bindings_driver.py", "12.2", {}, id="cuda-bindings-12.2"),
    pytest.param("bindings_driver.py", "13.0", {}, id="cuda-bindings-13.0"),
    pytest.param("core_buffers.py", "11.4", {}, id="cuda-core-11.4"),
    pytest.param("core_buffers.py", "12.2", {}, id="cuda-core-12.2"),
    pytest.param("core_buffers.py", "13.0", {}, id="cuda-core-13.0"),
]


class Script:
    def __init__(self, run, script, version, env):
        self.run, self.script, self.version = run, script, version
        self.env = {**driver(version), **env}

    def __call__(self, column, shim=False):
        argv = [PYTHON, "-B", CLIENTS / self.script, BLOCKS, BLOCK]
        return self.run.program(argv, shim=shim, env={**self.env, **column})

    def transcript(self, column, shim=False):
        """Its lines, without the one about an export, and that one."""
        result = clean(self(column, shim))
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert lines[-1] == f"{len(lines) - 1} lines"
        export = [line for line in lines if line.startswith("export: ")]
        return [line for line in lines if line not in export], export, result

    def physical(self, transcript):
        """Bytes of its memory that no host memory can stand in for: a pool with a bound, and before 12.2
        all that cuMemCreate makes."""
        kinds = ["bounded"] + ["physical", "exportable", "granularity"] * (self.version == "11.4")
        lines = [line.split(": ", 1) for line in transcript if ": " in line]
        return sum(int(size) for kind, size in lines if kind in kinds)


@pytest.fixture
def client(request, run, venv):
    return Script(run, *request.param)


over_scripts = pytest.mark.parametrize(
    "client", [pytest.param(p.values, id=p.id) for p in SCRIPTS], indirect=True
)


@over_scripts
def test_script_sees_the_same(client):
    bare, exported, _ = client.transcript(BIG)
    assert len(set(line for line in bare if line.startswith("block "))) >= BLOCKS
    room, room_exported, result = client.transcript(BIG, shim=True)
    assert room == bare and room_exported == exported
    assert result.device["redirected_bytes"] == 0

    host, host_exported, result = client.transcript(IN_HOST, shim=True)
    assert host == bare
    assert result.device["host_bytes_peak"] >= BLOCKS * BLOCK
    assert result.device["device_bytes_peak"] == client.physical(bare)
    # A block in host memory cannot be shared with another process: the driver's own error.
    assert not any("none" in line or "SUCCESS" in line for line in host_exported)
    assert len(host_exported) == len(exported)

    small, _, result = client.transcript(SMALL, shim=True)
    assert small == bare
    assert result.device["redirected_bytes"] >= BLOCKS * BLOCK - 64 * MIB
    assert 0 < result.device["device_bytes_peak"] <= 64 * MIB


@over_scripts
def test_script_fails_on_a_small_card(client):
    result = client(SMALL)
    assert result.returncode == 1
    assert "CUDA_ERROR_OUT_OF_MEMORY" in result.stderr


def test_nvml_by_nvidia_ml_py(run, venv):
    argv = [PYTHON, "-B", CLIENTS / "nvml_memory.py"]
    bare = clean(run.program(argv, env=BIG))
    assert bare.stdout == f"{1024 * MIB} {960 * MIB}\n", bare.stderr
    for column in (BIG, IN_HOST):
        shimmed = clean(run.program(argv, shim=True, env=column))
        assert shimmed.stdout == f"{4096 * MIB} {4032 * MIB}\n", shimmed.stderr
        assert (shimmed.device["redirected_bytes"] > 0) == (column is IN_HOST)


@pytest.mark.parametrize("when", ["before", "after"])
def test_comfy_aimdo_patches_the_functions(run, venv, when):
    """What dlsym finds, ours with the library there: it counts each block, wherever it lies."""
    argv = [PYTHON, "-B", CLIENTS / "aimdo_patch.py", when]
    bare = clean(run.program(argv, env=BIG))
    assert bare.returncode == 0, bare.stderr
    assert "hooked: True" in bare.stdout and "it counts: 4" in bare.stdout
    assert "False" not in bare.stdout
    for column in (BIG, IN_HOST):
        shimmed = clean(run.program(argv, shim=True, env=column))
        assert (shimmed.returncode, shimmed.stdout) == (0, bare.stdout), shimmed.stderr
        assert (shimmed.device["redirected_bytes"] > 0) == (column is IN_HOST)
        assert shimmed.device["device_bytes"] == shimmed.device["host_bytes"] == 0


def test_comfy_aimdo_on_a_small_card(run, venv):
    argv = [PYTHON, "-B", CLIENTS / "aimdo_patch.py", "before"]
    bare = run.program(argv, env=SMALL)
    assert bare.returncode == 1 and "AssertionError: 2" in bare.stderr
    shimmed = clean(run.program(argv, shim=True, env=SMALL))
    assert (shimmed.returncode, shimmed.stdout.splitlines()[-1]) == (0, "done"), shimmed.stderr
    assert "False" not in shimmed.stdout


# --- numba's own tests of its driver layer, unmodified -----------------------------------------------
# Those about memory, contexts, streams and events. Some compile kernels and fail, everywhere alike.

SUITE = ("array_attr context_stack cuda_array_slicing cuda_auto_context cuda_devicerecord cuda_driver "
         "cuda_memory cuda_ndarray deallocations emm_plugins events host_alloc init managed_alloc "
         "pinned profiler reset_device select_device streams").split()


def suite(run, env, shim=False):
    argv = [PYTHON, "-B", "-m", "numba.runtests", "-v"]
    argv += [f"numba.cuda.tests.cudadrv.test_{name}" for name in SUITE]
    result = clean(run.program(argv, shim=shim, env=env))
    ran = re.search(r"^Ran (\d+) tests", result.stderr, re.M)
    assert ran, result.stderr
    # "name (class) ... ok", or the first line of the test's description for its name; asyncio may
    # say in between that something took long
    outcomes = re.findall(
        r"^(.*?) \.\.\. (?:Executing <.*\n)?(ok|ERROR|FAIL|skipped .*)$", result.stderr, re.M
    )
    return sorted(outcomes), int(ran[1]), result


@pytest.mark.parametrize(
    "version, env", [("12.2", CTYPES), ("13.0", {})], ids=["numba-ctypes-12.2", "numba-cuda-13.0"]
)
def test_own_tests_of_numba(run, venv, version, env):
    env = {**driver(version), **env}
    bare, ran, _ = suite(run, {**env, **BIG})
    assert ran >= 150 and len(bare) >= ran
    assert sum(outcome == "ok" for _, outcome in bare) >= 140
    room, _, result = suite(run, {**env, **BIG}, shim=True)
    assert room == bare
    assert result.device["redirected_bytes"] == 0
    host, _, result = suite(run, {**env, **IN_HOST}, shim=True)
    assert host == bare
    assert result.device["redirected_allocations"] >= 50


# --- GStreamer's upload and download elements ---------------------------------------------------------

FRAMES, WIDTH, HEIGHT = 60, 1280, 720
FRAME_BYTES = WIDTH * HEIGHT * 3 // 2  # NV12; GStreamer aligns rows, so it allocates a little more
SOURCE = (f"videotestsrc num-buffers={FRAMES} pattern=ball ! "
          f"video/x-raw,format=NV12,width={WIDTH},height={HEIGHT},framerate=30/1").split()
# The queue holds every frame on the card: it lets none pass before more are there than ever come.
ON_GPU = (f"! cudaupload ! video/x-raw(memory:CUDAMemory) ! queue max-size-buffers=0 max-size-bytes=0 "
          f"max-size-time=0 min-threshold-buffers={FRAMES + 1} ! cudadownload ! video/x-raw").split()
GST_CARD = {**STEADY, "SIMCUDA_VRAM": "48MiB"}


class Pipeline:
    """gst-launch-1.0, with the simulated driver beside a decoder library that offers no decoder."""

    def __init__(self, run, folder):
        self.run, self.video = run, folder / "video"
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o",
                        folder / "libnvcuvid.so.1", CLIENTS / "nvcuvid.c"], check=True, timeout=60)
        self.env = {"LD_LIBRARY_PATH": f"{BUILD / 'sim'}:{folder}", "NO_COLOR": "1",
                    "GST_REGISTRY": str(folder / "registry")}

    def __call__(self, elements, env, shim=False):
        argv = ["gst-launch-1.0", "-q", *SOURCE, *elements, "!", "filesink", f"location={self.video}"]
        return clean(self.run.program(argv, shim=shim, env={**self.env, **env}))

    def video_of(self, elements, env, shim=False):
        """The hash of the video, and the run that made it."""
        result = self(elements, env, shim)
        assert result.returncode == 0, result.stdout + result.stderr
        data = self.video.read_bytes()
        assert len(data) == FRAMES * FRAME_BYTES
        frames = {data[i:i + FRAME_BYTES] for i in range(0, len(data), FRAME_BYTES)}
        assert len(frames) > FRAMES // 2  # it moves
        self.video.unlink()
        return hashlib.sha256(data).hexdigest(), result


@pytest.fixture
def pipeline(run, tmp_path):
    if not shutil.which("gst-launch-1.0") or not list(
        Path("/usr/lib").glob("*/gstreamer-1.0/libgstnvcodec.so")
    ):
        pytest.skip("GStreamer is not installed: scripts/deps clients does it")
    return Pipeline(run, tmp_path)


def test_gstreamer_sees_the_same(pipeline):
    truth, _ = pipeline.video_of([], BIG)
    assert pipeline.video_of(ON_GPU, BIG)[0] == truth
    room, result = pipeline.video_of(ON_GPU, BIG, shim=True)
    assert room == truth
    assert result.device["redirected_bytes"] == 0
    assert result.device["device_bytes_peak"] >= FRAMES * FRAME_BYTES
    host, result = pipeline.video_of(ON_GPU, IN_HOST, shim=True)
    assert host == truth
    assert result.device["redirected_bytes"] >= FRAMES * FRAME_BYTES
    assert result.device["device_bytes_peak"] == 0
    small, result = pipeline.video_of(ON_GPU, GST_CARD, shim=True)
    assert small == truth
    assert result.device["host_bytes_peak"] >= FRAMES * FRAME_BYTES - 48 * MIB
    assert 0 < result.device["device_bytes_peak"] <= 48 * MIB


def test_gstreamer_fails_on_a_small_card(pipeline):
    assert pipeline(ON_GPU, GST_CARD).returncode != 0
