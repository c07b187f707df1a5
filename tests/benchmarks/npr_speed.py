"""A 50 MB NPR-melding: read into tables at half the speed of a bare lxml loop over the same file, or more.

The bare loop is `etree.iterparse` over all elements, each cleared, and nothing else. Reading is what the
first stage of `pesta ingest npr-melding` does, up to tables ready to be mapped; the finished, sorted dataset
with contacts, codings and lineage is timed beside it (start of the process included), without a bar. All are
medians of alternating runs. Memory is the peak of a process that reads the message, against one that reads a
message of 20 MB: it may not grow by more than 40 MB.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import arguments, finish, open_key, pesta
from lxml import etree
from npr_mutations import header

N_BYTES = 50_000_000
N_RUNS = 5
BAR_SHARE = 0.5
BAR_GROWTH_MB = 40
READ = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from harness import own_peak_mb
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.reader import NprReader
reader = NprReader(NprOptions())
for file in reader.find(Path({path!r})):
    for part in reader.read(file):
        pass
print(own_peak_mb())
"""


def write_message(path: Path, n_bytes: int) -> None:
    """A message of the ord module: patients with one to five episodes of one to five conditions."""
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n' + header(57, "ord", 1) + "\n")
        file.write('<Institusjon institusjonID="974706490">\n')
        for unit in range(1, 13):
            file.write(
                f'<Enhet enhetID="{unit}" enhetLokal="Sengepost {unit}" orgNr="974706490" sektor="1"/>\n'
            )
        patient = number = 0
        while file.tell() < n_bytes:
            patient += 1
            file.write(f' <Objektholder pasientNr="{patient}">\n')
            file.write(f'  <Pasient kjonn="{draw.choice("12")}" fodselsar="{draw.randint(1930, 2020)}"/>\n')
            for _ in range(draw.randint(1, 5)):
                number += 1
                file.write(_episode(number, draw))
            file.write(" </Objektholder>\n")
        file.write("</Institusjon></Melding>\n")


def _episode(number: int, draw: random.Random) -> str:
    day = f"2023-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    conditions = "".join(
        f'   <Tilstand tilstNr="{place}"><Kode kodeNr="1" Kodeverk="D" kodeVersjon="2023" '
        f'kodeVerdi="A{draw.randint(100, 999)}"/></Tilstand>\n'
        for place in range(1, draw.randint(1, 5) + 1)
    )
    procedures = "".join(
        f'   <Tjeneste startDatoTid="{day}T09:00:00"><Tiltak typeTiltak="1"><Prosedyre prosNr="1" '
        'tilstNr="1">'
        f'<Kode kodeNr="1" Kodeverk="M" kodeVersjon="2023" kodeVerdi="WBGM{draw.randint(10, 99)}"/>'
        "</Prosedyre>"
        "</Tiltak></Tjeneste>\n"
        for _ in range(draw.randint(0, 2))
    )
    return (
        f'  <Episode episodeID="{number}" henvisningsperiodeID="{number}" innDatoTid="{day}T08:00:00" '
        f'utDatoTid="{day}T15:30:00" debitor="1" komNrHjem="5001" inntilstand="1" innmateHast="4" '
        f'omsorgsniva="{draw.choice("123")}" utTilstand="1" fraSted="1" tilSted="1">\n'
        '   <Kontakt kontaktType="2" stedAktivitet="1"><Helseperson polUtforende="1"/></Kontakt>\n'
        f'   <RefEnhet enhetID="{draw.randint(1, 12)}" typeEnhet="7"/>'
        f'<RefEnhet enhetID="{draw.randint(1, 12)}" typeEnhet="2"/><RefEnhet enhetID="1" typeEnhet="1"/>\n'
        f"{conditions}{procedures}  </Episode>\n"
    )


def bare_seconds(path: Path) -> tuple[float, int]:
    """What a bare loop takes, and how many elements it meets."""
    started = time.perf_counter()
    n_elements = 0
    for _, element in etree.iterparse(str(path)):
        n_elements += 1
        element.clear()
    return time.perf_counter() - started, n_elements


def reading_seconds(path: Path) -> float:
    """What reading into tables takes."""
    from pipelines.sources.npr.options import NprOptions
    from pipelines.sources.npr.reader import NprReader

    started = time.perf_counter()
    reader = NprReader(NprOptions())
    for file in reader.find(path):
        for _ in reader.read(file):
            pass
    return time.perf_counter() - started


def peak_mb(path: Path) -> float:
    """The peak memory of a process that reads a message."""
    code = READ.format(here=str(Path(__file__).parent), path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    out = arguments(__doc__ or "").out
    out.mkdir(parents=True, exist_ok=True)
    large, small = out / "large.xml", out / "small.xml"
    for path, n_bytes in ((large, N_BYTES), (small, N_BYTES * 2 // 5)):
        if not path.exists():
            write_message(path, n_bytes)
    reading_seconds(small)
    bare, reading, dataset = [], [], []
    for _ in range(N_RUNS):
        seconds, n_elements = bare_seconds(large)
        bare.append(seconds)
        reading.append(reading_seconds(large))
        shutil.rmtree(out / "dataset", ignore_errors=True)
        key = open_key(out / "dataset")
        done = pesta("ingest", "npr-melding", large, "--out", out / "dataset", "--key", key, "--quiet")
        dataset.append(done.wall_seconds)
    share = statistics.median(bare) / statistics.median(reading)
    grown = peak_mb(large) - peak_mb(small)
    figures = (
        f"{large.stat().st_size / 1e6:.0f} MB, {n_elements:,} elements; "
        f"bare lxml {statistics.median(bare):.2f} s, to tables {statistics.median(reading):.2f} s = "
        f"{share:.0%} of the bare speed (bar {BAR_SHARE:.0%}); "
        f"to the finished dataset {statistics.median(dataset):.1f} s = "
        f"{statistics.median(bare) / statistics.median(dataset):.0%} (no bar); "
        f"peak memory {peak_mb(large):.0f} MB, {grown:.0f} MB more than for 20 MB "
        f"(bar {BAR_GROWTH_MB})"
    )
    finish(is_shown=share >= BAR_SHARE and grown <= BAR_GROWTH_MB, figures=figures)


if __name__ == "__main__":
    main()
