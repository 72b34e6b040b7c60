"""Energy that a GPU took, by the counter of its driver (NVML, which every NVIDIA driver brings along)."""

import ctypes

import torch

LIBRARY = "libnvidia-ml.so.1"
MILLIJOULES = 1e6
"""In a kilojoule."""


class EnergyMeter:
    """Counts from its making on; of the whole GPU, whoever uses it."""

    def __init__(self, device: torch.device) -> None:
        self._uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else None
        self._begun = self._read()

    def record(self) -> dict[str, float]:
        """Return the energy (kJ) for a result's provenance; nothing on a CPU, or where the driver tells none."""
        now = self._read()
        if self._begun is None or now is None:
            return {}
        return {"gpu_energy_kj": round((now - self._begun) / MILLIJOULES, 3)}

    def _read(self) -> int | None:
        return None if self._uuid is None else total_energy(self._uuid)


def total_energy(uuid: str) -> int | None:
    """Return the energy (mJ) that a GPU has taken since its driver was loaded; None where that is not told."""
    try:
        nvml = ctypes.CDLL(LIBRARY)
        handle, energy = ctypes.c_void_p(), ctypes.c_ulonglong()
        # Each returns 0 where all went well; parts of a GPU, and cards before 2017, have no counter.
        if nvml.nvmlInit_v2():
            return None
        failed = nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle))
        failed = failed or nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy))
        nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return None
    return None if failed else energy.value
