"""Generators and patches to SFZ instruments: the workflow behind `retimbre export sfz`.

For each of them:

    DIR/<name>.sfz                 which sample plays which key; any sampler of the format opens it
    DIR/samples/<name>_*.wav       the samples, 16 bits, at the rate of the model or patch
    DIR/<name>.json                what was measured of each sample, for programs

All of it is made beside its place and moved there when the last sample is made, the .sfz after the samples and the
.json after that.
"""

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import retimbre
from retimbre.core.errors import ConfigError, ExistsError, RetimbreError
from retimbre.core.files import folder_aside, free_files, write_json, write_text
from retimbre.workflows.export.sfz.instrument import (
    Manner,
    Place,
    Tuned,
    at_level,
    entry_of,
    loudness_of,
    measured,
    remarks_on,
    sfz_text,
)
from retimbre.workflows.export.sfz.keyboard import (
    HIGHEST_KEY,
    HIGHEST_VELOCITY,
    LOWEST_KEY,
    LOWEST_VELOCITY,
    MOST_KEYS_PER_SAMPLE,
    layers,
    switches,
    zones,
)
from retimbre.workflows.export.sfz.opcodes import problems
from retimbre.workflows.export.sfz.voices import Voice, is_patch, open_generator, open_patch
from retimbre.workflows.export.sfz.wavefile import write_sample
from retimbre.workflows.generate.latent_file import LatentChoice

FORMAT, VERSION = "retimbre instrument", 1
SAMPLES_FOLDER = "samples"
OWN_KEY = -1
"""Stands for the first or last key that a model knows."""

MOST_TIMBRES = 32
SHORTEST_S, LONGEST_S = 0.25, 30.0
LONGEST_RELEASE_S = 20.0

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class SfzOptions:
    """What an instrument is like.

    Attributes:
        lowest: The first key; `OWN_KEY` for the model's, or 36 for a patch.
        highest: The last key; `OWN_KEY` for the model's, or 96 for a patch.
        step: How many keys a sample serves.
        velocities: A sample for each; empty for those that the model knows, or 127.
        seconds: Length at most of notes that die away, and of what a patch is sampled for.
        timbres: How many latents of a generator, each behind a key switch.
        latents: Which ones.
        labels: Classes of a generator's attributes other than pitch and velocity.
        synth: The synthesizer that patches must be of; empty for any.
        loop: Whether notes that do not die away are looped.
        release_s: How long a note fades after the key comes up.
        veltrack: How much the velocity decides on the level, in percent.
        device: Where a generator runs.
        force: Whether instruments of the same name are replaced.
    """

    lowest: int = OWN_KEY
    highest: int = OWN_KEY
    step: int = 3
    velocities: tuple[int, ...] = ()
    seconds: float = 2.0
    timbres: int = 1
    latents: LatentChoice = dataclasses.field(default_factory=LatentChoice)
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    synth: str = ""
    loop: bool = True
    release_s: float = 0.3
    veltrack: float = 100.0
    device: str = "auto"
    force: bool = False

    def __post_init__(self) -> None:
        """Refuses keyboards that there are none of."""
        for name, key in (("lowest", self.lowest), ("highest", self.highest)):
            if key != OWN_KEY:
                _check_range(name, key, LOWEST_KEY, HIGHEST_KEY)
        for velocity in self.velocities:
            _check_range("a velocity", velocity, LOWEST_VELOCITY, HIGHEST_VELOCITY)
        _check_range("step", self.step, 1, MOST_KEYS_PER_SAMPLE)
        _check_range("seconds", self.seconds, SHORTEST_S, LONGEST_S)
        _check_range("timbres", self.timbres, 1, MOST_TIMBRES)
        _check_range("release", self.release_s, 0.0, LONGEST_RELEASE_S)
        _check_range("veltrack", self.veltrack, 0.0, 100.0)


@final
@dataclasses.dataclass(frozen=True)
class SfzRun:
    """What was written, and why the others were not, by what they were named.

    Attributes:
        instruments: What the .json of each holds.
        failures: By source.
    """

    instruments: list[dict[str, Any]]
    failures: dict[str, str]


def export_sfz(
    sources: Sequence[str | Path],
    out: str | Path,
    options: SfzOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
) -> SfzRun:
    """Writes generators and patches as instruments that samplers play.

    One that fails leaves the others to be done; the only one raises its error.

    Args:
        sources: Generators (run folders, checkpoint files, shipped names), patch files, or folders of matches.
        out: A folder; it is made if it is missing.
        options: What the instruments are like.
        progress: Told how many samples are made, of how many, for each instrument.

    Raises:
        AudioError: A note is silent or not finite.
        CheckpointError: A model cannot be read, or is no generator.
        ConfigError: A model is told nothing of pitch, or the keyboard cannot be had of it.
        ExistsError: An instrument of the name is there.
        PatchError: A patch cannot be read.
    """
    options = options or SfzOptions()
    if not sources:
        raise ConfigError("an instrument is made of a generator or a patch; none is named")
    made: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    names: dict[str, str] = {}
    for source in sources:
        try:
            voice = _open(source, options)
            _check_name(names, voice, str(source))
            made.append(_export(voice, Path(out), options, progress))
        except RetimbreError as error:
            if len(sources) == 1:
                raise
            failures[str(source)] = str(error)
    return SfzRun(made, failures)


