"""The page of the study: the figures, what each representation tolerates, and the noise to listen to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retimbre.core.files import whole_file
from retimbre.dsp import audiofile
from retimbre.metrics.speech import BEST, Band
from retimbre.workflows.report.article import Article, Player, Section, player, write_article
from retimbre.workflows.study.snr_pesq.cells import Cell, Row
from retimbre.workflows.study.snr_pesq.curves import FAIR, Curve
from retimbre.workflows.study.snr_pesq.figure import curves_png

# Which SNRs can be listened to on the page, and how much of each sound: what keeps it below ten megabytes.
_HEARD_DB = (10.0, 20.0, 30.0)
_HEARD_S = 2.5

_LEAD = (
    "White noise is added to one channel of a representation, the sound is made audible again, and PESQ says how far "
    "it is from the clean one. A curve that lies high belongs to a channel that forgives errors."
)


def write_pages(folder: Path, result: Row, curves: Sequence[Curve], cells: Sequence[Cell]) -> None:
    """Writes the figures, one for each version of PESQ that was used, and the page."""
    bands: list[Band] = list(dict.fromkeys(curve.band for curve in curves))
    sections = [_sounds(result)]
    for band in bands:
        picture = curves_png(curves, band)
        with whole_file(folder / f"{band}.png") as aside:
            aside.write_bytes(picture)
        sections += [_figure(result, band, picture), _standings(result, band)]
    sections += _listening(cells)
    article = Article(
        "How much noise a representation of speech tolerates", "study", _LEAD, _warnings(result), sections
    )
    write_article(folder / "report.html", article)


def _warnings(result: Row) -> list[str]:
    found = [f"Left out: {line}" for line in result["refused"]] + [
        f"Failed: {line}" for line in result["failed"]
    ]
    if any(sound["made"] for sound in result["sounds"]):
        found.append(
            "These are vowels made for trying the study out, not speech: give it recordings for figures that count."
        )
    if result["unfinished"]:
        found.append(f"{len(result['unfinished'])} parts are not finished. Run the study again to go on.")
    return found


def _sounds(result: Row) -> Section:
    rows = [
        [
            sound["name"],
            f"{sound['band']} band",
            f"{sound['sample_rate']:,} Hz",
            f"{sound['seconds']:.2f} s",
            "; ".join(sound["remarks"]),
        ]
        for sound in result["sounds"]
    ]
    return Section("Sounds", columns=("sound", "PESQ", "rate", "used", "remarks"), rows=rows)


def _figure(result: Row, band: Band, picture: bytes) -> Section:
    count = sum(sound["band"] == band for sound in result["sounds"])
    over = f"over {count} sounds" if count > 1 else f"over {result['repeats']} draws of noise on one sound"
    text = f"Means with 95 % intervals {over}. A perfect sound has {BEST[band]:.2f}. The second channel is dashed."
    return Section(
        f"PESQ over SNR, {band} band", [text], picture, f"PESQ over SNR in the channel, {band} band"
    )


def _standings(result: Row, band: Band) -> Section:
    rows = [row for row in result["standings"] if row["band"] == band]
    told = [key for key in rows[0] if key.startswith("at_")]
    names = [f"{key.removeprefix('at_').removesuffix('_db')} dB" for key in told]
    table = [
        [
            f"{row['representation']}, {row['channel']}",
            *(_score(row[key]) for key in ("clean", "mean", *told)),
            "never" if row["snr_for_3_db"] is None else f"{row['snr_for_3_db']:.1f}",
            str(row["failed"]),
        ]
        for row in rows
    ]
    text = (
        f"Best first by the mean over all SNRs. The last but one column is the SNR in dB from which on PESQ is "
        f"{FAIR:g} or more; the last one counts the sounds that PESQ could not judge, which are in no mean."
    )
    columns = ("representation, channel", "no noise", "mean", *names, f"{FAIR:g} at", "no figure")
    return Section(f"What each tolerates, {band} band", [text], columns=columns, rows=table)


def _score(value: Any) -> str:
    return "–" if value is None else f"{value:.2f}"


def _listening(cells: Sequence[Cell]) -> list[Section]:
    """A table of players for the first sound of each rate."""
    sections, heard = [], set()
    for cell in cells:
        if cell.sample_rate in heard:
            continue
        group = [each for each in cells if each.sound == cell.sound and each.wavs]
        snrs = [snr for snr in _HEARD_DB if any(each.wav(snr).is_file() for each in group)]
        if snrs:
            heard.add(cell.sample_rate)
            sections.append(_players(cell, group, snrs))
    return sections


def _players(first: Cell, group: Sequence[Cell], snrs_db: Sequence[float]) -> Section:
    clean = _player("clean", first.folder / "sounds" / f"{first.sound}.wav")
    rows: list[list[str | Player]] = [["clean", clean, *[""] * (len(snrs_db) - 1)]]
    for cell in group:
        label = f"{cell.front.name}, {cell.channel[1]}"
        paths = [cell.wav(snr) for snr in snrs_db]
        if any(path.is_file() for path in paths):
            rows.append([label, *(_player(label, path) if path.is_file() else "" for path in paths)])
    columns = ("representation, channel", *(f"{snr:g} dB" for snr in snrs_db))
    text = f"The first {_HEARD_S:g} seconds of {first.sound}, with noise in one channel. The folder holds all SNRs."
    return Section("To listen to", [text], columns=columns, rows=rows)


def _player(name: str, path: Path) -> Player:
    sound = audiofile.read(path, max_seconds=_HEARD_S)
    return player(name, sound.samples, sound.sample_rate)
