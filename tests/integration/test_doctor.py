"""hybridmem doctor: says how it would work here and what is wrong; the bandwidth that it leaves is
what plan --gpu reckons with."""

import json
import os
import re
import subprocess

import pytest
from conftest import BUILD, GIB, ROOT, SHIM
from model_files import gguf_file
from test_cli import CONFIG, NO_LIBRARY, USAGE, call
from test_plan_command import plan, planned

UUID = "GPU-73696d75-6c61-7465-6463-7564610000%02x"
RAM = {"HYBRIDMEM_SYSTEM_RAM_PAD_GB": "0", "HYBRIDMEM_HOST_LIMIT": "64MiB"}
MODEL_RAM = ("--ram", "32GiB", "--ram-free", "24GiB")

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("HM_SANITIZE")), reason="preloads the library into a program without it"
)


@pytest.fixture
def machine(tmp_path):
    """The environment of a machine with a card of 64 MiB, a cache and a folder for small files."""
    (tmp_path / "tmp").mkdir()
    return {
        "LD_LIBRARY_PATH": str(BUILD / "sim"), "SIMCUDA_VRAM": "64MiB", "SIMCUDA_COST": "pcie=20GB/s",
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "tmp"), **RAM,
    }


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache/hybridmem/bandwidth.json"


@pytest.fixture
def model(tmp_path):
    tensors = [("double_blocks.0.img_attn.qkv.weight", "F16", [1024, 1024, 256])]
    return gguf_file(tmp_path / "flux.gguf", tensors, {"general.architecture": "flux"})


def seen(env, code=0):
    """Its JSON; it ends with `code`, and says so."""
    done = call("doctor", "--json", env=env)
    assert (done.returncode, done.stderr) == (code, "")
    found = json.loads(done.stdout)
    assert found["status"] == code
    assert any(f["wrong"] for f in found["findings"]) == (code != 0)
    return found


def findings(env, code):
    """What is wrong, or remarked when nothing is wrong: (what, advice)"""
    return [(f["what"], f["advice"]) for f in seen(env, code)["findings"] if f["wrong"] or not code]


def finding(env, code):
    found = findings(env, code)
    assert len(found) == 1, found
    return found[0]


# --- all is well ---


