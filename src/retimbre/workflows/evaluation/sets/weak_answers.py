"""Whether a listener knows what it is asked: a measure of its answers is worth what the answers are.

Nothing in an inception score shows that the classifier guesses: its answers are then nearly the same for every clip,
and a score next to 1 looks like a poor set of sounds. A listener that was trained here says in its own file how often
it was right when it was validated, so that a measure can say so beside its number.
"""

from retimbre.core.config import build
from retimbre.listening.listener import ListenerConfig
from retimbre.training.checkpoint import read_header
from retimbre.training.shipped import find_checkpoint

# Of the way from a guess, which is 0, to being right every time, which is 1. The shipped listener is at 0.04 for
# velocity and at 0.55 for family.
_LEAST_SKILL = 0.1


def weak_answers(listener: str, attribute: str) -> tuple[str, ...]:
    """The remark on an attribute that a listener tells hardly better than by guessing.

    Args:
        listener: A shipped name, a run folder or a file.
        attribute: One that it tells.

    Returns:
        Nothing for an attribute that it tells better, and for a file that does not say how well it does.

    Raises:
        CheckpointError: There is no such listener.
    """
    metadata = read_header(find_checkpoint(listener)).metadata
    right = metadata.get("facts", {}).get("quality", {}).get(attribute)
    if right is None:
        return ()
    classes = len(build(ListenerConfig, metadata["config"], "config").classes[attribute])
    guess = 1 / classes
    if right - guess >= _LEAST_SKILL * (1 - guess):
        return ()
    return (
        f"the listener told the {attribute} of {100 * right:.1f} % of the notes that validated it, and guessing among "
        f"{classes} classes tells {100 * guess:.1f} %: the number says next to nothing about {attribute}",
    )
