"""Resonant low-pass filters, computed block by block.

One filter serves every voice: the two-pole low-pass of analogue synthesizers, H(s) = 1 / (s^2 + s/Q + 1),
made digital by the bilinear transform in the state-variable form of Simper. It is a small linear system: two
numbers of state per clip,

    y = c . s + d x,    s' = A s + b x.

A recursion over samples is slow in array code, so the clip is cut into blocks. While the coefficients stand
still (`lowpass`), a block's output is a matrix product: the impulse response as a triangular matrix times the
block's input, plus how the state at its start rings on; and the states at block starts follow from one
another by the same product one level up. While the coefficients move (`swept_filter`), all blocks of all
clips step through their samples side by side, twice: once from rest to find what each block does to its
state, once more from the right state to make the sound.

No circular convolution is involved: nothing wraps around, and the result is the recursion's to float32
rounding.

References:
    A. Simper, "Solving the continuous SVF equations using trapezoidal integration and equivalent currents",
    2013, https://cytomic.com/files/dsp/SvfLinearTrapOptimised2.pdf
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth.fusing import fusible

BLOCK = 64  # samples a block, where the coefficients stand still
SWEPT_BLOCK = 32  # samples for which moving coefficients hold still: 0.7 ms at 44.1 kHz
HIGHEST_SHARE = 0.49  # of the sample rate: the bilinear transform sends the Nyquist frequency to infinity


@dataclasses.dataclass(frozen=True)
class StateSpace:
    """The coefficients of a two-pole filter, each of any common shape: A row by row, b, c and d."""

    a11: Tensor
    a12: Tensor
    a21: Tensor
    a22: Tensor
    b1: Tensor
    b2: Tensor
    c1: Tensor
    c2: Tensor
    d: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "StateSpace":
        """The same filter with every coefficient passed through a function."""
        return StateSpace(*(function(getattr(self, field.name)) for field in dataclasses.fields(self)))

    def step(self, s1: Tensor, s2: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state one sample on."""
        return (
            torch.addcmul(torch.addcmul(self.b1 * x, self.a11, s1), self.a12, s2),
            torch.addcmul(torch.addcmul(self.b2 * x, self.a21, s1), self.a22, s2),
        )

    def output(self, s1: Tensor, s2: Tensor, x: Tensor) -> Tensor:
        """The output of this sample."""
        return torch.addcmul(torch.addcmul(self.d * x, self.c1, s1), self.c2, s2)


def resonant(
    cutoff_hz: Float[Tensor, "..."],
    q: Float[Tensor, "..."],
    sample_rate: float,
    mode: Float[Tensor, "... 3"] | None = None,
) -> StateSpace:
    """The coefficients of the filter.

    Args:
        cutoff_hz: Where the gain is Q; taken as at most 0.49 of the sample rate.
        q: Quality factor, above 0; 0.707 is the flattest, over it the cutoff resonates.
        mode: How much low-pass, band-pass (gain Q at the cutoff) and high-pass to hear; None is all low-pass.
    """
    g = torch.tan(math.pi / sample_rate * cutoff_hz.clamp(max=HIGHEST_SHARE * sample_rate))
    damping = 1.0 / q
    h = 1.0 / (1.0 + g * (g + damping))
    gh, ggh = g * h, g * g * h
    moves = (2.0 * h - 1.0, -2.0 * gh, 2.0 * gh, 1.0 - 2.0 * ggh, 2.0 * gh, 2.0 * ggh)
    low = (gh, 1.0 - ggh, ggh)
    if mode is None:
        return StateSpace(*moves, *low)
    band = (h, -gh, gh)
    high = (-damping * band[0] - low[0], -damping * band[1] - low[1], 1.0 - damping * band[2] - low[2])
    to_low, to_band, to_high = mode.unbind(-1)
    heard = [to_low * low[row] + to_band * band[row] + to_high * high[row] for row in range(3)]
    return StateSpace(*moves, *heard)


# Coefficients that stand still