def _open(source: str | Path, options: SfzOptions) -> Voice:
    if not is_patch(source):
        return open_generator(source, options.labels, options.latents, options.timbres, options.device)
    if options.timbres > 1 or options.labels or options.latents.file:
        raise ConfigError(
            f"{source}: is a patch, which is one timbre; timbres, labels and latents are for generators"
        )
    return open_patch(source, options.synth)


def _check_name(names: dict[str, str], voice: Voice, source: str) -> None:
    """Refuses a second instrument of one name, on file systems without capitals, too."""
    other = names.setdefault(voice.name.casefold(), source)
    if other != source:
        raise ConfigError(
            f"{source}: would be called {voice.name!r} as {other} is; export it to another folder"
        )


def _export(voice: Voice, out: Path, options: SfzOptions, progress: Progress) -> dict[str, Any]:
    started = time.perf_counter()
    lowest, highest = _range(voice, options)
    manner = Manner(options.release_s, options.veltrack, switches(voice.timbres, lowest, highest))
    places = _places(voice, options, lowest, highest)
    _refuse_to_overwrite(out, voice.name, force=options.force)
    samples: list[Tuned] = []
    for place in places:
        file = f"{SAMPLES_FOLDER}/{_file_name(voice, place)}"
        samples.append(measured(voice, place, file, seconds=options.seconds, may_loop=options.loop))
        progress(len(samples), len(places))
    wanted_lufs = loudness_of(samples)
    with _staged(out, voice.name) as folder:
        for each in samples:
            loop = (each.sample.loop_start, each.sample.loop_stop - 1) if each.sample.is_looped else None
            audio = at_level(each, wanted_lufs)[0]
            write_sample(folder / each.file, audio, voice.sample_rate, each.place.zone.key, loop)
        text = sfz_text(voice, samples, manner)
        wrong = problems(text, folder)
        if wrong:
            raise RetimbreError(f"{voice.name}.sfz would be wrong: {wrong[0]}; please report this")
        write_text(folder / f"{voice.name}.sfz", text)
        table = {
            "format": FORMAT,
            "version": VERSION,
            "retimbre": retimbre.__version__,
            "name": voice.name,
            "file": f"{voice.name}.sfz",
            "source": voice.facts(),
            "settings": _settings(options, manner, (lowest, highest)),
            "loudness_lufs": round(wanted_lufs, 2),
            "spent_s": round(time.perf_counter() - started, 3),
            "remarks": remarks_on(voice, samples),
            "samples": [entry_of(each, wanted_lufs) for each in samples],
        }
        write_json(folder / f"{voice.name}.json", table)
    return table


def _range(voice: Voice, options: SfzOptions) -> tuple[int, int]:
    lowest = voice.range[0] if options.lowest == OWN_KEY else options.lowest
    highest = voice.range[1] if options.highest == OWN_KEY else options.highest
    if lowest > highest:
        raise ConfigError(f"{voice.name}: the lowest key is {lowest}, above the highest, {highest}")
    return lowest, highest


def _places(voice: Voice, options: SfzOptions, lowest: int, highest: int) -> list[Place]:
    velocities = options.velocities or voice.velocities
    for velocity in velocities:
        voice.check_velocity(velocity)
    return [
        Place(zone, layer, timbre)
        for timbre in range(voice.timbres)
        for layer in layers(velocities)
        for zone in zones(lowest, highest, options.step, voice.keys)
    ]


def _file_name(voice: Voice, place: Place) -> str:
    timbre = f"_t{place.timbre + 1:02d}" if voice.timbres > 1 else ""
    return f"{voice.name}{timbre}_v{place.layer.velocity:03d}_{place.zone.key:03d}.wav"


def _settings(options: SfzOptions, manner: Manner, keys: tuple[int, int]) -> dict[str, Any]:
    return {
        "keys": list(keys),
        "step": options.step,
        "seconds": options.seconds,
        "seed": options.latents.seed,
        "latents_from": options.latents.file,
        "loop": options.loop,
        "release_s": options.release_s,
        "veltrack": options.veltrack,
        "switches": list(manner.switches),
    }


def _refuse_to_overwrite(out: Path, name: str, *, force: bool) -> None:
    free_files(out, f"{name}.sfz", f"{name}.json", force=force)
    samples = out / SAMPLES_FOLDER
    if samples.exists() and not samples.is_dir():
        raise ExistsError(f"{samples} is a file, where a folder of samples is to be")


@contextlib.contextmanager
def _staged(out: Path, name: str) -> Iterator[Path]:
    """Yields a folder to write to; when the block ends its files go to `out`, and when it fails nothing does."""
    with folder_aside(out / f".{name}.{os.getpid()}.part", out) as aside:
        yield aside
        earlier = _samples_of(out / f"{name}.json")
        (out / SAMPLES_FOLDER).mkdir(exist_ok=True)
        fresh = {path.relative_to(aside).as_posix() for path in aside.rglob("*.wav")}
        for file in (*sorted(fresh), f"{name}.sfz", f"{name}.json"):
            os.replace(aside / file, out / file)
        for file in earlier - fresh:
            (out / file).unlink(missing_ok=True)


def _samples_of(table: Path) -> set[str]:
    """The samples of an earlier instrument; a table that was edited names nothing outside of its folder."""
    try:
        found = json.loads(table.read_text(encoding="utf-8"))
        files = {str(entry["file"]) for entry in found["samples"]} if found["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {file for file in files if Path(file).parts == (SAMPLES_FOLDER, Path(file).name)}


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value:g}, but takes {low:g} to {high:g}")
