"""How long every contestant may train, on which clips, and by how many it is judged.

The budget of a training is a time, the same for all, and not a number of updates: what a representation costs is part
of what it is worth, and a network that sees four times as many clips in a minute has earned them. On a CPU it is the
seconds of one core that the process itself takes, so that a busy machine is no handicap; on a GPU it is wall time.

    smoke   half an hour on two cores: whether everything runs; figures mean little
    cpu     two hours and a quarter on two cores: twelve pitches of a quarter of a second
    gpu     notes of a second over five octaves, twenty minutes of a GPU for each training
"""

import dataclasses
from typing import final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.workflows.study.representations.transforms import Size

SAMPLE_RATE_HZ = 16_000  # the rate that the shipped listener hears

# What a contestant takes beside its trainings: notes to render, an untrained network to judge, files.
_BESIDE_S = {"short": 25.0, "long": 90.0}
_FEWEST_CLIPS = 10


@final
@dataclasses.dataclass(frozen=True)
class Budget:
    """A budget of the study.

    Attributes:
        name: Of it.
        size: Of the clips and networks.
        train_s: Of each training.
        trial_s: Of each trial of a setting before it.
        num_trials: How many settings are tried, of those of the model.
        num_seeds: Trainings of each contestant.
        test_clips: Clips that are judged, and as many real ones that they are compared with.
        validation_clips: Held-out clips by which settings are chosen and the best state is found.
        notes: Clips to train on.
        instruments: Of each family; a tenth of them is for validation, another one for the judgement.
        pitches: The lowest and the highest, as MIDI numbers.
        velocities: MIDI velocities.
        representations: Which are compared if nobody says otherwise; empty for all.
        models: The same for models.
    """

    name: str
    size: Size
    train_s: float
    trial_s: float
    num_trials: int
    num_seeds: int
    test_clips: int
    validation_clips: int
    notes: int
    instruments: int
    pitches: tuple[int, int]
    velocities: tuple[int, ...]
    representations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses sets that no distance takes."""
        if min(self.test_clips, self.validation_clips) < _FEWEST_CLIPS:
            raise ConfigError(
                f"test_clips is {self.test_clips} and validation_clips {self.validation_clips}, but both take "
                f"{_FEWEST_CLIPS} or more"
            )

    @property
    def num_samples(self) -> int:
        """Length of a clip: a power of two, a quarter of a second or a second."""
        return 4096 if self.size == "short" else 16_384

    @property
    def predicted_s(self) -> float:
        """What a contestant takes, all its seeds together."""
        judged_s = 0.03 * self.test_clips * (1 if self.size == "short" else 3)
        trials_s = self.num_trials * (self.trial_s + 5.0)
        return _BESIDE_S[self.size] + judged_s + trials_s + self.num_seeds * (self.train_s + judged_s)


BUDGETS: dict[str, Budget] = {
    "smoke": Budget(
        name="smoke",
        size="short",
        train_s=150.0,
        trial_s=15.0,
        num_trials=2,
        num_seeds=1,
        test_clips=512,
        validation_clips=200,
        notes=4000,
        instruments=200,
        pitches=(60, 71),
        velocities=(100,),
        representations=("waveform", "stft", "mag-if", "mag-if-gated", "mel", "nsgt-mag-if"),
        models=("progressive", "residual"),
    ),
    "cpu": Budget(
        name="cpu",
        size="short",
        train_s=320.0,
        trial_s=40.0,
        num_trials=3,
        num_seeds=2,
        test_clips=1024,
        validation_clips=300,
        notes=8000,
        instruments=200,
        pitches=(60, 71),
        velocities=(100,),
        models=("progressive", "residual"),
    ),
    "gpu": Budget(
        name="gpu",
        size="long",
        train_s=1200.0,
        trial_s=120.0,
        num_trials=3,
        num_seeds=3,
        test_clips=2048,
        validation_clips=500,
        notes=40_000,
        instruments=400,
        pitches=(24, 84),
        velocities=(25, 50, 75, 100, 127),
    ),
}


def find_budget(name: str) -> Budget:
    """The budget of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in BUDGETS:
        raise ConfigError(f"there is no budget {name!r}; {near_miss(name, BUDGETS)}")
    return BUDGETS[name]
