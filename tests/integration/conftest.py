"""Fixtures: where things were built, and running programs with and without the library."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
SHIM = BUILD / "libhybridmem.so"
MIB = 1 << 20
GIB = 1 << 30

# Names that the tests may set, so that a misspelt option cannot make a test pass.
OPTIONS = {
    "HYBRIDMEM_" + env
    for env in re.findall(
        r"^(?:OPTION|ALIAS)\(\w+,\s*(\w+)", (ROOT / "config/options.def").read_text(), re.M
    )
} | {"HYBRIDMEM_POLICY"}

# A sanitised build: the value given to -fsanitize. Its run-time library must be loaded first, before
# anything that is preloaded.
SANITIZE = os.environ.get("HM_SANITIZE", "")
RUNTIMES = {"address": "libasan.so", "thread": "libtsan.so"}

# What sends each block to host memory, small ones and working memory too.
ALL_TO_HOST = {
    "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.000000001",
    "HYBRIDMEM_MIN_REDIRECT": "0",
    "HYBRIDMEM_PLACEMENT": "strict",
}
# What a host may fill does not depend on how much memory this machine has free.
STEADY = {"HYBRIDMEM_SYSTEM_RAM_PAD_GB": "0", "HYBRIDMEM_HOST_LIMIT": "3GiB"}


def sanitizer_runtimes() -> list:
    found = []
    for name in filter(None, SANITIZE.split(",")):
        if name in RUNTIMES:
            found.append(
                subprocess.run(
                    ["gcc", "-print-file-name=" + RUNTIMES[name]],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.strip()
            )
    return found


def clean_environment() -> dict:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HYBRIDMEM_", "SIMCUDA_", "LD_"))
    }


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str
    report: str  # what the simulated driver found wrong; "" for nothing
    stats: Optional[dict]  # the library's statistics file, if it ran

    @property
    def device(self) -> dict:
        return self.stats["devices"][0]


class Runner:
    def __init__(self, folder: Path):
        self.folder = folder
        self.runs = 0

    def program(self, argv, shim=False, env=None, preload=(), timeout=180, **kwargs) -> Result:
        """Runs any program with the simulated driver in reach."""
        self.runs += 1
        report = self.folder / f"report{self.runs}"
        stats = self.folder / f"stats{self.runs}.json"
        full = clean_environment()
        full["LD_LIBRARY_PATH"] = str(BUILD / "sim")
        full["SIMCUDA_REPORT"] = str(report)
        libraries = [str(library) for library in preload]
        if shim:
            if not libraries:
                libraries = [str(SHIM)]
            full["HYBRIDMEM_STATS_FILE"] = str(stats)
        foreign = BUILD not in Path(argv[0]).parents
        if libraries or foreign:
            libraries = sanitizer_runtimes() + libraries
        if libraries:
            full["LD_PRELOAD"] = " ".join(libraries)
        if foreign and "address" in SANITIZE:  # what an interpreter never gives back
            full["ASAN_OPTIONS"] = full.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        full.update(env or {})
        unknown = {n for n in full if n.startswith("HYBRIDMEM_")} - OPTIONS
        assert not unknown, f"not in options.def: {unknown}"
        done = subprocess.run(
            [str(a) for a in argv],
            env=full,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            **kwargs,
        )
        return Result(
            done.returncode,
            done.stdout,
            done.stderr,
            report.read_text() if report.exists() else "",
            json.loads(stats.read_text()) if stats.exists() else None,
        )

    def __call__(self, host, *args, **kwargs) -> Result:
        """Runs one of the hosts by name."""
        if host == "host_direct_fork" and "address" in SANITIZE:
            # A forked child has none of the threads in whose stacks a leak check would look.
            leaks = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
            kwargs["env"] = {**(kwargs.get("env") or {}), "ASAN_OPTIONS": leaks}
        return self.program([BUILD / "hosts" / host, *args], **kwargs)


@pytest.fixture
def run(tmp_path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def machine_files(tmp_path):
    """Files of another machine, path: text; the environment for a program that reads them."""
    root = tmp_path / "machine"

    def put(files) -> dict:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        preload = [*sanitizer_runtimes(), str(BUILD / "hosts/libpreload_meminfo.so")]
        return {"LD_PRELOAD": " ".join(preload), "MACHINE_ROOT": str(root)}

    return put


@pytest.fixture
def unsanitised():
    """For programs of the system: a sanitised library cannot be preloaded into them."""
    if SANITIZE:
        pytest.skip("programs of the system carry no sanitizer")
