"""Memory on loan (backing=vmm) where something stands in the way of moving it: it stays where it is, and
nobody notices."""

import random

import pytest
from conftest import MIB, STEADY
from model_files import gguf_file

HOST = "host_direct_loan_corners"
TENSORS = 28
BYTES = 4 * MIB
# 21 MiB are the budget; beside the rest of the tensors there is no room for the working memory.
CARD = {"SIMCUDA_VRAM": "192MiB", "HYBRIDMEM_CONSERVATIVE_FACTOR": "0.13", "HYBRIDMEM_LOG": "error"}
VMM = {**STEADY, **CARD, "HYBRIDMEM_BACKING": "vmm"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The host's arguments: a file, and where its tensors lie."""
    tensors = [(f"double_blocks.{i}.img_attn.qkv.weight", "F16", [1024, BYTES // 2048]) for i in range(TENSORS)]
    path = gguf_file(
        tmp_path_factory.mktemp("model") / "flux.gguf", tensors, {"general.architecture": "flux"}
    )
    start = path.stat().st_size - TENSORS * BYTES
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(random.Random(1).randbytes(TENSORS * BYTES))
    return [path, start, BYTES, TENSORS]


def lent_by(run, model, way, **env):
    """What was lent at most, and what came back, in a run in which nobody noticed."""
    done = run(HOST, way, *model, shim=True, env={**VMM, **env})
    assert (done.returncode, done.report, done.stderr) == (0, "", ""), done.stdout
    assert (done.device["device_bytes"], done.device["host_bytes"], done.device["lent_bytes"]) == (0, 0, 0)
    return done.device["lent_bytes_peak"], done.device["recalled_bytes"]


@pytest.mark.parametrize("way", ["context", "waits", "captures", "given", "ordered", "told"])
def test_bare(run, model, way):
    done = run(HOST, way, *model, env={"SIMCUDA_VRAM": "1GiB"})
    assert (done.returncode, done.report, done.stderr) == (0, "", ""), done.stdout


def test_a_context_in_which_nothing_was_allocated(run, model):
    assert lent_by(run, model, "context")[0] > 0


def test_streams_that_wait_for_the_host(run, model):
    lent, recalled = lent_by(run, model, "waits")
    assert lent > 0 and recalled > 0  # once the stream no longer waits


def test_a_capture_that_begins_while_the_device_is_waited_for(run, model):
    assert lent_by(run, model, "captures")[0] > 0


@pytest.mark.parametrize("way", ["given", "ordered"])
def test_what_is_freed_is_given_back_though_nothing_moves_any_more(run, model, way):
    lent, recalled = lent_by(run, model, way, HYBRIDMEM_HOST_LIMIT="120MiB")
    assert recalled == 0 < lent


def test_free_and_used_never_exceed_the_total(run, model):
    lent, recalled = lent_by(run, model, "told")
    assert 0 < recalled <= lent
