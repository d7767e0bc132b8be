"""Training sets as NumPy arrays, in the form that the first InverSynth programs wrote and read.

    clips     float32 or int16 (clips, 1, samples), or (clips, samples), at 16,384 Hz
    labels    (clips, outputs): a block per knob with a one at its class

Labelled clips become a data set of this program, so that they are split, shuffled and checked like any other. The
width of the labels says whose they are: 368 are the 23 knobs of `inversynth`, 256 the 16 of `fm4`, 144 the 9 of `fm`.
Labels whose blocks do not hold exactly one 1 each fit none of them and are refused, as are clips that are not sound.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError, DatasetError, ExistsError
from retimbre.core.files import sha256_of, write_json
from retimbre.data.dataset import Labels
from retimbre.data.layouts import CLIPS_AT_ONCE
from retimbre.data.manifest import HEADER_FILE, Fractions, Header, read_header, write_header, write_manifest
from retimbre.data.store import rows_per_shard, write_shard
from retimbre.dsp import audiofile
from retimbre.matching.pairs import NoteRange
from retimbre.synth import levels
from retimbre.synth.base import REFERENCE_PITCH_HZ, Synth
from retimbre.synth.catalog import find_synth

SAMPLE_RATE = 16_384

# Whose labels these are, by the width of a label.
SYNTH_OF_WIDTH = {368: "inversynth", 256: "fm4", 144: "fm"}

_INT16_FULL_SCALE = 32_768.0

# Synthesizers overshoot full scale by a few times; more are 16-bit numbers that were written as floats.
_LOUDEST = 32.0

# What an unpacked folder was unpacked from.
ORIGIN_FILE = "sounds.json"


def read_clips(path: Path) -> NDArray[Any]:
    """The clips of a `.npy` file as (clips, samples), mapped from the disk and still in the file's number format.

    Raises:
        DatasetError: It is not an array of clips.
    """
    clips = _array(path)
    if clips.ndim == 3 and clips.shape[1] == 1:
        clips = clips[:, 0]
    if clips.ndim != 2 or not clips.size or clips.dtype not in (np.float32, np.float64, np.int16):
        raise DatasetError(
            f"{path}: holds {clips.dtype} {clips.shape}, but takes clips as float32 or int16 (clips, 1, samples)"
        )
    return clips


def read_labels(path: Path, num_clips: int) -> tuple[Synth, Int[Tensor, "clips knobs"]]:
    """The synthesizer that labels belong to, and the class of each of its knobs.

    Raises:
        DatasetError: They are not one-hot labels of a synthesizer, one for each clip.
    """
    labels = _array(path)
    if labels.ndim != 2 or labels.shape[1] not in SYNTH_OF_WIDTH:
        widths = ", ".join(f"{width} ({name})" for width, name in SYNTH_OF_WIDTH.items())
        raise DatasetError(
            f"{path}: holds labels of shape {labels.shape}, but takes (clips, outputs) of {widths}"
        )
    if len(labels) != num_clips:
        raise DatasetError(f"{path}: holds {len(labels)} labels for {num_clips} clips")
    synth = find_synth(SYNTH_OF_WIDTH[labels.shape[1]])
    blocks = np.split(np.asarray(labels), np.cumsum(synth.space.class_counts)[:-1], axis=1)
    for knob, block in zip(synth.space.searched, blocks, strict=True):
        bad = np.flatnonzero(((block != 0) & (block != 1)).any(axis=1) | (block.sum(axis=1) != 1))
        if len(bad):
            raise DatasetError(
                f"{path}: label {bad[0]} does not fit {synth.name}: its classes of {knob.name} are not one 1 among 0s"
            )
    return synth, torch.from_numpy(np.stack([block.argmax(axis=1) for block in blocks], axis=1))


def import_labelled(clips_file: Path, labels_file: Path, out: Path) -> Synth:
    """Makes a data set of clips with labels, unless it is there, and returns its synthesizer.

    Raises:
        DatasetError: The arrays do not hold clips and their labels.
        ExistsError: The folder holds another set.
    """
    clips = read_clips(clips_file)
    synth, classes = read_labels(labels_file, len(clips))
    header = _header(synth, clips, {"clips": sha256_of(clips_file), "labels": sha256_of(labels_file)})
    if (out / HEADER_FILE).exists():
        if read_header(out).fingerprint != header.fingerprint:
            raise ExistsError(f"{out} holds a data set of other clips; name another folder")
        return synth
    _check_samples(clips_file, clips)
    space, size = synth.space, len(clips)
    notes = torch.tensor([REFERENCE_PITCH_HZ, 1.0, synth.default_gate_s]).repeat(size, 1)
    Labels(classes, space.to_unit(space.from_classes(classes)), notes).write(out)
    shards = []
    for shard in range(header.num_shards):
        rows = header.rows_of(shard)
        shards.append(write_shard(out, shard, _samples(clips, rows)))
    write_manifest(out, shards)
    # The header last: without it there is no set, and the next call begins anew.
    write_header(out, header)
    return synth


def unpack_unlabelled(clips_file: Path, out: Path) -> int:
    """Writes each clip as a sound file, unless that was done, and returns how many there are.

    The folder appears whole; `sounds.json` beside it says which clips it holds.

    Raises:
        DatasetError: The array does not hold clips.
        ExistsError: The folder was unpacked from other clips.
    """
    clips = read_clips(clips_file)
    record, origin = out.with_name(ORIGIN_FILE), {"clips": sha256_of(clips_file)}
    if out.is_dir():
        if not record.is_file() or json.loads(record.read_text(encoding="utf-8")) != origin:
            raise ExistsError(
                f"{out} holds the sounds of another training set; name another folder with --out"
            )
        return len(clips)
    _check_samples(clips_file, clips)
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        for row in range(len(clips)):
            samples = torch.from_numpy(_samples(clips, range(row, row + 1))[0])
            audiofile.write(aside / f"{row:06d}.wav", samples, SAMPLE_RATE)
        write_json(record, origin)
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return len(clips)


def _header(synth: Synth, clips: NDArray[Any], origin: dict[str, str]) -> Header:
    size, num_samples = clips.shape
    space, gate_s = synth.space, synth.default_gate_s
    notes = NoteRange(gate_low_s=gate_s, gate_high_s=gate_s)
    return Header(
        kind="rendered",
        size=size,
        sample_rate=SAMPLE_RATE,
        num_samples=num_samples,
        shard_rows=rows_per_shard(num_samples),
        split=Fractions(validation=0.2, test=0.0),
        options={
            "synth": synth.name,
            "space": levels.narrowing(space),
            "columns": {
                "knobs": [each.name for each in space.searched],
                "class_counts": list(space.class_counts),
                "width": space.width,
            },
            "sampling": {"seed": 0, "draw": "classes", "notes": dump(notes)},
            "rendering": {"normalise": False, "device": "cpu"},
            "imported": origin,
        },
    )


def _check_samples(path: Path, clips: NDArray[Any]) -> None:
    """Refuses clips that are not sound, before anything is written."""
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        audio = _samples(clips, range(start, min(start + CLIPS_AT_ONCE, len(clips))))
        bad = np.flatnonzero(~np.isfinite(audio).all(axis=1) | (np.abs(audio) > _LOUDEST).any(axis=1))
        if len(bad):
            raise AudioError(
                f"{path}: clip {start + bad[0]} has samples that are not numbers, or not sound at a full scale of 1"
            )


def _samples(clips: NDArray[Any], rows: range) -> NDArray[np.float32]:
    """Some clips as float32; the amplitude of 16-bit samples does not depend on their rate."""
    chosen = np.asarray(clips[rows.start : rows.stop])
    audio = chosen / _INT16_FULL_SCALE if chosen.dtype == np.int16 else chosen
    return audio.astype(np.float32)


def _array(path: Path) -> NDArray[Any]:
    if path.suffix != ".npy":
        raise ConfigError(f"{path}: takes a .npy file; 'retimbre data folder WAVS --as npy' makes one")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(f"{path}: not a readable array: {reason}") from error
