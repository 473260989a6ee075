"""tests/run counts what it should: no crash, no silence and no half-told result passes."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def runner(tmp_path, monkeypatch):
    loader = importlib.machinery.SourceFileLoader("runner", str(ROOT / "tests/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def result_of(runner, tmp_path, script, patience=1):
    program = tmp_path / "b/unit/test_x"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    suite = runner.Round(build="b", patience=patience).check_program(program)
    return suite.passed, len(suite.failures)


GOOD = 'echo "ok 1 - a.c:s:one: Passed" > $CK_TAP_LOG_FILE_NAME\n'
BAD = 'echo "not ok 2 - a.c:s:two: Assertion failed: 1 == 2" >> $CK_TAP_LOG_FILE_NAME\n'


@pytest.mark.parametrize("script, passed, failed", [
    (GOOD + 'echo 1..1 >> $CK_TAP_LOG_FILE_NAME', 1, 0),
    (GOOD + BAD + 'echo 1..2 >> $CK_TAP_LOG_FILE_NAME; exit 1', 1, 1),
    (GOOD + BAD + 'echo 1..2 >> $CK_TAP_LOG_FILE_NAME; exit 0', 1, 2),  # hides its failure
    (GOOD + 'echo 1..1 >> $CK_TAP_LOG_FILE_NAME; exit 23', 1, 1),  # a leak report at exit
    (GOOD + 'kill -SEGV $$', 1, 1),  # no plan: it never reached its end
    (GOOD + 'echo 1..2 >> $CK_TAP_LOG_FILE_NAME', 1, 1),
    ('echo "ok 1 - a.c:host memory:one: Passed" > $CK_TAP_LOG_FILE_NAME; echo 1..1 >> $CK_TAP_LOG_FILE_NAME', 1, 0),
    ('echo 1..0 > $CK_TAP_LOG_FILE_NAME', 0, 1),  # ran nothing
    ('exit 0', 0, 1),
    ('exit 1', 0, 1),
    ('echo nonsense > $CK_TAP_LOG_FILE_NAME', 0, 1),
])
def test_check_programs(runner, tmp_path, script, passed, failed):
    assert result_of(runner, tmp_path, script) == (passed, failed)


def test_a_program_that_hangs_is_stopped_with_its_children(runner, tmp_path):
    mark = tmp_path / "mark"
    script = GOOD + f"(sleep 2; touch {mark}) & wait"
    assert result_of(runner, tmp_path, script, patience=0.3 / 120) == (1, 1)
    code, _ = runner.Round(build="b").call(["sleep", "2.2"], 10)
    assert code == 0 and not mark.exists()


def test_commands(runner, tmp_path):
    one = runner.Round(build="b")
    outcomes = [one.command("c", ["sh", "-c", f"echo because; exit {code}"]) for code in (0, 1, 77)]
    assert [(s.passed, len(s.failures), s.skips) for s in outcomes] == [
        (1, 0, []), (0, 1, []), (0, 0, [("c", "because")])]


def test_pytest_results_and_a_file_that_cannot_be_collected(runner, tmp_path):
    folder = tmp_path / "tests/integration"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text(
        "import pytest\ndef test_1(): pass\ndef test_2(): assert 0\n"
        "def test_3(): pytest.skip('no GPU')\n")
    suites = runner.Round(build="b").pytest(["tests/integration"])
    assert [(s.name, s.passed, len(s.failures), s.skips) for s in suites] == [
        ("integration/test_a", 1, 1, [("test_3", "no GPU")])]
    (folder / "test_b.py").write_text("import no_such_module\n")
    suites = runner.Round(build="b").pytest(["tests/integration"])
    assert sum(len(s.failures) for s in suites) >= 1
    assert "no_such_module" in str([s.failures for s in suites])


def test_pytest_that_collects_nothing_fails(runner, tmp_path):
    suites = runner.Round(build="b").pytest(["tests/none"])
    assert [len(s.failures) for s in suites] == [1]


def test_closing_line_and_exit_code(runner, capsys):
    report = runner.Report()
    suite = runner.Suite("a")
    suite.passed = 3
    suite.skips.append(("b", "why"))
    report.add(suite)
    assert report.close() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"
    report.add(runner.Suite("c").fail("d", "text"))
    assert report.close() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 1 failed, 1 skipped"


def test_nothing_at_all_is_no_success(runner):
    assert runner.Report().close() == 1


def test_the_switches_of_a_person_do_not_reach_the_tests(runner, monkeypatch):
    for name in ("HYBRIDMEM_ENABLE", "SIMCUDA_FAIL", "LD_PRELOAD", "MAKEFLAGS", "SANITIZE"):
        monkeypatch.setenv(name, "x")
    env = runner.Round(build="b").env
    assert not {"HYBRIDMEM_ENABLE", "SIMCUDA_FAIL", "LD_PRELOAD", "MAKEFLAGS", "SANITIZE"} & set(env)
    assert env["BUILD"] == "b"
