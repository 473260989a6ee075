"""The hybridmem command, and the files that are made from options.def."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from conftest import BUILD, ROOT, SHIM, clean_environment

COMMAND = BUILD / "hybridmem"
USAGE, NO_LIBRARY, CONFIG, CANNOT_RUN, NOT_FOUND = 64, 69, 78, 126, 127
KEYS = re.findall(r"^OPTION\((\w+),", (ROOT / "config/options.def").read_text(), re.M)
SHOW = ["/bin/sh", "-c", 'env | grep -E "^(HYBRIDMEM_|LD_PRELOAD)" | sort']

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("HM_SANITIZE")), reason="starts programs of the system"
)


def call(*arguments, env=None, command=COMMAND, cwd=None):
    return subprocess.run(
        [str(command), *map(str, arguments)],
        env={**clean_environment(), **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def variables(done):
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def table(done):
    """check's table: option -> (value, from)."""
    lines = done.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("option "))
    value, origin = lines[start].index("value"), lines[start].index("from")
    return {
        line.split()[0]: (line[value:origin].strip(), line[origin:].strip())
        for line in lines[start + 1 :]
    }


# --- help, version, usage ---


def test_version():
    done = call("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"hybridmem \d+\.\d+\.\d+\n", done.stdout)


def test_help_lists_every_option_in_88_columns():
    done = call("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 90
    for key in KEYS:
        assert re.search(rf"^  {key} +HYBRIDMEM_\w+$", done.stdout, re.M), key
    for same in (["-h"], ["run", "--help"], ["check", "-h"]):
        assert call(*same).stdout == done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--"],
        ["run", "--set"],
        ["run", "--set", "log"],
        ["run", "--policy"],
        ["run", "--polic", "x", "true"],
        ["run", "-x", "true"],
        ["check", "a", "b"],
        ["check", "--all"],
    ],
)
def test_usage_error(arguments):
    done = call(*arguments)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert "Usage: hybridmem run" in done.stderr


# --- check ---


