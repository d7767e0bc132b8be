"""What every representation costs: seconds to encode and to decode, memory, and what the round trip keeps.

Features that take longer to decode than to generate, or eight times the memory of the sound, decide what can be trained
and played in real time. So each entry of the catalog gets the same clips in one batch, on one device, with the same
number of threads. The first calls build windows, frames and plans; they are the warm-up and not timed. Of the timed
calls the fastest counts: everything else on a machine only ever adds to the time.

    OUT/rows/NAME.json     what was measured of an entry; it is not measured again
    OUT/timing.csv         a row per entry
    OUT/timing.json        the rows and what they depend on: clips, device, threads, versions
    OUT/costs.png          time and memory of all entries as bars
    OUT/report.md          the same for a reader
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.files import fingerprint, write_json, write_text
from retimbre.core.random import generator
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.representation.aliases import resolve
from retimbre.representation.base import Representation
from retimbre.representation.catalog import REPRESENTATIONS, representation
from retimbre.training.devices import describe, pick_device
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.rows import rows_csv
from retimbre.workflows.study.timing.memory import peak_bytes
from retimbre.workflows.study.timing.page import costs_png, report_page

SAMPLE_RATE_HZ = 16_000
# Calls are repeated until this much time is spent, but no more often than this.
_ENOUGH_S, _MOST_REPEATS = 2.0, 20

Row = dict[str, Any]
Tell = Callable[[str], object]


@final
@dataclasses.dataclass(frozen=True)
class TimingOptions:
    """What is timed.

    Attributes:
        representations: Names in the catalog, or earlier spellings of them; empty for all.
        seconds: Length of a clip.
        batch: Clips at once.
        device: `auto`, `cpu` or `cuda`.
    """

    representations: tuple[str, ...] = ()
    seconds: float = 1.0
    batch: int = 64
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses a study of nothing."""
        if self.batch < 1 or not 1 / SAMPLE_RATE_HZ <= self.seconds <= 600:
            raise ConfigError(
                f"batch is {self.batch} and seconds {self.seconds:g}, but they take 1 or more and up to 600"
            )


