"""The kernels of the largest components against the CPU: compiled where a GPU is, else in Triton's interpreter."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from m3hl.inference import components

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"

# Triton decides at each decorator, its own library's too, so all of it must be imported with the variable set.
if not GPU and "triton" in sys.modules and "TRITON_INTERPRET" not in os.environ:
    pytest.skip("triton was imported before its interpreter could be asked for", allow_module_level=True)
if not GPU:
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="triton is not installed: it comes with torch's CUDA builds")
from m3hl.inference import components_cuda  # noqa: E402

needs_gpu = pytest.mark.skipif(not GPU, reason="there is no GPU")

SPIRAL = """
    ############
    ...........#
    ##########.#
    #........#.#
    #.######.#.#
    #.#....#.#.#
    #.#.##.#.#.#
    #.#..#.#.#.#
    #.####.#.#.#
    #......#.#.#
    ########.#.#
    .........#.#
    ##########.#
"""
COMB = """
    #.#.#.#.#.#.#
    #.#.#.#.#.#.#
    #.#.#.#.#.#.#
    #.#.###.#.###
    #.#.....#....
    ###.#######.#
"""


def drawing(lines):
    """Return lines of # and . as a sample; '#' is class 1, '.' class 2, the other way round in a second sample."""
    first = np.array([[1 if sign == "#" else 2 for sign in line] for line in lines.split()])
    return np.stack([first, 3 - first])


def noise(shape, classes, seed=0, filled=1.0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, shape) * (rng.random(shape) < filled)


def check(labels):
    """Compare with the CPU's result."""
    labels = labels if isinstance(labels, torch.Tensor) else torch.from_numpy(labels)
    kept = components_cuda.largest_components(labels.to(DEVICE))
    assert (kept.shape, kept.dtype, kept.device.type) == (labels.shape, labels.dtype, DEVICE)
    torch.testing.assert_close(kept.cpu(), components.largest_components(labels), rtol=0, atol=0)


@given(
    npst.arrays(
        st.sampled_from([np.int64, np.uint8]),
        npst.array_shapes(min_dims=3, max_dims=4, max_side=6),
        elements=st.integers(0, 3),
    )
)
@settings(max_examples=30)
def test_any_labels(labels):
    check(labels)


@pytest.mark.parametrize("shape", [(2, 9, 12), (2, 5, 7, 9)])
@pytest.mark.parametrize("number", range(3))
def test_one_class_everywhere(shape, number):
    check(np.full(shape, number))


@pytest.mark.parametrize("shape", [(2, 19, 17), (2, 5, 7, 9)])
@pytest.mark.parametrize("classes", [(0, 1), (1, 2)])
def test_checkerboards(shape, classes):
    check(np.array(classes)[np.indices(shape).sum(0) % 2])


@pytest.mark.parametrize("shape", [(3, 11, 13), (2, 6, 7, 9)])
def test_single_voxels_of_which_the_first_stays(shape):
    labels = (np.indices(shape)[1:] % 2 == 0).all(0).astype(int)
    check(labels)
    check(labels[:, ::-1, 1:].copy())


@pytest.mark.parametrize("shape", [(2, 20, 24), (2, 9, 8, 10)])
@pytest.mark.parametrize("seed", range(2))
def test_sparse_voxels_with_many_ties(shape, seed):
    check(noise(shape, 3, seed, filled=0.1))


@pytest.mark.parametrize("shape", [(3, 29, 31), (2, 7, 9, 13)])
@pytest.mark.parametrize(("classes", "filled"), [(2, 1), (2, 0.5), (4, 1), (7, 0.8)])
def test_noise(shape, classes, filled):
    check(noise(shape, classes, filled=filled))


@pytest.mark.parametrize("lines", [SPIRAL, COMB])
def test_components_that_meet_late(lines):
    labels = drawing(lines)
    check(labels)
    check(labels[:, ::-1, ::-1].copy())
    check(labels[..., None])
    check(labels[:, None])


