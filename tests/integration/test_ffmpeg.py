"""ffmpeg, unmodified, keeps more frames on the card than it holds: `reverse` needs them all."""

import pytest
from conftest import ALL_TO_HOST, MIB, STEADY

FRAMES = 60
SIZE = "1280x720"
# What one NV12 frame needs at least; ffmpeg aligns rows, so it allocates a little more.
FRAME_BYTES = 1280 * 720 * 3 // 2
CARD = {"SIMCUDA_VRAM": "48MiB"}

pytestmark = pytest.mark.usefixtures("unsanitised")


def ffmpeg(filters, gpu=True):
    argv = ["ffmpeg", "-nostdin", "-v", "error"]
    if gpu:
        argv += ["-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu"]
    argv += ["-f", "lavfi", "-i", f"testsrc2=s={SIZE}:r={FRAMES}:d=1"]
    return argv + ["-vf", filters, "-f", "framemd5", "-"]


ON_GPU = ffmpeg("format=nv12,hwupload_cuda,reverse,hwdownload,format=nv12")
ON_CPU = ffmpeg("format=nv12,reverse", gpu=False)


@pytest.fixture
def truth(run):
    result = run.program(ON_CPU)
    assert result.returncode == 0, result.stderr
    frames = [line for line in result.stdout.splitlines() if not line.startswith("#")]
    assert len(frames) == FRAMES and len(set(f.rsplit(",", 1)[1] for f in frames)) == FRAMES
    return frames


def frames_of(result):
    assert result.returncode == 0, result.stderr
    assert result.report == ""
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if not line.startswith("#")]


def test_big_card(run, truth):
    assert frames_of(run.program(ON_GPU)) == truth


def test_small_card_fails_without(run):
    result = run.program(ON_GPU, env=CARD)
    assert result.returncode != 0
    assert "CUDA_ERROR_OUT_OF_MEMORY" in result.stderr


def test_small_card_works_with(run, truth):
    result = run.program(ON_GPU, shim=True, env={**CARD, **STEADY})
    assert frames_of(result) == truth
    assert result.device["redirected_bytes"] > FRAMES * FRAME_BYTES - 48 * MIB
    assert 0 < result.device["device_bytes_peak"] <= 48 * MIB


@pytest.mark.parametrize(
    "more", [{}, {"HYBRIDMEM_BACKING": "pinned"}, {"SIMCUDA_HOST_POINTER": "0"}],
    ids=["registered", "pinned", "two-addresses"],
)
def test_every_frame_in_host_memory(run, truth, more):
    env = {**CARD, **STEADY, **ALL_TO_HOST, "HYBRIDMEM_LOG": "error", **more}
    result = run.program(ON_GPU, shim=True, env=env)
    assert frames_of(result) == truth
    assert result.device["redirected_allocations"] >= FRAMES
    assert result.device["device_bytes_peak"] == 0


def test_room_moves_nothing(run, truth):
    result = run.program(ON_GPU, shim=True, env={**STEADY, "SIMCUDA_VRAM": "8GiB"})
    assert frames_of(result) == truth
    assert result.device["redirected_bytes"] == 0