def study_timing(
    out: str | Path,
    options: TimingOptions | None = None,
    *,
    force: bool = False,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Times every representation, or those that a study begun before has not timed yet.

    Args:
        out: The study's folder.
        options: What is timed; the whole catalog on clips of a second if left out.
        force: Whether what is there is measured anew.
        tell: Told a line for each entry that is done.

    Returns:
        The rows under `rows`, and what they depend on.

    Raises:
        ConfigError: A name is in no catalog, or an option is out of range.
    """
    options, folder = options or TimingOptions(), study_folder(out)
    # An earlier spelling and the name that it stands for are one row.
    names = dict.fromkeys(resolve(name) for name in options.representations or REPRESENTATIONS)
    chosen = {name: representation(name, SAMPLE_RATE_HZ) for name in names}
    device = pick_device(options.device)
    facts = _facts(options, device)
    clips = plucked_notes(options.batch, round(options.seconds * SAMPLE_RATE_HZ)).to(device)
    rows = []
    for name, entry in chosen.items():
        path = folder / "rows" / f"{name}.json"
        key = fingerprint({**facts, "identity": entry.identity()})
        row = None if force else _known(path, key)
        if row is None:
            row = {"name": name, **measure(entry, clips)}
            write_json(path, {"key": key, "row": row})
            tell(f"{name}: encodes {row['encode_x']:,.0f} x real time")
        rows.append(row)
    result = {**facts, "rows": rows}
    write_text(folder / "timing.csv", rows_csv(rows))
    costs_png(rows, folder / "costs.png")
    write_text(folder / "report.md", report_page(result))
    write_json(folder / "timing.json", result)
    return result


def plucked_notes(batch: int, num_samples: int) -> Float[Tensor, "batch samples"]:
    """Notes for timing: plucked tones from 55 Hz up by semitones, over a soft noise; the same every time."""
    second = torch.arange(num_samples, dtype=torch.float64) / SAMPLE_RATE_HZ
    notes = []
    for index in range(batch):
        pitch_hz = 55.0 * 2.0 ** ((index % 60) / 12.0)
        partials = torch.arange(1, 1 + max(1, min(40, int(7000.0 / pitch_hz))), dtype=torch.float64)[:, None]
        waves = torch.sin(2.0 * math.pi * pitch_hz * partials * second) / partials
        notes.append((waves * torch.exp(-second * (1.0 + partials))).sum(dim=0))
    noise = torch.randn(batch, num_samples, dtype=torch.float64, generator=generator(0, "timing", batch))
    return (0.3 * torch.stack(notes) + 1e-4 * noise).float()


def measure(entry: Representation, clips: Float[Tensor, "batch samples"]) -> Row:
    """What an entry costs on these clips, and what is left of them after a round trip.

    Times are milliseconds per clip, rates are seconds of sound per second. Memory is megabytes per clip at the highest
    moment of the first call, features and what is kept for later calls included and the clips themselves not; None
    where the system does not tell.
    """
    features, encoding = _cost(lambda: entry.encode(clips), clips, "encode")
    row: Row = {
        "exact": entry.exact,
        "shape": " x ".join(str(size) for size in features.shape[1:]),
        "values_per_sample": features[0].numel() / clips.shape[-1],
        **encoding,
    }
    if not entry.invertible:
        return row | dict.fromkeys(("decode_ms", "decode_x", "decode_mb", "snr_db", "convergence_db"))
    again, decoding = _cost(lambda: entry.decode(features, num_samples=clips.shape[-1]), clips, "decode")
    quality = {"snr_db": _snr_db(clips, again), "convergence_db": _convergence_db(clips, again)}
    return row | decoding | quality


def _cost(call: Callable[[], Tensor], clips: Float[Tensor, "batch samples"], verb: str) -> tuple[Tensor, Row]:
    """What a call gives, and what it costs per clip: its first time in memory, its fastest time in seconds."""
    with torch.no_grad():
        result, taken = peak_bytes(call, clips.device)
        fastest_s = _fastest_s(call, clips.device)
    seconds = clips.numel() / SAMPLE_RATE_HZ
    return result, {
        f"{verb}_ms": 1e3 * fastest_s / len(clips),
        f"{verb}_x": seconds / fastest_s,
        f"{verb}_mb": None if taken is None else taken / len(clips) / 1e6,
    }


def _fastest_s(call: Callable[[], Tensor], device: torch.device) -> float:
    """Seconds that the fastest of several calls takes, when what it builds once is there."""
    best_s, spent_s, repeats = math.inf, 0.0, 0
    while repeats < 1 or (spent_s < _ENOUGH_S and repeats < _MOST_REPEATS):
        _wait_for(device)
        start = time.perf_counter()
        call()
        _wait_for(device)
        took_s = time.perf_counter() - start
        best_s, spent_s, repeats = min(best_s, took_s), spent_s + took_s, repeats + 1
    return best_s


def _facts(options: TimingOptions, device: torch.device) -> dict[str, Any]:
    """What every row depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "seconds": options.seconds,
        "batch": options.batch,
        "sample_rate": SAMPLE_RATE_HZ,
        "device": name,
        "hardware": describe(),
    }


def _known(path: Path, key: str) -> Row | None:
    """The row of a study begun before, if it was measured on the same."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, row = content["key"], content["row"]
        complete = {"exact", "shape", "encode_ms"} <= row.keys()
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a row of this study: {error}") from error
    return row if complete and found == key else None


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _snr_db(clips: Float[Tensor, "batch samples"], again: Float[Tensor, "batch samples"]) -> float:
    """The mean over clips; 400 where nothing differs."""
    signal = clips.double().square().sum(dim=1)
    error = (again.double() - clips.double()).square().sum(dim=1)
    return float((10.0 * torch.log10(signal / error.clamp_min(1e-40 * float(signal.max())))).mean())


def _convergence_db(clips: Float[Tensor, "batch samples"], again: Float[Tensor, "batch samples"]) -> float:
    """Distance of the magnitudes over their norm, in decibels, the mean over clips."""
    settings = StftSettings(1024, 256)
    wanted, found = magnitude(clips.double(), settings), magnitude(again.double(), settings)
    share = (found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    return float((20.0 * torch.log10(share.clamp_min(1e-20))).mean())