@pytest.mark.parametrize("shape", [(3, 13, 17), (2, 3, 5, 11)])
def test_runs_and_components_across_many_blocks(shape, monkeypatch):
    if not GPU:  # On one, blocks have as many voxels as threads at least.
        monkeypatch.setattr(components_cuda, "BLOCK", 32)
    check(np.ones(shape, int))
    check(noise(shape, 3))


@pytest.mark.parametrize("offset", [o for o in np.ndindex(3, 3, 3) if o < (1, 1, 1)])
def test_each_of_the_26_neighbours(offset):
    labels = np.zeros((1, 3, 3, 3), int)
    labels[0, 1, 1, 1] = labels[0, *offset] = 1
    check(labels)


def test_a_component_ends_with_its_sample_its_plane_and_its_row():
    labels = np.zeros((2, 4, 5, 6), np.uint8)
    labels[0, -1, -1, 3:] = labels[1, 0, 0, :4] = 1
    labels[:, :, -1, 2] = labels[:, :, 0, 2] = 2
    labels[:, :, :, 0] = labels[:, :, :, -1] = 3
    check(labels)


def test_every_class_up_to_255():
    check(np.arange(2 * 16 * 20).reshape(2, 16, 20).astype(np.uint8))


def test_the_argument_is_not_changed_and_may_lie_in_any_order_in_memory():
    labels = torch.from_numpy(noise((2, 9, 6, 7), 3))
    copy, turned = labels.clone(), labels.permute(0, 3, 1, 2)
    check(turned)
    check(turned.to(torch.uint8))
    check(turned[:, 1:, ::2])
    assert torch.equal(labels, copy)


def test_labels_on_a_gpu_are_left_to_the_kernels(monkeypatch):
    monkeypatch.setattr(components_cuda, "largest_components", lambda labels: "from the kernels")
    assert components.largest_components(SimpleNamespace(is_cuda=True)) == "from the kernels"


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from m3hl.inference import components_cuda

TYPES = {"classes": "*u8", "parents": "*i32", "roots": "*i32", "sizes": "*i32", "best": "*i64", "kept": "*i64"}
for name, constants in [
    ("_make_runs", {}),
    ("_link_rows", {"FIRST": 0, "LAST": 3}),
    ("_link_rows", {"FIRST": 3, "LAST": 4, "depth": 1}),
    ("_flatten", {}),
    ("_count", {}),
    ("_elect", {}),
    ("_keep", {}),
]:
    kernel, constants = getattr(components_cuda, name), {**constants, "BLOCK": components_cuda.BLOCK}
    types = {a: "constexpr" if a in constants else TYPES.get(a, "i32") for a in kernel.arg_names}
    source = triton.compiler.ASTSource(kernel, types, constants)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


def test_the_kernels_compile_for_a_gpu(tmp_path):
    # The compiler refuses more than the interpreter does, and needs no GPU.
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)


@needs_gpu
@pytest.mark.parametrize(("shape", "classes"), [((12, 256, 256), 4), ((4, 112, 112, 80), 2)])
def test_whole_batches(shape, classes):
    check(noise(shape, classes))
    check(noise(shape, classes, filled=0.3))
    check(np.ones(shape, int))


@needs_gpu
def test_a_graph_replays_it_on_other_labels_without_a_word_to_the_host():
    labels = torch.from_numpy(noise((3, 40, 50, 30), 4)).to(DEVICE)
    components_cuda.largest_components(labels)
    torch.cuda.set_sync_debug_mode("error")
    try:
        components_cuda.largest_components(labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = components_cuda.largest_components(labels)
    for seed in range(1, 4):
        other = torch.from_numpy(noise((3, 40, 50, 30), 4, seed, filled=0.4))
        labels.copy_(other)
        graph.replay()
        assert torch.equal(kept.cpu(), components.largest_components(other))
