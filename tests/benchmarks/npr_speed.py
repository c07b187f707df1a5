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
from collections.abc import Callable
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


def bare_loop(path: Path) -> int:
    """Every element of a message, cleared; how many there are."""
    n_elements = 0
    for _, element in etree.iterparse(str(path)):
        n_elements += 1
        element.clear()
    return n_elements


def reading(path: Path) -> int:
    """A message read into tables; how many records there are."""
    from pipelines.sources.npr.options import NprOptions
    from pipelines.sources.npr.reader import NprReader

    reader = NprReader(NprOptions())
    return sum(part.n_records for file in reader.find(path) for part in reader.read(file))


def timed(work: Callable[[Path], int], path: Path) -> tuple[float, float, int]:
    """What some work takes by the clock on the wall and in processor time, and what it tells."""
    wall, processor = time.perf_counter(), time.process_time()
    told = work(path)
    return time.perf_counter() - wall, time.process_time() - processor, told


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
    reading(small)
    bare, read, dataset = [], [], []
    for _ in range(N_RUNS):
        bare.append(timed(bare_loop, large))
        read.append(timed(reading, large))
        shutil.rmtree(out / "dataset", ignore_errors=True)
        key = open_key(out / "dataset")
        done = pesta("ingest", "npr-melding", large, "--out", out / "dataset", "--key", key, "--quiet")
        dataset.append(done.wall_seconds)
    bare_wall, bare_processor, read_wall, read_processor = (
        statistics.median(run[column] for run in runs) for runs in (bare, read) for column in (0, 1)
    )
    share = bare_wall / read_wall
    peak = peak_mb(large)
    grown = peak - peak_mb(small)
    dataset_seconds = statistics.median(dataset)
    figures = (
        f"{large.stat().st_size / 1e6:.0f} MB, {bare[0][2]:,} elements, {read[0][2]:,} records; "
        f"bare lxml {bare_wall:.2f} s, to tables {read_wall:.2f} s = {share:.0%} of the bare speed "
        f"(bar {BAR_SHARE:.0%}; by processor time {bare_processor / read_processor:.0%}); "
        f"to the finished dataset "
        f"{dataset_seconds:.1f} s = {bare_wall / dataset_seconds:.0%} (no bar); peak memory {peak:.0f} MB, "
        f"{grown:.0f} MB more than for 20 MB (bar {BAR_GROWTH_MB})"
    )
    finish(is_shown=share >= BAR_SHARE and grown <= BAR_GROWTH_MB, figures=figures)


if __name__ == "__main__":
    main()
