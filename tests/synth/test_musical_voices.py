"""The musical voices: on pitch, band-limited to the top of the piano, and shaped as their knobs say."""

import numpy as np
import pytest

from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS

RATE = 44_100
HELD = {"attack": 0.001, "decay": 0.01, "sustain": 1.0}
OPEN = {"cutoff": 18_000.0, "filter_env": 0.0, "key_track": 0.0, "resonance": 0.7}
BRIGHTEST: dict[str, tuple[str, dict[str, float | str]]] = {
    "saw": ("subtractive", {**HELD, **OPEN, "wave1": "saw", "mix": 0.0}),
    "narrow pulse": ("subtractive", {**HELD, **OPEN, "wave1": "pulse", "pulse_width": 0.1, "mix": 0.0}),
    "FM, ratio 1": ("fm2op", {**HELD, "ratio": 1.0, "index": 10.0, "index_sustain": 1.0}),
    "FM, ratio 7": ("fm2op", {**HELD, "ratio": 7.0, "index": 10.0, "index_sustain": 1.0}),
    "saw table": ("wavetable", {**HELD, "table": "saw", "position": 1.0, "position_end": 1.0}),
    "vocal table": ("wavetable", {**HELD, "table": "vocal", "position": 1.0, "position_end": 1.0}),
}


def render(name: str, values: dict[str, float | str], pitch_hz: float, seconds: float = 1.5) -> np.ndarray:
    synth = SYNTHS[name]
    note = Note.of(1, pitch_hz=pitch_hz, gate_s=10.0)
    return (
        synth.render(synth.space.from_values(values), note, num_samples=round(seconds * RATE))[0]
        .double()
        .numpy()
    )


def spectrum_of(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power over frequency through a Blackman-Harris window, whose side lobes are under -92 dB."""
    turn = 2.0 * np.pi * np.arange(len(audio)) / len(audio)
    window = 0.35875 - 0.48829 * np.cos(turn) + 0.14128 * np.cos(2 * turn) - 0.01168 * np.cos(3 * turn)
    return np.fft.rfftfreq(len(audio), 1.0 / RATE), np.abs(np.fft.rfft(audio * window)) ** 2


@pytest.mark.parametrize("patch", BRIGHTEST)
@pytest.mark.parametrize("pitch_hz", [27.5, 261.63, 1046.5, 2093.0, 4186.01])
def test_energy_between_the_harmonics_is_under_minus_60_db_up_to_c8(patch: str, pitch_hz: float) -> None:
    name, values = BRIGHTEST[patch]
    audio = render(name, values, pitch_hz)[RATE // 2 :]
    frequency, power = spectrum_of(audio)
    distance = np.abs(frequency - np.round(frequency / pitch_hz) * pitch_hz)
    between = (distance > 8 * RATE / len(audio)) | (frequency < 0.5 * pitch_hz)
    assert 10.0 * np.log10(power[between].sum() / power.sum()) < -60.0


@pytest.mark.parametrize("patch", BRIGHTEST)
def test_a_held_note_is_on_the_pitch_of_its_key(patch: str) -> None:
    name, values = BRIGHTEST[patch]
    frequency, power = spectrum_of(render(name, values, 330.0)[RATE // 2 :])
    near = (frequency > 300.0) & (frequency < 360.0)
    assert frequency[near][power[near].argmax()] == pytest.approx(330.0, abs=1.0)


def test_fm_lines_stand_at_carrier_plus_and_minus_multiples_of_the_modulator() -> None:
    frequency, power = spectrum_of(
        render("fm2op", {**HELD, "ratio": 3.0, "index": 1.0, "index_sustain": 1.0}, 500.0)[RATE // 2 :]
    )
    loud = {round(frequency[index] / 500.0) for index in np.flatnonzero(power > 1e-4 * power.max())}
    assert loud == {1, 2, 4, 5, 7, 8, 10}  # |1 + 3k| for k = -3 .. 3: J_4(1) squared is under 1e-5


@pytest.mark.parametrize(("pitch_hz", "harmonics"), [(1000.0, 20), (5000.0, 4)])
def test_a_saw_has_every_harmonic_that_fits_and_no_more(pitch_hz: float, harmonics: int) -> None:
    frequency, power = spectrum_of(
        render("subtractive", {**HELD, **OPEN, "wave1": "saw", "mix": 0.0}, pitch_hz)[RATE // 2 :]
    )
    peaks = [power[np.abs(frequency - k * pitch_hz) < 5.0].max() for k in range(1, harmonics + 1)]
    assert min(peaks) > 1e-5 * peaks[0]


def test_the_filter_of_the_subtractive_voice_falls_12_db_per_octave() -> None:
    values = {**HELD, **OPEN, "wave1": "saw", "mix": 0.0, "cutoff": 400.0}
    frequency, power = spectrum_of(render("subtractive", values, 100.0)[RATE // 2 :])
    level_db = {k: 10.0 * np.log10(power[np.abs(frequency - 100.0 * k) < 3.0].max()) for k in (16, 32)}
    assert level_db[16] - level_db[32] == pytest.approx(12.0 + 6.0, abs=1.0)  # the saw itself falls by 6


def test_key_tracking_moves_the_cutoff_with_the_key() -> None:
    def tilt_db(pitch_hz: float, track: float) -> float:
        values = {**HELD, **OPEN, "wave1": "saw", "mix": 0.0, "cutoff": 500.0, "key_track": track}
        frequency, power = spectrum_of(render("subtractive", values, pitch_hz)[RATE // 2 :])
        first, eighth = (power[np.abs(frequency - k * pitch_hz) < 4.0].max() for k in (1, 8))
        return 10.0 * np.log10(first / eighth)

    assert tilt_db(523.25, 1.0) == pytest.approx(tilt_db(130.81, 1.0), abs=0.5)
    assert tilt_db(523.25, 0.0) > tilt_db(130.81, 0.0) + 6.0


def test_the_bend_starts_where_it_says_and_dies_away() -> None:
    values = {**HELD, **OPEN, "wave1": "sine", "mix": 0.0, "pitch_bend": 12.0, "bend_time": 0.2}
    audio = render("subtractive", values, 400.0)
    for second, hertz in ((0.02, 400.0 * 2 ** np.exp(-0.02 / 0.2)), (1.4, 400.0)):
        middle = round(second * RATE)
        part = audio[middle - 800 : middle + 800] * np.hanning(1600)
        assert np.abs(np.fft.rfft(part, 1 << 16)).argmax() * RATE / (1 << 16) == pytest.approx(
            hertz, rel=0.01
        )


def test_a_table_position_of_zero_is_nearly_a_sine_and_one_has_all_its_harmonics() -> None:
    for position, quiet in ((0.0, True), (1.0, False)):
        values = {**HELD, "table": "saw", "position": position, "position_end": position}
        frequency, power = spectrum_of(render("wavetable", values, 200.0)[RATE // 2 :])
        tenth_db = 10.0 * np.log10(power[np.abs(frequency - 2000.0) < 4.0].max() / power.max())
        assert (tenth_db < -60.0) == quiet