def lowpass(
    audio: Float[Tensor, "batch samples"],
    cutoff_hz: Float[Tensor, " batch"],
    q: Float[Tensor, " batch"],
    sample_rate: float,
) -> Float[Tensor, "batch samples"]:
    """The resonant low-pass with a constant setting per clip, from rest."""
    batch, num_samples = audio.shape
    blocks = torch.nn.functional.pad(audio, (0, -num_samples % BLOCK)).reshape(batch, -1, BLOCK)
    filter_ = resonant(cutoff_hz.double(), q.double(), sample_rate)
    powers = _powers(_matrix(filter_), BLOCK + 1)
    entry = torch.stack([filter_.b1, filter_.b2], dim=1)[:, None, :, None]
    exit_ = torch.stack([filter_.c1, filter_.c2], dim=1)[:, None, None, :]
    kicks = (powers[:, :-1] @ entry)[..., 0]  # the state that an impulse leaves 1, 2, ... samples later
    ringing = (exit_ @ powers[:, :-1])[:, :, 0]  # how a state sounds 0, 1, ... samples later
    impulse = torch.cat([filter_.d[:, None], (exit_[:, 0] @ kicks[:, :-1].mT)[:, 0]], dim=1)
    starts = _block_starts(blocks, kicks.flip(1).float(), powers[:, -1])
    direct = torch.bmm(blocks, _triangular(impulse.float()))
    return torch.baddbmm(direct, starts, ringing.float().mT).reshape(batch, -1)[:, :num_samples]


def _matrix(filter_: StateSpace) -> Float[Tensor, "batch 2 2"]:
    rows = [torch.stack([filter_.a11, filter_.a12], dim=-1), torch.stack([filter_.a21, filter_.a22], dim=-1)]
    return torch.stack(rows, dim=-2)


