"""Draws the features of three real sounds in every representation of the catalog, for docs/representations.md.

    python scripts/make_pictures.py [NAME]...    all entries, or those named
    python scripts/make_pictures.py --check      exit 1 if an entry has no picture, or a picture no entry

One picture per entry: a column per sound, a row per channel. A row shows what a network sees, every so many bins and
frames of it. Frequency marks stand where a steady tone of that frequency shows most, found by encoding one.
"""

import argparse
import io
import math
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from retimbre.core.files import whole_file
from retimbre.dsp import audiofile
from retimbre.dsp.level import fade_out, fit_length
from retimbre.representation.base import Representation
from retimbre.representation.catalog import REPRESENTATIONS
from retimbre.representation.coordinates import Compressed, InstantaneousFrequency, Polar
from retimbre.representation.magnitudes import Magnitude
from retimbre.representation.mel import Mel, Mfcc
from retimbre.representation.ragged import RaggedNsgt
from retimbre.representation.steps import DecibelSpectrogram, LogMel

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures" / "representations"
SOUNDS = {
    "rhodes_g3": "Rhodes piano, G3",
    "french_horn_f3": "French horn, F3",
    "kick_808": "bass drum, 808",
}
RATE_HZ = 16_000
SECONDS = 1.0
TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 7500)
MOST_BYTES = 60_000
# Cells of an image: enough to see partials and attacks, few enough for a small file.
MOST_ROWS, MOST_COLUMNS = 120, 100
NUM_COLOURS = 40
# Between two marks, as a share of a panel's height.
LEAST_GAP = 0.11
# How far below the loudest cell logarithms are shown, in nepers: 80 dB.
RANGE_NEPERS = 80.0 * math.log(10.0) / 20.0
# A signed value is shown as sign(v) |v| ** this, so that what is soft can be seen.
EXPONENT = 0.3
# The share of cells that are not drawn in the fullest colour: a few loud ones would leave all others pale.
BRIGHTEST = 0.99
TONE_LEVEL = 0.3


def clip(name: str) -> Tensor:
    """The first second of a sound, faded out so that it ends without a click, or padded with silence."""
    path = ROOT / "examples" / f"{name}.flac"
    samples = audiofile.read(path, sample_rate=RATE_HZ, max_seconds=SECONDS).samples
    return fade_out(fit_length(samples, round(SECONDS * RATE_HZ)), fraction=0.1)[None]


def images(entry: Representation, audio: Tensor) -> list[Tensor]:
    """The features of a clip as images [rows, columns], one per channel: low frequencies first, time to the right."""
    features = entry.encode(audio)[0]
    if isinstance(entry, RaggedNsgt):
        return unpacked(entry, features, audio.shape[-1])
    if isinstance(entry, DecibelSpectrogram):
        return list(features.mT)
    return list(features) if features.ndim == 3 else [features]


def unpacked(entry: RaggedNsgt, features: Tensor, num_samples: int) -> list[Tensor]:
    """Bands of different lengths as rows of one length, each coefficient as wide as the time that it stands for."""
    bands = [features[:, place] for _, place in entry.band_slices(num_samples)]
    stretched = [torch.nn.functional.interpolate(band[None], MOST_COLUMNS)[0] for band in bands]
    return list(torch.stack(stretched, dim=1))


