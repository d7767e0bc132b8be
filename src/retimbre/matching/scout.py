"""What a voice may be doing in each window of a recording: candidates, and what counts against them.

A window in mid-sound differs from the clips that a network was trained on. It has no attack, it may glide, and its
vibrato begins at any phase. So the likeliest patch is not simply taken. For each window there are several candidates,
all with the voice held open and with the same constants:

    drawn      from what the network finds likely there, the likeliest first
    beside     the likeliest of the window before and of the one after
    tuned      the likeliest, with all oscillators at the pitch that was heard; once as it is, once unmodulated

What counts against a candidate is named in `trellis.PathCosts`. The knobs that move are those that `Synth.curves`
names, without those that hold the voice open.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.matching.held import HeldVoice, held, led_by
from retimbre.matching.inverter import Inverter
from retimbre.matching.propose import OSCILLATORS, loudest_oscillator_hz
from retimbre.matching.sampling import class_centres, draw_class_vectors
from retimbre.matching.trellis import PathCosts, levels_distance, sorted_bands
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note, chunks
from retimbre.synth.knobs import Continuous
from retimbre.synth.parameters import ParameterSpace

# How many windows a network hears at once: 64 clips of a second are 4 MB, and their features ten times that.
_WINDOWS_AT_ONCE = 64

# Knobs that set how deeply an oscillator is modulated.
_DEPTHS = {
    "fm": ("D",),
    "fm4": ("B1", "B2", "B3", "B4"),
    "inversynth": ("B_sin", "B_saw", "B_tri", "B_sqr"),
}


@final
@dataclasses.dataclass(frozen=True)
class Scouting:
    """What is looked at in each window.

    Attributes:
        draws: Patches drawn from the network, the likeliest first.
        costs: What counts against a candidate and against a jump.
    """

    draws: int = 8
    costs: PathCosts = dataclasses.field(default_factory=PathCosts)


def continuous(space: ParameterSpace, name: str) -> Continuous:
    """A knob that turns smoothly, by its name.

    Raises:
        ConfigError: It does not.
    """
    knob = space[name]
    if not isinstance(knob, Continuous):
        raise ConfigError(f"{name} does not turn smoothly, so it has no curve")
    return knob


def nearest_class(knob: Continuous, unit: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """The class whose value is nearest to positions of a knob, in travel."""
    levels = knob.to_unit(torch.tensor(knob.class_values()))
    return (unit[..., None] - levels).abs().argmin(dim=-1)


def between_classes(
    log_probabilities: Float[Tensor, " classes"],
    drawn: Int[Tensor, " draws"],
    levels: Float[Tensor, " classes"],
) -> Float[Tensor, " draws"]:
    """Drawn classes of one knob as positions, moved by up to half a class to where the network's answer peaks.

    A parabola goes through the logarithms of three neighbouring probabilities. For a network that is trained on
    Gaussian targets (`InverterConfig.neighbour_classes`) its vertex is where the knob stands.
    """
    last = len(levels) - 1
    if last < 2:
        return levels[drawn]
    middle = drawn.clamp(1, last - 1)
    before, here, after = (log_probabilities[middle + step] for step in (-1, 0, 1))
    bend = before - 2.0 * here + after
    vertex = middle + torch.where(bend < 0, (before - after) / (2.0 * bend.clamp(max=-1e-6)), 0.0)
    nearby = torch.where(bend < 0, vertex.clamp(drawn - 0.5, drawn + 0.5), drawn).clamp(0.0, float(last))
    below = nearby.long().clamp(max=last - 1)
    return torch.lerp(levels[below], levels[below + 1], nearby - below)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Scout:
    """An inverter and its voice, held for one window and played at one key.

    Attributes:
        moving: Names of the knobs that have curves.
        rows: Their places among the searched knobs.
        columns: Their columns in the unit cube.
    """

    inverter: Inverter
    voice: HeldVoice
    key_hz: float
    settings: Scouting
    moving: tuple[str, ...]
    rows: list[int]
    columns: list[int]

    @classmethod
    def of(cls, inverter: Inverter, key_hz: float, settings: Scouting) -> "Scout":
        """A scout with an inverter.

        Raises:
            ConfigError: Its synthesizer has no curves, or it searches no knob that could have one.
        """
        voice = held(inverter.synth, inverter.config.seconds)
        searched = inverter.space.searched
        able = inverter.synth.curves - voice.knobs.keys()
        rows = [row for row, knob in enumerate(searched) if knob.name in able]
        if not rows:
            raise ConfigError(
                f"this model of {inverter.synth.name!r} holds every knob that could have a curve"
            )
        columns = [sum(knob.width for knob in searched[:row]) for row in rows]
        moving = tuple(searched[row].name for row in rows)
        return cls(inverter, voice, key_hz, settings, moving, rows, columns)

    @torch.no_grad()
    def hear(self, windows: Float[Tensor, "windows samples"]) -> Float[Tensor, "windows searched most"]:
        """The logarithm of how likely each class of each searched knob is in each window."""
        heard = []
        for items in chunks(len(windows), _WINDOWS_AT_ONCE):
            note = self._note(len(windows[items]))
            heard.append(self.inverter.log_probabilities(windows[items], note))
        return torch.cat(heard)

    def constants(self, votes: Int[Tensor, " searched"]) -> dict[str, float | str]:
        """The settings of the knobs that neither move nor hold the voice open."""
        space = self.inverter.space
        values = space.to_values(space.from_classes(votes[None]))
        return {
            name: value
            for name, value in values.items()
            if name not in self.moving and name not in self.voice.knobs
        }

    def candidates(
        self,
        log_probabilities: Float[Tensor, "windows searched most"],
        votes: Int[Tensor, " searched"],
        pitch_hz: Float[Tensor, " windows"],
        generator: torch.Generator,
    ) -> Float[Tensor, "windows candidates width"]:
        """Points of the unit cube for each window.

        Args:
            votes: The classes of the knobs that do not move.
            pitch_hz: The pitch heard in each window; 0 where there is none.
        """
        drawn = torch.stack(
            [
                self._points(scores, draw_class_vectors(scores, self.settings.draws, generator), votes)
                for scores in log_probabilities
            ]
        )
        best = drawn[:, :1]
        before, after = torch.cat([best[:1], best[:-1]]), torch.cat([best[1:], best[-1:]])
        tuned = self._tuned(best, pitch_hz)
        unmodulated = tuned.clone()
        unmodulated[..., self._columns_of(_DEPTHS[self.inverter.synth.name])] = 0.0
        return torch.cat([drawn, before, after, tuned, unmodulated], dim=1)

    def cost(
        self,
        windows: Float[Tensor, "windows samples"],
        candidates: Float[Tensor, "windows candidates width"],
        log_probabilities: Float[Tensor, "windows searched most"],
        pitch_hz: Float[Tensor, " windows"],
    ) -> Float[Tensor, "windows candidates"]:
        """What counts against each candidate on its own."""
        costs = self.settings.costs
        distance_db = torch.stack(
            [self._distance_db(window, units) for window, units in zip(windows, candidates, strict=True)]
        )
        return (
            self._improbability(candidates, log_probabilities)
            + costs.per_db * distance_db
            + costs.per_semitone * self._mistuning(candidates, pitch_hz)
        )

    def in_classes(
        self, candidates: Float[Tensor, "windows candidates width"]
    ) -> Float[Tensor, "windows candidates knobs"]:
        """Where the moving knobs of candidates are turned to, counted in classes from the low end of their travel."""
        counts = torch.tensor([self.inverter.space.class_counts[row] for row in self.rows])
        return candidates[..., self.columns] * (counts - 1)

    def _note(self, count: int) -> Note:
        return Note.of(count, pitch_hz=self.key_hz, gate_s=self.inverter.config.seconds)

    def _columns_of(self, names: tuple[str, ...]) -> list[int]:
        return [column for name, column in zip(self.moving, self.columns, strict=True) if name in names]

    def _points(
        self, scores: Float[Tensor, "searched most"], drawn: Int[Tensor, "draws searched"], votes: Tensor
    ) -> Float[Tensor, "draws width"]:
        """Class vectors as points: constants as voted, moving knobs between classes where that is likelier."""
        space = self.inverter.space
        classes = votes.expand(len(drawn), -1).clone()
        classes[:, self.rows] = drawn[:, self.rows]
        unit = class_centres(space, classes)
        for row, column, name in zip(self.rows, self.columns, self.moving, strict=True):
            levels = continuous(space, name).to_unit(torch.tensor(space[name].class_values()))
            unit[:, column] = between_classes(scores[row, : len(levels)], drawn[:, row], levels)
        return unit

    def _tuned(
        self, best: Float[Tensor, "windows 1 width"], pitch_hz: Float[Tensor, " windows"]
    ) -> Float[Tensor, "windows 1 width"]:
        """The likeliest candidates with all oscillators at the pitch heard, where there is one."""
        tuned = best.clone()
        for frequency, _ in OSCILLATORS[self.inverter.synth.name]:
            for column in self._columns_of((frequency,)):
                knob = continuous(self.inverter.space, frequency)
                unit = knob.to_unit(pitch_hz.clamp_min(1.0) * (REFERENCE_PITCH_HZ / self.key_hz))
                tuned[:, 0, column] = torch.where(pitch_hz > 0, unit, best[:, 0, column])
        return tuned

    def _improbability(
        self, candidates: Float[Tensor, "windows candidates width"], log_probabilities: Tensor
    ) -> Float[Tensor, "windows candidates"]:
        nats = []
        for row, column, name in zip(self.rows, self.columns, self.moving, strict=True):
            classes = nearest_class(continuous(self.inverter.space, name), candidates[..., column])
            nats.append(-log_probabilities[:, row].gather(1, classes))
        return torch.stack(nats).clamp(max=self.settings.costs.most_improbable).mean(dim=0)

    @torch.no_grad()
    def _distance_db(
        self, window: Float[Tensor, " samples"], units: Float[Tensor, "candidates width"]
    ) -> Float[Tensor, " candidates"]:
        rate = self.voice.synth.sample_rate
        knobs = self._knobs(units)
        sounds = self.voice.synth.render(knobs, self._note(len(units)), num_samples=len(window))
        led = led_by(window.expand_as(sounds), sounds, rate)
        return levels_distance(sorted_bands(window[None], rate), sorted_bands(led, rate))

    def _knobs(self, units: Float[Tensor, "candidates width"]) -> dict[str, Tensor]:
        held_open = {name: torch.full((len(units),), value) for name, value in self.voice.knobs.items()}
        return {**self.inverter.space.from_unit(units), **held_open}

    def _mistuning(
        self, candidates: Float[Tensor, "windows candidates width"], pitch_hz: Float[Tensor, " windows"]
    ) -> Float[Tensor, "windows candidates"]:
        """Semitones between the loudest oscillator and the pitch heard, up to a limit; 0 where none was heard."""
        knobs = self.inverter.space.from_unit(candidates.flatten(0, 1))
        loudest_hz = loudest_oscillator_hz(knobs, OSCILLATORS[self.inverter.synth.name])
        played_hz = loudest_hz.reshape(candidates.shape[:2]) * (self.key_hz / REFERENCE_PITCH_HZ)
        semitones = 12.0 * torch.log2(played_hz / pitch_hz.clamp_min(1.0)[:, None]).abs()
        limited = semitones.clamp(max=self.settings.costs.most_semitones)
        return torch.where(pitch_hz[:, None] > 0, limited, 0.0)