def _powers(matrix: Float[Tensor, "batch 2 2"], count: int) -> Float[Tensor, "batch count 2 2"]:
    """The powers 0, 1, ... of each matrix, by doubling."""
    identity = torch.eye(2, dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    powers, factor = identity[:, None], matrix
    while powers.shape[1] < count:
        powers = torch.cat([powers, factor[:, None] @ powers], dim=1)
        factor = factor @ factor
    return powers[:, :count]


def _triangular(impulse: Float[Tensor, "batch block"]) -> Float[Tensor, "batch block block"]:
    """The matrix that convolves a row of a block's input with an impulse response: h[j - i], 0 where j < i."""
    size = impulse.shape[1]
    padded = torch.nn.functional.pad(impulse, (size - 1, 0))
    return padded.unfold(1, size, 1).flip(1)


def _block_starts(
    blocks: Float[Tensor, "batch blocks block"],
    kicks: Float[Tensor, "batch block 2"],
    over_block: Float[Tensor, "batch 2 2"],
) -> Float[Tensor, "batch blocks 2"]:
    """The state at the start of each block: the kicks of all earlier blocks, each rung on over those between."""
    kick = torch.bmm(blocks, kicks).double()
    batch, count, _ = kick.shape
    coarse = 1 << max(0, (count - 1).bit_length() // 2)
    groups = torch.nn.functional.pad(kick, (0, 0, 0, -count % coarse)).reshape(batch, -1, coarse, 2)
    powers = _powers(over_block, coarse + 1)
    state = torch.zeros(batch, groups.shape[1], 2, dtype=kick.dtype, device=kick.device)
    within = []
    for index in range(coarse):
        within.append(state)
        state = state @ over_block.mT + groups[:, :, index]
    start = torch.zeros(batch, 2, dtype=kick.dtype, device=kick.device)
    group_starts = []
    for index in range(groups.shape[1]):
        group_starts.append(start)
        start = (powers[:, -1] @ start[:, :, None])[:, :, 0] + state[:, index]
    rung = torch.einsum("bkij,bgj->bgki", powers[:, :-1], torch.stack(group_starts, dim=1))
    return (torch.stack(within, dim=2) + rung).reshape(batch, -1, 2)[:, :count].float()


# Coefficients that move


def swept_filter(
    audio: Float[Tensor, "batch samples"],
    cutoff_hz: Float[Tensor, "batch blocks"],
    q: Float[Tensor, " batch"],
    sample_rate: float,
    mode: Float[Tensor, "batch 3"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """The resonant filter with a cutoff that moves, from rest.

    Args:
        mode: As in `resonant`, per clip. cutoff_hz: One value per `SWEPT_BLOCK` samples, the last for what is
        left; its state goes on through each change.
    """
    batch, num_samples = audio.shape
    blocks = cutoff_hz.shape[1]
    modes = None if mode is None else mode.double()[:, None]
    exact = resonant(cutoff_hz.double(), q.double()[:, None], sample_rate, modes)
    filter_ = exact.map(lambda entry: entry.float().expand(batch, blocks).reshape(-1))
    padded = torch.nn.functional.pad(audio, (0, blocks * SWEPT_BLOCK - num_samples))
    samples = padded.reshape(batch * blocks, SWEPT_BLOCK).t().contiguous()
    kicks = _kicks(filter_, samples)
    starts = _scan(exact, *(kick.reshape(batch, blocks).double() for kick in kicks))
    return _run(filter_, samples, *starts).t().reshape(batch, -1)[:, :num_samples]


@fusible
def _kicks(filter_: StateSpace, samples: Float[Tensor, "block lanes"]) -> tuple[Tensor, Tensor]:
    """What each block adds to its state, from rest."""
    s1 = s2 = torch.zeros_like(samples[0])
    for x in samples.unbind(0):
        s1, s2 = filter_.step(s1, s2, x)
    return s1, s2


@fusible
def _run(
    filter_: StateSpace, samples: Float[Tensor, "block lanes"], s1: Tensor, s2: Tensor
) -> Float[Tensor, "block lanes"]:
    """The output of each block from its state at the start."""
    out = []
    for x in samples.unbind(0):
        out.append(filter_.output(s1, s2, x))
        s1, s2 = filter_.step(s1, s2, x)
    return torch.stack(out)


@fusible
def _scan(
    filter_: StateSpace, kick1: Float[Tensor, "batch blocks"], kick2: Float[Tensor, "batch blocks"]
) -> tuple[Tensor, Tensor]:
    """The state at the start of each block, flattened and in float32, from what each block adds to its state.

    A block maps its state as s -> M s + kick. Such maps compose, and in log2(blocks) rounds every block
    learns the composition of all before it (Hillis and Steele's scan).
    """
    m11, m12, m21, m22 = _over_block(filter_)
    span = 1
    while span < kick1.shape[1]:
        e1, e2 = kick1[:, :-span], kick2[:, :-span]
        n11, n12, n21, n22 = (_before(entry, span) for entry in (m11, m12, m21, m22))
        t11, t12, t21, t22 = m11[:, span:], m12[:, span:], m21[:, span:], m22[:, span:]
        kick1 = torch.cat([kick1[:, :span], kick1[:, span:] + t11 * e1 + t12 * e2], dim=1)
        kick2 = torch.cat([kick2[:, :span], kick2[:, span:] + t21 * e1 + t22 * e2], dim=1)
        m11, m12, m21, m22 = (
            torch.cat([old[:, :span], new], dim=1)
            for old, new in (
                (m11, t11 * n11 + t12 * n21),
                (m12, t11 * n12 + t12 * n22),
                (m21, t21 * n11 + t22 * n21),
                (m22, t21 * n12 + t22 * n22),
            )
        )
        span *= 2
    at_rest = torch.zeros_like(kick1[:, :1])
    start1, start2 = (
        torch.cat([at_rest, kick[:, :-1]], dim=1).float().reshape(-1) for kick in (kick1, kick2)
    )
    return start1, start2


def _before(entry: Tensor, span: int) -> Tensor:
    return entry[:, :-span]


def _over_block(filter_: StateSpace) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A to the power of the block's length, by squaring."""
    m11, m12, m21, m22 = filter_.a11, filter_.a12, filter_.a21, filter_.a22
    for _ in range(SWEPT_BLOCK.bit_length() - 1):
        trace, cross = m11 + m22, m12 * m21
        m11, m12, m21, m22 = m11 * m11 + cross, m12 * trace, m21 * trace, m22 * m22 + cross
    return m11, m12, m21, m22