def test_a_machine_on_which_it_works(machine, cache, tmp_path):
    found = seen({**machine, "SIMCUDA_DEVICES": "2", "SIMCUDA_VRAM": "64MiB,1GiB"})
    assert found["driver"] == 13050 and found["library"] == str(SHIM) and found["policy"] is None
    assert found["ram"]["host_share"] == 64 << 20  # the library's own figure: host_limit
    system = ("huge pages", "/dev/shm")  # which are what this machine has
    assert all(any(word in f["what"] for word in system) for f in found["findings"])
    for ordinal, total in enumerate((64 << 20, GIB)):
        gpu = found["gpus"][ordinal]
        assert gpu["name"] == "Simulated CUDA Device" and gpu["uuid"] == UUID % ordinal
        assert (gpu["ordinal"], gpu["vram_total"], gpu["vram_free"]) == (ordinal, total, total)
        assert gpu["gpu_budget"] == (total - total * 15 // 100) * 7 // 10
        assert gpu["doors"] == {"linked": True, "dlsym": True, "cuGetProcAddress": True}
        assert gpu["overflow"] is True
        # each byte crosses the bus at 20 GB/s and is read or written in VRAM at 500 GB/s
        for way in ("to_device", "from_device"):
            assert gpu[way] == pytest.approx(1e9 / (1 / 20 + 1 / 500), rel=1e-3)
    assert json.loads(cache.read_text()) == {
        UUID % i: {way: found["gpus"][i][way] for way in ("to_device", "from_device")} for i in (0, 1)
    }
    assert list(cache.parent.iterdir()) == [cache] and not list((tmp_path / "tmp").iterdir())


def test_for_people_it_says_the_same_on_one_screen(machine, cache):
    done = call("doctor", env=machine)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(len(line) for line in lines if "/" not in line.replace("GB/s", "").replace("/dev/shm", "")) <= 96
    for words in (
        "driver   CUDA 13.5, 1 GPU", f"library  {SHIM}", "up to 64.00 MiB for overflow",
        f"cuda:0   Simulated CUDA Device, {UUID % 0}",
        "VRAM 64.00 MiB, 64.00 MiB free; budget 38.08 MiB (0 B held by others)",
        "taken over: linked yes; dlsym yes; cuGetProcAddress yes; overflow works",
        "PCIe 19.2 GB/s to the GPU, 19.2 GB/s from it", f"The bandwidths are noted in {cache}",
        "Nothing is wrong.",
    ):
        assert words in done.stdout, words


def test_the_containers_ram(machine, machine_files):
    group = "sys/fs/cgroup/memory"
    env = machine_files({
        "proc/meminfo": f"MemTotal: {32 << 20} kB\nMemAvailable: {24 << 20} kB\n",
        "proc/self/cgroup": "0::/\n", f"{group}.max": str(6 * GIB), f"{group}.current": str(GIB),
    })
    ram = seen({**machine, **env})["ram"]
    assert (ram["total"], ram["available"]) == (6 * GIB, 5 * GIB)


def test_an_older_driver_has_fewer_doors(machine):
    (gpu,) = seen({**machine, "LD_LIBRARY_PATH": str(BUILD / "sim/11.4")})["gpus"]
    assert gpu["doors"]["cuGetProcAddress"] is True and gpu["vram_free"] is None


def test_options_are_taken_as_run_takes_them(machine, tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{"vram_limit": "32MiB"}')
    done = call("doctor", "--json", "--policy", policy, "--set", "overhead_percent=10", env=machine)
    found = json.loads(done.stdout)
    assert found["policy"] == str(policy)
    assert found["gpus"][0]["gpu_budget"] == ((32 << 20) - (32 << 20) * 10 // 100) * 7 // 10
    assert call("doctor", "--set", "lgo=x", env=machine).returncode == CONFIG
    assert call("doctor", "--fast", env=machine).returncode == USAGE
    assert "hybridmem doctor [--json]" in call("doctor", "--help").stdout


def test_where_the_library_is_preloaded_into_everything(machine):
    found = seen({**machine, "LD_PRELOAD": str(SHIM)})
    assert found["gpus"] == seen(machine)["gpus"]


def test_the_readme_has_every_key(machine):
    text = (ROOT / "README.md").read_text()
    text = text[text.index("## Does it work here?") : text.index("## How it works")]
    documented = set(re.findall(r"`(?:gpus\[\]\.|ram\.|system\.)?(\w+)(?:\[\])?`", text))
    found = seen(machine)
    parts = (found, found["ram"], found["system"], found["gpus"][0], found["gpus"][0]["doors"])
    keys = {key for part in parts for key in part} - {"ram", "system", "gpus"}
    assert keys <= documented, keys - documented


# --- something is wrong ---


def test_no_driver(machine, tmp_path):
    (tmp_path / "libcuda.so.1").touch()
    what, advice = finding({**machine, "LD_LIBRARY_PATH": str(tmp_path)}, NO_LIBRARY)
    assert what.startswith("no NVIDIA driver: ") and "install NVIDIA's driver" in advice
    done = call("doctor", env={**machine, "LD_LIBRARY_PATH": str(tmp_path)})
    assert "driver   none" in done.stdout and "1 thing is wrong." in done.stdout


@pytest.mark.parametrize(
    "env, what, advice",
    [
        ({"SIMCUDA_FAIL": "cuInit:*:CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
         "does not start: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "nvidia-smi"),
        ({"CUDA_VISIBLE_DEVICES": "7"}, "no GPU (CUDA_VISIBLE_DEVICES is 7)", "CUDA_VISIBLE_DEVICES"),
        ({"HYBRIDMEM_LIBRARY": "/does/not/exist.so"}, "/does/not/exist.so: No such file", "make install"),
        ({"HYBRIDMEM_LIBRARY": str(ROOT / "README.md")}, "invalid ELF header", "HYBRIDMEM_LIBRARY"),
    ],
)
def test_what_is_missing(machine, env, what, advice):
    found = finding({**machine, **env}, NO_LIBRARY)
    assert what in found[0] and advice in found[1]


@pytest.mark.parametrize(
    "env, what, advice",
    [
        ({"SIMCUDA_FAIL": "cuDevicePrimaryCtxRetain:*:CUDA_ERROR_OUT_OF_MEMORY"},
         "cuda:0: no context can be made: CUDA_ERROR_OUT_OF_MEMORY", "other programs fill the card"),
        ({"SIMCUDA_FAIL": "cuMemAlloc:1:CUDA_ERROR_OUT_OF_MEMORY"},
         "1 MiB of VRAM cannot be used (linked): CUDA_ERROR_OUT_OF_MEMORY", "other programs fill"),
        ({"SIMCUDA_FAIL": "cuMemcpyDtoH_v2:3:CUDA_ERROR_ECC_UNCORRECTABLE"},
         "cannot be used (cuGetProcAddress): CUDA_ERROR_ECC_UNCORRECTABLE", "dmesg"),
        # the driver moves no more than the first bytes of a copy
        ({"SIMCUDA_CONTENT": "4KiB"}, "cannot be used (linked): other bytes came back", "dmesg"),
        ({"SIMCUDA_FAIL": "cuMemGetInfo:*:CUDA_ERROR_UNKNOWN"}, "does not tell the library", "enable=false"),
        ({"HYBRIDMEM_HOST_LIMIT": "0"}, "no RAM to overflow to: 0 B", "host_limit"),
        ({"HYBRIDMEM_SYSTEM_RAM_PAD_GB": "1000000"}, "no RAM to overflow to: 0 B", "system_ram_pad_gb"),
        ({"HYBRIDMEM_OVERHEAD_PERCENT": "50", "HYBRIDMEM_BACKING": "registered",
          "SIMCUDA_FAIL": "cuMemHostRegister:*:CUDA_ERROR_NOT_SUPPORTED"},
         "host memory could not be pinned", "backing=pinned"),
    ],
)
def test_what_does_not_work(machine, env, what, advice):
    found = finding({**machine, **env}, 1)
    assert what in found[0] and advice in found[1]


def test_memory_that_cannot_be_pinned(machine):
    fail = "cuMemHostAlloc:*:CUDA_ERROR_OUT_OF_MEMORY,cuMemHostRegister:*:CUDA_ERROR_OUT_OF_MEMORY"
    found = findings({**machine, "SIMCUDA_FAIL": fail}, 1)
    assert "cannot pin host memory: CUDA_ERROR_OUT_OF_MEMORY" in found[0][0] and "ulimit -l" in found[0][1]
    assert "nothing overflows" in found[1][0] and "HYBRIDMEM_BACKING" in found[1][0]


def test_a_broken_policy_and_what_works_all_the_same(machine, tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{\n  "log": "loud"\n}')
    found = seen({**machine, "HYBRIDMEM_POLICY": str(policy)}, CONFIG)
    assert [f["what"] for f in found["findings"] if f["wrong"]] == [
        f'options: {policy}:2:3: key "log": found "loud", allowed: silent error warn info debug; kept warn'
    ]
    assert found["gpus"][0]["overflow"] is True


BROKEN = """
#include <signal.h>
#include <stdlib.h>
__attribute__((constructor)) static void begin(void) { %s }
"""


def broken_library(tmp_path, code):
    source, library = tmp_path / "broken.c", tmp_path / "broken.so"
    source.write_text(BROKEN % code)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return {"HYBRIDMEM_LIBRARY": str(library)}


def test_a_test_that_crashes_is_told_of(machine, tmp_path):
    found = seen({**machine, **broken_library(tmp_path, "abort();")}, 1)
    (what,) = [f["what"] for f in found["findings"] if f["wrong"]]
    assert "with the library a test of the driver was killed by signal 6" in what
    assert found["gpus"][0]["to_device"]  # without the library all is well
    found = finding({**machine, "SIMCUDA_NONSENSE": "1"}, 1)
    assert "without the library" in found[0] and "no such setting" in found[0]


def test_a_driver_that_hangs_is_told_of(machine, tmp_path):
    hangs = broken_library(tmp_path, "raise(SIGALRM);")  # as the clock does after a minute
    assert finding({**machine, **hangs}, 1)[0] == "with the library the driver did not answer within 60 s"


def test_a_library_that_does_nothing(machine, tmp_path):
    what, advice = finding({**machine, **broken_library(tmp_path, "")}, 1)
    assert "programs pass the library by (linked)" in what and "LD_PRELOAD" in advice


@pytest.mark.parametrize(
    "env, what",
    [
        ({"HYBRIDMEM_ENABLE": "false"}, "enable is false"),
        ({"HYBRIDMEM_TARGET_GPU": "1"}, "target_gpu does not name it"),
        ({"SIMCUDA_FAIL": "cuEventElapsedTime:*:CUDA_ERROR_UNKNOWN"}, "could not be measured"),
        ({"XDG_CACHE_HOME": "/dev/null"}, "cannot be noted: Not a directory"),
        ({"XDG_CACHE_HOME": "", "HOME": "relative"}, "neither XDG_CACHE_HOME nor HOME"),
        ({"TMPDIR": "/does/not/exist"}, "could not write down its figures"),
    ],
)
def test_remarks_are_not_wrong(machine, env, what):
    assert any(what in remark for remark, _ in findings({**machine, **env}, 0))


# --- the bandwidth ---


def pcie(model, env, *arguments):
    return planned("--gpu", "0", *arguments, *MODEL_RAM, model, env=env)["pcie"]


def test_plan_reckons_with_what_was_measured(machine, model, tmp_path):
    assert pcie(model, machine) == {"bytes_per_second": 12 * 10**9, "from": "assumed"}
    speed = seen(machine)["gpus"][0]["to_device"]
    assert pcie(model, machine) == {"bytes_per_second": speed, "from": "measured"}
    assert pcie(model, machine, "--pcie", "5") == {"bytes_per_second": 5 * 10**9, "from": "option"}
    done = plan("--gpu", "0", *MODEL_RAM, model, env=machine)
    assert "measured 19.2307" in done.stdout
    # another card's figure is not this one's, and none is a card's that is only imagined
    other = {**machine, "SIMCUDA_DEVICES": "2", "CUDA_VISIBLE_DEVICES": "1"}
    assert pcie(model, other)["from"] == "assumed"
    assert planned("--vram", "8GiB", *MODEL_RAM, model, env=machine)["pcie"]["from"] == "assumed"


def test_what_is_noted_of_other_cards_stays(machine, cache):
    first = seen(machine)["gpus"][0]
    two = {**machine, "SIMCUDA_DEVICES": "2", "CUDA_VISIBLE_DEVICES": "1", "SIMCUDA_COST": "pcie=2GB/s"}
    second = seen(two)["gpus"][0]
    noted = json.loads(cache.read_text())
    assert noted[UUID % 0]["to_device"] == first["to_device"]
    assert noted[UUID % 1]["to_device"] == second["to_device"] < 2 * 10**9


def test_without_a_cache_variable_it_is_under_home(machine, model, tmp_path):
    env = {**machine, "HOME": str(tmp_path)}
    del env["XDG_CACHE_HOME"]
    assert call("doctor", env={**env, "XDG_CACHE_HOME": ""}).returncode == 0
    assert (tmp_path / ".cache/hybridmem/bandwidth.json").exists()
    assert pcie(model, {**env, "XDG_CACHE_HOME": "not/absolute"})["from"] == "measured"


GOOD = '"%s": {"to_device": 5000000000, "from_device": 5000000000}' % (UUID % 0)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{%s} x" % GOOD, "{%s," % GOOD, "{%s}" % GOOD.replace("5", "-5"),
        "{%s}" % GOOD.replace("5000000000", "0"), "{%s}" % GOOD.replace("5000000000", "9" * 19),
        "{%s}" % GOOD.replace("5000000000", "9" * 99), "{%s, %s}" % (GOOD, GOOD.replace("GPU-", "\\u001b[")),
        '{"%s": {"to_device": 5000000000}}' % (UUID % 0), "{%s}" % ", ".join([GOOD] * 65), "[" * 60000,
        "{%s}" % GOOD + " " * 70000, "\0" * 100,
    ],
)
def test_a_cache_that_makes_no_sense_is_ignored(machine, model, cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    done = plan("--gpu", "0", "--json", *MODEL_RAM, model, env=machine)
    assert done.returncode == 0 and json.loads(done.stdout)["pcie"]["from"] == "assumed"
    assert done.stderr == (
        f'warning: {cache}: cannot be understood, ignored; "hybridmem doctor" measures anew\n'
    )
    cache.write_text("{%s}" % GOOD)  # which is how it is read otherwise
    assert pcie(model, machine) == {"bytes_per_second": 5 * 10**9, "from": "measured"}


def test_a_cache_that_is_no_file_is_ignored_and_replaced_whole(machine, model, cache):
    cache.parent.mkdir(parents=True)
    os.mkfifo(cache)  # nobody waits for its other end
    done = plan("--gpu", "0", *MODEL_RAM, model, env=machine)
    assert "assumed 12 GB/s" in done.stdout and "cannot be understood" in done.stderr
    done = call("doctor", env=machine)
    assert done.returncode == 0 and "cannot be understood" in done.stderr
    assert cache.is_file() and list(json.loads(cache.read_text())) == [UUID % 0]
