"""Notes annotated with an ontology: what each sentence mentions, where, with what; and what that indicates.

A note is an individual of class document that contains sentences, which contain mentions. CIIO's own example
notes come with the ontology; notes annotated elsewhere come in the same form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from ontology.concepts import CodeSystem
from ontology.indications.rules import INDICATIONS, Finding, Indication, Signs

CONTAINS = "contains"
LOCATED = "located_nearby_on_at_in"
OBSERVED_WITH = "is_observed_with"
NEGATION = "negation"


@dataclass(frozen=True)
class Notes:
    """Annotated notes.

    Attributes:
        mentions: document, sentence, mention, kind (the mention's class), all text, sorted. Mentions that the
            annotation negates are left out.
        said: mention, property, other (another mention, or a literal).
        above: child, parent: classes and properties with what stands directly above them.
    """

    mentions: pl.DataFrame
    said: pl.DataFrame
    above: pl.DataFrame

    @cached_property
    def _below(self) -> dict[str, frozenset[str]]:
        children: dict[str, set[str]] = {}
        for child, parent in self.above.iter_rows():
            children.setdefault(parent, set()).add(child)
        found: dict[str, frozenset[str]] = {}
        for top in set(children) | set(self.above["child"]):
            reached, waiting = {top}, [top]
            while waiting:
                fresh = children.get(waiting.pop(), set()) - reached
                reached |= fresh
                waiting += fresh
            found[top] = frozenset(reached)
        return found

    def kinds(self, names: Iterable[str]) -> list[str]:
        """The named classes or properties and all below them, sorted."""
        return sorted({below for name in names for below in self._below.get(name, {name})})

    def of(self, names: Iterable[str]) -> pl.DataFrame:
        """Mentions of the named classes and of those below them."""
        return self.mentions.filter(pl.col("kind").is_in(self.kinds(names)))

    def found(self, findings: Iterable[Finding]) -> pl.DataFrame:
        """Mentions that are one of some findings.

        Returns:
            Columns of mentions, finding (its name) and value (what was said of it, where the finding asks).
        """
        frames = [self._one(finding) for finding in findings]
        return pl.concat(frames).unique().sort(pl.all())

    def _one(self, finding: Finding) -> pl.DataFrame:
        rows = self.of(finding.classes).with_columns(finding=pl.lit(finding.name))
        if not finding.values:
            return rows.with_columns(value=pl.lit(None, pl.String()))
        told = "|".join(f"(?:{value})" for value in finding.values)
        said = self.said.filter(pl.col("other").str.contains(rf"\b(?:{told})")).select(
            "mention", value="other"
        )
        return rows.join(said, on="mention")

    def located(self, places: Iterable[str]) -> pl.DataFrame:
        """Pairs of a mention and the place, of the named classes, that it is said to be at, in one sentence.

        Returns:
            document, sentence, mention, place, place_kind.
        """
        return self._paired(LOCATED, places, "place")

    def related(self, procedures: Iterable[str]) -> pl.DataFrame:
        """Pairs of a mention and the procedure that it is said to be observed with, in one sentence.

        Returns:
            document, sentence, mention, procedure, procedure_kind.
        """
        return self._paired(OBSERVED_WITH, procedures, "procedure")

    def together(self, procedures: Iterable[str]) -> pl.DataFrame:
        """Pairs of any mention and a mention of the named procedures in the same sentence.

        Returns:
            document, sentence, mention, procedure, procedure_kind.
        """
        others = self.of(procedures).select(
            "document", "sentence", procedure="mention", procedure_kind="kind"
        )
        return self.mentions.select("document", "sentence", "mention").join(
            others, on=["document", "sentence"]
        )

    def _paired(self, relation: str, kinds: Iterable[str], name: str) -> pl.DataFrame:
        others = self.of(kinds).select(
            "document", "sentence", pl.col("mention").alias(name), pl.col("kind").alias(f"{name}_kind")
        )
        pairs = self.said.filter(property=relation).select("mention", pl.col("other").alias(name))
        return (
            self.mentions.select("document", "sentence", "mention")
            .join(pairs, on="mention")
            .join(others, on=["document", "sentence", name])
        )


def notes_of(ontology: CodeSystem, *, document: str = "document", sentence: str = "sentence") -> Notes:
    """The annotated notes among an ontology's individuals.

    Args:
        ontology: as codesystems.owl.read_owl gives it.
        document: the class of notes.
        sentence: the class of their sentences.
    """
    bare = {"concept": _bare("concept"), "child": _bare("child"), "parent": _bare("parent")}
    levels = ontology.concepts.select(name=bare["concept"], level="level").unique()
    individuals = levels.filter(level="individual")["name"].implode()
    edges = ontology.edges.select(child=bare["child"], parent=bare["parent"])
    kinds = edges.filter(pl.col("child").is_in(individuals)).rename({"child": "mention", "parent": "kind"})
    said = ontology.properties.select(mention=_bare("concept"), property="property", other=_bare("value"))
    said = said.filter(pl.col("mention").is_in(individuals))
    contains = said.filter(property=CONTAINS).select(whole="mention", part="other")
    negated = said.filter(property=NEGATION, other="true")["mention"].implode()
    in_class = {name: kinds.filter(kind=name)["mention"].implode() for name in (document, sentence)}
    sentences = contains.filter(
        pl.col("whole").is_in(in_class[document]), pl.col("part").is_in(in_class[sentence])
    ).rename({"whole": "document", "part": "sentence"})
    mentions = (
        sentences.join(contains, left_on="sentence", right_on="whole")
        .rename({"part": "mention"})
        .join(kinds, on="mention")
        .filter(~pl.col("mention").is_in(negated))
        .select("document", "sentence", "mention", "kind")
        .unique()
        .sort(pl.all())
    )
    above = edges.filter(~pl.col("child").is_in(individuals))
    return Notes(mentions, said.unique().sort(pl.all()), above.unique().sort(pl.all()))


def documents_with(notes: Notes, rule: Indication) -> frozenset[str]:
    """The notes in which a rule holds."""
    rules = {each.name: each for each in INDICATIONS}
    implied = frozenset(one for name in rule.implied_by for one in documents_with(notes, rules[name]))
    if not rule.needs:
        return implied
    own = frozenset.intersection(*(_documents_with(notes, signs) for signs in rule.needs))
    for name in rule.and_also:
        own &= documents_with(notes, rules[name])
    return own | implied


def evidence(notes: Notes, rule: Indication) -> pl.DataFrame:
    """The mentions that a rule rests on, in the notes in which it holds.

    Returns:
        document, sentence, mention, kind, finding, value; for rules implied by others theirs.
    """
    rules = {each.name: each for each in INDICATIONS}
    own = [seen for signs in rule.needs for seen in _seen(notes, signs)]
    others = [evidence(notes, rules[name]) for name in (*rule.implied_by, *rule.and_also)]
    columns = ["document", "sentence", "mention", "kind", "finding", "value"]
    rows = pl.concat([frame.select(columns) for frame in (*own, *others)])
    return rows.filter(pl.col("document").is_in(sorted(documents_with(notes, rule)))).unique().sort(pl.all())


def _documents_with(notes: Notes, signs: Signs) -> frozenset[str]:
    """Notes with enough different findings, all by one of the ways that the rule allows."""
    holding = [
        seen.group_by("document").agg(n=pl.col("finding").n_unique()).filter(pl.col("n") >= signs.at_least)
        for seen in _seen(notes, signs)
    ]
    return frozenset(document for frame in holding for document in frame["document"])


def _seen(notes: Notes, signs: Signs) -> list[pl.DataFrame]:
    """The findings as seen at the places, with the procedures, or anywhere: one frame for each way."""
    found = notes.found(signs.of)
    at = [name for place in signs.at for name in place.classes]
    during = [name for procedure in signs.observed_with for name in procedure.classes]
    keys = ["document", "sentence", "mention"]
    if signs.is_related:
        placed = found.join(notes.located(at), on=keys, how="semi")
        return [placed.join(notes.related(during), on=keys, how="semi")]
    ways = ([notes.located(at)] if at else []) + ([notes.together(during)] if during else [])
    return [found.join(way, on=keys, how="semi") for way in ways] or [found]


def _bare(column: str) -> pl.Expr:
    """A concept without its system; text that is no concept stays."""
    return pl.col(column).str.replace(r"^[A-Z0-9-]+//", "")
