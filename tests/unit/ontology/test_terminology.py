"""The ontology as it is asked: labels by language and day, codes that only data have, roll-up."""

from __future__ import annotations

import random
from datetime import date

import networkx as nx
import polars as pl
import pytest

from ontology.assembling import ontology_of
from ontology.concepts import CONCEPTS, EDGES, CodeSystem, concept_rows
from ontology.errors import ConfigurationError
from ontology.release import embedded_ontology
from ontology.terminology import Ontology


def below(ontology: Ontology, concept: str, system: str) -> set[str]:
    return {name for name in ontology.descendants_of([concept]) if name.startswith(f"{system}//")}


def test_the_embedded_ontology_is_whos_icd10() -> None:
    """22 chapters, 274 blocks, 2,050 categories, 10,196 subcategories: counted from the package itself."""
    levels = embedded_ontology().system.concepts.filter(pl.col("system") == "ICD10")["level"]
    assert dict(levels.value_counts().rows()) == {
        "chapter": 22,
        "block": 274,
        "category": 2050,
        "subcategory": 10196,
    }
    ontology = embedded_ontology()
    assert ontology.ancestors("ICD10//A41.9") == ["ICD10//A41", "ICD10//A30-A49", "ICD10//I"]
    assert ontology.level("ICD10//A30-A49") == "block"
    assert ontology.level("ICD10//nothing") is None
    assert ontology.systems == ("ICD10", "ICD9CM", "ICD9PCS")
    assert ontology.levels("ICD10") == ["block", "category", "chapter", "subcategory"]
    assert ontology.levels("EICU") == ontology.levels("ICD10-NO") == []
    assert ontology.levels("ICD9CM") == ["block", "category", "chapter", "subcategory"]
    assert "therapeutic_subgroup" in ontology.levels("ATC")


CODES = [
    "ICD10-NO//A41.9",
    "ICD10CM//A419",
    "ICD10CM//E1165",
    "ICD9CM//99591",
    "ATC//J01CF05",
    "ATC//J01DH02",
    "NCSP//JKE00",
    "MEDS_BIRTH",
    "LAB//1",
]


def test_codes_of_every_edition_stand_under_whos() -> None:
    ontology = embedded_ontology().with_codes(CODES)
    assert {"ICD10-NO//A41.9", "ICD10CM//A419"} <= ontology.descendants_of(["ICD10//A41"])
    assert below(ontology, "ICD10//IV", "ICD10CM") == {"ICD10CM//E1165"}
    assert below(ontology, "ICD9CM//995.9", "ICD9CM") == {"ICD9CM//995.9", "ICD9CM//995.91", "ICD9CM//99591"}
    assert "ICD9CM//99591" in ontology.descendants_of(["ICD9CM//800-999"])
    assert {"ATC//J01CF05", "ATC//J01DH02"} < ontology.descendants_of(["ATC//J01"])
    assert "ATC//J01DH02" not in ontology.descendants_of(["ATC//J01C"])
    assert ontology.ancestors("NCSP//JKE00") == ["NCSP//JKE", "NCSP//JK", "NCSP//J"]
    assert ontology.ancestors("MEDS_BIRTH") == []


def test_a_concept_of_an_edition_that_is_not_listed_stands_for_what_its_form_holds() -> None:
    ontology = embedded_ontology().with_codes(CODES)
    assert ontology.descendants_of(["ICD10CM//E11"]) == {"ICD10CM//E11", "ICD10CM//E1165"}
    assert ontology.descendants_of(["ICD10-NO//A419"]) == {"ICD10-NO//A419", "ICD10-NO//A41.9"}
    assert ontology.descendants_of(["ICD10CM//B20"]) == {"ICD10CM//B20"}


def test_codes_that_only_data_have_are_marked_and_leave_the_digest() -> None:
    ontology = embedded_ontology()
    extended = ontology.with_codes(CODES)
    rows = extended.system.concepts.filter(pl.col("concept").is_in(CODES))
    assert rows["flags"].to_list() == [["not_listed"]] * len(CODES)
    assert extended.digest == ontology.digest
    assert extended.level("ATC//J01") == "therapeutic_subgroup"
    assert "ATC//J01" not in ontology
    assert ontology.with_codes(["ICD10//A41.9"]) is ontology


