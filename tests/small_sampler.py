"""A sampler of a few lines, which plays SFZ files by what the format's documentation says of each opcode."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retimbre.dsp import audiofile
from retimbre.workflows.export.sfz.opcodes import regions


def region_of(text: str, key: int, velocity: int, switch: int | None = None) -> dict[str, str]:
    """The one region that a key plays after a key switch was pressed; none pressed means the default one."""
    found = []
    for region in regions(text):
        pressed = switch if switch is not None else int(region.get("sw_default", -1))
        if (
            int(region["lokey"]) <= key <= int(region["hikey"])
            and int(region["lovel"]) <= velocity <= int(region["hivel"])
            and int(region.get("sw_last", pressed)) == pressed
        ):
            found.append(region)
    (region,) = found
    return region


def played(folder: Path, region: dict[str, str], key: int, velocity: int, seconds: float) -> Tensor:
    """A key held for so long, at the rate of the sample; silence follows a sample that ends before."""
    sound = audiofile.read(folder / region["sample"])
    samples = sound.samples.double().numpy()
    cents = 100 * (key - int(region["pitch_keycenter"])) + float(region["tune"])
    place = np.arange(round(seconds * sound.sample_rate)) * 2.0 ** (cents / 1200)
    if region["loop_mode"] == "loop_continuous":
        first, turn = int(region["loop_start"]), int(region["loop_end"]) + 1 - int(region["loop_start"])
        place = np.where(place < first + turn, place, first + (place - first) % turn)
    heard = np.interp(place, np.arange(len(samples)), samples, right=0.0)
    curve = (velocity / 127) ** 2
    gain = 1.0 + float(region["amp_veltrack"]) / 100 * (curve - 1.0)
    return torch.from_numpy(gain * heard).float()
