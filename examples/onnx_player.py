"""Asks an exported inverter which knobs made a sound. Takes NumPy and onnxruntime, and neither torch nor Retimbre.

    retimbre export onnx inversynth-resmel --out exported
    python onnx_player.py exported/inversynth-resmel.onnx sound.wav --pitch 440

An .onnx file that Retimbre has written explains itself: under the key `retimbre` its metadata has the rate and length
of the clips it takes, and the knobs in the order of its outputs with the value that each class stands for. What is left
to do is the door: read the file, mix it to one channel, change its rate, begin at the onset, and fit the length.
"""

import argparse
import json
import math
import struct
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

ONSET_DB = -60.0  # a sound begins where it first comes this near to its own peak

# The type of a sample by the format's number and the bits: 1 for integers, 3 for floats. WAV has 8 bits unsigned.
SAMPLE_TYPES = {(1, 8): "u1", (1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}


def main() -> None:
    """Prints the likeliest value of each knob, and how likely it is."""
    parser = argparse.ArgumentParser(description="Which knobs made this sound?")
    parser.add_argument("model", type=Path, help="an .onnx file that 'retimbre export onnx' wrote")
    parser.add_argument("sound", type=Path, help="a .wav file")
    parser.add_argument("--pitch", type=float, help="the key in hertz [default: the model's, 440]")
    parser.add_argument("--gate", type=float, help="seconds the key is held [default: the model's]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    try:
        guesses = guess(chosen.model, chosen.sound, pitch_hz=chosen.pitch, gate_s=chosen.gate)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if chosen.json:
        print(json.dumps(guesses, indent=2))
        return
    for knob in guesses:
        value = knob["value"] if isinstance(knob["value"], str) else f"{knob['value']:.4g}"
        print(f"{knob['name']:<16} {value:>10} {knob['unit']:<10} {knob['probability']:.2f}")


def guess(model: Path, sound: Path, *, pitch_hz: float | None, gate_s: float | None) -> list[dict]:
    """The likeliest value of each knob, as objects with name, value, unit and probability.

    Raises:
        ValueError: The model is not an exported inverter that takes audio, or the sound cannot be used.
    """
    if not model.is_file():
        raise ValueError(f"{model}: no such file")
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise ValueError(f"{model}: not a model that onnxruntime can run") from error
    about = json.loads(session.get_modelmeta().custom_metadata_map.get("retimbre", "{}"))
    names = [given["name"] for given in about.get("inputs", [])]
    if about.get("kind") != "inverter" or "audio" not in names:
        raise ValueError(f"{model}: not an inverter that takes audio, exported by Retimbre")
    samples, rate_hz = read_wav(sound)
    clip = fit(from_onset(resample(samples, rate_hz, about["sample_rate"])), about["num_samples"])
    default = about["default_note"]
    given = {
        "audio": clip[None],
        "pitch_hz": np.array([pitch_hz or default["pitch_hz"]], np.float32),
        "gate_s": np.array([gate_s or default["gate_s"]], np.float32),
    }
    (probabilities,) = session.run(["probabilities"], {name: given[name] for name in names})
    return [
        {
            "name": knob["name"],
            "value": knob["values"][row.argmax()],
            "unit": knob["unit"],
            "probability": float(row.max()),
        }
        for knob, row in zip(about["knobs"], probabilities[0], strict=True)
    ]


def read_wav(path: Path) -> tuple[NDArray[np.float64], int]:
    """The channels of a WAV file mixed to one, in [-1, 1], and its sample rate in Hz.

    Raises:
        ValueError: It is no WAV file, or its samples are of a type that is not read here.
    """
    content = path.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"{path}: not a WAV file")
    chunks, start = {}, 12
    while start + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, start)
        chunks[name] = content[start + 8 : start + 8 + size]
        start += 8 + size + size % 2  # chunks begin at even places
    if len(chunks.get(b"fmt ", b"")) < 16 or not chunks.get(b"data"):
        raise ValueError(f"{path}: a WAV file without samples")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if code == 0xFFFE:  # an extensible header has the format's number further on
        (code,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    samples = decode(chunks[b"data"], code, bits, str(path))
    whole = len(samples) // channels * channels
    return samples[:whole].reshape(-1, channels).mean(axis=1), rate_hz


def decode(data: bytes, code: int, bits: int, name: str) -> NDArray[np.float64]:
    """The bytes of samples as numbers in [-1, 1]."""
    if (code, bits) == (1, 24):  # as the upper three bytes of 32
        triples = np.frombuffer(data[: len(data) // 3 * 3], "u1").reshape(-1, 3)
        data, bits = np.pad(triples, ((0, 0), (1, 0))).tobytes(), 32
    if (code, bits) not in SAMPLE_TYPES:
        raise ValueError(f"{name}: format {code} with {bits} bits; takes 8 to 32 bits of integers, or floats")
    samples = np.frombuffer(data[: len(data) // (bits // 8) * (bits // 8)], SAMPLE_TYPES[code, bits])
    if code == 3:
        return samples.astype(np.float64)
    return samples / 2.0 ** (bits - 1) - (1.0 if bits == 8 else 0.0)


def resample(samples: NDArray[np.float64], rate_hz: int, wanted_hz: int) -> NDArray[np.float64]:
    """The sound at another rate: its spectrum cut off, or continued with nothing, at the new half rate."""
    if rate_hz == wanted_hz:
        return samples
    divisor = math.gcd(rate_hz, wanted_hz)
    # Silence up to a length that both rates have whole samples for, and a tenth of a second against wrapping round.
    periods = -(-(len(samples) + rate_hz // 10) // (rate_hz // divisor))
    before, after = periods * (rate_hz // divisor), periods * (wanted_hz // divisor)
    spectrum = np.fft.rfft(samples, before)
    changed = np.fft.irfft(spectrum[: after // 2 + 1], after) * (after / before)
    return changed[: round(len(samples) * wanted_hz / rate_hz)]


def from_onset(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sound without the silence before it.

    Raises:
        ValueError: It is all silence, or has samples that are not numbers.
    """
    loudest = np.abs(samples).max(initial=0.0)
    if not 0.0 < loudest < math.inf:
        raise ValueError("the sound is silent, or not made of numbers")
    return samples[np.argmax(np.abs(samples) >= loudest * 10 ** (ONSET_DB / 20)) :]


def fit(samples: NDArray[np.float64], num_samples: int) -> NDArray[np.float32]:
    """Exactly so many samples: cut, or followed by silence."""
    kept = samples[:num_samples]
    return np.pad(kept, (0, num_samples - len(kept))).astype(np.float32)


if __name__ == "__main__":
    main()