def test_check_without_anything():
    done = call("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(table(done)) == KEYS
    assert table(done)["conservative_factor"] == ("0.7", "default")
    assert table(done)["log_file"] == ('""', "default")
    assert {origin for _, origin in table(done).values()} == {"default"}


def test_check_tells_where_each_value_came_from(tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{"log": "info", "overhead_percent": 1e1, "vram_limit": "1536MiB"}')
    for done in (
        call("check", policy, env={"HYBRIDMEM_LOG": "debug"}),
        call("check", env={"HYBRIDMEM_LOG": "debug", "HYBRIDMEM_POLICY": str(policy)}),
    ):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"policy file: {policy}\n")
        assert table(done)["log"] == ("debug", "environment")
        assert table(done)["overhead_percent"] == ("10", "policy file")
        assert table(done)["vram_limit"] == ("1536MiB", "policy file")
        assert table(done)["report"] == ("hybrid", "default")


def test_check_refuses_errors_and_still_prints_the_table(tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{\n  "log": "loud",\n  "overhead": 5\n}\n')
    done = call("check", policy, env={"HYBRIDMEM_ENABLE": "perhaps"})
    assert done.returncode == CONFIG
    assert done.stderr.splitlines() == [
        f'error: {policy}:2:3: key "log": found "loud", '
        "allowed: silent error warn info debug; kept warn",
        f'error: {policy}:3:3: key "overhead": unknown, ignored; '
        'did you mean "overhead_percent"?',
        'error: HYBRIDMEM_ENABLE: found "perhaps", allowed: true or false; kept true',
        "3 errors, 0 warnings",
    ]
    assert table(done)["log"] == ("warn", "default")


def test_warnings_do_not_fail():
    done = call("check", env={"HYBRIDMEM_OVERHEAD_PERCENT": "50", "HYBRIDMEM_LGO": "x"})
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: HYBRIDMEM_OVERHEAD_PERCENT: 50 is taken, but 10 to 30 is advised",
        "warning: HYBRIDMEM_LGO: unknown, ignored; did you mean HYBRIDMEM_LOG?",
        "0 errors, 2 warnings",
    ]


def test_check_says_when_its_output_is_lost():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(
            [COMMAND, "check"], env=clean_environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=60, check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


# --- run ---


def test_run_preloads_and_passes_everything_on():
    done = call("run", "--", *SHOW, env={"HYBRIDMEM_LOG": "error", "LD_PRELOAD": ""})
    assert variables(done) == {"LD_PRELOAD": str(SHIM), "HYBRIDMEM_LOG": "error"}
    assert done.stderr == ""


def test_run_stands_before_what_is_preloaded_already():
    other = str(BUILD / "sim/libnvidia-ml.so.1")
    done = call("run", *SHOW, env={"LD_PRELOAD": other})
    assert variables(done)["LD_PRELOAD"] == f"{SHIM}:{other}"


def test_options_become_environment(tmp_path):
    (tmp_path / "p.json").write_text('{"summary": false}')
    done = call(
        "run", "--policy", "p.json", "--set", "log=silent", "--set=vram_limit=6G",
        "--set", "log_file=", "--set", "gguf_overhead_percent=20", *SHOW,
        env={"HYBRIDMEM_LOG": "debug", "HYBRIDMEM_GGUF_OVERHEAD_PERCENT": "25",
             "HYBRIDMEM_LOG_FILE": "/dev/null"},
        cwd=tmp_path,
    )
    assert variables(done) == {
        "HYBRIDMEM_POLICY": str(tmp_path / "p.json"),  # absolute: programs change directory
        "HYBRIDMEM_LOG": "silent",
        "HYBRIDMEM_LOG_FILE": "",
        "HYBRIDMEM_VRAM_LIMIT": "6G",
        "HYBRIDMEM_OVERHEAD_PERCENT": "20",
        "LD_PRELOAD": str(SHIM),
    }
    assert done.stderr == ""


def test_the_programs_own_words_are_left_alone():
    done = call("run", "/bin/echo", "--set", "log=loud", "--policy", "--", "x")
    assert done.stdout == "--set log=loud --policy -- x\n"


@pytest.mark.parametrize("code", [0, 1, 78])
def test_exit_code_is_the_programs(code):
    assert call("run", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize(
    "arguments, env, words",
    [
        (["--set", "log=loud"], {}, 'HYBRIDMEM_LOG: found "loud", allowed: silent error'),
        (["--set", "lgo=warn"], {}, 'lgo=warn: unknown option; did you mean "log"?'),
        (["--set", "xyzzy=1"], {}, 'xyzzy=1: unknown option; "hybridmem --help" lists them'),
        (["--set", "log="], {}, "log=: a value is missing"),
        (["--policy", "/does/not/exist"], {}, "/does/not/exist: cannot be opened: No such file"),
        (["--policy", "/"], {}, "/: is a directory"),
        ([], {"HYBRIDMEM_VRAM_LIMIT": "lots"}, 'HYBRIDMEM_VRAM_LIMIT: found "lots"'),
    ],
)
def test_wrong_options_start_nothing(tmp_path, arguments, env, words):
    done = call("run", *arguments, "touch", tmp_path / "started", env=env)
    assert done.returncode == CONFIG
    assert words in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert not (tmp_path / "started").exists()


def test_warnings_are_left_to_the_library():
    done = call("run", "echo", "started", env={"HYBRIDMEM_OVERHEAD_PERCENT": "50"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")


def test_program_that_is_not_there(tmp_path):
    done = call("run", "no-such-program-here")
    assert done.returncode == NOT_FOUND
    assert done.stderr == "hybridmem: no-such-program-here: No such file or directory\n"
    plain = tmp_path / "plain"
    plain.write_text("x")
    done = call("run", plain)
    assert done.returncode == CANNOT_RUN
    assert "Permission denied" in done.stderr


# --- where the library is ---


@pytest.fixture
def alone(tmp_path):
    """The command without a library beside it."""
    (tmp_path / "bin").mkdir()
    return shutil.copy(COMMAND, tmp_path / "bin/hybridmem")


def test_no_library(alone):
    done = call("run", "echo", "started", command=alone)
    assert done.returncode == NO_LIBRARY
    assert "no libhybridmem.so in" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("folder", ["bin", "lib", "lib64"])
def test_library_beside_the_command_or_in_lib(tmp_path, alone, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    library = shutil.copy(SHIM, tmp_path / folder / "libhybridmem.so")
    assert variables(call("run", *SHOW, command=alone))["LD_PRELOAD"] == str(library)


def test_library_by_name(tmp_path, alone):
    library = shutil.copy(SHIM, tmp_path / "other.so")
    done = call("run", *SHOW, command=alone, cwd=tmp_path, env={"HYBRIDMEM_LIBRARY": "other.so"})
    assert variables(done)["LD_PRELOAD"] == str(library)
    assert done.stderr == ""
    done = call("run", "echo", "started", env={"HYBRIDMEM_LIBRARY": "/does/not/exist.so"})
    assert done.returncode == NO_LIBRARY
    assert "/does/not/exist.so: No such file or directory" in done.stderr and done.stdout == ""


def test_a_path_that_ld_preload_cannot_name(tmp_path):
    folder = tmp_path / "with blank"
    folder.mkdir()
    library = shutil.copy(SHIM, folder / "libhybridmem.so")
    done = call("run", "echo", "started", env={"HYBRIDMEM_LIBRARY": str(library)})
    assert done.returncode == NO_LIBRARY
    assert "blank" in done.stderr and done.stdout == ""


# --- jansson ---


def test_without_jansson(tmp_path):
    """No policy file, no need; with one, a line that names the package."""
    policy = tmp_path / "p.json"
    policy.write_text("{}")
    broken = tmp_path / "libjansson.so.4"
    broken.write_text("not a library")  # found first, and useless
    env = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert call("check", env=env).returncode == 0
    done = call("check", policy, env=env)
    assert done.returncode == CONFIG
    assert "cannot be read without libjansson.so.4 (package libjansson4" in done.stderr


def test_nothing_links_or_exports_jansson():
    for file in (COMMAND, SHIM):
        needed = subprocess.run(["readelf", "-dW", file], capture_output=True, text=True, check=True)
        assert "jansson" not in needed.stdout
        names = subprocess.run(
            ["readelf", "--dyn-syms", "-W", file], capture_output=True, text=True, check=True
        )
        assert "json_" not in names.stdout


# --- files made from options.def ---


def test_generated_files_are_current():
    done = subprocess.run(
        [ROOT / "scripts/generate", "--check"], capture_output=True, text=True, timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stale_files_are_found_and_put_right(tmp_path):
    for name in ("config", "policy", "scripts", "shim"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    command = [tmp_path / "scripts/generate"]
    options = tmp_path / "config/options.def"
    options.write_text(options.read_text().replace('"0.7"', '"0.6"'))

    def generate(*more):
        return subprocess.run(
            [*command, *more], capture_output=True, text=True, timeout=120, check=False
        )

    done = generate("--check")
    assert done.returncode == 1
    for name in ("config/schema.json", "config/default.json", "README.md"):
        assert f"{name} is stale" in done.stderr
    assert generate().returncode == 0
    assert json.loads((tmp_path / "config/default.json").read_text())["conservative_factor"] == 0.6
    assert "`0.6`" in (tmp_path / "README.md").read_text()
    assert generate("--check").returncode == 0
    hooks = tmp_path / "shim/hooks.def"
    hooks.write_text(hooks.read_text().replace("HOOK(ALLOC, cuMemFree_v2", "HOOK(NEW, cuMemFree_v2"))
    assert "no words for group NEW" in generate("--check").stderr
    (tmp_path / "README.md").write_text("no markers\n")
    assert "options:begin" in generate("--check").stderr


def test_default_policy_is_every_option_at_its_default():
    policy = ROOT / "config/default.json"
    done = call("check", policy)
    assert (done.returncode, done.stderr) == (0, "")
    plain = {key: value for key, (value, _) in table(call("check")).items()}
    assert {key: value for key, (value, _) in table(done).items()} == plain
    assert {origin for _, origin in table(done).values()} == {"policy file"}
    assert list(json.loads(policy.read_text())) == ["$schema", *KEYS]


SCHEMA = json.loads((ROOT / "config/schema.json").read_text())


def valid(value, schema):
    """As much of JSON Schema as schema.json uses."""
    known = {"description", "default", "type", "enum", "const", "anyOf", "pattern", "minimum",
             "maximum", "maxLength", "minLength", "minItems", "maxItems", "items", "properties",
             "required", "additionalProperties"}
    assert set(schema) <= known, set(schema) - known
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    types = {
        "boolean": isinstance(value, bool),
        "number": number,
        "integer": number and value == int(value),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    return (
        ("type" not in schema or types[schema["type"]])
        and ("enum" not in schema or value in schema["enum"])
        and ("const" not in schema or value == schema["const"])
        and ("anyOf" not in schema or any(valid(value, s) for s in schema["anyOf"]))
        and ("pattern" not in schema or not isinstance(value, str)
             or re.search(schema["pattern"], value) is not None)
        and ("minimum" not in schema or not number or value >= schema["minimum"])
        and ("maximum" not in schema or not number or value <= schema["maximum"])
        and ("maxLength" not in schema or len(value) <= schema["maxLength"])
        and ("minLength" not in schema or len(value) >= schema["minLength"])
        and ("minItems" not in schema or len(value) >= schema["minItems"])
        and ("maxItems" not in schema or len(value) <= schema["maxItems"])
        and ("items" not in schema or all(valid(item, schema["items"]) for item in value))
        and set(schema.get("required", [])) <= set(value if isinstance(value, dict) else [])
        and ("additionalProperties" not in schema or set(value) <= set(schema["properties"]))
        and all(valid(value[key], inner) for key, inner in schema.get("properties", {}).items()
                if key in value)
    )


def test_schema_is_the_options():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["type"] == "object" and SCHEMA["additionalProperties"] is False
    aliases = re.findall(r"^ALIAS\((\w+),", (ROOT / "config/options.def").read_text(), re.M)
    assert list(SCHEMA["properties"]) == ["$schema", *KEYS, *aliases]
    for key in KEYS:
        assert valid(SCHEMA["properties"][key]["default"], SCHEMA["properties"][key])


def test_default_policy_obeys_the_schema():
    for key, value in json.loads((ROOT / "config/default.json").read_text()).items():
        assert valid(value, SCHEMA["properties"][key]), key
        if key in KEYS:
            assert value == SCHEMA["properties"][key]["default"]


ANY = {"match": {}, "place": "host"}
MATCHES = [
    {"model_type": "gguf_unet"}, {"model_type": ["gguf_clip", "gguf_vae"]}, {"model_type": "unet"},
    {"strategy": "gguf_hybrid"}, {"strategy": []}, {"architecture": "flux"}, {"architecture": ""},
    {"file": "*.gguf"}, {"file": 5}, {"tensor": ["*norm*", "*bias"]}, {"tensor": ["*norm*", 5]},
    {"process": "python*"}, {"allocator": "vmm"}, {"allocator": ["async", "managed"]},
    {"device": "cuda:0"}, {"device": ["0", "GPU-01"]}, {"device": "all"}, {"device": ["0"] * 5},
    {"min_size": 5, "max_size": "1MiB"}, {"min_size": "50%"}, {"max_size": "none"}, {"size": 1},
]


@pytest.mark.parametrize("name", ["comfyui", "llama", "strict"])
def test_shipped_policies_obey_the_schema_and_are_explained(name):
    policy = json.loads((ROOT / f"config/{name}.json").read_text())
    assert policy.pop("$schema") == "schema.json"
    assert policy
    for key, value in policy.items():
        assert valid(value, SCHEMA["properties"][key]), key
        assert value != SCHEMA["properties"][key]["default"], "says nothing"
    for rule in policy.get("rules", []):
        assert rule["note"]
    assert f"| `{name}.json` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "key, values",
    [
        ("enable", [True, False, 1, "true", None]),
        ("target_gpu", ["all", "cuda:0", "0,1", "GPU-8932f937", ["0", "GPU-01"], [], 0, "x", "0,"]),
        ("conservative_factor", [0.7, 1, 0.000000001, 0, 1.1, "0.7", "auto"]),
        ("overhead_percent", [0, 90, 15.5, 91, -1, "15"]),
        ("gguf_overhead_percent", [0, 90, 91]),
        ("system_ram_pad_gb", ["auto", 0, 2.5, 1048577, "none", None]),
        ("vram_limit", ["6G", "6 GiB", "1.5g", "50%", "none", 0, 5, -1, 1.5, "", "6P", "auto", "%"]),
        ("min_redirect", ["1MiB", 0, "1KB", "7b", "50%", "none"]),
        ("placement", ["adaptive", "strict", "device_first", "lazy", 0]),
        ("stats_ttl_ms", [0, 3600000, 3600001, 1.5, "1000"]),
        ("log", ["silent", "loud", None]),
        ("log_file", ["", "/tmp/x", 5]),
        ("rules", [[], {}, "[]", [5], [{}], [ANY], [ANY] * 32, [ANY] * 33, [{**ANY, "note": "why"}],
                   [{**ANY, "more": 1}], [{**ANY, "place": "gpu"}], [{**ANY, "match": []}],
                   *([{**ANY, "match": match}] for match in MATCHES)]),
    ],
)
def test_schema_and_parser_agree(tmp_path, key, values):
    verdicts = set()
    for number, value in enumerate(values):
        policy = tmp_path / f"{number}.json"
        policy.write_text(json.dumps({key: value}))
        accepted = call("check", policy).returncode == 0
        assert accepted == valid(value, SCHEMA["properties"][key]), (key, value)
        verdicts.add(accepted)
    assert verdicts == {True, False}


def test_the_readmes_rules_are_accepted(tmp_path):
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    examples = [block for block in blocks if '"rules"' in block]
    assert examples
    for example in examples:
        (tmp_path / "p.json").write_text(example)
        done = call("check", tmp_path / "p.json")
        assert (done.returncode, done.stderr) == (0, "")
        assert table(done)["rules"] == ("1 rule", "policy file")


def test_scripts_are_executable():
    assert (ROOT / "scripts/generate").stat().st_mode & stat.S_IXUSR
