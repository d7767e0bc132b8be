"""What a rendered data set is to be, and everything that follows from it before a sample is rendered.

`SetOptions` is what a person asks for; `plan_of` turns it into a `Plan`, where nothing is left open: the
instrument at its rate, the searched space, the range of notes, the seed, and the header that the folder will
carry. `plan_from_header` gets the plan back from a folder, which is how a set can be checked or gone on with years
later.
"""

import dataclasses
import math
from typing import Literal, final

from retimbre.core.config import build, dump
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data.manifest import Fractions, Header
from retimbre.data.store import rows_per_shard
from retimbre.matching.pairs import NoteRange
from retimbre.synth import levels
from retimbre.synth.base import REFERENCE_PITCH_HZ, Synth
from retimbre.synth.catalog import find_synth
from retimbre.synth.knobs import Continuous
from retimbre.synth.parameters import ParameterSpace
from retimbre.synth.patches import LONGEST_SECONDS, synth_at_rate
from retimbre.training.devices import pick_device

Draw = Literal["classes", "continuous", "grid"]

# Ten million clips of a second are 655 GB: more is a slip of the keyboard.
MOST_CLIPS = 10_000_000


@final
@dataclasses.dataclass(frozen=True)
class SetOptions:
    """What a rendered set is to be.

    Attributes:
        size: How many clips; 0 with `draw="grid"` stands for all combinations.
        draw: `classes` draws an even class for each knob, `continuous` any point between, `grid` takes every
            combination.
        num_levels: Classes of each continuous knob, evenly spaced; 0 keeps the instrument's own.
        parameters: A parameter file (see `synth.levels`), which goes before `num_levels` for the knobs it names.
        pitch_hz: The lowest and the highest key.
        gate_s: The shortest and the longest time that a key is held; None stands for the instrument's own.
        seconds: Length of a clip; 0 stands for the instrument's own.
        sample_rate: In hertz; 0 stands for the instrument's own.
        normalise: Whether each clip is scaled to a peak of 1.
    """

    synth: str
    size: int = 0
    seed: int = 0
    draw: Draw = "classes"
    num_levels: int = 0
    parameters: levels.ParameterFile = dataclasses.field(default_factory=levels.ParameterFile)
    pitch_hz: tuple[float, float] = (REFERENCE_PITCH_HZ, REFERENCE_PITCH_HZ)
    gate_s: tuple[float, float] | None = None
    seconds: float = 0.0
    sample_rate: int = 0
    normalise: bool = False
    split: Fractions = dataclasses.field(default_factory=Fractions)


@final
@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that decides what the clips of a set are.

    Attributes:
        synth: At the set's sample rate.
        space: The synthesizer's space, narrowed to what is searched.
        draw: How the knobs are chosen: even classes, any point of the space, or every combination in turn.
        normalise: Whether each clip is scaled to a peak of 1.
        device: Where clips are rendered.
    """

    header: Header
    synth: Synth
    space: ParameterSpace
    notes: NoteRange
    draw: Draw
    seed: int
    normalise: bool
    device: str


def plan_of(options: SetOptions, *, device: str = "cpu") -> Plan:
    """The plan of a set from its options.

    Raises:
        ConfigError: An option cannot be.
    """
    synth = synth_at_rate(options.synth, options.sample_rate or find_synth(options.synth).sample_rate)
    space = _space(synth.space, options)
    size = _size(space, options)
    seconds = options.seconds or synth.default_seconds
    num_samples = round(seconds * synth.sample_rate)
    if not (num_samples >= 1 and seconds <= LONGEST_SECONDS):
        raise ConfigError(f"length is {seconds:g} s, but takes one sample to {LONGEST_SECONDS:g} s")
    shortest_s, longest_s = options.gate_s or (synth.default_gate_s, synth.default_gate_s)
    notes = NoteRange(*options.pitch_hz, shortest_s, longest_s)
    device = pick_device(device).type
    sampling = {"seed": options.seed, "draw": options.draw, "notes": dump(notes)}
    searched = [parameter.name for parameter in space.searched]
    header = Header(
        kind="rendered",
        size=size,
        sample_rate=synth.sample_rate,
        num_samples=num_samples,
        shard_rows=rows_per_shard(num_samples),
        split=options.split,
        options={
            "synth": synth.name,
            "space": levels.narrowing(space),
            "columns": {"knobs": searched, "class_counts": list(space.class_counts), "width": space.width},
            "sampling": sampling,
            "rendering": {"normalise": options.normalise, "device": device},
        },
    )
    return Plan(header, synth, space, notes, options.draw, options.seed, options.normalise, device)


def plan_from_header(header: Header) -> Plan:
    """The plan that a set's header records.

    Raises:
        DatasetError: The program's instrument is no longer the one that the set was made with.
    """
    options = header.options
    try:
        synth = synth_at_rate(options["synth"], header.sample_rate)
        space = levels.narrowed(synth.space, options["space"])
        sampling, rendering = options["sampling"], options["rendering"]
        notes = build(NoteRange, sampling["notes"], "notes")
    except (ConfigError, KeyError, TypeError) as error:
        raise DatasetError(f"the set does not fit this program's instruments: {error}") from error
    draw, seed = sampling["draw"], sampling["seed"]
    return Plan(header, synth, space, notes, draw, seed, rendering["normalise"], "cpu")


def _space(space: ParameterSpace, options: SetOptions) -> ParameterSpace:
    file = options.parameters
    if file.synth and file.synth != options.synth:
        raise ConfigError(f"the parameter file is for {file.synth!r}, not {options.synth!r}")
    if options.num_levels < 0 or options.num_levels > levels.MOST_LEVELS:
        raise ConfigError(f"levels is {options.num_levels}, but takes 1 to {levels.MOST_LEVELS}")
    if options.num_levels:
        continuous = [knob.name for knob in space.parameters if isinstance(knob, Continuous)]
        if not continuous:
            raise ConfigError(f"{options.synth} has no continuous knob, so levels mean nothing to it")
        space = space.with_levels(dict.fromkeys(continuous, options.num_levels))
    space = levels.narrow(space, file)
    if not space.searched:
        raise ConfigError("every knob is fixed; a data set needs at least one to search")
    return space


def _size(space: ParameterSpace, options: SetOptions) -> int:
    size = options.size
    if options.draw == "grid":
        if size not in {0, space.grid_size}:
            raise ConfigError(
                f"size is {size:,}, but the grid has {space.grid_size:,} combinations; leave it out"
            )
        size = space.grid_size
    if not 1 <= size <= MOST_CLIPS:
        what = "the grid has" if options.draw == "grid" else "size is"
        count = f"{size:,}" if size < 10**15 else f"about 1e{round(math.log10(size))}"
        raise ConfigError(f"{what} {count} clips, but takes 1 to {MOST_CLIPS:,}")
    return size
