"""Maps keep relation and source; the sssom package reads what is written here, and the other way round."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ontology.concepts import MAPPINGS
from ontology.errors import InputError
from ontology.maps import RANKS, TURNED, read_sssom, translate, write_sssom

MAP = pl.DataFrame(
    [
        ("ICD10-NO//A41.9", "exactMatch", "ICD10//A41.9", "directorate"),
        ("ICD10//A41.9", "broadMatch", "ICD11//1G40", "WHO"),
        ("ICD10//R65.1", "closeMatch", "ICD11//1G41", "WHO"),
        ("ICD10//R65.1", "relatedMatch", "ICD11//1G40", "WHO"),
        ("NLK//NOR05001", "replaced_by", "NLK//NPU29069", "list 7280"),
    ],
    MAPPINGS,
    orient="row",
)

# the package calls pandas in ways that the newest pandas warns of
quietly = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

HEADER = """#curie_map:
#  WHO10: http://hl7.org/fhir/sid/icd-10/
#  MONDO: http://purl.obolibrary.org/obo/MONDO_
#mapping_set_id: https://example.org/set
#mapping_set_title: A small set
#license: https://creativecommons.org/licenses/by/4.0/
"""
COLUMNS = "subject_id\tpredicate_id\tobject_id\tmapping_justification\tpredicate_modifier\tmapping_source\n"


def written(folder: Path, rows: str, header: str = HEADER) -> Path:
    file = folder / "set.sssom.tsv"
    file.write_text(header + COLUMNS + rows, "utf-8")
    return file


def test_a_translation_says_how_close_it_is_and_who_says_so() -> None:
    found = translate(pl.Series(["ICD10//A41.9", "ICD10//R65.1", "ICD10//Z99"]), MAP, "ICD11")
    assert found.rows() == [
        ("ICD10//A41.9", "ICD11//1G40", "broadMatch", "WHO"),
        ("ICD10//R65.1", "ICD11//1G41", "closeMatch", "WHO"),
        ("ICD10//Z99", None, None, None),
    ]


def test_a_map_is_read_backwards_with_the_relation_turned() -> None:
    found = translate(pl.Series(["ICD11//1G40", "ICD11//1G41"]), MAP, "ICD10", closest_only=False)
    assert found.rows() == [
        ("ICD11//1G40", "ICD10//A41.9", "narrowMatch", "WHO"),
        ("ICD11//1G40", "ICD10//R65.1", "relatedMatch", "WHO"),
        ("ICD11//1G41", "ICD10//R65.1", "closeMatch", "WHO"),
    ]


def test_looser_relations_can_be_refused() -> None:
    found = translate(pl.Series(["ICD11//1G40"]), MAP, "ICD10", furthest="broadMatch")
    assert found.rows() == [("ICD11//1G40", None, None, None)]


def test_what_replaced_a_code_is_no_translation() -> None:
    assert translate(pl.Series(["NLK//NOR05001"]), MAP, "NLK")["found"].to_list() == [None]


def test_a_map_comes_back_from_sssom_as_it_was(tmp_path: Path) -> None:
    write_sssom(MAP, tmp_path / "map.sssom.tsv", set_id="https://example.org/map")
    assert read_sssom(tmp_path / "map.sssom.tsv").rows() == MAP.sort(pl.all()).rows()


@quietly
def test_the_sssom_package_reads_what_is_written_here(tmp_path: Path) -> None:
    parsers = pytest.importorskip("sssom.parsers")
    write_sssom(MAP, tmp_path / "map.sssom.tsv", set_id="https://example.org/map")
    read = parsers.parse_sssom_table(tmp_path / "map.sssom.tsv")
    rows = set(read.df[["subject_id", "predicate_id", "object_id"]].itertuples(index=False, name=None))
    assert rows == {
        ("ICD10-NO:A41.9", "skos:exactMatch", "ICD10:A41.9"),
        ("ICD10:A41.9", "skos:broadMatch", "ICD11:1G40"),
        ("ICD10:R65.1", "skos:closeMatch", "ICD11:1G41"),
        ("ICD10:R65.1", "skos:relatedMatch", "ICD11:1G40"),
        ("NLK:NOR05001", "IAO:0100001", "NLK:NPU29069"),
    }
    assert read.prefix_map["ICD10"] == "http://hl7.org/fhir/sid/icd-10/"


@quietly
def test_what_the_sssom_package_writes_is_read_here(tmp_path: Path) -> None:
    parsers, writers = pytest.importorskip("sssom.parsers"), pytest.importorskip("sssom.writers")
    rows = "WHO10:A41.9\tskos:exactMatch\tMONDO:0005087\tsemapv:ManualMappingCuration\t\t\n"
    again = tmp_path / "again.sssom.tsv"
    with again.open("w", encoding="utf-8") as file:
        writers.write_table(parsers.parse_sssom_table(written(tmp_path, rows)), file)
    assert read_sssom(again).rows() == [("ICD10//A41.9", "exactMatch", "MONDO//0005087", "A small set")]


def test_prefixes_negations_missing_terms_and_sources(tmp_path: Path) -> None:
    just = "semapv:ManualMappingCuration"
    rows = (
        f"WHO10:A41.9\tskos:exactMatch\tMONDO:0005087\t{just}\t\tINFORES:x\n"
        f"WHO10:A41.8\tskos:exactMatch\tMONDO:0005087\t{just}\tNot\t\n"
        f"WHO10:A41.7\tskos:exactMatch\tsssom:NoTermFound\t{just}\t\t\n"
        f"SCTID:91302008\trdfs:subClassOf\tMONDO:0005087\t{just}\t\t\n"
    )
    found = read_sssom(written(tmp_path, rows))
    assert found.rows() == [
        ("ICD10//A41.9", "exactMatch", "MONDO//0005087", "INFORES:x"),
        ("SCT//91302008", "broadMatch", "MONDO//0005087", "A small set"),
    ]
    renamed = read_sssom(written(tmp_path, rows), {"MONDO": "DISEASE"})
    assert set(renamed["object"]) == {"DISEASE//0005087"}


def test_all_that_is_wrong_with_a_set_is_told_with_its_lines(tmp_path: Path) -> None:
    rows = "A41.9\tskos:exactMatch\tMONDO:1\tx\t\t\nWHO10:B\tmade:up\t\tx\t\t\n"
    with pytest.raises(InputError) as caught:
        read_sssom(written(tmp_path, rows))
    told = [(problem.what, problem.where.rsplit(", ", 1)[1]) for problem in caught.value.problems]
    assert told == [
        ("subject_id is no CURIE", "line 8"),
        ("object_id is no CURIE", "line 9"),
        ("an unknown predicate", "line 9"),
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("#a: [\nsubject_id\n", "no YAML"),
        ("# - a\nsubject_id\n", "no YAML mapping"),
        ("subject_id\tx\n", "predicate_id"),
    ],
)
def test_files_that_are_no_set_are_refused(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "set.tsv"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=what):
        read_sssom(file)


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12
)
CODE = TEXT.filter(lambda text: text == text.strip() and "//" not in text and not text.startswith("/"))
SYSTEM = st.sampled_from(["ICD10", "ICD10-NO", "SCT", "NLK", "MONDO"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SYSTEM, CODE, st.sampled_from(sorted(RANKS)), SYSTEM, CODE, CODE), max_size=8))
def test_any_map_comes_back(tmp_path: Path, rows: list[tuple[str, str, str, str, str, str]]) -> None:
    told = [(f"{a}//{b}", predicate, f"{c}//{d}", source) for a, b, predicate, c, d, source in rows]
    mappings = pl.DataFrame(sorted(set(told)), MAPPINGS, orient="row")
    write_sssom(mappings, tmp_path / "map.sssom.tsv", set_id="https://example.org/map")
    assert read_sssom(tmp_path / "map.sssom.tsv").sort(pl.all()).rows() == mappings.sort(pl.all()).rows()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(SYSTEM, CODE, st.sampled_from(sorted(RANKS)), SYSTEM, CODE), max_size=8),
    SYSTEM,
    SYSTEM,
)
def test_translation_is_the_same_seen_from_the_other_side(
    rows: list[tuple[str, str, str, str, str]], here: str, there: str
) -> None:
    told = {
        (f"{a}//{b}", predicate, f"{c}//{d}", "s")
        for a, b, predicate, c, d in rows
        if a == here and c == there
    }
    mappings = pl.DataFrame(sorted(told), MAPPINGS, orient="row")
    forth = translate(mappings["subject"], mappings, there, closest_only=False).drop_nulls()
    back = translate(mappings["object"], mappings, here, closest_only=False).drop_nulls()
    turned = {(f, TURNED.get(p, p), c) for c, f, p, _ in back.iter_rows()}
    if here != there:
        assert {(c, p, f) for c, f, p, _ in forth.iter_rows()} == turned
