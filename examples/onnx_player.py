"""Runs a model that Retimbre has exported. Takes NumPy and onnxruntime, and neither torch nor Retimbre.

    retimbre export onnx inversynth-resmel note-generator envelope --out exported
    python onnx_player.py exported/inversynth-resmel.onnx sound.wav --pitch 440
    python onnx_player.py exported/note-generator.onnx --scale --set family=brass --out notes
    python onnx_player.py exported/envelope.onnx sound.wav --attack 0.2 --release 0.5 --out shaped

An .onnx file that Retimbre has written explains itself: under the key `retimbre` its metadata has the rate and length
of the clips it takes or makes, and what its numbers mean.

- Of an **inverter** the knobs in the order of its outputs, with the value that each class stands for. What is left to
  do is the door: read the file, mix it to one channel, change its rate, begin at the onset, and fit the length.
- Of a **generator** the names of the classes of each attribute. Random numbers and the places of the wanted classes go
  in, samples come out, and are written as they are.
- A generator that puts an **envelope** on a sound does so a window at a time. Windows overlap by half, and fade into
  one another.
"""

import argparse
import json
import math
import struct
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

MOST = 1e6  # times full scale; a sample beyond is no sound
RATES_HZ = (1_000, 768_000)  # of sounds that are read
UNKNOWN_SIZE = 0xFFFFFFFF  # says a program that writes to a pipe; the part goes on to the end of the file
ONSET_DB = -60.0  # a sound begins where it first comes this near to its own peak