def test_the_place_of_a_code_does_not_depend_on_other_codes_or_on_their_order() -> None:
    draw = random.Random(7)
    codes = [f"ICD9CM//{draw.randrange(100000):05d}" for _ in range(200)]
    codes += [
        f"ATC//{draw.choice('ABCJ')}0{draw.randrange(9)}A{draw.choice('ABC')}0{i % 9}" for i in range(200)
    ]
    together = embedded_ontology().with_codes(codes)
    draw.shuffle(codes)
    in_parts = embedded_ontology().with_codes(codes[:150]).with_codes(codes[100:])
    assert set(together.graph.names) == set(in_parts.graph.names)
    for code in codes:
        alone = embedded_ontology().with_codes([code])
        assert together.ancestors(code) == in_parts.ancestors(code) == alone.ancestors(code)


def names_of(*rows: tuple[str, str, str, date | None, date | None]) -> CodeSystem:
    table = [(*concept.split("//"), text, language, *span) for concept, text, language, *span in rows]
    listed = [
        (f"{s}//{c}", s, c, text, language, None, first, last, [])
        for s, c, text, language, first, last in table
    ]
    return CodeSystem(pl.DataFrame(listed, schema=CONCEPTS, orient="row"))


def test_labels_by_language_and_day() -> None:
    texts = names_of(
        ("A//1", "gammel", "nb", date(2020, 1, 1), date(2023, 12, 31)),
        ("A//1", "ny", "nb", date(2024, 1, 1), None),
        ("A//1", "old", "en", None, None),
        ("A//2", "only English", "en", None, None),
        ("A//3", "norsk", "nb-NO", None, None),
    )
    ontology = ontology_of([texts])
    assert ontology.label("A//1") == "ny"
    assert ontology.label("A//1", on=date(2021, 5, 5)) == "gammel"
    assert ontology.label("A//1", on=date(1999, 5, 5)) == "ny"
    assert ontology.label("A//1", "en") == "old"
    assert ontology.label("A//2", "nb") == "only English"
    assert ontology.label("A//3", "nb") == "norsk"
    assert ontology_of([texts], languages=("en", "nb")).label("A//1") == "old"


def test_labels_of_codes_without_a_text_of_their_own() -> None:
    norwegian = names_of(("ICD10-NO//A41.9", "Uspesifisert sepsis", "nb", None, None))
    edge = pl.DataFrame([("ICD10-NO//A41.9", "ICD10//A41.9", "placed_under")], schema=EDGES, orient="row")
    ontology = ontology_of([embedded_ontology().system, CodeSystem(norwegian.concepts, edge)])
    assert ontology.label("ICD10-NO//A41.9") == "Uspesifisert sepsis"
    assert ontology.label("ICD10-NO//A41.9", "en") == "Sepsis, unspecified"
    assert ontology.label("ICD10-NO//a419") == "Uspesifisert sepsis"
    assert ontology.label("ICD10CM//A419") == "Sepsis, unspecified"
    assert ontology.label("ICD10CM//A41.9X") == "Sepsis, unspecified (A41.9X)"
    assert ontology.label("MEDS_BIRTH") is None
    extended = ontology.with_codes(["ICD10CM//A419", "ICD10CM//A41.9X", "ATC//J01"])
    assert extended.label("ICD10CM//A419") == "Sepsis, unspecified"
    assert extended.label("ICD10CM//A41.9X") == "Sepsis, unspecified (A41.9X)"
    assert extended.label("ATC//J01") is None


def test_roll_up_keeps_order_and_nulls() -> None:
    codes = pl.Series("code", ["ICD10//A41.9", None, "X//1", "ICD10CM//E1165", "ICD10//A41.9", "ICD10//I"])
    rolled = embedded_ontology().roll_up(codes, "category")
    assert rolled.name == "code"
    assert rolled.to_list() == ["ICD10//A41", None, None, "ICD10//E11", "ICD10//A41", None]
    chosen = embedded_ontology().roll_up(codes, ["ICD10//I", "ICD10//A41.9"])
    assert chosen.to_list() == ["ICD10//A41.9", None, None, None, "ICD10//A41.9", "ICD10//I"]
    assert embedded_ontology().roll_up(pl.Series([], dtype=pl.String), "category").to_list() == []


