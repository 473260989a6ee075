"""hybridmem plan --gpu: the card's memory as the driver and NVML tell it, without a context on it."""

import subprocess

import pytest
from conftest import BUILD, GIB
from model_files import gguf_file
from test_plan_command import USAGE, plan, planned, refused

NO_LIBRARY = 69
SIMULATED = {
    "LD_LIBRARY_PATH": str(BUILD / "sim"),
    "SIMCUDA_DEVICES": "2",
    "SIMCUDA_VRAM": "6GiB,10GiB",
}
RAM = ("--ram", "32GiB", "--ram-free", "24GiB")


@pytest.fixture
def model(tmp_path):
    tensors = [("double_blocks.0.img_attn.qkv.weight", "F16", [1024, 1024, 256])]
    return gguf_file(tmp_path / "flux.gguf", tensors, {"general.architecture": "flux"})


def card(*arguments, **env):
    """(total, free)"""
    vram = planned(*arguments, *RAM, env={**SIMULATED, **env})["vram"]
    return vram["total"], vram["free"]


@pytest.mark.parametrize(
    "wish,visible,total",
    [("0", None, 6), ("1", None, 10), ("cuda:1", None, 10), ("0", "1", 10), ("1", "1,0", 6)],
)
def test_the_card_that_programs_see(model, wish, visible, total):
    env = {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
    assert card("--gpu", wish, model, **env) == (total * GIB, total * GIB)


# The simulated card is each process's own, so that nobody else ever uses it. On this one somebody
# does: NVML says so of the card with that bus.
BUSY = """
#include <string.h>
struct memory { unsigned long long total, free, used; };
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, const char **device)
{ *device = bus[6] == '2' ? "busy" : "idle"; return 0; }
int nvmlDeviceGetMemoryInfo(const char *device, struct memory *m)
{ *m = (struct memory){11ull << 30, strcmp(device, "busy") ? 11ull << 30 : 4ull << 30, 0}; return 0; }
"""


def test_what_is_free_is_what_nvml_says(model, tmp_path):
    source, log = tmp_path / "busy.c", tmp_path / "log"
    source.write_text(BUSY)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    (tmp_path / "libcuda.so.1").symlink_to(BUILD / "sim/libcuda.so.1")
    env = {"LD_LIBRARY_PATH": str(tmp_path), "SIMCUDA_LOG": str(log)}
    assert card("--gpu", "1", model, **env) == (10 * GIB, 4 * GIB)
    assert card("--gpu", "0", model, **env) == (6 * GIB, 6 * GIB)  # never more than there is
    assert "cuDeviceTotalMem" in log.read_text() and "Ctx" not in log.read_text()


def test_what_is_given_holds(model):
    assert card("--gpu", "0", "--free", "2GiB", model) == (6 * GIB, 2 * GIB)
    assert card("--vram", "4GiB", "--gpu", "0", model) == (4 * GIB, 4 * GIB)


def test_without_nvml(model, tmp_path):
    (tmp_path / "libcuda.so.1").symlink_to(BUILD / "sim/libcuda.so.1")
    (tmp_path / "libnvidia-ml.so.1").touch()
    done = plan("--gpu", "1", *RAM, model, env={**SIMULATED, "LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 0
    assert done.stderr == (
        "warning: --gpu 1: NVML does not tell what is free: all of it, is assumed\n"
    )


def test_no_card(model, tmp_path):
    (tmp_path / "libcuda.so.1").touch()
    said = refused(NO_LIBRARY, "--gpu", "0", model, env={"LD_LIBRARY_PATH": str(tmp_path)})
    assert said == "hybridmem: --gpu 0: no NVIDIA driver: libcuda.so.1 cannot be loaded\n"
    said = refused(NO_LIBRARY, "--gpu", "2", model, env=SIMULATED)
    assert said == "hybridmem: --gpu 2: there is no such GPU\n"
    broken = {**SIMULATED, "SIMCUDA_FAIL": "cuInit:1:CUDA_ERROR_UNKNOWN"}
    said = refused(NO_LIBRARY, "--gpu", "0", model, env=broken)
    assert said == "hybridmem: --gpu 0: the NVIDIA driver does not start (cuInit)\n"
    assert "--gpu takes" in refused(USAGE, "--gpu", "cuda:", model, env=SIMULATED)
