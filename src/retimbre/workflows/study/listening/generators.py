"""Generators in a listening test: all of them are asked for the same notes, from the same latents.

Two generators can only be compared by ear on sounds of the same thing. So a test has one list of questions: so many
items, each with labels (a key, a velocity, a family) and a latent, and every generator answers all of them. Where there
are real sounds, the labels are theirs, and item and real sound have one name; where there are none, every class that
all the generators know is asked for equally often.

A latent is what its generator makes of it: the same numbers are not the same timbre in two models. But taking the same
ones for all leaves no room for a lucky draw, and two versions of one model are then heard on the same sounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.random import generator
from retimbre.gan.base import Classes
from retimbre.workflows.evaluation.sets.labels import labels_of
from retimbre.workflows.generate.names import note_name
from retimbre.workflows.generate.player import Asked, Player
from retimbre.workflows.study.listening.sounds import Excerpt, cut_to
from retimbre.workflows.study.listening.systems import SoundFolder, System


@final
@dataclass(frozen=True)
class Questions:
    """What every generator of a test is asked.

    Attributes:
        items: A key for each.
        labels: For attributes that are known, the class of each item; a generator draws the others.
        seed: Of the latents, and of the classes that are drawn.
    """

    items: tuple[str, ...]
    labels: Mapping[str, Sequence[Any]]
    seed: int


@final
@dataclass(frozen=True, eq=False)
class GeneratedSounds(System):
    """A generator's answers to the questions, made when they are needed; made by `answers_of`.

    Attributes:
        player: The generator.
        items: The keys of its sounds.
        latents: A row for each.
        asked: Their classes.
        remarks: What should be known of the sound of an item, by key.
    """

    name: str
    player: Player
    items: tuple[str, ...]
    latents: Float[Tensor, "items latent"]
    asked: Asked
    remarks: Mapping[str, tuple[str, ...]]

    @property
    def keys(self) -> tuple[str, ...]:
        """See `System`."""
        return tuple(sorted(self.items))

    @property
    def source(self) -> str:
        """The model."""
        return self.player.name

    def excerpt(self, key: str, seconds: float) -> Excerpt:
        """See `System`; a sound is made alone, so that it does not depend on the others."""
        row = self.items.index(key)
        classes = {name: values[row : row + 1] for name, values in self.asked.items()}
        samples = self.player.play(self.latents[row : row + 1], classes, [f"sound {row}"])[0]
        return cut_to(samples, self.player.sounds.sample_rate, seconds, self.remarks.get(key, ()))


def questions_about(real: SoundFolder, seed: int) -> Questions:
    """One question for each real sound, for what its file's name says it is.

    Raises:
        DatasetError: The list of labels beside the sounds cannot be read.
    """
    items = real.keys
    known, _ = labels_of([real.files[item] for item in items])
    return Questions(items, known.known(), seed)


def balanced_questions(players: Sequence[Player], count: int, seed: int) -> Questions:
    """So many questions; each class that all generators know is in as many as any other, to within one."""
    shared = _shared_classes([player.sounds.classes for player in players])
    labels = {name: balanced_classes(name, classes, count, seed) for name, classes in shared.items()}
    items = tuple(note_name(f"{row:04d}", labels, row) for row in range(count))
    return Questions(items, labels, seed)


def answers_of(name: str, player: Player, questions: Questions) -> GeneratedSounds:
    """A generator as a system of the test.

    A velocity that it does not know becomes the nearest one. Of any other class that it does not know, one is drawn,
    and the sound gets a remark.
    """
    asked: dict[str, tuple[str, ...]] = {}
    remarks: dict[str, tuple[str, ...]] = {}
    count = len(questions.items)
    for attribute, classes in player.sounds.classes.items():
        drawn = balanced_classes(attribute, classes, count, questions.seed)
        wanted = questions.labels.get(attribute, drawn)
        asked[attribute] = tuple(
            _known(attribute, str(each), classes, instead)
            for each, instead in zip(wanted, drawn, strict=True)
        )
        for item, each, made in zip(questions.items, wanted, asked[attribute], strict=True):
            if str(each) not in classes and attribute != "velocity":
                told = f"it knows no {attribute} {each}, so it was asked for {made}"
                remarks[item] = (*remarks.get(item, ()), told)
    latents = player.sounds.draw_latents(count, seed=questions.seed, purpose="listening")
    return GeneratedSounds(name, player, questions.items, latents, asked, remarks)


def balanced_classes(attribute: str, classes: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """So many classes in a drawn order, each as often as any other to within one."""
    rounds = -(-count // len(classes))
    orders = [
        torch.randperm(len(classes), generator=generator(seed, f"listening {attribute}", turn)).tolist()
        for turn in range(rounds)
    ]
    places: list[int] = [place for order in orders for place in order]
    return tuple(classes[place] for place in places[:count])


def _shared_classes(tables: Sequence[Classes]) -> dict[str, tuple[str, ...]]:
    """The attributes that all generators are told, with the classes that all of them know."""
    found: dict[str, tuple[str, ...]] = {}
    for name, classes in tables[0].items():
        both = tuple(each for each in classes if all(each in other.get(name, ()) for other in tables))
        if both:
            found[name] = both
    return found


def _known(attribute: str, wanted: str, classes: Sequence[str], instead: str) -> str:
    if wanted in classes:
        return wanted
    if attribute == "velocity":
        return min(classes, key=lambda each: (abs(int(each) - int(wanted)), int(each)))
    return instead