def test_roll_up_to_a_level_of_one_system() -> None:
    codes = pl.Series(["ICD10//A41.9", "ICD9CM//99591"])
    both = embedded_ontology().roll_up(codes, "chapter").to_list()
    one = embedded_ontology().roll_up(codes, "ICD9CM//chapter").to_list()
    assert both == ["ICD10//I", "ICD9CM//800-999"]
    assert one == [None, "ICD9CM//800-999"]


def test_an_unknown_level_is_refused_with_the_levels_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="ICD10: block, category, chapter, subcategory; ICD11"):
        embedded_ontology().roll_up(pl.Series(["ICD10//A41.9"]), "chapters")
    with pytest.raises(ConfigurationError, match="allowed: ATC: chemical_subgroup"):
        embedded_ontology().roll_up(pl.Series(["ICD10//A41.9"]), "ATC//chapter")


def test_a_level_that_none_of_the_codes_has_gives_nulls() -> None:
    codes = pl.Series(["ICD10//A41.9"])
    assert embedded_ontology().roll_up(codes, "therapeutic_subgroup").to_list() == [None]
    assert embedded_ontology().roll_up(codes, "ATC//therapeutic_subgroup").to_list() == [None]
    with_drug = pl.Series(["ICD10//A41.9", "ATC//J01CF05"])
    assert embedded_ontology().roll_up(with_drug, "therapeutic_subgroup").to_list() == [None, "ATC//J01"]


def naive_roll_up(graph: nx.DiGraph, ontology: Ontology, concept: str, wanted: set[str]) -> str | None:
    """The rule's own words, over networkx: primary parents first, then the longest way, then text order."""
    at: str | None = concept
    while at is not None:
        if at in wanted:
            return at
        i = int(ontology.graph.primary_parent[ontology.graph.index[at]])
        at = ontology.graph.names[i] if i >= 0 else None
    above = sorted(nx.descendants(graph, concept) & wanted)
    longest = {
        name: nx.dag_longest_path_length(graph.subgraph({name, *nx.descendants(graph, name)}))
        for name in above
    }
    return max(above, key=lambda name: longest[name], default=None)


def test_roll_up_in_poly_hierarchies_follows_the_rule() -> None:
    for seed in range(25):
        draw = random.Random(seed)
        names = [f"A//{i:02d}" for i in range(40)]
        pairs = {
            (names[i], names[draw.randrange(i)]) for i in range(1, 40) for _ in range(draw.randint(0, 3))
        }
        rows = pl.DataFrame({"code": [name[3:] for name in names]})
        edges = pl.DataFrame([(*pair, "is_a") for pair in sorted(pairs)], schema=EDGES, orient="row")
        ontology = ontology_of([CodeSystem(concept_rows("A", rows), edges)])
        graph = nx.DiGraph(sorted(pairs))
        graph.add_nodes_from(names)
        wanted = set(draw.sample(names, 6))
        rolled = ontology.roll_up(pl.Series(names), sorted(wanted)).to_list()
        assert rolled == [naive_roll_up(graph, ontology, name, wanted) for name in names]


@pytest.mark.parametrize("sent", ["", "//", "ICD10//", "ICD10//.", "ICD10-NO//*", "//A41", "no system"])
def test_a_code_that_names_nothing_has_nothing_above_and_adds_no_other_concept(sent: str) -> None:
    ontology = embedded_ontology()
    assert ontology.roll_up(pl.Series([sent, None, "ICD10//A41"]), "chapter").to_list() == [
        None,
        None,
        "ICD10//I",
    ]
    more = ontology.with_codes([sent])
    assert set(more.graph.names) - set(ontology.graph.names) <= {sent}
    assert more.ancestors(sent) == []
    assert ontology.label(sent) is None
