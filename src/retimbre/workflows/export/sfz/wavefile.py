"""A sound file that says itself which key it is and where it is played in turns.

WAV files are made of chunks, and a reader passes over those that it does not know. The chunk `smpl` tells a sampler
the root key and the loops of a sample. An SFZ file says both, too, and goes before it; but a sampler or an audio editor
that is given the sound file alone has only this. The last sample of a loop is counted in, as in SFZ.

References:
    Multimedia Programming Interface and Data Specifications 1.0 (IBM, Microsoft 1991), and its update of 1994 (smpl)
"""

import struct
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from retimbre.dsp import audiofile

_FORWARD, _FOR_EVER = 0, 0
_RIFF_HEAD = 8


def write_sample(
    path: Path,
    samples: Float[Tensor, " samples"],
    sample_rate: int,
    key: int,
    loop: tuple[int, int] | None,
) -> None:
    """Writes a WAV file of 16-bit integers with the chunk `smpl`.

    Args:
        path: Of the file.
        samples: Within full scale.
        sample_rate: Hz.
        key: The MIDI number of the key that it is.
        loop: The first and the last sample of the turn; None for none.
    """
    audiofile.write(path, samples, sample_rate, integers=True)
    chunk = smpl_chunk(sample_rate, key, loop)
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        padding = size % 2
        file.write(b"\0" * padding + chunk)
        file.seek(4)
        file.write(struct.pack("<I", size + padding + len(chunk) - _RIFF_HEAD))


def smpl_chunk(sample_rate: int, key: int, loop: tuple[int, int] | None) -> bytes:
    """The chunk as bytes: nine numbers, and six for each loop."""
    period_ns = round(1e9 / sample_rate)
    loops = [] if loop is None else [(0, _FORWARD, loop[0], loop[1], 0, _FOR_EVER)]
    head = struct.pack("<9I", 0, 0, period_ns, key, 0, 0, 0, len(loops), 0)
    body = head + b"".join(struct.pack("<6I", *each) for each in loops)
    return b"smpl" + struct.pack("<I", len(body)) + body
