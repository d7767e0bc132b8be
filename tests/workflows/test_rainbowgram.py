"""Rainbowgrams: hue tells the tuning, lightness the level, and every sound has a picture."""

import io
import math

import pytest
import torch
from PIL import Image
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.core.random import generator
from retimbre.workflows.report import rainbowgram
from retimbre.workflows.report.rainbow import C1_HZ, ROWS_PER_OCTAVE, RainbowAxes, rainbow, rainbow_axes
from retimbre.workflows.report.rainbowgram import (
    RainbowSound,
    rainbow_pixels,
    rainbowgram_grid_png,
    rainbowgram_png,
)

RATE = 16_000


def tone(frequency_hz: float, seconds: float = 1.5, rate: int = RATE, gain: float = 0.5) -> Tensor:
    time_s = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (gain * torch.sin(2 * math.pi * frequency_hz * time_s)).float()


def from_quarter_tone(frequency_hz: float) -> float:
    steps = 24 * math.log2(frequency_hz / 440.0)
    return 50 * (steps - round(steps))


def row_of(frequency_hz: float, axes: RainbowAxes) -> int:
    return round(ROWS_PER_OCTAVE * math.log2(frequency_hz / axes.low_hz))


def middle(values: Tensor) -> Tensor:
    """The columns between the first and the last quarter, which do not hear where the tone begins and ends."""
    return values[..., values.shape[-1] // 4 : -values.shape[-1] // 4]


@pytest.mark.parametrize("frequency_hz", [196.0, 440.0, 446.0, 5000.0])
def test_a_steady_tone_has_one_hue_along_its_ridge_and_it_is_its_tuning(frequency_hz: float) -> None:
    axes = RainbowAxes(1.5)
    painted = rainbow(tone(frequency_hz), RATE, axes)
    ridge = row_of(frequency_hz, axes)
    assert int(middle(painted.level_db).mean(dim=1).argmax()) == ridge
    cents = middle(painted.tuning_cents[ridge])
    # A band hears up to a second, so the ends of the tone are heard a little everywhere; the eye parts some 5 cents.
    assert (cents - from_quarter_tone(frequency_hz)).abs().max() < 0.5


def test_all_rows_that_hear_a_tone_have_its_hue() -> None:
    axes = RainbowAxes(1.5)
    frequency_hz = 440.0 * 2.0 ** (20 / 1200)
    painted = rainbow(tone(frequency_hz), RATE, axes)
    heard = middle(painted.level_db).amin(dim=1) > -40.0
    assert int(heard.sum()) >= 2
    assert (middle(painted.tuning_cents[heard]) - 20.0).abs().max() < 0.5


def test_octaves_of_a_note_have_the_hue_of_the_note() -> None:
    axes = RainbowAxes(1.5)
    partials = [440.0 * 2.0 ** (octave + 10 / 1200) for octave in range(4)]
    painted = rainbow(sum((tone(each, gain=0.2) for each in partials), torch.zeros(24_000)), RATE, axes)
    cents = [middle(painted.tuning_cents[row_of(each, axes)]).median().item() for each in partials]
    assert cents == pytest.approx([10.0] * 4, abs=0.5)


def test_a_tone_in_the_middle_of_a_row_has_its_own_level() -> None:
    painted = rainbow(tone(440.0, gain=0.1), RATE, RainbowAxes(1.5))
    # The row stands on the nearest line of the spectrum, half a hertz away at most.
    assert middle(painted.level_db).max().item() == pytest.approx(-20.0, abs=0.1)


def test_vibrato_swings_the_hue_and_a_steady_tone_does_not() -> None:
    rate_hz, depth_cents = 5.0, 10.0
    time_s = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    cents = depth_cents * torch.sin(2 * math.pi * rate_hz * time_s)
    wobbling = torch.sin(2 * math.pi * (3520.0 * 2.0 ** (cents / 1200)).cumsum(0) / RATE).float()
    axes = RainbowAxes(2.0)
    heard = middle(rainbow(wobbling, RATE, axes).tuning_cents[row_of(3520.0, axes)])
    # Bands of 200 Hz hear for a fortieth of a second, an eighth of the vibrato's period, and flatten it a little.
    assert heard.max().item() == pytest.approx(depth_cents, rel=0.1)
    assert heard.min().item() == pytest.approx(-depth_cents, rel=0.1)


def test_a_click_has_one_hue_from_top_to_bottom() -> None:
    axes = RainbowAxes(0.5)
    click = torch.zeros(RATE // 2)
    click[RATE // 4] = 1.0
    painted = rainbow(click, RATE, axes)
    column = painted.tuning_cents[: row_of(6000.0, axes), painted.tuning_cents.shape[1] // 2]
    # A row stands on the nearest line of the spectrum, half of 0.4 Hz away at most: 10 cents at C1, 1.3 at C4.
    assert column.abs().max() < 10.0
    assert column[3 * ROWS_PER_OCTAVE :].abs().max() < 1.3


def test_what_comes_first_is_left_and_what_is_high_is_on_top() -> None:
    axes = RainbowAxes(2.0)
    sound = torch.cat([tone(1000.0, 1.0), tone(2000.0, 1.0)])
    level_db = rainbow(sound, RATE, axes).level_db
    early, late = level_db[:, level_db.shape[1] // 4], level_db[:, 3 * level_db.shape[1] // 4]
    assert int(late.argmax()) - int(early.argmax()) == ROWS_PER_OCTAVE


@pytest.mark.parametrize(("rate", "num_samples"), [(8_000, 0), (8_000, 1), (RATE, 4_000), (96_000, 960)])
def test_silence_is_dark_at_every_rate_and_length(rate: int, num_samples: int) -> None:
    silence = torch.zeros(num_samples)
    axes = rainbow_axes([silence], [rate])
    assert bool((rainbow_pixels(silence, rate, axes) == 0).all())
    painted = rainbow(silence, rate, axes)
    assert painted.level_db.unique().tolist() == [-120.0]
    assert painted.tuning_cents.unique().tolist() == [0.0]


@pytest.mark.parametrize(("rate", "num_samples"), [(100, 1), (8_000, 2), (RATE, 4_001), (96_000, 1)])
def test_every_sound_has_a_picture_of_numbers(rate: int, num_samples: int) -> None:
    sound = 0.1 * torch.randn(num_samples, generator=generator(0, "test noise"))
    painted = rainbow(sound, rate, rainbow_axes([sound], [rate]))
    assert bool(painted.level_db.isfinite().all())
    assert painted.tuning_cents.abs().max() <= 25.0


def test_what_one_picture_shows_does_not_depend_on_the_rate_of_the_file() -> None:
    axes = RainbowAxes(1.5, high_hz=3_000.0)
    low, high = (middle(rainbow(tone(440.0, rate=rate), rate, axes).level_db) for rate in (8_000, 96_000))
    assert len(low) == len(high) == axes.num_rows
    at = row_of(440.0, axes)
    # Half a line of the spectrum, on which the row stands.
    assert low[at].mean().item() == pytest.approx(high[at].mean().item(), abs=0.1)


def test_above_half_its_rate_a_sound_is_dark() -> None:
    axes = RainbowAxes(0.5, high_hz=16_000.0)
    noise = torch.randn(4_000, generator=generator(0, "test noise"))
    level_db = rainbow(noise, 8_000, axes).level_db
    assert bool((level_db[axes.rows_below(4_000.0) :] == -120.0).all())
    assert len(level_db) == axes.num_rows


def test_axes_hold_every_sound_in_the_octaves_in_which_there_is_something() -> None:
    axes = rainbow_axes([tone(440.0, 0.5), tone(1000.0, 1.0, 8_000, gain=0.9)], [RATE, 8_000])
    assert axes.seconds == 1.0
    # The top is at the louder tone, half a row off its level at most.
    assert axes.top_db == pytest.approx(20 * math.log10(0.9), abs=6.1)
    assert axes.low_hz <= 440.0 <= 1000.0 <= axes.high_hz
    assert math.log2(axes.low_hz / C1_HZ) == pytest.approx(round(math.log2(axes.low_hz / C1_HZ)), abs=1e-9)
    assert rainbow_axes([tone(100.0, 31.0, 1_000)], [1_000]).seconds == 30.0


def test_louder_is_lighter_in_every_hue() -> None:
    axes = RainbowAxes(1.5)
    for cents in (-20, 0, 20):
        frequency_hz = 440.0 * 2.0 ** (cents / 1200)
        colours = [
            middle(rainbow_pixels(tone(frequency_hz, gain=gain), RATE, axes)[row_of(frequency_hz, axes)].T)
            for gain in (0.003, 0.03, 0.3)
        ]
        luma = [
            (colour.double().mean(dim=1) @ torch.tensor([0.2126, 0.7152, 0.0722]).double())
            for colour in colours
        ]
        assert luma == sorted(luma)
        assert luma[0] < luma[2]


def test_all_hues_of_a_level_are_equally_light() -> None:
    colours = rainbowgram._colours()[-1].double() / 255
    linear = torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ torch.tensor([0.2126, 0.7152, 0.0722]).double()
    lightness = 116 * luminance ** (1 / 3) - 16  # CIE L*, another model of the eye
    # The wheel of a screen spans 32 (blue) to 97 (yellow).
    assert float(lightness.max() - lightness.min()) < 8.0


def size_of(png: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return image.size


def test_a_picture_has_its_size_and_the_colours_of_the_sound() -> None:
    png = rainbowgram_png(tone(440.0), RATE, title="A4")
    assert size_of(png) == (594, 352)
    assert len(png) < 60_000
    shown = torch.frombuffer(
        bytearray(Image.open(io.BytesIO(png)).convert("RGB").tobytes()), dtype=torch.uint8
    )
    black = (shown.reshape(-1, 3) == 0).all(dim=1)
    assert 0.4 < black.double().mean() < 0.9


def test_a_grid_has_room_for_every_sound_on_the_same_axes() -> None:
    sound = RainbowSound(tone(440.0, 0.3), RATE)
    one = rainbowgram_grid_png([[sound]], ["row"], ["column"])
    six = rainbowgram_grid_png([[sound, None, sound]] * 2, ["a", "b"], ["1", "2", "3"])
    assert size_of(one) == (396, 286)
    assert size_of(six) == (968, 517)


BAD = {
    "no sound": (lambda: rainbowgram_grid_png([[None]], ["a"], ["b"]), "no sounds"),
    "a name too few": (
        lambda: rainbowgram_grid_png([[None, None]], ["a"], ["b"]),
        "1 of columns; takes one each",
    ),
    "not a number": (lambda: rainbowgram_png(torch.tensor([0.0, math.nan]), RATE), "finite"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_has_no_picture_is_told_in_one_line(kind: str) -> None:
    call, words = BAD[kind]
    with pytest.raises(AudioError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
