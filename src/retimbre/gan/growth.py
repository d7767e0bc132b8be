"""When networks that grow do so: the schedule of a progressive GAN.

A progressive GAN learns what a clip is like in the large before it learns the details. It begins at its smallest
scale, a few cells for the whole clip, and adds the next one when its steps are done. A new scale would upset what has
been learned, so it is faded in: at first all that is seen is the scale before, enlarged, and its share, the `fade`,
goes from 1 to 0 in small jumps:

    fade = max(0, 1 - floor(step / fade_jump_steps) / fade_jumps)        counting the steps of that scale from 0

Nothing is faded in at the scale that training begins with. A fade that takes longer than its scale is never
completed: the next scale then begins with a jump, and after the last one the clips stay a mixture. That is what was
asked for, so it is done, but `remarks` says so. The example in the README of the program below asks for it: 50 steps at
every scale, and fades of 600 jumps of 32 steps, 19,200 in all.

References:
    Karras et al. (2018), Progressive growing of GANs for improved quality, stability, and variation,
    https://arxiv.org/abs/1710.10196
    The numbers are those of https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import bisect
import dataclasses
import itertools
from typing import Literal, final

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Stage


class GrowthWarning(UserWarning):
    """A schedule says something that may not have been meant."""


@final
@dataclasses.dataclass(frozen=True)
class Growth:
    """[growth]: how long networks stay at each scale, and how the next one is faded in. A value per scale each."""

    steps: tuple[int, ...]
    """Updates at each scale, the smallest first. Those of scales before `start_scale` do not count."""
    fade_jumps: tuple[int, ...] = ()
    """Jumps from 1 to 0; none fades nothing in. The first scale's is not used."""
    fade_jump_steps: tuple[int, ...] = ()
    """Updates from one jump to the next."""
    fade: Literal["linear", "custom"] = "linear"
    """`linear`: by the two above. `custom`: by the two below."""
    fade_steps: tuple[tuple[int, ...], ...] = ()
    """At which updates of each scale, 0 for the first, the fade jumps; the first scale's are not used."""
    fade_values: tuple[tuple[float, ...], ...] = ()
    """Where to, one for each of these."""
    batch_sizes: tuple[int, ...] = ()
    """Clips in each update; empty for `[train] batch_size` at all scales."""
    start_scale: int = 0
    """The scale that training begins with."""

    def __post_init__(self) -> None:
        """Refuses lists that do not fit together."""
        if not self.steps or min(self.steps) < 1:
            raise ConfigError(f"steps is {list(self.steps)}; takes 1 or more for each scale")
        if not 0 <= self.start_scale < len(self.steps):
            raise ConfigError(f"start_scale is {self.start_scale}; takes 0 to {len(self.steps) - 1}")
        if self.batch_sizes:
            self._check_list("batch_sizes", 1)
        if self.fade == "custom":
            self._check_custom()
            return
        if self.fade_steps or self.fade_values:
            raise ConfigError('fade_steps and fade_values are for fade = "custom"')
        if self.fade_jumps or self.fade_jump_steps:
            self._check_list("fade_jumps", 0)
            self._check_list("fade_jump_steps", 1)

    @property
    def total_steps(self) -> int:
        """Updates of all scales together."""
        return sum(self.steps[self.start_scale :])

    @property
    def last_begins_after(self) -> int:
        """Updates before the last scale."""
        return self.total_steps - self.steps[-1]

    @property
    def whole_after(self) -> int:
        """Updates after which nothing of a smaller scale is mixed in, if the last one goes on as long."""
        return self.last_begins_after + self.fade_length(len(self.steps) - 1)

    def at(self, step: int) -> Stage:
        """How far the networks have grown in an update, 1 for the first; after the schedule the last scale stays."""
        scale, done = self._place(step)
        return Stage(scale, self._fade(scale, done))

    def batch_size_at(self, step: int) -> int:
        """Clips in an update, 1 for the first; 0 where the schedule leaves it to `[train]`."""
        return self.batch_sizes[self._place(step)[0]] if self.batch_sizes else 0

    def fade_length(self, scale: int) -> int:
        """Updates until a scale has taken over; 0 for the first, and where nothing is faded in.

        A custom fade that does not end at 0 takes for ever, which is said as one update more than the scale has.
        """
        if scale <= self.start_scale:
            return 0
        if self.fade == "linear":
            return self.fade_jumps[scale] * self.fade_jump_steps[scale] if self.fade_jumps else 0
        values = self.fade_values[scale]
        if not values:
            return 0
        return self.fade_steps[scale][-1] if values[-1] == 0.0 else self.steps[scale] + 1

    def remarks(self) -> list[str]:
        """What the numbers mean together where that may not be what was meant: fades that are never completed."""
        said = []
        for scale in range(self.start_scale + 1, len(self.steps)):
            length, steps = self.fade_length(scale), self.steps[scale]
            if length < steps:
                continue
            last = self._fade(scale, steps - 1)
            after = "the next begins with a jump" if scale + 1 < len(self.steps) else "and there it stays"
            said.append(
                f"growth: scale {scale} has {steps:,} steps, but its fade takes {self._how_long(scale)}: "
                f"it ends at {last:.4g} of the scale before, {after}"
            )
        return said

    def _how_long(self, scale: int) -> str:
        if self.fade == "linear":
            jumps, each = self.fade_jumps[scale], self.fade_jump_steps[scale]
            return f"{jumps:,} x {each:,} = {jumps * each:,}"
        return "longer" if self.fade_values[scale][-1] else f"{self.fade_steps[scale][-1]:,}"

    def _place(self, step: int) -> tuple[int, int]:
        """The scale of an update, and how many were made at that scale before it."""
        done = max(step, 1) - 1
        for scale in range(self.start_scale, len(self.steps) - 1):
            if done < self.steps[scale]:
                return scale, done
            done -= self.steps[scale]
        return len(self.steps) - 1, done

    def _fade(self, scale: int, done: int) -> float:
        if scale == self.start_scale:
            return 0.0
        if self.fade == "custom":
            passed = bisect.bisect_right(self.fade_steps[scale], done)
            # Without any jumps nothing is faded; before the first of them the new scale is not seen yet.
            before = 1.0 if self.fade_values[scale] else 0.0
            return self.fade_values[scale][passed - 1] if passed else before
        if done >= self.fade_length(scale):
            return 0.0
        return 1.0 - (done // self.fade_jump_steps[scale]) / self.fade_jumps[scale]

    def _check_list(self, name: str, least: int) -> None:
        values = getattr(self, name)
        if len(values) != len(self.steps):
            raise ConfigError(
                f"{name} has {len(values)} values, but there are {len(self.steps)} scales in steps"
            )
        # What the first scale fades in is not used, so it may be anything.
        if min(values[self._first_used(name) :], default=least) < least:
            raise ConfigError(f"{name} is {list(values)}; takes {least} or more for each scale")

    @staticmethod
    def _first_used(name: str) -> int:
        return 0 if name == "batch_sizes" else 1

    def _check_custom(self) -> None:
        if self.fade_jumps or self.fade_jump_steps:
            raise ConfigError('fade_jumps and fade_jump_steps are for fade = "linear"')
        for name in ("fade_steps", "fade_values"):
            if len(getattr(self, name)) != len(self.steps):
                raise ConfigError(
                    f"{name} has {len(getattr(self, name))} lists, but there are {len(self.steps)} scales in steps"
                )
        for scale, (at, values) in enumerate(zip(self.fade_steps, self.fade_values, strict=True)):
            if len(at) != len(values):
                raise ConfigError(
                    f"scale {scale} has {len(at)} fade_steps and {len(values)} fade_values; takes as many"
                )
            if any(late <= early for early, late in itertools.pairwise(at)) or (at and at[0] < 0):
                raise ConfigError(f"fade_steps of scale {scale} are {list(at)}; they rise, from 0 or more")
            if not all(0.0 <= value <= 1.0 for value in values):
                raise ConfigError(f"fade_values of scale {scale} are {list(values)}; takes 0 to 1")
