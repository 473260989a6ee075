"""The conformance suite in its columns: the simulated driver bare, and with the library when there is
room, when there is no budget at all, and when it is off. Every case must end the same in all."""

import re
import subprocess

import pytest
from conftest import ALL_TO_HOST, BUILD, SANITIZE, STEADY, Runner

PROGRAM = BUILD / "conformance/conformance"
COLUMNS = {"room": {}, "host": ALL_TO_HOST, "off": {"HYBRIDMEM_ENABLE": "false"}}
CARDS = {"SIMCUDA_DEVICES": "2", "SIMCUDA_VRAM": "1GiB", "CONFORM_FORGED": "1"}
OLDER = ["11.4", "12.2", "13.0"]
# Where a data race may be, when races are looked for.
CHOSEN = ["async/", "pool/", "stream/", "vmm/"] if SANITIZE == "thread" else []


def listed():
    """{case: its rule}; empty if there is nothing to list."""
    try:
        text = subprocess.run(
            [PROGRAM, "--list"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    return dict(line.split("\t") for line in text.splitlines())


CASES = listed()


class Column:
    """What one run of the suite said."""

    def __init__(self, folder, driver="", shim=False, options=None):
        env = dict(CARDS)
        if shim:  # each process of the suite writes statistics of its own
            statistics = str(folder / "stats-%p.json")
            env.update(STEADY, HYBRIDMEM_LOG="error", HYBRIDMEM_STATS_FILE=statistics)
            env.update(options)
        if driver:
            env["LD_LIBRARY_PATH"] = f"{BUILD}/sim/{driver}:{BUILD}/sim"
            env["SIMCUDA_DRIVER"] = driver
        self.result = Runner(folder).program([PROGRAM, *CHOSEN], shim=shim, env=env)
        lines = self.result.stdout.splitlines()
        self.lines = {re.match(r"\w+ (\w+/\w+(?:\[[^\]]*\])?)", line)[1]: line for line in lines}
        self.redirected = sum(
            int(count)
            for file in folder.glob("stats-*.json")
            for count in re.findall(r'"redirected_allocations": *(\d+)', file.read_text())
        )

    def good(self):
        bad = {case: line for case, line in self.lines.items() if line.startswith("FAIL")}
        assert not bad, "\n".join(bad.values())
        assert self.result.returncode == 0, self.result.stderr
        assert self.result.report == ""
        assert self.result.stderr == ""


@pytest.fixture(scope="module")
def column(tmp_path_factory):
    """Runs each column once."""
    known = {}

    def get(name, driver=""):
        if (name, driver) not in known:
            folder = tmp_path_factory.mktemp(f"{name}{driver}")
            known[name, driver] = Column(folder, driver, name != "bare", COLUMNS.get(name))
        return known[name, driver]

    return get


def test_there_are_several_hundred_cases():
    assert len(CASES) > 300
    for case, rule in CASES.items():
        assert re.match(r"[A-Z]?[\w *(),.]+: .{8}", rule), f"{case}: {rule}"


@pytest.mark.parametrize("case", CASES)
def test_case(column, case):
    bare = column("bare").lines.get(case, "did not run")
    assert bare.startswith("ok")  # on the newest driver nothing is skipped
    for name in COLUMNS:
        assert column(name).lines.get(case, "did not run") == bare, name


@pytest.mark.parametrize("name", ["bare", *COLUMNS])
def test_column(column, name):
    column(name).good()
    assert (column(name).redirected > 0) == (name == "host")


@pytest.mark.parametrize("driver", OLDER)
def test_older_driver(column, driver):
    bare = column("bare", driver)
    host = column("host", driver)
    bare.good()
    assert set(bare.lines) == set(CASES)
    skipped = [line for line in bare.lines.values() if line.startswith("skip")]
    assert all("this driver has no cu" in line for line in skipped), skipped
    host.good()
    assert host.lines == bare.lines
    assert host.redirected > 0
