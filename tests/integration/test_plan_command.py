"""hybridmem plan, on model files written byte by byte and, if they are here, by real packages."""

import json
import os
import re
import subprocess
import sys
from fractions import Fraction

import pytest

from conftest import BUILD, GIB, MIB, SANITIZE, clean_environment
from model_files import gguf_file, parts, real_packages, safetensors_file

COMMAND = BUILD / "hybridmem"
USAGE, DATA, NO_INPUT, CONFIG = 64, 65, 66, 78
MACHINE = ("--vram", "8GiB", "--free", "7.5GiB", "--ram", "32GiB", "--ram-free", "24GiB")


def plan(*arguments, env=None, cwd=None):
    return subprocess.run(
        [str(COMMAND), "plan", *map(str, arguments)],
        env={**clean_environment(), **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def planned(*arguments, **kwargs):
    done = plan("--json", *arguments, **kwargs)
    assert done.returncode == 0, done.stderr
    assert all(re.match("warning: .* advised$", line) for line in done.stderr.splitlines())
    return json.loads(done.stdout)


def refused(code, *arguments, **kwargs):
    done = plan(*arguments, **kwargs)
    assert (done.returncode, done.stdout) == (code, "")
    return done.stderr


@pytest.fixture
def flux(tmp_path):
    """6 GiB of tensors, of which the file holds nothing but the header."""
    return gguf_file(
        tmp_path / "flux.gguf",
        [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", [1024, 1024, 256]) for i in range(12)],
        {"general.architecture": "flux"},
    )


@pytest.fixture
def vae(tmp_path):
    return safetensors_file(
        tmp_path / "ae.safetensors",
        [(f"decoder.up.{i}.block.weight", "BF16", [512, 1024, 64]) for i in range(5)],
    )


# --- the specification's formulas, read once more ---


def formulas(tensor_bytes, gguf, total, free, ram, available, factor="0.7", overhead=15):
    estimate = max(2 * GIB, int(tensor_bytes * Fraction("1.5" if gguf else "1.2")))
    usable = max(0, total - (total - free) - total * overhead // 100)
    budget = int(usable * Fraction(factor))
    avail = max(0, available - max(2 * GIB, ram // 10))
    gpu = min(estimate, budget)
    host = min(estimate - gpu, avail)
    rest = estimate - gpu - host
    name = "gguf_insufficient" if rest else "gguf_hybrid" if host else "gpu_only"
    return estimate, gpu, host, rest, name


@pytest.mark.parametrize("vram", [1, 4, 8, 12, 16, 24])
@pytest.mark.parametrize("ram", [2, 4, 8, 64])
def test_formulas(flux, vram, ram):
    total, memory = vram * GIB, ram * GIB
    free, available = total - total // 8, memory - memory // 4
    row = planned("--vram", total, "--free", free, "--ram", memory, "--ram-free", available, flux)
    for found in (row["models"][0], row["together"]):
        assert (
            found["estimate"],
            found["gpu_bytes"],
            found["host_bytes"],
            found["shortfall"],
            found["strategy"],
        ) == formulas(6 * GIB, True, total, free, memory, available)


def test_other_formats_have_another_factor(tmp_path):
    model = safetensors_file(tmp_path / "u.safetensors", [("img_in.weight", "BF16", [GIB, 5])])
    found = planned(*MACHINE, model)["models"][0]
    assert found["estimate"] == 12 * GIB == formulas(10 * GIB, False, 1, 1, 1, 1)[0]


def test_a_header_whose_length_looks_like_json(tmp_path):
    for n in range(1, 40):
        model = safetensors_file(tmp_path / "u.safetensors", [("n" * n, "BF16", [4])])
        if model.read_bytes()[0] == ord("{"):
            break
    assert planned(*MACHINE, model)["models"][0]["tensors"] == 1


def test_the_readme_example(flux):
    found = planned(*MACHINE, flux)
    assert found["vram"] == {"total": 8 * GIB, "free": 15 * GIB // 2, "budget": 4735201444}
    assert found["ram"]["pad"] == 32 * GIB // 10
    model = found["models"][0]
    assert model["file"] == str(flux)
    assert (model["format"], model["format_version"], model["files"]) == ("gguf", 3, 1)
    assert (model["type"], model["type_from"]) == ("gguf_unet", "metadata")
    assert (model["architecture"], model["tensors"]) == ("flux", 12)
    assert (model["tensor_bytes"], model["estimate"]) == (6 * GIB, 9 * GIB)
    assert (model["gpu_bytes"], model["strategy"]) == (4735201444, "gguf_hybrid")
    assert model["host_bytes"] == 9 * GIB - 4735201444
    assert model["host_pass_seconds"] == pytest.approx((9 * GIB - 4735201444) / 12e9, abs=1e-6)
    assert found["pcie"] == {"bytes_per_second": 12 * 10**9, "from": "assumed"}


def test_a_set(flux, vae):
    found = planned(*MACHINE, flux, vae)
    assert [m["type"] for m in found["models"]] == ["gguf_unet", "gguf_vae"]
    assert found["models"][1]["type_from"] == "tensor names"
    assert found["models"][1]["strategy"] == "gpu_only"
    together = found["together"]
    assert together["tensors"] == 17
    assert together["tensor_bytes"] == 6 * GIB + 5 * 64 * MIB
    # each estimate with its own factor and its own floor
    assert together["estimate"] == 9 * GIB + 2 * GIB
    assert together["gpu_bytes"] + together["host_bytes"] == together["estimate"]


def test_this_machines_ram(flux, machine_files):
    """Without --ram: the machine's own, or what its container leaves."""
    here = ("--vram", "8G", flux)
    env = machine_files({"proc/meminfo": f"MemTotal: {32 << 20} kB\nMemAvailable: {24 << 20} kB\n"})
    found = planned(*here, env=env)["ram"]
    assert (found["total"], found["available"]) == (32 * GIB, 24 * GIB)
    group = "sys/fs/cgroup/box/memory"
    env = machine_files({"proc/self/cgroup": "0::/box\n", f"{group}.max": str(12 * GIB),
                         f"{group}.current": str(3 * GIB)})
    found = planned(*here, env=env)["ram"]
    assert (found["total"], found["available"]) == (12 * GIB, 9 * GIB)
    assert found["budget"] == 9 * GIB - 2 * GIB
    found = planned("--ram-free", "5G", *here, env=env)["ram"]
    assert (found["total"], found["available"]) == (12 * GIB, 5 * GIB)
    found = planned("--ram", "64G", *here, env=env)["ram"]
    assert (found["total"], found["available"]) == (64 * GIB, 64 * GIB)
    env = machine_files({"proc/meminfo": ""})
    assert "give --ram" in refused(USAGE, *here, env=env)
    assert planned("--ram", "3G", *here, env=env)["ram"]["available"] == 3 * GIB


# --- what would make it fit ---


@pytest.mark.parametrize("vram,ram", [("8GiB", "32GiB"), ("8GiB", "5GiB"), ("2GiB", "4GiB")])
def test_each_advice_holds(flux, vram, ram):
    """What is advised is tried: it leads to the strategy that was promised."""
    found = planned("--vram", vram, "--ram", ram, flux)
    model = found["models"][0]
    assert model["fits"]
    for fit in model["fits"]:
        machine = {"--vram": vram, "--ram": ram}
        extra = []
        if "memory" in fit:
            # more of it, of which just as much is in use (here: nothing)
            machine["--" + fit["memory"]] = fit["value"]
        else:
            extra = ["--set", f"{fit['option']}={fit['value']}"]
        again = planned(*(w for pair in machine.items() for w in pair), *extra, flux)
        assert again["models"][0]["strategy"] in (fit["strategy"], "gpu_only"), fit


def test_advice(flux, vae):
    fits = planned(*MACHINE, flux)["models"][0]["fits"]
    # 9 GiB do not fit on 8 whatever the options
    assert {f.get("option", f.get("memory")) for f in fits} == {"vram"}
    small = planned(*MACHINE, "--set", "conservative_factor=0.2", vae)["models"][0]
    fit = {f.get("option", f.get("memory")): f["value"] for f in small["fits"]}
    # 2 GiB of (7.5 - 1.2) GiB
    assert fit["conservative_factor"] == 0.318
    assert {f["strategy"] for f in small["fits"]} == {"gpu_only"}
    short = planned("--vram", "8GiB", "--ram", "32GiB", "--set", "host_limit=1GiB", flux)
    options = {f.get("option") for f in short["models"][0]["fits"]}
    assert short["models"][0]["strategy"] == "gguf_insufficient"
    assert "host_limit" in options and "system_ram_pad_gb" not in options


# --- options ---


def test_options_act(flux, tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{"conservative_factor": 0.5, "vram_limit": "50%"}')
    usual = planned(*MACHINE, flux)["vram"]["budget"]
    assert planned(*MACHINE, "--set", "overhead_percent=20", flux)["vram"]["budget"] < usual
    environment = {"HYBRIDMEM_OVERHEAD_PERCENT": "20"}
    assert planned(*MACHINE, flux, env=environment)["vram"]["budget"] < usual
    for settings, env in (
        (("--policy", policy), None),
        ((f"--policy={policy}",), None),
        ((), {"HYBRIDMEM_POLICY": str(policy)}),
    ):
        found = planned(*MACHINE, *settings, flux, env=env)
        assert found["vram"]["budget"] == int((4 * GIB - 4 * GIB * 15 // 100) * 0.5)
        assert found["options"]["vram_limit"] == 4 * GIB
    assert planned(*MACHINE, "--set", "host_limit=10%", flux)["ram"]["budget"] == 32 * GIB // 10
    assert planned(*MACHINE, "--set", "system_ram_pad_gb=5", flux)["ram"]["pad"] == 5 * GIB


def test_pcie(flux):
    found = planned(*MACHINE, "--pcie", "25.5", flux)
    assert found["pcie"] == {"bytes_per_second": 25500000000, "from": "option"}
    assert "assumed" not in plan(*MACHINE, "--pcie=25.5", flux).stdout
    assert "assumed 12 GB/s" in plan(*MACHINE, flux).stdout


def test_enable_false_is_said(flux):
    done = plan(*MACHINE, "--set", "enable=false", flux)
    assert done.returncode == 0 and "enable is false" in done.stderr


def test_help():
    done = plan("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 90
    for option in "--vram --free --ram --ram-free --pcie --tensors --json --policy --set".split():
        assert option in done.stdout


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["m.gguf"], "no --vram and no --gpu given"),
        (["--gpu", "x", "m.gguf"], "--gpu takes a number such as 0 or cuda:0, not x"),
        (["--gpu", "-1", "m.gguf"], "--gpu takes a number such as 0 or cuda:0, not -1"),
        ([*MACHINE], "no model given"),
        (["--vram"], "its value is missing: --vram"),
        (["--vram", "8", "--fly", "m.gguf"], "no such option"),
        (["--vram", "50%", "m.gguf"], "not 50%"),
        (["--vram", "none", "m.gguf"], "not none"),
        (["--vram", "-1", "m.gguf"], "not -1"),
        (["--vram", "8GiB", "--free", "9GiB", "m.gguf"], "--free is more than --vram"),
        (["--vram", "8GiB", "--ram", "1G", "--ram-free", "2G", "m.gguf"], "--ram-free is more"),
        (["--vram", "8GiB", "--pcie", "0", "m.gguf"], "--pcie takes"),
        (["--vram", "8GiB", "--pcie", "auto", "m.gguf"], "--pcie takes"),
        (["--vram", "8GiB", "--set", "log", "m.gguf"], "--set takes KEY=VALUE"),
    ],
)
def test_usage_error(arguments, text, tmp_path):
    assert text in refused(USAGE, *arguments, cwd=tmp_path)


def test_wrong_options(flux, tmp_path):
    assert "conservative_factor" in (
        refused(CONFIG, *MACHINE, "--set", "conservative_factor=7", flux).lower()
    )
    assert "did you mean" in refused(CONFIG, *MACHINE, "--set", "vram_limt=1G", flux)
    (tmp_path / "bad.json").write_text("{")
    assert "bad.json:1:" in refused(CONFIG, *MACHINE, "--policy", tmp_path / "bad.json", flux)


def test_a_model_named_like_an_option(flux, tmp_path):
    flux.rename(tmp_path / "--json")
    done = plan(*MACHINE, "--", "--json", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("VRAM ")


# --- for people ---


def test_table(flux, vae):
    done = plan(*MACHINE, flux, vae)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line.split() for line in lines if " GiB " in line and "gguf_" in line}
    expected = "gguf_unet 6.00 GiB 9.00 GiB 4.41 GiB 4.59 GiB gguf_hybrid"
    assert " ".join(rows["flux.gguf"][1:]) == expected
    assert rows["together"][-1] == "gguf_hybrid"
    assert "flux.gguf: GGUF v3, architecture flux, 12 tensors" in lines
    assert "ae.safetensors: safetensors, 5 tensors; type by tensor names" in lines


def test_names_do_not_steer_the_terminal(tmp_path):
    name = "\x1b]0;x\x07\x1b[2Jé" + "long" * 40
    model = gguf_file(
        tmp_path / ("\x1b[31m" + "m" * 90 + ".gguf"),
        [(name, "F32", [7])],
        {"general.architecture": "\x1b[1m"},
    )
    done = plan(*MACHINE, "--tensors", model)
    assert done.returncode == 0
    assert all(c == "\n" or " " <= c <= "~" for c in done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert planned(*MACHINE, "--tensors", model)["tensors"][0]["name"] == name


def test_bytes_that_are_no_text(tmp_path):
    model = gguf_file(tmp_path / "m.gguf", [(b"\xff\xc3(\x00\"\\", "F32", [7])], {})
    found = planned(*MACHINE, "--tensors", model)
    assert found["tensors"][0]["name"] == '\ufffd\ufffd(\0"\\'
    assert found["models"][0]["architecture"] is None
    assert found["models"][0]["type"] == "unknown"
    assert found["models"][0]["type_from"] is None


# --- tensors ---


def test_tensors_in_file_order(flux, vae):
    found = planned(*MACHINE, "--tensors", flux, vae)
    budget, listed = found["vram"]["budget"], found["tensors"]
    assert found["order"] == "file"
    names = [t["name"] for t in listed[:2]]
    assert names == [f"double_blocks.{i}.img_attn.qkv.weight" for i in (0, 1)]
    assert listed[0]["shape"] == [1024, 1024, 256] and listed[0]["type"] == "F16"
    assert listed[1]["offset"] - listed[0]["offset"] == listed[0]["bytes"] == GIB // 2
    assert {t["file"] for t in listed} == {str(flux), str(vae)}
    used = {"gpu": 0, "host": 0, "nowhere": 0}
    for tensor in listed:  # first come, first served
        fits = used["gpu"] + tensor["bytes"] <= budget
        assert tensor["place"] == ("gpu" if fits else "host")
        used[tensor["place"]] += tensor["bytes"]
    assert used["host"]
    assert found["placed"] == {f"{place}_bytes": used[place] for place in used}
    # the plan's own split, up to one tensor
    largest = max(t["bytes"] for t in listed)
    assert 0 <= found["together"]["gpu_bytes"] - used["gpu"] < largest


def test_small_tensors_stay_and_full_ram_goes_nowhere(tmp_path):
    model = gguf_file(
        tmp_path / "m.gguf",
        [("a", "F16", [GIB // 2]), ("b", "F16", [GIB // 2]), ("c", "F32", [8]), ("d", "F32", [8])],
        {},
    )
    machine = ("--vram", "2GiB", "--ram", "2GiB", "--tensors", model)  # a pad of all RAM
    places = [t["place"] for t in planned(*machine)["tensors"]]
    assert places == ["gpu", "gpu", "nowhere", "nowhere"]
    placed = planned("--vram", "1.5GiB", "--ram", "2GiB", "--tensors", model)
    assert [t["place"] for t in placed["tensors"]] == ["gpu", "nowhere", "gpu", "gpu"]
    assert placed["placed"] == {"gpu_bytes": GIB + 64, "host_bytes": 0, "nowhere_bytes": GIB}
    roomy = planned("--vram", "2GiB", "--ram", "8GiB", "--tensors", model)
    assert [t["place"] for t in roomy["tensors"]] == ["gpu", "host", "gpu", "gpu"]
    first = planned(*machine[:2], "--ram", "8GiB", "--set", "placement=device_first", *machine[4:])
    assert [t["place"] for t in first["tensors"]] == ["gpu", "gpu", "host", "host"]


LIVE = """
import ctypes, sys
cu = ctypes.CDLL("libcuda.so.1")
def must(code):
    assert code == 0, code
context, block = ctypes.c_void_p(), ctypes.c_uint64()
must(cu.cuInit(0))
must(cu.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
must(cu.cuCtxSetCurrent(context))
free, total = ctypes.c_size_t(), ctypes.c_size_t()
must(cu.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
print(free.value, total.value)
for size in sys.argv[1:]:
    must(cu.cuMemAlloc_v2(ctypes.byref(block), ctypes.c_size_t(int(size))))
"""


@pytest.mark.skipif(bool(SANITIZE), reason="preloads into the system's Python")
@pytest.mark.parametrize("factor", ["0.3", "0.7", "1"])
def test_the_plan_is_what_happens(run, tmp_path, factor):
    """The library, on the simulated card, puts each tensor where the plan said."""
    # the third is below min_redirect: it stays beyond the budget, too
    shapes = [[1 << 20], [1 << 22], [200000], [1 << 19, 3]]
    tensors = [(f"blk.{i}.w", "F32", shapes[i % 4]) for i in range(40)]
    model = gguf_file(tmp_path / "m.gguf", tensors, {})
    settings = {
        "HYBRIDMEM_CONSERVATIVE_FACTOR": factor,
        "HYBRIDMEM_SYSTEM_RAM_PAD_GB": "0",
        "HYBRIDMEM_HOST_LIMIT": "1GiB",
        "HYBRIDMEM_REPORT": "device",
    }
    card = {"SIMCUDA_VRAM": "256MiB"}
    free, total = map(int, run.program([sys.executable, "-c", LIVE], env=card).stdout.split())
    machine = ("--vram", total, "--free", free, "--ram", "8GiB")
    found = planned(*machine, "--tensors", model, env=settings)
    sizes = [t["bytes"] for t in found["tensors"]]
    live = run.program([sys.executable, "-c", LIVE, *sizes], shim=True, env={**card, **settings})
    assert live.returncode == 0, live.stderr
    assert live.device["device_bytes_peak"] == found["placed"]["gpu_bytes"]
    assert live.device["redirected_bytes"] == found["placed"]["host_bytes"]
    redirected = [t for t in found["tensors"] if t["place"] == "host"]
    assert live.device["redirected_allocations"] == len(redirected)


# --- files ---


def test_split(tmp_path):
    tensors = [(f"blk.{i}.attn_q.weight", "Q4_K", [256, 8]) for i in range(7)]
    first, *others = parts(tmp_path, "m", tensors, 3, {"general.architecture": "llama"})
    found = planned(*MACHINE, "--tensors", first)
    assert found["models"][0]["files"] == 3
    assert found["models"][0]["tensors"] == 7
    assert found["models"][0]["type"] == "gguf_clip"
    assert found["models"][0]["tensor_bytes"] == 7 * 8 * 144
    assert [t["part"] for t in found["tensors"]] == [1, 1, 1, 2, 2, 3, 3]
    message = refused(USAGE, *MACHINE, others[0])
    assert "is part 2 of 3: name the first part" in message
    others[1].rename(tmp_path / "elsewhere.gguf")
    message = refused(NO_INPUT, *MACHINE, first)
    assert "m-00003-of-00003.gguf: part 3 of 3 is missing" in message
    assert "says that it is part 3 of 3" in refused(DATA, *MACHINE, tmp_path / "elsewhere.gguf")


def test_unreadable(tmp_path):
    assert "No such file" in refused(NO_INPUT, *MACHINE, tmp_path / "none.gguf")
    assert "is a directory" in refused(NO_INPUT, *MACHINE, tmp_path)
    assert "not a regular file" in refused(NO_INPUT, *MACHINE, "/dev/null")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(NO_INPUT, *MACHINE, tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "symbolic links" in refused(NO_INPUT, *MACHINE, tmp_path / "loop")


def test_broken(tmp_path, flux):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"metadata": {}, "weight_map": {}}')
    assert "name the .safetensors files themselves" in refused(DATA, *MACHINE, index)
    (tmp_path / "empty.gguf").write_bytes(b"")
    assert "empty.gguf: is empty" in refused(DATA, *MACHINE, tmp_path / "empty.gguf")
    os.truncate(flux, 5 * GIB)
    message = refused(DATA, *MACHINE, flux)
    text = r'flux\.gguf: byte \d+: tensor "double_blocks\.10\.\S+: .* beyond the end'
    assert re.search(text, message)
    # every broken file is told, and nothing else printed
    message = refused(DATA, *MACHINE, flux, index, tmp_path / "empty.gguf")
    assert len(message.splitlines()) == 3


def test_constant_memory(tmp_path):
    """A header of 60 MB costs no more than one of a few bytes."""

    def peak(path):
        code = (
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(COMMAND), "plan", *MACHINE, str(path)],
            check=True, capture_output=True, text=True, timeout=120,
        )
        return int(done.stdout)  # KiB

    small = gguf_file(tmp_path / "s.gguf", [("t", "F32", [8])], {})
    large = gguf_file(
        tmp_path / "l.gguf", [("t", "F32", [8])], {"tokenizer.ggml.tokens": ["word" * 250] * 60000}
    )
    many = safetensors_file(
        tmp_path / "m.safetensors", [(f"layer.{i}." + "x" * 900, "U8", [1]) for i in range(20000)]
    )
    assert large.stat().st_size > 60 * 10**6
    assert many.stat().st_size > 15 * 10**6
    floor = peak(small)
    assert peak(large) < floor + 2048
    assert peak(many) < floor + 2048


# --- files of the packages that programs write them with ---


def written(code, folder):
    python = real_packages()
    if python is None:
        pytest.skip("no Python with the gguf and safetensors packages")
    done = subprocess.run(
        [str(python), "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


GGUF_WRITER = """
import json, numpy, gguf
from gguf import GGMLQuantizationType as Q, GGML_QUANT_SIZES as SIZES
w = gguf.GGUFWriter("m.gguf", "wan")
w.add_string("general.type", "model")
w.add_array("tokenizer.ggml.tokens", ["a", "b"] * 5000)
w.add_array("scores", [0.5] * 300)
w.add_bool("flag", True)
w.add_uint64("big", 2**63)
w.add_custom_alignment(128)
listed = []
for q, (block, size) in SIZES.items():
    plain = {Q.F32: "float32", Q.F16: "float16", Q.F64: "float64", Q.I8: "int8", Q.I16: "int16",
             Q.I32: "int32", Q.I64: "int64"}.get(q)
    name = "blocks.0." + q.name
    if plain:
        w.add_tensor(name, numpy.zeros((3, 5), plain))
        listed.append([name, q.name, [5, 3], 15 * size])
    else:
        w.add_tensor(name, numpy.zeros((3, size * 2), numpy.uint8), raw_dtype=q)
        listed.append([name, q.name, [block * 2, 3], 6 * size])
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
reader = gguf.GGUFReader("m.gguf")
for entry, tensor in zip(listed, reader.tensors):
    entry.append(int(tensor.data_offset))
    assert [int(n) for n in tensor.shape] == entry[2] and int(tensor.n_bytes) == entry[3]
print(json.dumps(listed))
"""


def test_the_gguf_package(tmp_path):
    expected = json.loads(written(GGUF_WRITER, tmp_path))
    found = planned(*MACHINE, "--tensors", tmp_path / "m.gguf")
    got = [[t["name"], t["type"], t["shape"], t["bytes"], t["offset"]] for t in found["tensors"]]
    assert got == expected
    assert len(got) >= 30
    assert found["models"][0]["architecture"] == "wan"
    assert found["models"][0]["type"] == "gguf_unet"


def test_the_gguf_packages_split_files(tmp_path):
    written(
        """
import numpy, gguf
w = gguf.GGUFWriter("m.gguf", "t5encoder", split_max_tensors=4)
for i in range(10):
    w.add_tensor(f"enc.blk.{i}.attn_q.weight", numpy.zeros((8, 64), numpy.float16))
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
""",
        tmp_path,
    )
    model = planned(*MACHINE, tmp_path / "m-00001-of-00003.gguf")["models"][0]
    assert (model["files"], model["tensors"], model["tensor_bytes"]) == (3, 10, 10 * 1024)
    assert (model["type"], model["architecture"]) == ("gguf_clip", "t5encoder")


def test_the_safetensors_package(tmp_path):
    listed = json.loads(
        written(
            """
import json, numpy
from safetensors import safe_open
from safetensors.numpy import save_file
types = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64".split()
tensors = {f"decoder.up.{t}.é\\n\\"": numpy.zeros((2, 3, i), t) for i, t in enumerate(types)}
tensors["scalar"] = numpy.zeros((), "float32")
save_file(tensors, "m.safetensors", metadata={"format": "np"})
print(json.dumps([[n, list(t.shape), t.nbytes] for n, t in tensors.items()]))
""",
            tmp_path,
        )
    )
    found = planned(*MACHINE, "--tensors", tmp_path / "m.safetensors")
    got = sorted([t["name"], t["shape"], t["bytes"]] for t in found["tensors"])
    assert got == sorted(listed)
    assert found["models"][0]["type"] == "gguf_vae"
    assert {t["type"] for t in found["tensors"]} >= {"BOOL", "F16", "U64", "I8", "F64"}
