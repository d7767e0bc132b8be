"""Sounds that are heard once: embeddings that are computed before training and kept.

An embedder is frozen, so what it says of a sound never changes. Where training goes over the same sounds again and
again, all of them are embedded first and the table is kept as one file; from then on neither synthesizer nor embedder
is needed to train, and a dense network learns from thousands of sounds in the time that rendering one would take.

The file's name is a key made of everything the table depends on: every setting and weight of the embedder, the
synthesizer, its knobs, the notes, the seed, the length, the version of the program; for sounds on disk, their
checksums. Whatever changes, the key changes, so a table is never taken for another. Labels are no part of it: a run
with shuffled labels shares the table of the run that it is the control of.

    embeddings-<key>.safetensors    embeddings [pairs, dim], params [pairs, width], classes [pairs, searched]
    embedder-<key>.safetensors      what a fitted embedder learned, where several runs share a folder
"""

from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre import __version__
from retimbre.core.errors import CheckpointError
from retimbre.core.files import fingerprint
from retimbre.data.splits import Split
from retimbre.listening.base import Embedder, FittedEmbedder
from retimbre.matching.source import PairBatch, Source
from retimbre.synth.base import Note
from retimbre.training import checkpoint

EMBEDDINGS_KIND, EMBEDDER_KIND = "embeddings", "embedder"

# What a fitted embedder learns from: this many training pairs, fewer if they are long, which bounds the memory.
FIT_CLIPS = 4096
FIT_SAMPLES = 1 << 27  # half a gigabyte

# Sounds that are rendered and embedded at a time.
_AT_ONCE = 256


@final
class EmbeddedSource(Source):
    """A source of finitely many training pairs that hands out embeddings in place of sounds.

    The table is read, or made and written, when the first training pair is asked for.

    Args:
        source: Where the pairs come from.
        embedder: What hears them, on the device where sounds are to be rendered; fitted, if it is of that kind.
        folder: Where tables are kept.
    """

    def __init__(self, source: Source, embedder: Embedder, folder: Path) -> None:
        self.source = source
        self.embedder = embedder
        self.folder = folder

    @property
    def path(self) -> Path:
        """The file of the table."""
        key = fingerprint(
            {
                "embedder": self.embedder.identity(),
                "pairs": self.source.identity(),
                "program": __version__,
            }
        )
        return self.folder / f"embeddings-{key}.safetensors"

    @property
    def num_distinct(self) -> int:
        """The source's."""
        return self.source.num_distinct

    def numbers(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, " batch"]:
        """The source's."""
        return self.source.numbers(rows, split)

    def audio(self, numbers: Int[Tensor, " batch"], split: Split) -> Float[Tensor, "batch samples"]:
        """The source's."""
        return self.source.audio(numbers, split)

    def labels(
        self, numbers: Int[Tensor, " batch"], split: Split
    ) -> tuple[Int[Tensor, "batch searched"], Float[Tensor, "batch width"], Note]:
        """The source's."""
        return self.source.labels(numbers, split)

    def truthful(self) -> Source:
        """The source's."""
        return self.source.truthful()

    def identity(self) -> dict[str, object]:
        """The source's."""
        return self.source.identity()

    def pairs(self, rows: Int[Tensor, " batch"], split: Split) -> PairBatch:
        """Pairs with features and without sound; those that are held out are embedded when asked for."""
        numbers = self.numbers(rows, split)
        known = split == "train" and self.num_distinct > 0
        features = self._table()[numbers.cpu()].to(rows.device) if known else self._embed(numbers, split)
        silence = torch.zeros(len(rows), 0, device=rows.device)
        return PairBatch(silence, *self.labels(numbers, split), features=features)

    def _table(self) -> Float[Tensor, "pairs dim"]:
        if self._embeddings is None:
            self._embeddings = self._read() if self.path.exists() else self._make()
        return self._embeddings

    def _read(self) -> Float[Tensor, "pairs dim"]:
        table = checkpoint.load(self.path, kind=EMBEDDINGS_KIND)[0].get("embeddings")
        wanted = (self.num_distinct, self.embedder.dim)
        if not isinstance(table, Tensor) or tuple(table.shape) != wanted:
            raise CheckpointError(f"{self.path}: holds no {wanted[0]} x {wanted[1]} embeddings; remove it")
        return table

    def _make(self) -> Float[Tensor, "pairs dim"]:
        """Embeds every training pair and writes the table."""
        device = next(self.embedder.buffers(), torch.empty(0)).device
        truthful = self.truthful()
        embeddings, params, classes = [], [], []
        for numbers in torch.arange(self.num_distinct, device=device).split(_AT_ONCE):
            embeddings.append(self._embed(numbers, "train").cpu())
            true_classes, unit, _ = truthful.labels(numbers, "train")
            params.append(unit.cpu())
            classes.append(true_classes.cpu())
        table = {
            "embeddings": torch.cat(embeddings),
            "params": torch.cat(params),
            "classes": torch.cat(classes),
        }
        checkpoint.save(self.path, table, kind=EMBEDDINGS_KIND, metadata={"pairs": self.identity()})
        return table["embeddings"]

    @torch.no_grad()
    def _embed(self, numbers: Int[Tensor, " batch"], split: Split) -> Float[Tensor, "batch dim"]:
        return self.embedder(self.audio(numbers, split))

    _embeddings: Float[Tensor, "pairs dim"] | None = None


def fit_embedder(
    embedder: FittedEmbedder, source: Source, *, seed: int, num_clips: int = FIT_CLIPS, folder: Path | None
) -> None:
    """Fits an embedder to the first training pairs, or takes over what the same pairs taught it before.

    Args:
        embedder: What is fitted, on the CPU.
        source: Where the pairs come from.
        seed: Of the chances that fitting takes.
        num_clips: How many pairs; fewer if the source has fewer, or if they are longer than 32,768 samples.
        folder: Where to keep what was learned for other runs; None for nowhere.
    """
    needed = {
        "embedder": embedder.identity(),
        "pairs": source.identity(),
        "seed": seed,
        "clips": num_clips,
        "program": __version__,
    }
    path = None if folder is None else folder / f"embedder-{fingerprint(needed)}.safetensors"
    if path is not None and path.exists():
        take_over(embedder, checkpoint.load(path, kind=EMBEDDER_KIND)[0], path)
        return
    embedder.fit(first_clips(source, num_clips), seed=seed)
    if path is not None:
        checkpoint.save(path, embedder.state_dict(), kind=EMBEDDER_KIND, metadata=needed)


def first_clips(source: Source, num_clips: int) -> Float[Tensor, "clips samples"]:
    """The sounds of the first training pairs: `num_clips`, or as many as there are and memory should hold."""
    one = source.audio(torch.zeros(1, dtype=torch.int64), "train")
    most = min(num_clips, source.num_distinct or num_clips, max(FIT_SAMPLES // one.shape[1], 1))
    parts = torch.arange(most).split(_AT_ONCE)
    return torch.cat([source.audio(numbers, "train") for numbers in parts])


def take_over(embedder: FittedEmbedder, state: dict[str, Tensor], path: Path) -> None:
    """Loads what an embedder learned before.

    Raises:
        CheckpointError: The state is not of such an embedder.
    """
    try:
        embedder.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit {type(embedder).__name__}; remove it") from error
