"""On a GPU, `deterministic: true` gives the same bits every time, also after an interruption."""

import pytest
import torch

from m3hl.compute.execution import Execution
from m3hl.data.store import Store
from m3hl.training import loop

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


class Stopped(Exception):
    """The power went out."""


CUDA = Execution(torch.device("cuda"))


@pytest.fixture(autouse=True)
def put_back():
    """Let later tests choose their algorithms freely."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("method", "dimensions", "options"),
    [
        ("m3hl", 2, {}),
        ("m3hl", 3, {"high_features": "pooled_bottleneck"}),
        ("cutmix", 2, {"supervised": "ce"}),
        ("cutmix", 3, {}),
        ("cps", 2, {}),
        ("cps", 3, {}),
        ("mean-teacher", 3, {}),
        ("ua-mt", 2, {}),
        ("dtc", 2, {}),
        ("dtc", 3, {}),
        ("bcp", 2, {}),
        ("bcp", 3, {}),
        ("ad-mt", 2, {}),
        ("ad-mt", 3, {}),
        ("ps-mt", 2, {}),
        ("ps-mt", 3, {}),
        ("abd", 2, {}),
        ("omf", 3, {}),
        ("sassnet", 2, {}),
        ("sassnet", 3, {}),
        ("ss-net", 2, {}),
        ("ss-net", 3, {}),
        ("mc-net", 2, {}),
        ("mc-net", 3, {}),
    ],
)
def test_the_same_bits_on_cuda(run_settings, make_store, bits, monkeypatch, tmp_path, method, dimensions, options):
    crop = {2: (64, 64), 3: (48, 48, 48)}[dimensions]
    settings = run_settings(
        dimensions, method=method, options=options, crop=crop, channels=16, iterations=20, deterministic=True
    )

    def train(work):
        with Store(make_store(dimensions)) as store:
            return loop.train(settings, store, label="test", work=work, execution=CUDA, code="code")

    expected = bits(train(tmp_path / "one"))
    assert bits(train(tmp_path / "two")) == expected

    steps, step = [], loop.step

    def fails_at_the_tenth(*arguments):
        steps.append(1)
        if len(steps) == 10:
            raise Stopped
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "step", fails_at_the_tenth)
        with pytest.raises(Stopped):
            train(tmp_path / "three")
    assert bits(train(tmp_path / "three")) == expected
