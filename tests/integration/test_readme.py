"""The README is true: its commands run, its lists are complete, its numbers add up."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from model_files import gguf_file

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("BUILD") or "build"
README = (ROOT / "README.md").read_text()
PLAIN = {k: v for k, v in os.environ.items()
         if not k.startswith(("HYBRIDMEM_", "SIMCUDA_", "LD_", "MAKE", "MFLAGS"))}
GIB = 1 << 30


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def section(name):
    return re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.DOTALL)[1]


def shell(line, cwd, env):
    return subprocess.run(["bash", "-ec", line], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder with a main.py and two models, and /usr/local in another place."""
    folder = tmp_path_factory.mktemp("readme")
    for name, architecture in (("flux1-dev-Q4_K_S.gguf", "flux"), ("t5xxl-Q8_0.gguf", "t5encoder")):
        gguf_file(folder / name, [("w", "F32", (64, 64))], {"general.architecture": architecture})
    (folder / "main.py").write_text(
        "import os\n"
        "assert any('libhybridmem.so' in line for line in open('/proc/self/maps'))\n"
        "print(os.environ.get('HYBRIDMEM_VRAM_LIMIT', ''), os.environ.get('HYBRIDMEM_POLICY', ''))\n")
    return folder


def test_it_has_the_commands_that_are_tested_here():
    lines = commands()
    assert lines[:2] == ["make demo", "make check"]
    assert sum(line.startswith("make ") for line in lines) >= 5
    assert any(line.startswith("LD_PRELOAD=") for line in lines)


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("make ")])
def test_make_targets_exist(line):
    done = shell(f"{line} -n NO_DEPS=1 BUILD={BUILD}", ROOT, PLAIN)
    assert done.returncode == 0, done.stdout


def test_the_other_commands_run_in_their_order(machine):
    prefix = machine / "prefix"
    env = {**PLAIN, "PATH": f"{prefix}/bin:{PLAIN['PATH']}"}
    for line in commands():
        if line.startswith("make "):
            continue
        if line == "sudo make install":
            line = f"make -s install -C {ROOT} PREFIX={prefix} NO_DEPS=1 BUILD={BUILD}"
        card = {"LD_LIBRARY_PATH": f"{ROOT / BUILD}/sim", "SIMCUDA_VRAM": "64MiB",
                "XDG_CACHE_HOME": str(machine), "TMPDIR": str(machine)} if line == "hybridmem doctor" else {}
        done = shell(line.replace("/usr/local", str(prefix)), machine, {**env, **card})
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        if "vram_limit" in line:
            assert "6GiB" in done.stdout
        if "plan" in line:
            assert "gguf_unet" in done.stdout and "gguf_clip" in done.stdout
        if card:
            assert "Nothing is wrong." in done.stdout
            assert (machine / "hybridmem/bandwidth.json").exists()
        if "run --policy" in line:
            assert "policy.json" in done.stdout


def test_option_table_is_options_def():
    declared = re.findall(r"^OPTION\((\w+), (\w+),", (ROOT / "config/options.def").read_text(), re.MULTILINE)
    table = section("options")
    assert declared
    for key, environment in declared:
        assert f"`{key}`" in table and f"HYBRIDMEM_{environment}`" in table
    rows = [row for row in table.splitlines() if row.startswith("|")]
    assert len(rows) == len(declared) + 2


def test_options_named_in_the_text_exist():
    source = (ROOT / "config/options.def").read_text()
    known = set(re.findall(r"^(?:OPTION|ALIAS)\(\w+, (\w+),", source, re.MULTILINE)) | {"POLICY"}
    assert set(re.findall(r"HYBRIDMEM_([A-Z]\w*)", README)) <= known


def test_hook_table_is_hooks_def():
    bases = set(re.findall(r"^\w*HOOK\(\w+, \w+, (\w+),", (ROOT / "shim/hooks.def").read_text(), re.MULTILINE))
    table = section("hooks")
    named = set(re.findall(r"\b(?:cu[A-Z]|cuda[A-Z]|nvml)\w+", table))
    assert bases and bases <= named, bases - named


def test_files_named_in_the_text_exist():
    for name in re.findall(r"`((?:shim|policy|config|scripts|tests)/[\w./-]*)", README):
        assert (ROOT / name).exists(), name


def test_worked_example_adds_up():
    total, reserved, held = 8 * GIB, GIB // 2, 24 * GIB
    overhead = total * 15 // 100
    budget = (total - reserved - overhead) * 7 // 10
    pad = max(2 * GIB, 32 * GIB // 10)
    estimate = max(2 * GIB, 6 * GIB * 3 // 2)
    rows = {name: value for name, value in re.findall(r"^\| (\w+) \|.*\| ([\d.]+) GiB \|$", README, re.MULTILINE)}
    assert rows == {"overhead": f"{overhead / GIB:.2f}", "gpu_budget": f"{budget / GIB:.2f}",
                    "pad": f"{pad / GIB:.2f}", "sys_avail": f"{(held - pad) / GIB:.2f}",
                    "estimate": f"{estimate / GIB:.2f}"}
    assert budget < estimate <= budget + held - pad
    for words in (f"{budget / GIB:.2f} GiB in VRAM", f"{(estimate - budget) / GIB:.2f} GiB in host memory",
                  f"within {(budget + held - pad) / GIB:.2f} GiB"):
        assert words in README


def test_statistics_are_those_of_a_run(tmp_path):
    stats = tmp_path / "stats.json"
    model = gguf_file(tmp_path / "m.gguf", [("w", "F32", (1024, 1024))], {"general.architecture": "flux"})
    env = {**PLAIN, "LD_LIBRARY_PATH": f"{ROOT / BUILD}/sim", "LD_PRELOAD": f"{ROOT / BUILD}/libhybridmem.so",
           "SIMCUDA_VRAM": "1GiB", "HYBRIDMEM_STATS_FILE": str(stats)}
    tensor = f"{model.stat().st_size - (4 << 20)}:{4 << 20}"
    subprocess.run([ROOT / BUILD / "hosts/host_direct_model", "htod", "1", model, tensor], env=env, check=True,
                   timeout=60, stdout=subprocess.DEVNULL)
    written = json.loads(stats.read_text())
    text = re.search(r"^## Statistics\n.*?^## ", README, re.DOTALL | re.MULTILINE)[0]
    documented = set(re.findall(r"`(?:devices\[\]\.)?(\w+)`", text))
    for field in [*written, *written["devices"][0]]:
        assert field in ("devices", "models") or field in documented, field
    for field in documented - {"summary", "stats_file", "version"}:
        assert field in written["devices"][0] or field in written, field
    assert set(re.findall(r"`models\[\]\.(\w+)`", text)) == set(written["models"][0])

