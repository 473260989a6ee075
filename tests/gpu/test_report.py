"""scripts/gpu-check without a GPU: what it makes of answers, that its parts run or are skipped, and
that none of them stops the others."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

import cases
import gpu_report
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GPU = ROOT / "tests/gpu"
SCRIPTS = {"torch_allocators.py": ["--allocator", "async"], "torch_placement.py": ["--file", "none"],
           "cupy_blocks.py": ["--allocator", "pool"], "jax_blocks.py": ["--allocator", "bfc"]}


@pytest.fixture(scope="module")
def check():
    loader = SourceFileLoader("gpu_check", str(ROOT / "scripts/gpu-check"))
    spec = importlib.util.spec_from_loader("gpu_check", loader)
    module = importlib.util.module_from_spec(spec)
    write = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    sys.dont_write_bytecode = write
    return module


def answer(result, **notes):
    return {"result": result, "notes": notes}


# --- reading and comparing ---


def test_cases_are_read_among_other_output():
    text = "\n".join(["a warning", "[1]", '{"other": 1}', json.dumps({"case": "a", **answer("1", ms=2)}),
                      '{"case": "broken off'])
    assert gpu_report.read_cases(text) == ({"a": answer("1", ms=2)}, None)
    assert gpu_report.read_cases('{"skipped": "no device"}') == ({}, "no device")


def test_equal_columns():
    rows, differ, broken = gpu_report.compare({"bare": {"a": answer("1", ms=3)},
                                               "room": {"a": answer("1", ms=4)}})
    assert (rows, differ, broken) == ([{"case": "a", "bare": "1", "room": "same"}], [], [])


def test_what_differs_what_is_missing_and_what_fails_alone():
    rows, differ, broken = gpu_report.compare({
        "bare": {"a": answer("1"), "b": answer("2"), "c": answer("raised ValueError")},
        "room": {"a": answer("7"), "c": answer("raised ValueError"), "d": answer("4")},
    })
    assert differ == ["a", "b", "d"]
    assert broken == ["c", "d"]
    assert rows == [{"case": "a", "bare": "1", "room": "7"}, {"case": "b", "bare": "2", "room": "no answer"},
                    {"case": "c", "bare": "raised ValueError", "room": "same"},
                    {"case": "d", "bare": "no answer", "room": "4"}]


def test_bytes_per_place():
    stats = {"devices": [{"device_bytes_peak": 3 << 20, "host_bytes_peak": 5 << 20,
                          "redirected_allocations": 2},
                         {"device_bytes_peak": 1 << 20, "host_bytes_peak": 0, "redirected_allocations": 1}],
             "models": [{"file": "/tmp/x/m.gguf", "device_bytes": 2 << 20, "host_bytes": 4 << 20}]}
    assert gpu_report.places(stats) == {"VRAM MiB, most": 4, "host MiB, most": 5, "redirected": 3,
                                        "m.gguf: VRAM MiB": 2, "m.gguf: host MiB": 4}
    assert gpu_report.places(None) == {}
    lent = {"gated_calls": 9, "devices": [{"lent_bytes_peak": 7 << 20, "recalled_bytes": 2 << 20}]}
    assert gpu_report.places(lent).items() >= {"lent_bytes_peak, MiB": 7, "recalled_bytes, MiB": 2,
                                               "gated_calls": 9}.items()


def test_launches_that_do_not_pass_the_gate():
    def run(launches, gated, lent):
        return {"answers": {"steps": answer("x", **{"launches, at least": launches})},
                "statistics": {"gated_calls": gated, "devices": [{"lent_bytes_peak": lent}]}}

    runs = {"bare": {"answers": {}, "statistics": None}, "none lent": run(10, 0, 0), "all": run(10, 10, 1),
            "some": run(10, 9, 1)}
    assert gpu_report.past_the_gate(runs) == ["some: 9 calls passed the gate, of 10 launches at least"]


def test_runs_without_loans_prove_nothing():
    runs = [{"run": "a", "exit": 0, "lent_bytes_peak, MiB": 3}, {"run": "b", "exit": 0}, {"run": "c", "exit": 1}]
    assert gpu_report.nothing_lent(runs, ["a", "b", "c"]) == ["b"]


def test_answers_of_a_probe_that_broke_off():
    whole = '{"driver": 1, "answers": [\n  {"table": "t", "row": "r", "column": "c", "value": "v"}'
    cell = {"table": "t", "row": "r", "column": "c", "value": "v"}
    assert gpu_report.probe_answers(whole + "\n]}\n") == gpu_report.probe_answers(whole) == [cell]
    assert gpu_report.probe_answers("") == gpu_report.probe_answers("Killed") == []


def test_attributes_that_tell_one_memory_from_another():
    answers = [{"table": table, "row": row, "column": column, "value": value} for table, row, column, value in [
        ("pointer attributes", "A", "one", "1"), ("pointer attributes", "A", "two", "1"),
        ("pointer attributes", "B", "one", "1"), ("pointer attributes", "B", "two", "0"),
        ("pointer attributes", "C", "one", "1"), ("another table", "A", "two", "7")]]
    assert gpu_report.attributes_that_differ(answers, "one", "two") == [
        {"attribute": "B", "one": "1", "two": "0"}, {"attribute": "C", "one": "1", "two": "no answer"}]


def test_runs_that_prove_nothing():
    runs = [{"run": "bare", "exit": 0}, {"run": "a", "exit": 0, "host MiB, most": 5},
            {"run": "b", "exit": 0, "host MiB, most": 0}, {"run": "c", "exit": 0},
            {"run": "d", "exit": "skipped: no room"}]
    assert gpu_report.unmoved(runs, ["a", "b", "c", "d"]) == ["b", "c"]


LD = """
   912:\tbinding file /a/libc10_cuda.so [0] to /b/libhybridmem.so [0]: normal symbol `cudaMalloc' [libcudart.so.13]
   912:\tbinding file /a/libc10_cuda.so [0] to /c/libcudart.so.13 [0]: normal symbol `cudaFree' [libcudart.so.13]
   912:\tbinding file /a/libc10_cuda.so [0] to /b/libhybridmem.so [0]: normal symbol `cudaMalloc' [libcudart.so.13]
   912:\tbinding file /b/libhybridmem.so [0] to /c/libcudart.so.13 [0]: normal symbol `cudaFree' [libcudart.so.13]
   912:\tbinding file /a/libx.so [0] to /lib/libc.so.6 [0]: normal symbol `malloc' [GLIBC_2.2.5]
   912:\tbinding file /a/libx.so [0] to /a/libx.so [0]: normal symbol 'cudaFree'
"""


def test_bindings_of_the_loader():
    rows = gpu_report.bindings(LD.splitlines(), {"cudaMalloc", "cudaFree"})
    assert [(r["symbol"], r["from"], r["to"], r["version"]) for r in rows] == [
        ("cudaFree", "libc10_cuda.so", "libcudart.so.13", "libcudart.so.13"),
        ("cudaFree", "libhybridmem.so", "libcudart.so.13", "libcudart.so.13"),
        ("cudaFree", "libx.so", "libx.so", ""),
        ("cudaMalloc", "libc10_cuda.so", "libhybridmem.so", "libcudart.so.13"),
    ]
    assert gpu_report.not_ours(rows) == rows[:1]


def test_bindings_as_this_machines_loader_writes_them(tmp_path):
    env = {**os.environ, "LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "ld"), "LD_BIND_NOW": "1"}
    subprocess.run(["/bin/true"], env=env, check=True)
    lines = "".join(f.read_text() for f in tmp_path.iterdir()).splitlines()
    rows = gpu_report.bindings(lines, {"__libc_start_main"})
    assert any(row["to"] == "libc.so.6" and row["version"].startswith("GLIBC_") for row in rows)


def test_report_as_text():
    group = {"ok": False, "runs": [{"run": "bare", "exit": 0, "s": 1.5}], "notes": [{"case": "a", "bare": "ms 3"}],
             "rows": [{"case": "a", "bare": "x|y", "room": "same"}], "said": ["room: Killed"]}
    text = gpu_report.markdown({
        "gpu": "Card", "driver": "1.2", "commit": "c0ffee", "date": "2026-01-01", "seconds": 7, "bad": ["torch"],
        "parts": {"torch": {"ok": False, "groups": {"native": group, "async": {"skipped": "why not"}}},
                  "placement": {"ok": False, "broke off": True, "output": "Traceback"},
                  "cupy": {"ok": True, "skipped": "no package"},
                  "demo": {"ok": True, "output": "all went well"},
                  "probe": {"ok": True, "differ": [{"attribute": "CONTEXT", "a": "set", "b": "0"}], "answers": [{"table": "t", "row": "r", "column": "c", "value": "v"}]}}})
    for line in ("# GPU check: Card", "2026-01-01, driver 1.2, commit c0ffee.",
                 "Took 7 s. Not as it should be: torch.", "| a | x\\|y | same |", "| bare | 0 | 1.5 |",
                 "| a | ms 3 |", "room: Killed", "Skipped: why not", "Traceback", "Skipped: no package",
                 "all went well", "| r | v |", "| CONTEXT | set | 0 |"):
        assert line in text.splitlines(), line


# --- the scripts that run inside a framework ---


def test_cases_are_told_one_by_one(capsys):
    def good(notes):
        notes["n"] = 1
        return 7

    def bad(notes):
        raise ValueError("no")

    assert not cases.run([bad, good])
    answers, _ = gpu_report.read_cases(capsys.readouterr().out)
    assert answers == {"bad": answer("raised ValueError", message="no"), "good": answer("7", n=1)}
    assert cases.run([good])


def test_digest_tells_content_and_order():
    one = [bytes([i]) * 100 for i in range(6)]
    assert cases.digest(one) == cases.digest(iter(one)) != cases.digest(one[::-1])
    assert cases.digest(one) != cases.digest(one[:-1] + [b"\x05" * 99 + b"\x06"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_is_skipped_where_it_cannot_run(script):
    """-S: without the packages that this machine may have."""
    done = subprocess.run([sys.executable, "-S", GPU / script, *SCRIPTS[script]], text=True, timeout=60,
                          stdout=subprocess.PIPE)
    answers, reason = gpu_report.read_cases(done.stdout)
    assert (done.returncode, answers) == (77, {})
    assert reason.startswith("import ")


def test_the_model_file_is_one(tmp_path, check):
    """Its header, with a hole for the data, is what hybridmem reads in it."""
    import torch_placement as placement

    tensors, total = placement.tensors_of(1 << 30)
    assert total >= 1 << 30 and len(tensors) % len(placement.LAYER) == 0
    header = placement.gguf_header(tensors)
    path = tmp_path / "model.gguf"
    path.write_bytes(header)
    os.truncate(path, len(header) + total)
    plan = json.loads(subprocess.run(
        [ROOT / check.BUILD / "hybridmem", "plan", "--vram", "1GiB", "--ram", "8GiB", "--json", path],
        stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    model = plan["models"][0]
    assert (model["architecture"], model["type"]) == ("flux", "gguf_unet")
    assert model["tensor_bytes"] == sum(r * c // 32 * 34 for _, r, c, _ in tensors)


# --- the whole ---


def test_hosts_are_those_of_the_integration_tests(check):
    hosts = check.transcripts()
    assert ("host_direct_expandable", "1", "3", "late") in hosts and ("host_dlvsym",) in hosts


def test_transcripts(check):
    """Only that redirected memory cannot be shared may be told differently."""
    shared = (0, "type 2\nipc capable: 1\nend\n", "")
    assert check.same_transcript(shared, (0, "type 2\nipc capable: 0\nend\n", "noise"))
    assert not check.same_transcript(shared, (1, shared[1], ""))
    assert not check.same_transcript(shared, (0, "type 1\nipc capable: 1\nend\n", ""))


def test_options_are_options(check):
    from re import findall

    named = {"HYBRIDMEM_" + n for n in findall(r"^(?:OPTION|ALIAS)\(\w+,\s*(\w+)",
                                               (ROOT / "config/options.def").read_text(), 8)} | {"HYBRIDMEM_POLICY"}
    for columns in (check.COLUMNS, check.PLACEMENTS, {"": check.NO_BUDGET, " ": check.LITTLE}):
        for env in columns.values():
            assert {name for name in env if name.startswith("HYBRIDMEM_")} <= named


def test_parts_are_chosen(check):
    assert check.chosen("") == list(check.PARTS)
    assert check.chosen("driver,jax,probe") == ["hosts", "conformance", "loans", "doctor", "demo", "probe",
                                                    "jax"]
    assert sorted(sum(check.SETS.values(), [])) == sorted(check.PARTS)
    with pytest.raises(argparse.ArgumentTypeError):
        check.chosen("driver,nothing")


@pytest.fixture
def machine(check):
    return check.Machine(argparse.Namespace(simulated=True, seconds=60))


def test_a_part_that_fails_stops_nobody(check, machine, monkeypatch):
    monkeypatch.setitem(check.PARTS, "demo", (lambda machine: 1 // 0, 10))
    result = check.part(machine, "demo")
    assert not result["ok"] and "ZeroDivisionError" in result["output"]
    assert "ZeroDivisionError" in gpu_report.markdown(
        {"gpu": "", "driver": "", "commit": "", "date": "", "parts": {"demo": result, "torch": result}})


def test_loans_on_the_simulated_driver(check, machine, monkeypatch):
    card, work, ways = check.constants("test_loan.py", "CARD", "WORK", "WAYS")
    assert len(ways) > 5 and set(ways) >= {"plain", "early"}
    monkeypatch.setattr(check, "constants", lambda *_: (card, work, ["plain", "early"]))
    result = check.check_loans(machine)
    assert result["ok"] and result["output"] == "", result
    assert [row["vmm"] for row in result["rows"]] == ["same", "same"]
    assert result["rows"][0]["recalled_bytes, MiB"] > 0 == result["rows"][1]["lent_bytes_peak, MiB"]


def test_loans_that_prove_nothing(check, machine, monkeypatch):
    """A card with room for all."""
    card, work, _ = check.constants("test_loan.py", "CARD", "WORK", "WAYS")
    monkeypatch.setattr(check, "constants", lambda *_: ({**card, "SIMCUDA_VRAM": "4GiB"}, work, ["plain"]))
    result = check.check_loans(machine)
    assert not result["ok"] and result["rows"][0]["vmm"] == "same"
    assert "| plain | exit 0: done | same | same | 0 | 0 |" in "\n".join(gpu_report.loans_part(result))


def test_a_program_ends_in_time_with_all_it_started(check, machine):
    began = time.monotonic()
    code, out, err = machine.run(["sh", "-c", "echo begun; sleep 30 & wait"], seconds=1.5)
    assert (code, out) == (None, "begun\n") and err.startswith("no end after")
    assert time.monotonic() - began < 25
    machine.begin(0)
    assert machine.run(["true"]) == (None, "", "no time left for it")


STAND_IN = """
import json, os, sys
def say(case, result): print(json.dumps({"case": case, "result": result, "notes": {}}), flush=True)
limit = os.environ.get("HYBRIDMEM_VRAM_LIMIT")
mode = sys.argv[1]
if mode == "absent" or (mode == "too small" and not os.environ.get("LD_PRELOAD")):
    print(json.dumps({"skipped": "no room"})); sys.exit(77)
say("a", "1")
if mode == "differs" and limit: say("b", "3"); sys.exit(0)
if mode == "crashes" and limit: os.abort()
say("b", "2")
sys.exit(1 if mode == "fails" and limit else 0)
"""


@pytest.mark.parametrize("mode,ok,differ", [
    ("same", True, []), ("differs", False, ["b"]), ("crashes", False, ["b"]), ("fails", False, []),
    ("too small", True, [])])
def test_columns_of_a_script(check, machine, tmp_path, mode, ok, differ):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    columns = {"bare": {}, "little": {**check.SHIM, "HYBRIDMEM_VRAM_LIMIT": "64MiB"}}
    done = check.check_columns(machine, sys.executable, script, [mode], columns, 20)
    assert (done["ok"], done["differ"]) == (ok, differ)
    assert [run["run"] for run in done["runs"]] == (["little", "bare"] if mode == "too small" else ["bare", "little"])


def test_little_vram_that_moves_nothing_is_told(check, machine, tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    columns = {"bare": {}, "room": check.SHIM, "little": {**check.SHIM, "HYBRIDMEM_VRAM_LIMIT": "64MiB"}}
    done = check.check_groups(machine, "json", script, {"all": ["same"]}, columns, 20)
    assert not done["ok"] and done["groups"]["all"]["differ"] == []
    assert done["groups"]["all"]["said"] == ["little: nothing was redirected, which proves nothing"]
    del columns["little"]
    assert check.check_groups(machine, "json", script, {"all": ["same"]}, columns, 20)["ok"]
    lent = {"bare": {}, "lent": {**check.SHIM, "HYBRIDMEM_BACKING": "vmm"}}
    done = check.check_groups(machine, "json", script, {"all": ["same"]}, lent, 20)
    assert not done["ok"] and done["groups"]["all"]["said"] == ["lent: no VRAM was lent, which proves nothing"]
    absent = check.check_groups(machine, "no_such_package", script, {"all": []}, columns, 20)
    assert absent == {"ok": True, "skipped": "no Python that imports no_such_package"}


def test_columns_of_a_script_that_cannot_run(check, machine, tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    done = check.check_columns(machine, sys.executable, script, ["absent"], {"bare": {}}, 20)
    assert done == {"ok": True, "skipped": "no room"}


def test_a_rehearsal_on_the_simulated_driver(tmp_path):
    """Every part but the long ones; frameworks that are not there, or find no device, are skipped."""
    done = subprocess.run([ROOT / "scripts/gpu-check", "--simulated", "--no-build", "--only", "probe,pytorch,arrays",
                           "--folder", tmp_path, "--out", "rehearsal", "--seconds", "100"],
                          stdout=subprocess.PIPE, text=True, timeout=150)
    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "rehearsal.json").read_text())
    assert report["gpu"] == "the simulated driver" and report["bad"] == []
    assert list(report["parts"]) == ["probe", "door", "torch", "placement", "cupy", "jax"]
    assert len(report["parts"]["probe"]["answers"]) > 200
    exits = [a["value"] for a in report["parts"]["probe"]["answers"] if a["row"] == "exit code"]
    assert exits == ["0"] * 5
    assert "## What the driver does" in (tmp_path / "rehearsal.md").read_text()
