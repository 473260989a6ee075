"""Several processes fill one RAM at the same moment: together they stop at the pad, and none is
killed for it. On a machine made up for the test, and in a control group with a real limit."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import ALL_TO_HOST, BUILD, MIB, SHIM, STEADY, clean_environment, sanitizer_runtimes

RAM = 512 * MIB
BLOCK = 8 * MIB
PAD = 128 * MIB
MACHINE = BUILD / "hosts/libpreload_meminfo.so"
NOTHING_SHARED = {"MACHINE_SHARES": "/nonexistent/claims"}
CARD = 4 * MIB  # of each process, less than a block: simulated, it is RAM as well

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("HM_SANITIZE")), reason="a sanitizer takes several times the RAM"
)


def resident(pid) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


class Fillers:
    """host_direct_fill several times over, step by step."""

    def __init__(self, folder, count, *args, env=None, enter=None):
        self.folder = folder
        self.group = 0
        self.processes = []
        for i in range(count):
            full = clean_environment()
            full.update(
                LD_LIBRARY_PATH=str(BUILD / "sim"),
                LD_PRELOAD=" ".join(map(str, [*sanitizer_runtimes(), MACHINE, SHIM])),
                MACHINE_SHARES=str(folder / "claims"),
                SIMCUDA_REPORT=str(folder / f"report{i}"),
                SIMCUDA_VRAM=str(CARD),
                SIMCUDA_POPULATE="1",
                HYBRIDMEM_SYSTEM_RAM_PAD_GB=str(PAD / (1 << 30)),
                HYBRIDMEM_HUGEPAGES="off",
                HYBRIDMEM_STATS_TTL_MS="60000",  # all of it happens between two polls
                HYBRIDMEM_LOG="error",
            )
            full.update(env or {})
            argv = [BUILD / "hosts/host_direct_fill", str(BLOCK), *args]
            if enter:
                argv = ["sh", "-c", f'echo $$ > {enter}/cgroup.procs && exec "$0" "$@"', *argv]
            process = subprocess.Popen(
                [str(a) for a in argv],
                env=full,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=self.group,
            )
            self.group = self.group or process.pid
            self.processes.append(process)
        assert [p.stdout.readline() for p in self.processes] == ["open\n"] * count

    def go(self):
        for process in self.processes:
            process.stdin.write("go\n")
            process.stdin.flush()

    def fill(self) -> list:
        """The blocks that each got."""
        self.go()
        return self.filled()

    def filled(self) -> list:
        said = [p.stdout.readline() for p in self.processes]
        ended = [p.wait() for p, line in zip(self.processes, said) if not line]
        assert not ended, f"ended with {ended}: {said}"
        for line in said:
            assert line.endswith(" blocks, then CUDA_ERROR_OUT_OF_MEMORY\n"), said
        return [int(line.split()[0]) for line in said]

    def used(self) -> int:
        return sum(resident(p.pid) for p in self.processes)

    def check(self):
        self.go()
        for process in self.processes:
            assert process.stdout.readline() == "words wrong: 0\n"

    def finish(self):
        self.check()
        assert [p.wait() for p in self.processes] == [0] * len(self.processes)
        assert not list(self.folder.glob("report*"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


@pytest.fixture
def machine():
    """A machine with so much RAM."""
    return lambda size: {"env": {"MACHINE_RAM": str(size)}}


# What the last arena may leave, and what the processes take beside it, whose pages show late.
SLACK = 32 * MIB


@pytest.mark.parametrize("count", [1, 2, 8])
def test_together_they_stop_at_the_pad(tmp_path, machine, count):
    size = RAM + count * CARD
    with Fillers(tmp_path, count, **machine(size)) as fillers:
        blocks = fillers.fill()
        used = fillers.used()
        assert used <= size - PAD + SLACK, f"{used // MIB} of {(size - PAD) // MIB} MiB: {blocks}"
        assert used >= size - PAD - count * SLACK, f"{used // MIB} of {(size - PAD) // MIB} MiB"
        fillers.finish()


def test_without_the_shared_file_too_much(tmp_path, machine):
    """The test above would prove nothing if processes on their own stopped at the pad too."""
    size = RAM + 8 * CARD
    made_up = machine(size)
    made_up["env"].update(NOTHING_SHARED)
    with Fillers(tmp_path, 8, **made_up) as fillers:
        fillers.fill()
        assert fillers.used() > size - PAD + SLACK


def test_the_share_of_a_killed_process_comes_back(tmp_path, machine):
    size = RAM + 2 * CARD
    with Fillers(tmp_path, 1, **machine(size)) as first:
        alone = first.fill()[0]
        first.processes[0].send_signal(signal.SIGKILL)
        first.processes[0].wait()
    with Fillers(tmp_path, 1, **machine(size)) as second:
        assert second.fill()[0] == alone
        second.finish()


def test_what_was_given_back_is_had_again(tmp_path, machine):
    size = RAM + CARD
    with Fillers(tmp_path, 1, "128M", "3", **machine(size)) as fillers:
        blocks = [fillers.fill()[0]]
        for _ in range(2):
            fillers.check()
            blocks.append(fillers.filled()[0])
            assert fillers.used() <= size - PAD + SLACK
        assert max(blocks) - min(blocks) <= 1
        fillers.finish()


def test_what_the_host_pins_itself_counts(tmp_path, machine):
    size = RAM + CARD
    with Fillers(tmp_path, 1, **machine(size)) as plain:
        without = plain.fill()[0]
        plain.finish()
    with Fillers(tmp_path, 1, "256M", **machine(size)) as pinning:
        blocks = pinning.fill()[0]
        assert pinning.used() <= size - PAD + SLACK
        assert (without - 256 * MIB // BLOCK) - 4 <= blocks <= without - 256 * MIB // BLOCK + 1
        pinning.finish()


def test_says_that_it_is_alone(run):
    """Once, and only where somebody wants to know."""
    options = {**STEADY, **ALL_TO_HOST, "HYBRIDMEM_LOG": "info"}
    libraries = [MACHINE, SHIM]
    host = ("host_direct_overflow", "6", "8M")
    said = run(*host, preload=libraries, env={**options, **NOTHING_SHARED}).stderr
    assert said.count("/dev/shm/hybridmem-") == 1 and "cannot be used" in said
    assert "HYBRIDMEM_SYSTEM_RAM_PAD_GB" in said
    assert "/dev/shm" not in run(*host, preload=libraries, env=options).stderr


def test_no_file_for_who_redirects_nothing(run):
    libraries = [MACHINE, SHIM]
    env = {"HYBRIDMEM_LOG": "info", **NOTHING_SHARED}
    done = run("host_direct_overflow", "6", "8M", preload=libraries, env=env)
    assert "budget" in done.stderr and "/dev/shm" not in done.stderr


# --- a control group with a real limit ------------------------------------------------------------


@pytest.fixture
def group():
    """A function that makes a control group with a limit; skips where none may be made."""
    made = []

    def make(limit):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            v1 = "memory" in controllers.split(",")
            if not v1 and (number, controllers) != ("0", ""):
                continue
            parent = Path("/sys/fs/cgroup" + ("/memory" if v1 else "") + path)
            folder = parent / f"hybridmem-test-{os.getpid()}"
            try:
                folder.mkdir()
                made.append(folder)
                knob = folder / ("memory.limit_in_bytes" if v1 else "memory.max")
                knob.write_text(str(limit))
                return folder
            except OSError:
                continue
        pytest.skip("no control group with a memory limit may be made here")

    yield make
    for folder in made:
        folder.rmdir()


@pytest.mark.parametrize("kind", [(), ("0", "1", "physical")], ids=["cuMemAlloc", "cuMemCreate"])
@pytest.mark.parametrize("count", [2, 8])
def test_none_is_killed(tmp_path, group, count, kind):
    limit = RAM + count * CARD
    folder = group(limit)
    with Fillers(tmp_path, count, *kind, enter=folder) as fillers:
        blocks = fillers.fill()
        assert fillers.used() >= limit - PAD - count * SLACK, blocks
        fillers.finish()


def test_with_no_pad_one_is_killed(tmp_path, group):
    """The limit is real: beyond it somebody is killed."""
    folder = group(RAM)
    env = {"HYBRIDMEM_HOST_LIMIT": "600MiB", "HYBRIDMEM_SYSTEM_RAM_PAD_GB": "0"}
    with Fillers(tmp_path, 1, "600M", enter=folder, env=env) as fillers:
        fillers.go()
        assert fillers.processes[0].stdout.readline() == ""
        assert fillers.processes[0].wait() == -signal.SIGKILL


def test_ram_that_becomes_free_later_is_beyond_the_total(run, tmp_path):
    """What was reported as the card's size stays it: free + used never exceeds it."""
    env = {
        "MACHINE_RAM": str(RAM),
        "MACHINE_SHARES": str(tmp_path / "claims"),
        "SIMCUDA_VRAM": str(CARD),
        "SIMCUDA_POPULATE": "1",
        "HYBRIDMEM_SYSTEM_RAM_PAD_GB": str(PAD / (1 << 30)),
        "HYBRIDMEM_HUGEPAGES": "off",
        "HYBRIDMEM_STATS_TTL_MS": "0",
    }
    done = run("host_direct_freed_ram", preload=[MACHINE, SHIM], env=env)
    assert (done.returncode, done.stdout) == (0, "blocks\n0 bytes beyond\n")
