"""Crossing good patches: children take each group of knobs from one of two parents, and turn a few of them."""

import dataclasses
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.matching.propose import Proposals, joined
from retimbre.synth.parameters import Choice, ParameterSpace

HERD = 48


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Herd:
    """The best so far, best first."""

    proposals: Proposals
    losses: Float[Tensor, " batch"]

    @classmethod
    def of(cls, proposals, losses):
        order = losses.argsort(stable=True)[:HERD]
        return cls(proposals[order], losses[order])

    def joined_by(self, children, losses):
        return Herd.of(joined(self.proposals, children), torch.cat([self.losses, losses]))

    def top(self, count):
        return Herd(self.proposals[:count], self.losses[:count])


def breed(space, herd, count, generator, spread=0.08, turn_share=0.15, jump_share=0.03, choice_share=0.08):
    size = len(herd.losses)

    def pick():
        a = torch.randint(0, size, (count, 2), generator=generator)
        return a.amin(1)

    mother, father = pick(), pick()
    groups = sorted({p.group for p in space.searched})
    from_mother = torch.rand(count, len(groups) + 2, generator=generator) < 0.5
    # half of the children have one parent
    single = torch.rand(count, generator=generator) < 0.3
    from_mother[single] = True
    unit = torch.empty(count, space.width)
    start = 0
    for p in space.searched:
        cols = slice(start, start + p.width)
        start += p.width
        take = from_mother[:, groups.index(p.group)][:, None]
        v = torch.where(take, herd.proposals.unit[mother][:, cols], herd.proposals.unit[father][:, cols])
        if isinstance(p, Choice):
            new = torch.nn.functional.one_hot(
                torch.randint(0, p.width, (count,), generator=generator), p.width
            ).float()
            hard = torch.nn.functional.one_hot(v.argmax(1), p.width).float()
            v = torch.where(torch.rand(count, 1, generator=generator) < choice_share, new, hard)
        else:
            moved = v + spread * torch.randn(count, 1, generator=generator)
            moved = torch.where(moved < 0, -moved, moved)
            moved = torch.where(moved > 1, 2 - moved, moved).clamp(0, 1)
            u = torch.rand(count, 1, generator=generator)
            v = torch.where(u < turn_share, moved, v)
            v = torch.where(u > 1 - jump_share, torch.rand(count, 1, generator=generator), v)
        unit[:, cols] = v
    pm = from_mother[:, -1]
    pitch = torch.where(pm, herd.proposals.pitch_hz[mother], herd.proposals.pitch_hz[father])
    cents = 10 * torch.randn(count, generator=generator) * (torch.rand(count, generator=generator) < 0.3)
    gate = torch.where(from_mother[:, -2], herd.proposals.gate_s[mother], herd.proposals.gate_s[father])
    gate = gate * torch.exp(
        0.15 * torch.randn(count, generator=generator) * (torch.rand(count, generator=generator) < 0.3)
    )
    return Proposals(unit, pitch * torch.exp2(cents / 1200), gate)
