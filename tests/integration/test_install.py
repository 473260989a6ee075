"""make install, uninstall and the files that they touch."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("BUILD") or "build"
PLAIN = {k: v for k, v in os.environ.items()
         if not k.startswith(("HYBRIDMEM_", "SIMCUDA_", "LD_", "MAKE", "MFLAGS"))}
FILES = {
    "lib/libhybridmem.so": 0o755,
    "bin/hybridmem": 0o755,
    **{f"share/hybridmem/{name}.json": 0o644
       for name in ("schema", "default", "comfyui", "llama", "strict")},
    "share/doc/hybridmem/LICENSE": 0o644,
}


def make(*arguments):
    done = subprocess.run(["make", "-s", f"BUILD={BUILD}", "NO_DEPS=1", *arguments], cwd=ROOT, env=PLAIN,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def files_under(folder):
    return {str(f.relative_to(folder)): f for f in folder.rglob("*") if not f.is_dir()}


@pytest.fixture
def installed(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/hm")
    return tmp_path


def test_installs_these_files_and_no_other(installed):
    found = files_under(installed / "opt/hm")
    assert set(found) == set(FILES)
    assert set(files_under(installed)) == {f"opt/hm/{name}" for name in FILES}
    for name, mode in FILES.items():
        assert found[name].stat().st_mode & 0o777 == mode, name


def test_uninstall_leaves_only_what_was_there_before(installed):
    other = installed / "opt/hm/lib/other.so"
    other.write_text("not ours")
    make("uninstall", f"DESTDIR={installed}", "PREFIX=/opt/hm")
    assert set(files_under(installed)) == {"opt/hm/lib/other.so"}


def test_installed_command_preloads_the_installed_library(installed):
    prefix = installed / "opt/hm"
    command = [prefix / "bin/hybridmem", "run", "--", "/bin/sh", "-c", 'cat /proc/$$/maps; echo "$LD_PRELOAD"']
    done = subprocess.run(command, env=PLAIN, stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0
    library = os.path.realpath(prefix / "lib/libhybridmem.so")
    assert os.path.realpath(done.stdout.splitlines()[-1].split(":")[0]) == library
    assert library in done.stdout.replace("/../lib", ""), "named in LD_PRELOAD, but not loaded"


@pytest.mark.parametrize("name", ["default", "comfyui", "llama", "strict"])
def test_installed_policies_are_accepted_and_valid_json(installed, name):
    prefix = installed / "opt/hm"
    policy = prefix / f"share/hybridmem/{name}.json"
    assert json.loads(policy.read_text())
    assert json.loads((prefix / "share/hybridmem/schema.json").read_text())
    done = subprocess.run([prefix / "bin/hybridmem", "check", policy], env=PLAIN, timeout=60,
                          stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version_is_the_makefiles(installed):
    version = next(line.split(":=")[1].strip() for line in (ROOT / "Makefile").read_text().splitlines()
                   if line.startswith("VERSION"))
    done = subprocess.run([installed / "opt/hm/bin/hybridmem", "--version"], env=PLAIN,
                          stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0 and version in done.stdout
