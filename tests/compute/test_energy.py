"""The driver's energy counter, with a small library in the driver's place."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
import torch

from m3hl.compute import energy
from m3hl.compute.energy import EnergyMeter, total_energy

SOURCE = """
#include <string.h>
static int up = 0; static unsigned long long millijoules = 1000000000000ULL; static int card = 7;
int nvmlInit_v2(void) { up++; return INIT; }
int nvmlShutdown(void) { up--; return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    *handle = &card; return up && !strcmp(uuid, "GPU-abc") ? 0 : 6;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) {
    millijoules += 2500000; *energy = millijoules; return handle == &card ? COUNTER : 1;
}
int is_up(void) { return up; }
"""
GPU = torch.device("cuda")


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Return a function that puts a driver in place whose calls return these codes, for a GPU called abc."""
    if not shutil.which("gcc"):
        pytest.skip("no compiler")

    def install(*, init=0, counter=0):
        library, source = tmp_path / "libnvml.so", tmp_path / "nvml.c"
        source.write_text(SOURCE)
        codes = [f"-DINIT={init}", f"-DCOUNTER={counter}"]
        subprocess.run(["gcc", "-shared", "-fPIC", *codes, source, "-o", library], check=True)
        monkeypatch.setattr(energy, "LIBRARY", str(library))
        return energy.ctypes.CDLL(str(library))

    properties = SimpleNamespace(uuid="abc")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    return install


def test_a_gpu_has_taken_what_its_counter_went_up_by(driver):
    library = driver()
    # The counter does not fit in 32 bits.
    assert total_energy("GPU-abc") == 1_000_002_500_000
    assert EnergyMeter(GPU).record() == {"gpu_energy_kj": 2.5}
    assert library.is_up() == 0


@pytest.mark.parametrize("codes", [{"init": 9}, {"counter": 3}])
def test_a_driver_that_does_not_tell_is_no_obstacle(driver, codes):
    driver(**codes)
    assert EnergyMeter(GPU).record() == {}


def test_another_gpu_is_not_taken_for_this_one(driver):
    driver()
    assert total_energy("GPU-other") is None


def test_without_a_driver_and_on_a_cpu_nothing_is_told(driver, monkeypatch):
    driver()
    monkeypatch.setattr(energy, "LIBRARY", "libthere-is-none.so")
    assert EnergyMeter(GPU).record() == {}
    monkeypatch.undo()
    assert EnergyMeter(torch.device("cpu")).record() == {}
