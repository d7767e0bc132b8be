"""Writes into docs/representations.md what the catalog and the timing study know of each representation.

    python scripts/make_representation_facts.py            write the facts into the page
    python scripts/make_representation_facts.py --check    exit 1 if the page holds others, or lacks an entry

The prose of the page is written by hand. Between `<!-- facts: NAME -->` and `<!-- end -->` stand the formula, shape,
exactness, cost, settings and reference of an entry, and its picture; between `<!-- overview -->` and `<!-- end -->` the
table of all. Costs are those of docs/studies/timing/timing.csv, which `retimbre study timing` writes.
"""

import csv
import inspect
import re
import sys
from pathlib import Path

import torch

from retimbre.core.files import write_text
from retimbre.representation.base import Representation
from retimbre.representation.catalog import REPRESENTATIONS, settings_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "representations.md"
TIMING = DOCS / "studies" / "timing" / "timing.csv"
RATE_HZ = 16_000


def overview() -> str:
    """The table of all entries."""
    costs = measured()
    lines = [
        "| name | features of 1 s | exact | values per sample | encode ms | decode ms | round trip |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, entry in REPRESENTATIONS.items():
        cost = costs.get(name)
        cells = [f"[`{name}`](#{name})", shape_of(entry), "yes" if entry.exact else "no"]
        if cost is None:
            cells += ["-"] * 4
        else:
            cells += [f"{float(cost['values_per_sample']):.2f}", figure(cost["encode_ms"])]
            cells += [figure(cost["decode_ms"]), round_trip(cost)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def facts(name: str, entry: Representation) -> str:
    """The list of facts of an entry, and its picture."""
    cost = measured().get(name)
    lines = [
        f"- **Formula**: {entry.formula}" if entry.formula else "",
        f"- **Channels**: {channels(entry)}" if channels(entry) else "",
        f"- **Features** of a second at 16 kHz: {shape_of(entry)}",
        f"- **Exact**: {exactness(entry, cost)}",
        f"- **Cost**: {price(cost)}" if cost else "",
        f"- **Settings**: {settings(entry)}" if settings(entry) else "",
        f"- **Reference**: {entry.reference}" if entry.reference else "",
    ]
    picture = f"![Three sounds as {name}](pictures/representations/{name}.png)"
    return "\n".join(line for line in lines if line) + f"\n\n{picture}"


def channels(entry: Representation) -> str:
    """What complex numbers become, in the words of the coordinates; nothing for an entry without."""
    coordinates = getattr(entry, "coordinates", None)
    return (inspect.getdoc(type(coordinates)) or "").partition("\n")[0] if coordinates else ""


def shape_of(entry: Representation) -> str:
    """Channels, bins and frames of a second of sound."""
    features = entry.at_rate(RATE_HZ).encode(torch.zeros(1, RATE_HZ))
    return " x ".join(f"{size:,}" for size in features.shape[1:])


def exactness(entry: Representation, cost: dict[str, str] | None) -> str:
    """Whether decoding undoes encoding, and how well it was measured to do so."""
    if not entry.invertible:
        return "no, and it cannot be decoded"
    measured_to_be = "" if cost is None else f"; measured {round_trip(cost)}"
    return f"yes{measured_to_be}" if entry.exact else f"no, decoding is an estimate{measured_to_be}"


def round_trip(cost: dict[str, str]) -> str:
    """What is left after encoding and decoding: samples where they are kept, magnitudes where phases are estimated."""
    if not cost["snr_db"]:
        return "-"
    snr_db, convergence_db = float(cost["snr_db"]), float(cost["convergence_db"])
    if snr_db >= 399:
        return "no error"
    return f"{snr_db:.0f} dB SNR" if snr_db > 10 else f"{convergence_db:.0f} dB spectral convergence"


def price(cost: dict[str, str]) -> str:
    """Milliseconds and memory of a clip."""
    decode = f", decode {figure(cost['decode_ms'])} ms" if cost["decode_ms"] else ""
    return f"encode {figure(cost['encode_ms'])} ms{decode} per clip of 1 s"


def figure(text: str) -> str:
    """Two significant digits, or a dash for what was not measured."""
    if not text:
        return "-"
    value = float(text)
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def settings(entry: Representation) -> str:
    """Every setting with its value, as `--set` takes them."""
    return ", ".join(f"`{name}={value}`" for name, value in settings_of(entry).items())


def measured() -> dict[str, dict[str, str]]:
    """The rows of the timing study by name."""
    with TIMING.open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def filled(page: str) -> str:
    """The page with all facts anew."""
    blocks = {"overview": overview()}
    blocks |= {f"facts: {name}": facts(name, entry) for name, entry in REPRESENTATIONS.items()}
    missing = [mark for mark in blocks if f"<!-- {mark} -->" not in page]
    if missing:
        raise SystemExit(f"error: {PAGE.name} lacks {', '.join(missing)}")
    for mark, content in blocks.items():
        pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", page)
    return page


def main() -> int:
    """Writes or checks the page."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = filled(page)
    if "--check" in sys.argv[1:]:
        print(
            "fresh"
            if fresh == page
            else f"{PAGE} is stale: python scripts/{Path(__file__).name} writes it anew"
        )
        return 0 if fresh == page else 1
    write_text(PAGE, fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
