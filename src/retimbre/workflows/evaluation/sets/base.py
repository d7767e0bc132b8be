"""A set of clips: sounds of one rate and one length, handed out when they are asked for.

Whatever judges a set wants rows of equal length and never all of them at once: ten thousand clips do not fit where ten
do. So a set is asked for some rows at a time (`Clips.audio`), and what is known without reading again stands in
`Clips.about`: names, labels, and the remarks that a reader of any number about the set should see.

The `key` of a set names its content: the samples that are heard, in their order, whatever folder or container they lie
in. Equal keys mean equal sounds, so whatever was computed from a set is kept under its key. Labels are no part of it.
"""

import abc
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.files import fingerprint
from retimbre.workflows.evaluation.sets.labels import ClipLabels
from retimbre.workflows.evaluation.sets.survey import digest_of

# Rows read at once where a whole set is gone through: 4 MiB of one-second clips at 16 kHz.
ROWS_AT_ONCE = 64

Transform = Callable[[Float[Tensor, "rows samples"], Sequence[int]], Float[Tensor, "rows samples"]]
"""From some clips and their row numbers to as many clips of the same length; row i depends on clip i alone."""


@final
@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a set without reading its sounds again.

    Attributes:
        name: Of the set, for a reader.
        sample_rate: Of every clip, in Hz.
        num_samples: Of every clip: what was longer is cut, what was shorter is followed by zeros.
        names: A name per clip.
        labels: What is known of the clips.
        digests: The SHA-256 of each clip's samples, in hexadecimal; empty where they are not known beforehand.
        source_rates: The rates of the files, in Hz, each once and ascending; empty for clips that were in no file.
        remarks: What a reader of any number about the set should know, a clause each.
        passed_over: The files that could not be used, a line each: these count as failures.
    """

    name: str
    sample_rate: int
    num_samples: int
    names: tuple[str, ...]
    labels: ClipLabels = dataclasses.field(default_factory=ClipLabels)
    digests: tuple[str, ...] = ()
    source_rates: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


class Clips(abc.ABC):
    """Clips of one rate and one length.

    Attributes:
        about: What is known of them without reading.
    """

    def __init__(self, about: About) -> None:
        self.about = about

    @abc.abstractmethod
    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Some clips, float32 on the CPU; each depends on its row number alone.

        Raises:
            AudioError: A file is gone, damaged or another than it was when the set was opened.
        """

    @property
    @abc.abstractmethod
    def key(self) -> str:
        """Sixteen digits that name the content: equal keys mean equal sounds in equal order."""

    def __len__(self) -> int:
        return len(self.about.names)

    @property
    def name(self) -> str:
        """Of the set."""
        return self.about.name

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.about.sample_rate

    @property
    def num_samples(self) -> int:
        """Of every clip."""
        return self.about.num_samples

    @property
    def names(self) -> tuple[str, ...]:
        """A name per clip."""
        return self.about.names

    @property
    def labels(self) -> ClipLabels:
        """What is known of the clips."""
        return self.about.labels

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of any number about the set should know."""
        return self.about.remarks

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The files that could not be used."""
        return self.about.passed_over


@final
class HeldClips(Clips):
    """Clips in memory.

    Raises:
        ConfigError: Names or labels are of another number of clips, there is no clip, or samples are not finite.
    """

    def __init__(
        self,
        name: str,
        audio: Float[Tensor, "clips samples"],
        sample_rate: int,
        labels: ClipLabels | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        labels = labels or ClipLabels()
        names = names or tuple(f"{name}/{row:05d}" for row in range(len(audio)))
        _check_counts(name, len(audio), names, labels)
        broken = int((~audio.isfinite().all(dim=1)).sum())
        if broken:
            raise ConfigError(f"{name}: {broken} of {len(audio)} clips hold samples that are NaN or infinite")
        super().__init__(About(name, sample_rate, audio.shape[1], names, labels))
        self._audio = audio

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Those rows."""
        return self._audio[list(rows)].float().cpu()

    @property
    def key(self) -> str:
        """Of the samples and the rate."""
        return self._content

    @functools.cached_property
    def _content(self) -> str:
        return content_key(self.sample_rate, [digest_of(samples) for samples in self._audio.float().cpu()])


@final
class ChosenClips(Clips):
    """Some clips of a set, in an order of one's own; a row may come twice.

    Raises:
        ConfigError: No row was chosen.
    """

    def __init__(self, base: Clips, name: str, rows: Sequence[int]) -> None:
        if not rows:
            raise ConfigError(f"{name}: takes at least one clip of {base.name}")
        about = base.about
        super().__init__(
            dataclasses.replace(
                about,
                name=name,
                names=tuple(about.names[row] for row in rows),
                labels=about.labels.chosen(rows),
                digests=tuple(about.digests[row] for row in rows) if about.digests else (),
            )
        )
        self._base, self._rows = base, tuple(rows)

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """The base's clips."""
        return self._base.audio([self._rows[row] for row in rows])

    @property
    def key(self) -> str:
        """Of the chosen clips' content where each is known, else of the base and the choice."""
        if self.about.digests:
            return content_key(self.sample_rate, self.about.digests)
        return fingerprint({"base": self._base.key, "rows": list(self._rows)})


@final
class TransformedClips(Clips):
    """A set behind an effect.

    The name has to say everything that the effect depends on: it is part of the key.
    """

    def __init__(self, base: Clips, name: str, transform: Transform) -> None:
        super().__init__(dataclasses.replace(base.about, name=name, digests=()))
        self._base, self._transform = base, transform

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """The base's clips, transformed."""
        return self._transform(self._base.audio(rows), rows)

    @property
    def key(self) -> str:
        """Of the base's content and the effect's name."""
        return fingerprint({"base": self._base.key, "effect": self.name})


def content_key(sample_rate: int, digests: Sequence[str]) -> str:
    """The key of a set whose samples are known by their SHA-256: whatever else has the same ones has the same key."""
    joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return fingerprint({"sample_rate": sample_rate, "clips": joined, "count": len(digests)})


def _check_counts(name: str, num_clips: int, names: Sequence[str], labels: ClipLabels) -> None:
    if num_clips == 0:
        raise ConfigError(f"{name}: a set takes at least one clip")
    counts = {"names": len(names)} | {key: len(values) for key, values in labels.known().items()}
    for what, count in counts.items():
        if count != num_clips:
            raise ConfigError(f"{name}: {count} {what} for {num_clips} clips")
