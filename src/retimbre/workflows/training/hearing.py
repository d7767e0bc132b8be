"""What a run does before it trains if its network listens through an embedder: fits it, and hears every sound once.

A fitted embedder learns from the first training pairs when a run begins, before the network or its average exist; what
it learned is saved with the network, and a run that is continued finds it there. Where the training pairs are finite,
their embeddings are kept in a folder (`matching.embedded`): the run's own, or the one that `[data] cache` names for
several runs to share. A rehearsal writes nothing, so it fits to a handful of pairs and keeps none.
"""

from pathlib import Path

from torch import Tensor

from retimbre.listening.base import Embedder, FittedEmbedder
from retimbre.matching.embedded import FIT_CLIPS, EmbeddedSource, fit_embedder
from retimbre.matching.inverter import Inverter
from retimbre.matching.source import Source
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.matching_run import MatchingRun
from retimbre.workflows.training.run import RunFolder

REHEARSAL_CLIPS = 64
CACHE_FOLDER = "cache"  # of a run folder


def embedded(config: MatchingRun, session: Session, inverter: Inverter, source: Source) -> Source:
    """The pairs of a run with the embeddings of their sounds, where they are heard through an embedder.

    An embedder that has to be fitted is fitted here, unless it is already: by the run's last session, or by the model
    that the run starts from.
    """
    embedder = inverter.front_end
    if not isinstance(embedder, Embedder):
        return source
    if isinstance(embedder, FittedEmbedder) and not embedder.is_fitted:
        fit(config, session, embedder, source)
    if session.rehearsal or not source.num_distinct:
        return source
    own = session.out / CACHE_FOLDER
    return EmbeddedSource(source, embedder, Path(config.data.cache) if config.data.cache else own)


def fit(config: MatchingRun, session: Session, embedder: FittedEmbedder, source: Source) -> None:
    """Fits an embedder, or takes over what the run's last session saved."""
    if session.rehearsal:
        fit_embedder(embedder, source, seed=config.seed, num_clips=REHEARSAL_CLIPS, folder=None)
        return
    saved = learned_before(session.out)
    shapes = {name: tensor.shape for name, tensor in embedder.state_dict().items()}
    if {name: tensor.shape for name, tensor in saved.items()} == shapes:
        embedder.load_state_dict(saved)
        return
    shared = Path(config.data.cache) if config.data.cache else None
    fit_embedder(embedder, source, seed=config.seed, num_clips=FIT_CLIPS, folder=shared)


def learned_before(folder: Path) -> dict[str, Tensor]:
    """What the embedder of a run that was begun had learned; empty if there is no such run."""
    state = RunFolder(folder).checkpoints.load_newest() or {}
    weights = state.get("task", {}).get("inverter", {})
    prefix = "front_end."
    return {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