# The type of a sample by the format's number and the bits: 1 for integers, 3 for floats. WAV has 8 bits unsigned.
SAMPLE_TYPES = {(1, 8): "u1", (1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}

About = dict[str, Any]
Session = onnxruntime.InferenceSession


def main() -> None:
    """Prints the likeliest value of each knob, or writes sounds."""
    chosen = arguments()
    try:
        session, about = opened(chosen.model)
        names = [given["name"] for given in about["inputs"]]
        if about["kind"] == "inverter" and "audio" in names:
            show(guess(session, about, chosen), as_json=chosen.json)
        elif about["kind"] == "generator" and about["outputs"][0]["name"] == "audio":
            for written in played(session, about, chosen):
                print(written)
        else:
            raise ValueError(
                f"{chosen.model}: neither an inverter that takes audio nor a generator that makes it"
            )
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Runs a model that 'retimbre export onnx' wrote.")
    parser.add_argument("model", type=Path, help="an .onnx file")
    parser.add_argument("sound", type=Path, nargs="?", help="a .wav file: to be matched, or to be reshaped")
    matching = parser.add_argument_group("which knobs made this sound? (inverters)")
    matching.add_argument("--pitch", type=float, help="the key in hertz [default: the model's, 440]")
    matching.add_argument("--gate", type=float, help="seconds the key is held [default: the model's]")
    matching.add_argument("--json", action="store_true", help="print one JSON object")
    making = parser.add_argument_group("sounds (generators)")
    making.add_argument("--out", type=Path, default=Path(), help="the folder to write to [default: here]")
    making.add_argument("--count", type=int, default=4, help="random sounds [default: 4]")
    making.add_argument("--scale", action="store_true", help="one sound at every pitch instead")
    making.add_argument("--set", nargs="+", default=[], metavar="NAME=CLASS", help="classes, as family=brass")
    making.add_argument("--seed", type=int, default=0, help="of the random numbers [default: 0]")
    stages = parser.add_argument_group("envelopes, as parts of the sound; the sustain is a level")
    for name, usual in {"attack": 0.0, "decay": 0.0, "sustain": 1.0, "release": 0.0}.items():
        stages.add_argument(f"--{name}", type=float, default=usual, help=f"0 to 1 [default: {usual:g}]")
    return parser.parse_args()


def opened(model: Path) -> tuple[Session, About]:
    """The model, and what it says of itself.

    Raises:
        ValueError: It is no model, or was not written by Retimbre.
    """
    if not model.is_file():
        raise ValueError(f"{model}: no such file")
    try:
        session = Session(model, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise ValueError(f"{model}: not a model that onnxruntime can run") from error
    about = session.get_modelmeta().custom_metadata_map.get("retimbre")
    if about is None:
        raise ValueError(f"{model}: not exported by Retimbre")
    return session, json.loads(about)


def guess(session: Session, about: About, chosen: argparse.Namespace) -> list[dict]:
    """The likeliest value of each knob, as objects with name, value, unit and probability.

    Raises:
        ValueError: The sound cannot be used.
    """
    if chosen.sound is None:
        raise ValueError("an inverter takes a sound")
    samples, rate_hz = read_wav(chosen.sound)
    clip = fit(from_onset(resample(samples, rate_hz, about["sample_rate"])), about["num_samples"])
    default = about["default_note"]
    given = {
        "audio": clip[None],
        "pitch_hz": np.array([chosen.pitch or default["pitch_hz"]], np.float32),
        "gate_s": np.array([chosen.gate or default["gate_s"]], np.float32),
    }
    probabilities = run(session, about, given)
    return [
        {
            "name": knob["name"],
            "value": knob["values"][row.argmax()],
            "unit": knob["unit"],
            "probability": float(row.max()),
        }
        for knob, row in zip(about["knobs"], probabilities, strict=True)
    ]


def show(guesses: list[dict], *, as_json: bool) -> None:
    """Prints them."""
    if as_json:
        print(json.dumps(guesses, indent=2))
        return
    for knob in guesses:
        value = knob["value"] if isinstance(knob["value"], str) else f"{knob['value']:.4g}"
        print(f"{knob['name']:<16} {value:>10} {knob['unit']:<10} {knob['probability']:.2f}")


def run(session: Session, about: About, given: dict[str, NDArray]) -> NDArray:
    """The first output of one row, of what the graph asks for; what a model passes over is no input of its file."""
    fed = {port["name"]: given[port["name"]] for port in about["inputs"]}
    return np.asarray(session.run([about["outputs"][0]["name"]], fed)[0])[0]


def played(session: Session, about: About, chosen: argparse.Namespace) -> list[Path]:
    """Writes the sounds of a generator, and says where.

    Raises:
        ValueError: It has no such class, or has to be told what cannot be told here.
    """
    asked = dict(entry.partition("=")[::2] for entry in chosen.set)
    if "sound" in about["conditions"]:
        return [reshaped(session, about, chosen, asked)]
    if about["conditions"]:
        raise ValueError(
            f"{chosen.model}: has to be told {' and '.join(about['conditions'])}, which is not done here"
        )
    keys = about["classes"].get("pitch", []) if chosen.scale else []
    if (chosen.scale and not keys) or chosen.count < 1:
        raise ValueError("--scale takes a model that is told the pitch, and --count 1 or more")
    places = []
    for row, key in enumerate(keys or range(chosen.count)):
        # A scale has one latent throughout, so that nothing changes but the pitch.
        given = {"latent": latents(about, chosen.seed, 0 if keys else row)}
        given |= classes(about, asked | ({"pitch": str(key)} if keys else {}))
        places.append(chosen.out / (f"scale_{int(key):03d}.wav" if keys else f"random_{row:04d}.wav"))
        write_wav(places[-1], run(session, about, given), about["sample_rate"])
    return places


def latents(about: About, seed: int, row: int) -> NDArray[np.float32]:
    """The random numbers of one sound; not those that Retimbre draws for the same seed."""
    source = np.random.default_rng([seed, row])
    size = (1, about["latent_dim"])
    drawn = source.standard_normal(size) if about["latent"] == "normal" else source.uniform(-1.0, 1.0, size)
    return drawn.astype(np.float32)


def classes(about: About, asked: dict[str, str]) -> dict[str, NDArray[np.int64]]:
    """The place of the wanted class of each attribute, or of the middle one.

    Raises:
        ValueError: There is no such attribute or class.
    """
    for name, value in asked.items():
        if name not in about["classes"]:
            raise ValueError(
                f"the model has no attribute {name!r}; takes {', '.join(about['classes']) or 'none'}"
            )
        if value not in about["classes"][name]:
            raise ValueError(f"the model has no {name} {value!r}; takes {', '.join(about['classes'][name])}")
    return {
        name: np.array([names.index(asked[name]) if name in asked else len(names) // 2], np.int64)
        for name, names in about["classes"].items()
    }


def reshaped(session: Session, about: About, chosen: argparse.Namespace, asked: dict[str, str]) -> Path:
    """Writes a sound under an envelope.

    Raises:
        ValueError: The sound or the envelope cannot be used, or the model is told none.
    """
    if chosen.sound is None or "envelope" not in about["conditions"]:
        raise ValueError(
            "an envelope is put on a sound, by a model that is told its gain; one of them is missing"
        )
    samples, rate_hz = read_wav(chosen.sound)
    size = about["num_samples"]
    hop = size // 2
    # Half a window of silence on either side, so that every sample is in two windows.
    count = -(-len(samples) // hop) + 1
    padded = np.zeros((count - 1) * hop + size, np.float32)
    padded[hop : hop + len(samples)] = samples
    gain = np.pad(stages(chosen, len(samples)), (hop, len(padded) - hop - len(samples)), mode="edge")
    fade = np.interp(np.arange(size), [0, hop, 2 * hop], [0.0, 1.0, 0.0])
    made = np.zeros(len(padded))
    for start in range(0, count * hop, hop):
        window = slice(start, start + size)
        given = {
            "latent": latents(about, chosen.seed, 0),
            "sound": padded[None, window],
            "envelope": gain[None, window],
        }
        made[window] += fade * run(session, about, given | classes(about, asked))
    place = chosen.out / f"{chosen.sound.stem}.wav"
    if place.resolve() == chosen.sound.resolve():
        raise ValueError(f"{place}: would be written over the sound itself; give another folder with --out")
    write_wav(place, made[hop : hop + len(samples)], rate_hz)
    return place


def stages(chosen: argparse.Namespace, num_samples: int) -> NDArray[np.float32]:
    """The gain of each sample: from 0 up to 1, down to the sustain, and at the end to 0.

    Raises:
        ValueError: A stage is outside 0 to 1, or together they are longer than the sound.
    """
    attack, decay, release = chosen.attack, chosen.decay, chosen.release
    if not all(0.0 <= value <= 1.0 for value in (attack, decay, chosen.sustain, release)):
        raise ValueError("--attack, --decay, --sustain and --release take 0 to 1")
    if attack + decay + release > 1.0 + 1e-9:
        raise ValueError(
            "--attack, --decay and --release are longer than the sound; they take 1 together at most"
        )
    corners = [0.0, attack, attack + decay, 1.0 - release, 1.0]
    gains = [0.0 if attack else 1.0, 1.0, chosen.sustain, chosen.sustain, 0.0 if release else chosen.sustain]
    return np.interp(np.linspace(0.0, 1.0, num_samples), corners, gains).astype(np.float32)


def write_wav(path: Path, samples: NDArray, rate_hz: int) -> None:
    """A sound as 16-bit integers; made softer where it would be cut off."""
    loud = max(1.0, float(np.abs(samples).max(initial=0.0)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.rint(samples / loud * 32767.0).astype("<i2").tobytes())


def read_wav(path: Path) -> tuple[NDArray[np.float64], int]:
    """The channels of a WAV file mixed to one, in [-1, 1], and its sample rate in Hz.

    Raises:
        ValueError: It is no WAV file or only a part of one, its samples are of a type that is not read here, or not all
            of them are numbers.
    """
    chunks = wav_chunks(path)
    if len(chunks.get(b"fmt ", b"")) < 16:
        raise ValueError(f"{path}: a WAV file without a header")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    # An extensible header has the format's number further on.
    if code == 0xFFFE and len(chunks[b"fmt "]) >= 26:
        (code,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    if not channels or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise ValueError(f"{path}: a damaged WAV file: {channels} channels at {rate_hz} Hz")
    samples = decode(chunks.get(b"data", b""), code, bits, str(path))
    whole = len(samples) // channels * channels
    if not whole:
        raise ValueError(f"{path}: a WAV file without samples")
    if not np.abs(samples).max() < MOST:
        raise ValueError(f"{path}: has samples that are not numbers, or beyond {MOST:g} times full scale")
    return samples[:whole].reshape(-1, channels).mean(axis=1), rate_hz


def wav_chunks(path: Path) -> dict[bytes, bytes]:
    """The parts of a WAV file by their names of four bytes.

    Raises:
        ValueError: It is no WAV file, or ends before a part does.
    """
    content = path.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"{path}: not a WAV file")
    chunks, start = {}, 12
    while start + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, start)
        chunks[name] = content[start + 8 : start + 8 + size]
        if len(chunks[name]) < size != UNKNOWN_SIZE:
            what = name.decode("ascii", "replace").strip()
            raise ValueError(
                f"{path}: cut short: {len(chunks[name]):,} of {size:,} bytes of its part {what!r}"
            )
        start += 8 + size + size % 2  # parts begin at even places
    return chunks


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
