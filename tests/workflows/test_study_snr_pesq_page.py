"""The page of the noise study in the repository says what the tables beside it say."""

import csv
import math
import re
from pathlib import Path

import pytest

from retimbre.workflows.study.snr_pesq.fronts import SETTINGS

STUDY = Path(__file__).parents[2] / "docs" / "studies" / "snr-pesq"

Address = tuple[str, str, str]  # band, representation, channel
Standings = dict[Address, dict[str, float]]


def table(name: str) -> list[dict[str, str]]:
    with (STUDY / name).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def page() -> str:
    return " ".join((STUDY / "README.md").read_text().split())


@pytest.fixture(scope="module")
def standings() -> Standings:
    """The figures of each curve, in the order of their means; infinity where there is none."""
    return {
        (row["band"], row["representation"], row["channel"]): {
            column: float(row[column] or math.inf) for column in list(row)[3:]
        }
        for row in table("standings.csv")
    }


def costs_of_mel_bands(standings: Standings, column: str, family: str) -> list[float]:
    """How far `mel-FAMILY` is from FAMILY, for all settings and channels where both have a figure."""
    pairs = [
        (row[column], standings[band, f"mel-{name}", channel][column])
        for (band, name, channel), row in standings.items()
        if band == "wide" and name.startswith(f"{family}@")
    ]
    return [abs(plain - mel) for plain, mel in pairs if math.isfinite(plain + mel)]


def test_the_page_s_table_is_that_of_the_standings(standings: Standings) -> None:
    rows = re.findall(r"^\| `(\S+)`, (\w+) \|(.*)\|$", (STUDY / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 22
    for name, channel, figures in rows:
        row = standings["wide", name, channel]
        fair = f"{row['snr_for_3_db']:.1f} dB" if math.isfinite(row["snr_for_3_db"]) else "never"
        columns = ("clean", "mean", "at_10_db", "at_20_db", "at_30_db")
        assert [each.strip() for each in figures.split("|")] == [
            *(f"{row[each]:.2f}" for each in columns),
            fair,
        ]


def test_mel_bands_cost_what_the_table_says(page: str, standings: Standings) -> None:
    ceiling = costs_of_mel_bands(standings, "clean", "stft")
    assert f"{min(ceiling):.2f} to {max(ceiling):.2f} from the STFT" in page
    assert f"at most {max(costs_of_mel_bands(standings, 'clean', 'mag')):.2f} from magnitudes" in page
    for family, words in {"stft": "later in the STFT", "mag": "later in magnitudes"}.items():
        later = costs_of_mel_bands(standings, "snr_for_3_db", family)
        assert f"{min(later):.1f} to {max(later):.1f} dB {words}" in page


def test_griffin_lim_is_above_the_waveform_until_where_the_curves_cross(page: str) -> None:
    scores: dict[str, dict[float, float]] = {}
    for row in table("curves.csv"):
        if row["band"] == "wide" and row["channel"] in ("magnitude", "samples"):
            scores.setdefault(row["representation"], {})[float(row["snr_db"])] = float(row["pesq"])
    until: dict[float, set[str]] = {}
    for setting in SETTINGS:
        curve = scores[f"mag@{setting}"]
        above = [snr for snr in sorted(curve) if curve[snr] > scores["waveform"][snr]]
        assert above == sorted(curve)[: len(above)]  # they cross once
        until.setdefault(above[-1], set()).add(setting)
    said = re.findall(r"until (\d+) dB with ((?:\d+-\d+(?:, | and )?)+)", page)
    assert {float(snr): set(re.findall(r"\d+-\d+", settings)) for snr, settings in said} == until


def test_the_curves_that_lead_and_those_that_are_last_are_the_ones_that_the_page_names(
    standings: Standings,
) -> None:
    in_both = {address[1:] for address in standings if address[0] == "narrow"}
    wide, narrow = (
        [address[1:] for address in standings if address[0] == band and address[1:] in in_both]
        for band in ("wide", "narrow")
    )
    assert set(wide[:6]) == set(narrow[:6])
    assert {name for name, _ in wide[:6]} == {"stft-compressed", "mag-phase@512-128", "mag-phase", "nsgt"}
    assert {name for name, _ in wide[-2:]} == {"mag-if-gated"}
    assert narrow[-1][0] == "mel-mag@512-128"
    plain = [("waveform", "samples"), ("mdct", "coefficients")]
    for address in in_both:
        if address[0].startswith("mel-"):
            assert all(wide.index(address) > wide.index(each) for each in plain)
        if address[0] in ("mel-stft@512-128", "mag", "mag@512-128"):
            assert all(narrow.index(address) < narrow.index(each) for each in plain)