def frequency_rows(entry: Representation) -> dict[int, float]:
    """For each mark, how high in the image a tone of that frequency shows most, from 0 to 1."""
    second = torch.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    rows = {}
    for hertz in TICKS_HZ:
        channels = images(entry, TONE_LEVEL * torch.sin(2 * math.pi * hertz * second)[None])
        energy = loudness(entry, channels)
        middle = energy[:, energy.shape[1] // 4 : -(energy.shape[1] // 4)].mean(dim=1)
        rows[hertz] = (int(middle.argmax()) + 0.5) / len(middle)
    return rows


def loudness(entry: Representation, channels: list[Tensor]) -> Tensor:
    """How loud each cell is, in any unit that grows with loudness."""
    if logarithmic(entry):
        return channels[0]
    return torch.stack(channels).square().sum(dim=0)


def logarithmic(entry: Representation) -> bool:
    """Whether the first channel is a logarithm."""
    coordinates = getattr(entry, "coordinates", None)
    if isinstance(coordinates, Polar | InstantaneousFrequency):
        return True
    return isinstance(entry, Magnitude | DecibelSpectrogram | LogMel) or (
        isinstance(entry, Mel) and entry.log
    )


def kind(entry: Representation, channel: int) -> str:
    """How a channel is coloured: "log", "phase", "turns" or "signed"."""
    coordinates = getattr(entry, "coordinates", None)
    if channel == 0 and logarithmic(entry):
        return "log"
    if channel % 2 == 1 and isinstance(coordinates, Polar):
        return "phase"
    if channel % 2 == 1 and isinstance(coordinates, InstantaneousFrequency):
        return "turns"
    return "signed"


def draw_image(panel: Axes, image: Tensor, how: str, entry: Representation) -> None:
    """One channel of one sound."""
    rows, columns = (
        math.ceil(size / most) for size, most in zip(image.shape, (MOST_ROWS, MOST_COLUMNS), strict=True)
    )
    cells = image[rows // 2 :: rows, columns // 2 :: columns].numpy()
    look = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": (0, SECONDS, 0, 1)}
    if how == "log":
        top, depth = float(image.max()), range_of(entry)
        panel.imshow(cells, cmap="magma", vmin=top - depth, vmax=top, **look)
        return
    if how in {"phase", "turns"}:
        half = math.pi if entry.coordinates.radians else 1.0  # type: ignore[attr-defined]
        panel.imshow(cells, cmap="twilight" if how == "phase" else "RdBu", vmin=-half, vmax=half, **look)
        return
    exponent = 1.0 if isinstance(getattr(entry, "coordinates", None), Compressed) else EXPONENT
    shown = np.sign(cells) * np.abs(cells) ** exponent
    most = float(image.abs().flatten().quantile(BRIGHTEST)) ** exponent or 1.0
    if float(image.min()) >= 0:
        panel.imshow(shown, cmap="magma", vmin=0, vmax=most, **look)
    else:
        panel.imshow(shown, cmap="RdBu", vmin=-most, vmax=most, **look)


def range_of(entry: Representation) -> float:
    """The range of 80 dB in the unit of the logarithm: decibels, nepers of power or nepers."""
    if isinstance(entry, DecibelSpectrogram | LogMel):
        return 80.0
    return 2 * RANGE_NEPERS if isinstance(entry, Mel) else RANGE_NEPERS


CHANNEL_NAMES = {"log": "log-magnitude", "phase": "phase", "turns": "phase turn"}


def channel_name(entry: Representation, channel: int, num_channels: int) -> str:
    """What stands at the left of a row of panels."""
    how = kind(entry, channel)
    if how in CHANNEL_NAMES:
        return CHANNEL_NAMES[how]
    return "" if num_channels == 1 else ("real part", "imaginary part")[channel % 2]


def picture(entry: Representation) -> bytes:
    """The picture of an entry as the bytes of a PNG file."""
    columns = {title: clip(name) for name, title in SOUNDS.items()}
    num_channels = len(images(entry, clip(next(iter(SOUNDS)))))
    waveform = images(entry, columns[next(iter(columns))])[0].shape[0] == 1
    figure = Figure(figsize=(8.4, 0.75 + 1.55 * num_channels), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(num_channels, len(columns), squeeze=False, sharex=True, sharey=True)
    marks = {} if waveform or isinstance(entry, Mfcc) else frequency_rows(entry)
    for column, (title, audio) in enumerate(columns.items()):
        panels[0, column].set_title(title, fontsize=9)
        panels[-1, column].set_xlabel("time in s", fontsize=8)
        for row, image in enumerate(images(entry, audio)):
            panel = panels[row, column]
            if waveform:
                panel.plot(
                    np.arange(image.shape[-1]) / RATE_HZ, image[0].numpy(), linewidth=0.4, color="#0b6e75"
                )
            else:
                draw_image(panel, image, kind(entry, row), entry)
            panel.tick_params(labelsize=7, length=2)
    for row in range(num_channels):
        name = channel_name(entry, row, num_channels)
        label_rows(panels[row, 0], name, marks, waveform=waveform)
    return small_png(figure)


def label_rows(panel: Axes, name: str, marks: dict[int, float], *, waveform: bool) -> None:
    """The marks and the name at the left of a row of panels."""
    if marks:
        shown = spread_out(marks)
        panel.set_yticks(list(shown.values()), [f"{hertz:,}" for hertz in shown])
        panel.set_ylabel(f"{name}\nHz" if name else "Hz", fontsize=8)
    elif waveform:
        panel.set_ylabel("sample", fontsize=8)
    else:
        panel.set_yticks([0.025, 0.975], ["0", "19"])
        panel.set_ylabel("coefficient", fontsize=8)


def spread_out(marks: dict[int, float]) -> dict[int, float]:
    """The marks without those that are out of order (no band is there) or would touch the one below."""
    shown: dict[int, float] = {}
    for hertz, height in sorted(marks.items()):
        if not shown or height - max(shown.values()) > LEAST_GAP:
            shown[hertz] = height
    return shown


def small_png(figure: Figure) -> bytes:
    """The figure with as many colours as it needs and no more."""
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=100)
    image = Image.open(memory).convert("RGB").quantize(NUM_COLOURS, dither=Image.Dither.NONE)
    small = io.BytesIO()
    image.save(small, format="PNG", optimize=True)
    return small.getvalue()


def check() -> int:
    """Says which pictures are missing, too many or too large."""
    there = {path.stem: path for path in FOLDER.glob("*.png")}
    wrong = [f"no picture of {name}" for name in REPRESENTATIONS if name not in there]
    wrong += [f"a picture of {name}, which is no entry" for name in there if name not in REPRESENTATIONS]
    wrong += [f"{path.name} is too large" for path in there.values() if path.stat().st_size > MOST_BYTES]
    print("\n".join(wrong) or f"{len(there)} pictures")
    return 1 if wrong else 0


def main() -> int:
    """Draws the pictures asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true", help="look whether they are all there")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    for name in arguments.names or REPRESENTATIONS:
        content = picture(REPRESENTATIONS[name].at_rate(RATE_HZ))
        with whole_file(FOLDER / f"{name}.png") as aside:
            aside.write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
