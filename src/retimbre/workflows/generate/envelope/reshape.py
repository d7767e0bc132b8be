"""An envelope put on any sound: `retimbre generate envelope`.

    DIR/piano.wav         the sound under the envelope
    DIR/piano.png         before and after, and the gain asked for beside the one it got
    DIR/generate.json     the model, the envelope, and for each sound how far its envelope is from the one asked for

A sound is read, reshaped and written a few seconds at a time, so memory does not grow with its length but for what the
picture is drawn from. It keeps its rate and its length: the network is convolutional and learned many pitches, so it
runs at the rate that the sound has, and nothing above half its training's rate is lost to resampling. Several channels
become one at the door, as everywhere.

One bad sound among several does not stop the others: it is listed, and the command ends with status 1.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.errors import AudioError, PartialFailure, UserError
from retimbre.core.files import unique_names, whole_file, write_json
from retimbre.dsp import audiofile
from retimbre.dsp.audiostream import SoundStream, open_stream
from retimbre.workflows.generate.envelope.curve import Curve, Stages, Wanted, gain_between
from retimbre.workflows.generate.envelope.meter import Levels, Meter
from retimbre.workflows.generate.envelope.model import Shaper, Stretch, open_shaper
from retimbre.workflows.generate.envelope.picture import envelope_png
from retimbre.workflows.generate.folder import (
    FORMAT,
    MANIFEST_FILE,
    VERSION,
    Progress,
    ignore,
    refuse_to_overwrite,
    staged,
)
from retimbre.workflows.generate.spool import Spool


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeOptions:
    """How sounds are reshaped.

    Attributes:
        wanted: The envelope.
        device: `auto`, `cpu` or `cuda`.
        integers: Whether samples are written as 16-bit integers, not as 32-bit floats.
        pictures: Whether each sound gets a picture.
        force: Whether files that are there already are replaced.
    """

    wanted: Wanted = dataclasses.field(default_factory=Stages)
    device: str = "auto"
    integers: bool = False
    pictures: bool = True
    force: bool = False


def generate_envelope(
    model: str | Path,
    sounds: str | Path | Sequence[str | Path],
    out: str | Path,
    options: EnvelopeOptions | None = None,
    *,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Puts an envelope on sounds.

    Args:
        model: A run folder, a checkpoint, a shipped name, or a file of the earlier system's weights.
        sounds: Files or folders.
        out: The folder to write to.
        options: The envelope and the like; left out, the sounds are to stay as they are.
        progress: Told how many sounds are done.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: There is no sound, or the only one cannot be used.
        CheckpointError: The model cannot be read.
        ConfigError: It cannot be told such an envelope, or a curve is longer than the only sound.
        ExistsError: Something is there already.
    """
    options = options or EnvelopeOptions()
    paths = audiofile.find_sounds([sounds] if isinstance(sounds, str | Path) else sounds)
    shaper = open_shaper(model, options.wanted, options.device)
    names = unique_names([path.stem for path in paths])
    endings = (".wav", ".png") if options.pictures else (".wav",)
    refuse_to_overwrite(out, [f"{name}{ending}" for name in names for ending in endings], force=options.force)
    entries: list[dict[str, Any]] = []
    failures: list[str] = []
    with staged(Path(out)) as folder:
        for done, (path, name) in enumerate(zip(paths, names, strict=True), start=1):
            try:
                entries.append(_reshape(shaper, path, folder / name, options))
            except UserError as error:
                if len(paths) == 1:
                    raise
                failures.append(str(error))
            progress(done, len(paths))
        if not entries:
            raise AudioError(f"none of {len(paths)} sounds can be used: {failures[0]}")
        manifest = {**_head(shaper, options), "remarks": shaper.remarks, "sounds": entries}
        pictures = [entry["picture"] for entry in entries if entry["picture"]]
        manifest |= {"pictures": pictures, "failures": failures}
        write_json(folder / MANIFEST_FILE, manifest)
    return manifest


def partial_failure(manifest: dict[str, Any]) -> PartialFailure | None:
    """The error that a run ends with if some of its sounds failed; None for none."""
    failures = manifest["failures"]
    total = len(failures) + len(manifest["sounds"])
    return PartialFailure(f"{len(failures)} of {total} sounds failed: {failures[0]}") if failures else None


def _reshape(shaper: Shaper, path: Path, place: Path, options: EnvelopeOptions) -> dict[str, Any]:
    """Reshapes one sound into files beside `place`; returns its entry in the manifest."""
    stream = open_stream(path)
    corners = shaper.wanted.corners(stream.num_samples, stream.sample_rate)
    meter = Meter(stream.num_samples, stream.sample_rate)
    started = time.perf_counter()
    target = place.with_name(f"{place.name}.wav")
    with Spool(target) as spool:
        for first, sound, made in _made(shaper, stream, corners):
            meter.add(first, sound, made, gain_between(corners, first, first + len(sound)))
            spool.add(made)
        spent_s = time.perf_counter() - started
        spool.write(stream.sample_rate, spool.gain, integers=options.integers)
    levels = meter.levels()
    picture = place.with_name(f"{place.name}.png")
    if options.pictures:
        with whole_file(picture) as aside:
            aside.write_bytes(envelope_png(levels, place.name))
    return {
        "file": target.name,
        "picture": picture.name if options.pictures else "",
        "source": str(path),
        "labels": {},
        "sample_rate": stream.sample_rate,
        "seconds": levels.seconds,
        "peak": spool.largest * spool.gain,
        "gain": spool.gain,
        "envelope_error_db": _rounded(levels),
        "made_s": round(levels.seconds, 6),
        "spent_s": round(spent_s, 6),
        "remarks": [
            *_channels(stream),
            *stream.remarks,
            *([] if spool.largest else ["what comes out is silent"]),
        ],
    }


def _made(
    shaper: Shaper, stream: SoundStream, corners: Sequence[tuple[float, float]]
) -> Iterator[tuple[int, Float[Tensor, " samples"], Float[Tensor, " samples"]]]:
    """Stretch after stretch: where it begins, what it was and what it became.

    Each is made with the context that it needs on either side, so that nothing is heard of where they meet.
    """
    total, block, context = stream.num_samples, shaper.block, shaper.context
    length = min(block + 2 * context, total)
    for index, segment in enumerate(stream.segments(length, min(block, length))):
        start = index * block
        stop = min(start + length, total)
        sound = segment[: stop - start]
        gain = gain_between(corners, start, stop).to(sound.dtype)
        made = shaper.shaped(Stretch(sound, gain, start, total))
        first = start if index == 0 else start + context
        end = stop if stop == total else start + block + context
        yield first, sound[first - start : end - start], made[first - start : end - start]


def _head(shaper: Shaper, options: EnvelopeOptions) -> dict[str, Any]:
    """How the manifest begins. There are no latents: equal sounds and envelopes give equal results."""
    wanted = shaper.wanted
    envelope = {"curve": wanted.source} if isinstance(wanted, Curve) else dataclasses.asdict(wanted)
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "envelope",
        "retimbre": retimbre.__version__,
        "torch": torch.__version__,
        **shaper.facts(),
        "envelope": envelope,
        "integers": options.integers,
        "latents_file": "",
    }


def _rounded(levels: Levels) -> float | None:
    return None if math.isnan(levels.error_db) else round(levels.error_db, 4)


def _channels(stream: SoundStream) -> list[str]:
    count = stream.found.info.channels
    return [f"its {count} channels became one"] if count > 1 else []
