"""Which model a host loads is seen from what it uploads, and what is said of it is what happened."""

import json
import random
import re
import subprocess

import pytest
from conftest import BUILD, MIB, STEADY, clean_environment
from model_files import gguf_file, safetensors_file

HOST = "host_direct_model"
# 38 MiB are the budget: 64 MiB less 15 %, times 0.7. What else the host holds there is a few bytes.
CARD = {**STEADY, "SIMCUDA_VRAM": "64MiB", "SIMCUDA_CONTEXT": "0"}
MACHINE = ("--vram", "64MiB")


def planned(*paths, options=(), machine=MACHINE):
    """What `hybridmem plan` says of the files; and of each the arguments that let the host load it."""
    settings = ["--set", "system_ram_pad_gb=0", *options]
    argv = [BUILD / "hybridmem", "plan", "--json", "--tensors", *machine, "--ram", "3GiB", *settings, *paths]
    done = subprocess.run(argv, env=clean_environment(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def arguments(*paths):
    found = []
    for path in paths:
        found.append(path)
        found += [f"{t['offset']}:{t['bytes']}" for t in planned(path)["tensors"]]
    return found


def filled(path):
    """Every tensor gets contents of its own."""
    with open(path, "r+b") as file:
        for number, tensor in enumerate(planned(path)["tensors"]):
            file.seek(tensor["offset"])
            noise = random.Random(number).randbytes(4096)
            file.write((noise * (tensor["bytes"] // 4096 + 1))[: tensor["bytes"]])
    return path


def unet_file(folder, blocks):
    tensors = [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", [1024, 1024]) for i in range(blocks)]
    return filled(gguf_file(folder / "flux.gguf", tensors, {"general.architecture": "flux"}))


@pytest.fixture
def unet(tmp_path):
    """32 MiB: fits."""
    return unet_file(tmp_path, 16)


@pytest.fixture
def big_unet(tmp_path):
    """48 MiB: 10 of them too many."""
    return unet_file(tmp_path, 24)


@pytest.fixture
def clip(tmp_path):
    tensors = [(f"enc.blk.{i}.attn_q.weight", "F16", [1024, 1024]) for i in range(24)]
    return filled(gguf_file(tmp_path / "t5.gguf", tensors, {"general.architecture": "t5encoder"}))


@pytest.fixture
def vae(tmp_path):
    tensors = [(f"decoder.up.{i}.weight", "BF16", [512, 1000]) for i in range(5)]
    return filled(safetensors_file(tmp_path / "ae.safetensors", tensors))


def loaded(run, *paths, way="htod", work=2, env=None, tensors=None):
    full = {**CARD, "HYBRIDMEM_LOG": "info", **(env or {})}
    done = run(HOST, way, work, *(tensors or arguments(*paths)), shim=True, env=full)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("done\n")
    assert done.report == ""
    return done


def plan_lines(done):
    return re.findall(r"^hybridmem: (.* → .*)$", done.stderr, re.M)


# --- what is uploaded -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way", ["htod", "async", "unified", "2d", "3d", "batch", "attributes", "chunks", "reloaded", "ordered", "mapped"]
)
def test_every_way_to_upload(run, unet, way):
    done = loaded(run, unet, way=way)
    assert done.stats["models"] == [
        {
            "file": str(unet),
            "architecture": "flux",
            "model_type": "gguf_unet",
            "tensor_bytes": 32 * MIB,
            "device_bytes": 32 * MIB,
            "host_bytes": 0,
        }
    ]
    assert plan_lines(done) == ["flux.gguf: gguf_unet → gpu_only | GPU 32.0 MiB | CPU 0 B"]


def test_summary(run, big_unet):
    done = loaded(run, big_unet, env={"HYBRIDMEM_SUMMARY": "true"})
    lines = [line.split() for line in done.stderr.splitlines()]
    head = lines.index("hybridmem: model VRAM host file".split())
    assert lines[head + 1] == "hybridmem: gguf_unet 38.0 MiB 10.0 MiB flux.gguf".split()


def test_a_staging_buffer_tells_nothing(run, unet):
    done = loaded(run, unet, way="staged")
    assert done.stats["models"] == []
    assert plan_lines(done) == []


@pytest.mark.parametrize("way", ["htod", "chunks", "reloaded", "mapped"])
def test_the_plan_is_what_happens(run, big_unet, way):
    """Every byte of every tensor lies where `hybridmem plan` places it: the host allocates a block
    for each tensor, in the order of the file, and the card holds nothing else to speak of."""
    plan = planned(big_unet)
    (model,) = loaded(run, big_unet, way=way).stats["models"]
    assert plan["placed"]["gpu_bytes"] == model["device_bytes"] == 38 * MIB
    assert plan["placed"]["host_bytes"] == model["host_bytes"] == 10 * MIB
    assert plan["placed"]["nowhere_bytes"] == 0


@pytest.mark.parametrize(
    "option,value", [("conservative_factor", "0.5"), ("overhead_percent", "30"), ("host_limit", "1MiB")]
)
def test_the_plan_follows_the_options(run, big_unet, option, value):
    plan = planned(big_unet, options=("--set", f"{option}={value}"))["placed"]
    env = {f"HYBRIDMEM_{option.upper()}": value}
    (model,) = loaded(run, big_unet, work=0, env=env).stats["models"]
    assert (plan["gpu_bytes"], plan["host_bytes"]) == (model["device_bytes"], model["host_bytes"])
    assert plan["gpu_bytes"] != planned(big_unet)["placed"]["gpu_bytes"]


def test_several_models(run, clip, unet, vae):
    """Placed in turn: the second finds what the first has left."""
    plan = planned(clip, unet, vae)
    done = loaded(run, clip, unet, vae)
    models = done.stats["models"]
    assert [m["model_type"] for m in models] == ["gguf_clip", "gguf_unet", "gguf_vae"]
    for path, model in zip((clip, unet, vae), models):
        own = [t for t in plan["tensors"] if t["file"] == str(path)]
        for place, key in (("gpu", "device_bytes"), ("host", "host_bytes")):
            assert sum(t["bytes"] for t in own if t["place"] == place) == model[key]
    assert plan_lines(done) == [
        "t5.gguf: gguf_clip → gguf_hybrid | GPU 38.0 MiB | CPU 10.0 MiB",
        "flux.gguf: gguf_unet → gguf_hybrid | GPU 0 B | CPU 32.0 MiB",
        "ae.safetensors: gguf_vae → gpu_only | GPU 4.9 MiB | CPU 0 B",
    ]


def test_a_part_of_a_model_is_loaded(run, unet):
    """The plan line comes when working memory is asked for, or at the end."""
    for work in (0, 4):
        done = loaded(run, unet, work=work, tensors=arguments(unet)[:9])
        assert plan_lines(done) == ["flux.gguf: gguf_unet → gpu_only | GPU 16.0 MiB | CPU 0 B"]


def test_no_room_anywhere(run, big_unet):
    """Beyond the budget and beyond the RAM that may be used: the driver has the last word."""
    done = loaded(run, big_unet, work=0, env={"HYBRIDMEM_HOST_LIMIT": "4MiB"})
    assert plan_lines(done) == ["flux.gguf: gguf_unet → gguf_insufficient | GPU 44.0 MiB | CPU 4.0 MiB"]


# --- classes --------------------------------------------------------------------------------------

# 21 MiB of 256 are the budget: of the 16 tensors of 2 MiB, 6 overflow.
WORKING = {"SIMCUDA_VRAM": "256MiB", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.1"}
WEIGHTS = 12 * MIB


SOON = 3 * 8 * MIB  # of working memory may be gone before it is known for what it is


def overflown(run, unet, way="htod", work=8, env=None):
    return loaded(run, unet, way=way, work=work, env={**WORKING, **(env or {})}).device["redirected_bytes"]


@pytest.mark.parametrize(
    "way", ["htod", "async", "unified", "2d", "3d", "batch", "attributes", "chunks", "reloaded", "ordered", "mapped", "staged"]
)
def test_working_memory_keeps_the_card(run, unet, way):
    """However weights are uploaded: blocks that are not are soon taken for working memory."""
    times = 2 if way == "reloaded" else 1
    assert times * WEIGHTS <= overflown(run, unet, way) <= times * WEIGHTS + SOON


@pytest.mark.parametrize("placement, twice", [("adaptive", False), ("strict", True)])
def test_a_model_that_was_seen_at_work_may_use_the_card(run, unet, placement, twice):
    """Its working memory has shown what it needs; the budget left room for more."""
    env = {"HYBRIDMEM_PLACEMENT": placement, "HYBRIDMEM_MIN_REDIRECT": "2MiB"}
    once = overflown(run, unet, work=0, env=env)
    moved = overflown(run, unet, "again", work=8, env=env) - overflown(run, unet, work=8, env=env)
    assert once >= WEIGHTS // 2
    assert moved >= once if twice else moved == 0


def test_a_few_blocks_are_no_work(run, unet):
    env = {"HYBRIDMEM_MIN_REDIRECT": "2MiB"}
    assert overflown(run, unet, "again", work=3, env=env) > overflown(run, unet, work=3, env=env)


@pytest.mark.parametrize("way", ["sets", "moves"])
def test_what_the_device_writes_first_is_no_weights(run, unet, way):
    """An upload into it afterwards, as of a new input, does not make it so."""
    assert overflown(run, unet, way) <= WEIGHTS + SOON


def test_what_is_uploaded_obeys_the_budget(run, unet, clip):
    """A second load finds the budget used up, and the card nearly empty. When its first block comes,
    the first model is complete, and working memory is what is expected."""
    moved = loaded(run, unet, clip, env=WORKING, work=0).device["redirected_bytes"]
    assert moved == WEIGHTS + 46 * MIB
    # The same file once more, without an unload, may be weights that are streamed through.
    moved = loaded(run, unet, env=WORKING, work=0, tensors=arguments(unet) * 2).device["redirected_bytes"]
    assert WEIGHTS + 24 * MIB <= moved <= WEIGHTS + 30 * MIB


def test_the_plan_of_several_models_on_a_large_card(run, unet, clip, vae):
    plan = planned(unet, clip, vae, machine=("--vram", "256MiB"), options=("--set", "conservative_factor=0.1"))
    for path, model in zip((unet, clip, vae), loaded(run, unet, clip, vae, env=WORKING).stats["models"]):
        own = [t for t in plan["tensors"] if t["file"] == str(path)]
        for place, key in (("gpu", "device_bytes"), ("host", "host_bytes")):
            assert sum(t["bytes"] for t in own if t["place"] == place) == model[key]


@pytest.mark.parametrize("placement", ["adaptive", "strict", "device_first"])
def test_placement(run, unet, placement):
    moved = overflown(run, unet, env={"HYBRIDMEM_PLACEMENT": placement})
    if placement == "adaptive":
        assert WEIGHTS <= moved <= WEIGHTS + SOON
    else:
        assert moved == (WEIGHTS + 64 * MIB if placement == "strict" else 0)


def test_working_memory_leaves_the_driver_some(run, unet):
    """64 MiB of the card; the blocks are of 8."""
    done = loaded(run, unet, work=30, env=WORKING)
    assert 184 * MIB < done.device["device_bytes_peak"] <= 192 * MIB


def test_working_memory_is_known_when_a_model_is_complete(run, tmp_path):
    """Though its blocks are as large as the weights: 2 of 8 tensors fit the budget, and all 8 blocks
    the card. Without the file it takes longer."""
    tensors = [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", [2048, 2048]) for i in range(8)]
    path = filled(gguf_file(tmp_path / "flux.gguf", tensors, {"general.architecture": "flux"}))
    assert overflown(run, path) == 6 * 8 * MIB
    assert overflown(run, path, way="staged") > 6 * 8 * MIB


def test_the_next_tensor_is_no_working_memory(run, tmp_path):
    """A size that was never uploaded is taken for working memory, but not if the file tells better:
    of 24 + 18 MiB, 20 are within the budget."""
    shapes = [[1024, 1024]] * 12 + [[1024, 1536 + 64 * i] for i in range(6)]
    tensors = [(f"double_blocks.{i}.weight", "F16", shape) for i, shape in enumerate(shapes)]
    path = filled(gguf_file(tmp_path / "flux.gguf", tensors, {"general.architecture": "flux"}))
    rest = sum(2 * a * b for a, b in shapes) - 20 * MIB
    assert overflown(run, path, work=0) == rest
    assert overflown(run, path, way="staged", work=0) < rest


def with_norms(folder, blocks, shape):
    """As real models are: between the weights lie tensors too small for their uploads to be seen."""
    tensors = [("double_blocks.0.img_attn.qkv.weight", "F16", shape)]
    for i in range(1, blocks):
        tensors += [(f"double_blocks.{i - 1}.img_attn.norm.{name}.scale", "F32", [128]) for name in ("key", "query")]
        tensors += [(f"double_blocks.{i}.img_attn.qkv.bias", "F32", [3072])]
        tensors += [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", shape)]
    return filled(gguf_file(folder / "flux.gguf", tensors, {"general.architecture": "flux"}))


def test_small_tensors_between_the_others(run, tmp_path):
    """The load is complete, and the next tensor known, though not every upload is seen."""
    path = with_norms(tmp_path, 8, [2048, 2048])
    assert overflown(run, path) == 6 * 8 * MIB
    match = {"tensor": "double_blocks.*.weight"}
    assert ruled(run, tmp_path, path, (match, "host"), work=0) == 7 * 8 * MIB
    done = loaded(run, path, work=0, env=WORKING)
    assert len(plan_lines(done)) == 1


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["auto", "gguf_unet", "gguf_clip", "gguf_vae"])
def test_model_type(run, unet, wish):
    done = loaded(run, unet, env={"HYBRIDMEM_MODEL_TYPE": wish})
    told = "gguf_unet" if wish == "auto" else wish
    assert done.stats["models"][0]["model_type"] == told
    assert plan_lines(done)[0].startswith(f"flux.gguf: {told} →")


def test_skip_clip(run, clip, big_unet):
    """The text encoder is the driver's alone: beyond the budget, and no host memory for it when the
    card is full. Its first block cannot be known to be one."""
    env = {"HYBRIDMEM_SKIP_CLIP": "true"}
    (model,) = loaded(run, clip, env=env, work=0).stats["models"]
    assert (model["device_bytes"], model["host_bytes"]) == (48 * MIB, 0)
    (model,) = loaded(run, big_unet, env=env, work=0).stats["models"]
    assert (model["device_bytes"], model["host_bytes"]) == (38 * MIB, 10 * MIB)
    full = {**CARD, **env, "SIMCUDA_VRAM": "40MiB"}
    done = run(HOST, "htod", 0, *arguments(clip), shim=True, env=full)
    assert done.returncode == 1
    assert "CUDA_ERROR_OUT_OF_MEMORY" in done.stdout


def test_skip_clip_follows_model_type(run, unet, clip):
    """The option says what the files are, whatever they say themselves."""
    env = {"HYBRIDMEM_SKIP_CLIP": "true", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.000000001"}
    for path, wish, on_device in (
        (unet, "auto", 0),
        (unet, "gguf_clip", 30 * MIB),
        (clip, "auto", 46 * MIB),
        (clip, "gguf_unet", 0),
    ):
        done = loaded(run, path, work=0, env={**env, "HYBRIDMEM_MODEL_TYPE": wish})
        assert done.stats["models"][0]["device_bytes"] == on_device


# --- rules ----------------------------------------------------------------------------------------

KNOWN = 30 * MIB  # of 16 tensors of 2 MiB, of which the first comes before anything is known
ALL = 32 * MIB + 16 * MIB  # and two blocks of working memory


def policy(tmp_path, *rules):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"rules": [{"match": match, "place": place} for match, place in rules]}))
    return {"HYBRIDMEM_POLICY": str(path)}


def ruled(run, tmp_path, model, *rules, way="htod", work=2, env=None):
    """On a card with room for all."""
    full = {"SIMCUDA_VRAM": "256MiB", **policy(tmp_path, *rules), **(env or {})}
    return loaded(run, model, way=way, work=work, env=full).device["redirected_bytes"]


UUID = "GPU-73696d75-6c61-7465-6463-756461000000"  # the simulator's device 0


@pytest.mark.parametrize(
    "match,other,moved",
    [
        ({"model_type": "gguf_unet"}, {"model_type": ["gguf_clip", "gguf_vae"]}, KNOWN),
        ({"architecture": "fl?x"}, {"architecture": "sd*"}, KNOWN),
        ({"strategy": "gguf_hybrid"}, {"strategy": ["gpu_only", "gguf_insufficient"]}, KNOWN),
        ({"file": "flux*"}, {"file": "*.safetensors"}, KNOWN),
        ({"file": "*/flux.gguf"}, {"file": "/flux.gguf"}, KNOWN),
        ({"tensor": "*_attn.*"}, {"tensor": "*norm*"}, KNOWN),
        ({"tensor": "double_blocks.1?.*"}, {"tensor": "double_blocks.?"}, 6 * 2 * MIB),
        ({"process": "host_direct_mo*"}, {"process": "python*"}, ALL),
        ({"device": "cuda:0"}, {"device": "cuda:1"}, ALL),
        ({"device": UUID[:12]}, {"device": "GPU-ffffffff"}, ALL),
        ({"allocator": "malloc"}, {"allocator": ["async", "vmm"]}, ALL),
        ({"min_size": "8MiB"}, {"min_size": "9MiB"}, 16 * MIB),
        ({"min_size": "1MiB", "max_size": "2MiB"}, {"min_size": "3MiB", "max_size": "7MiB"}, 32 * MIB),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_conditions(run, tmp_path, unet, match, other, moved):
    """In the second run a rule about something else comes first, and one that would match, last."""
    assert ruled(run, tmp_path, unet, (match, "host")) == pytest.approx(moved, abs=8)
    first = [(other, "device"), (match, "host"), (match, "device")]
    assert ruled(run, tmp_path, unet, *first) == pytest.approx(moved, abs=8)
    assert ruled(run, tmp_path, unet, (other, "host")) == 0


def test_names_of_tensors(run, tmp_path, unet):
    """What is uploaded next is what comes next in the file."""
    match = {"tensor": ["*.3.img_attn.qkv.weight", "*.0.img*"]}
    assert ruled(run, tmp_path, unet, (match, "host")) == 2 * MIB


@pytest.mark.parametrize("way,moved", [("htod", 18), ("ordered", 18), ("mapped", 0)])
def test_the_first_tensor(run, tmp_path, way, moved):
    """Nothing was uploaded before it: its size tells, where it is an allocation of its own."""
    tensors = [("token_embd.weight", "F16", [3072, 3072])]
    tensors += [(f"blk.{i}.attn_q.weight", "F16", [1024, 1024]) for i in range(4)]
    model = gguf_file(tmp_path / "llama.gguf", tensors, {"general.architecture": "llama"})
    for rule, size in (({"tensor": "token_embd*"}, moved), ({"tensor": "token_embd*", "file": "flux*"}, 0)):
        assert ruled(run, tmp_path, model, (rule, "host"), way=way, work=0) == size * MIB


@pytest.mark.parametrize("way,allocator", [("ordered", "async"), ("mapped", "vmm")])
def test_allocators(run, tmp_path, unet, way, allocator):
    rules = [({"allocator": allocator, "max_size": "2MiB"}, "host")]
    assert ruled(run, tmp_path, unet, *rules, way=way) == 32 * MIB
    assert ruled(run, tmp_path, unet, *rules) == 0


def test_places(run, tmp_path, big_unet):
    """48 MiB on a card of 64, 38 of which are the budget; then on one of 40."""
    match = {"model_type": "gguf_unet"}
    small = {**CARD, "SIMCUDA_VRAM": "40MiB"}

    def moved(*places, env=CARD):
        return ruled(run, tmp_path, big_unet, *[(match, p) for p in places], work=0, env=env)

    assert moved("auto", "host") == 10 * MIB
    assert moved("host") == 46 * MIB
    assert moved("device") == 0
    assert moved("device", env=small) == 10 * MIB
    assert moved("skip") == 0
    env = {**small, **policy(tmp_path, (match, "skip"))}
    done = run(HOST, "htod", 0, *arguments(big_unet), shim=True, env=env)
    assert (done.returncode, done.device["redirected_bytes"]) == (1, 0)
    assert "CUDA_ERROR_OUT_OF_MEMORY" in done.stdout


def test_rules_hold_for_every_placement(run, tmp_path, unet):
    for placement in ("adaptive", "strict", "device_first"):
        env = {"HYBRIDMEM_PLACEMENT": placement}
        assert ruled(run, tmp_path, unet, ({"min_size": "8MiB"}, "host"), env=env) == 16 * MIB


def test_the_plan_follows_the_rules(run, tmp_path, big_unet, clip):
    rules = [
        ({"tensor": ["*.1?.*", "*.2?.*"], "model_type": "gguf_unet"}, "host"),
        ({"file": "t5*", "strategy": "gguf_hybrid", "tensor": "enc.blk.?.*"}, "device"),
    ]
    env = policy(tmp_path, *rules)
    plan = planned(big_unet, clip, options=("--policy", env["HYBRIDMEM_POLICY"]))
    models = loaded(run, big_unet, clip, work=0, env=env).stats["models"]
    for path, model in zip((big_unet, clip), models):
        own = [t for t in plan["tensors"] if t["file"] == str(path)]
        for place, key in (("gpu", "device_bytes"), ("host", "host_bytes")):
            assert sum(t["bytes"] for t in own if t["place"] == place) == model[key]
    assert models[0]["host_bytes"] == 14 * 2 * MIB
    assert models[1]["host_bytes"] == 28 * MIB


@pytest.mark.parametrize("option,value", [("skip_clip", "true"), ("model_type", "gguf_vae")])
def test_the_plan_follows_the_models_options(clip, option, value):
    before, plan = planned(clip), planned(clip, options=("--set", f"{option}={value}"))
    if option == "skip_clip":
        assert before["placed"]["host_bytes"] == 10 * MIB
        assert plan["placed"] == {"gpu_bytes": 48 * MIB, "host_bytes": 0, "nowhere_bytes": 0}
    else:
        assert before["models"][0]["type"] == "gguf_clip"
        assert plan["models"][0]["type"] == value


@pytest.mark.parametrize("backing", ["auto", "vmm"])
def test_calls_are_counted_once_vram_is_lent(run, big_unet, tmp_path, backing):
    """Exactly those that enqueue work after the first loan, by the driver's own log."""
    log = tmp_path / "calls"
    env = {"SIMCUDA_VRAM": "256MiB", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.1", "HYBRIDMEM_LOG": "error"}
    env = {**CARD, **env, "HYBRIDMEM_BACKING": backing, "SIMCUDA_LOG": str(log)}
    done = run(HOST, "htod", 2, *arguments(big_unet), shim=True, env=env)
    assert (done.returncode, done.report, done.stderr) == (0, "", "")
    calls = re.findall(r"(?m)^T\d+ (cu\w+)", log.read_text())
    after = "".join(f"{call}\n" for call in calls).rpartition("cuMemCreate\n")
    enqueued = re.findall("cuLaunchKernel|cuMemcpy|cuMemset", after[2]) if after[1] else []
    assert done.stats["gated_calls"] == len(enqueued)
    assert (len(enqueued) > 50) == (done.device["lent_bytes_peak"] > 0) == (backing == "vmm")
