"""The slow path's readers of what happened to patients: conditions, measurements, treatments and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_slow_facts import Reading, coded_at
from fhir_slow_values import (
    NEVER,
    NOTHING,
    Coded,
    Instants,
    Measured,
    as_sent,
    first_given,
    quantity_value,
    range_text,
    side,
    span,
)


def _with(found: Coded, more: Sequence[str]) -> Coded:
    return Coded(found.code, (*found.alternates, *more), found.free_text)


def _codes(prefix: str, concepts: Any) -> list[str]:
    """PREFIX//code of each coding of some concepts."""
    return [f"{prefix}//{one.code}" for concept in concepts or [] for one in concept.coding or [] if one.code]


class Records(Reading):
    """One method a resource type; each takes the resource's name and its object."""

    def read_condition(self, name: str, one: Any) -> None:
        person = self._subject(name, one.subject)
        found = _with(self._coded(one.code, "Condition"), _codes("CATEGORY", one.category))
        own = one.encounter
        listed = self.diagnosed.get(name)
        if own is not None or listed is None:
            contact, start, end = self._encounter(name, own)
        else:
            contact, start, end = self._encounter_named(listed)
        onset, recorded = first_given(one.onsetDateTime, one.onsetPeriod), span(one.recordedDate)
        when = onset[0] or recorded[0] or end[1] or start[0]
        known = recorded[1] or end[1] or onset[1]
        status = self._status_code(one.verificationStatus)
        measured = Measured(text=None if status in {None, "confirmed"} else status)
        self._add(person, found.code, when, known, measured=measured, coded_as=found, contact=contact)
        abated = first_given(one.abatementDateTime, one.abatementPeriod)
        if abated[1] and found.code:
            known = max(abated[1], recorded[1]) if recorded[1] else abated[1]
            self._add(
                person,
                f"CONDITION_END//{found.code}",
                abated[1],
                known,
                coded_as=found,
                contact=contact,
            )
        if person and contact and listed is None and found.code and when:
            self._coding(contact, None, "other", found.code, coded_at(recorded, start, end))

    def _encounter_named(self, name: str) -> tuple[str | None, Instants, Instants]:
        encounter = self.directory.by_name[name]
        period = encounter.period
        start = span(period.start) if period and period.start else span(period)
        end = span(period.end) if period and period.end else NEVER
        return self.directory.contact_name(name, encounter), start, end

    def read_observation(self, name: str, one: Any) -> None:
        person = self._subject(name, one.subject)
        effective = first_given(
            one.effectiveDateTime, one.effectivePeriod, one.effectiveTiming, one.effectiveInstant
        )
        issued = span(one.issued)
        when, known = effective[0] or issued[0], issued[1] or effective[1]
        contact = self._encounter(name, one.encounter)[0]
        measured = self._value(one, self._coded(one.code, "Observation").code)
        is_bare = not (one.component or one.hasMember or one.dataAbsentReason)
        parts = [(one, measured)] if measured != NOTHING or one.interpretation or is_bare else []
        for part in one.component or []:
            value = self._value(part, self._coded(part.code, "Observation").code)
            if value != NOTHING or part.interpretation or not part.dataAbsentReason:
                parts.append((part, value))
        panel = self._coded(one.code, "Observation").code
        for part, value in parts:
            found = self._coded(part.code, "Observation")
            others = [] if part is one or panel is None else [f"PANEL//{panel}"]
            others += _codes("CATEGORY", one.category)
            others += [] if one.status == "final" else [f"STATUS//{one.status}"]
            has_value = self._value_itself(part, found.code) != NOTHING
            others += _codes("INTERPRETATION", part.interpretation) if has_value else []
            ranges = [each for each in part.referenceRange or [] if each.low or each.high]
            others += [f"RANGE//{range_text(each.low, each.high)}" for each in ranges]
            found = _with(found, others)
            self._add(person, found.code, when, known, measured=value, coded_as=found, contact=contact)

    def _value(self, part: Any, code: str | None) -> Measured:
        """The value of an Observation or a component; without one the first interpretation."""
        found = self._value_itself(part, code)
        if found == NOTHING and part.interpretation:
            code = self._coded(part.interpretation[0], "Observation")
            return NOTHING if code.free_text else self._as_text(code, is_bare=True)
        return found

    def _value_itself(self, part: Any, code: str | None) -> Measured:
        if part.valueQuantity is not None:
            return quantity_value(part.valueQuantity, code, self.targets)
        if part.valueInteger is not None:
            return Measured(number=float(part.valueInteger))
        if part.valueCodeableConcept is not None:
            return self._as_text(self._coded(part.valueCodeableConcept, "Observation"))
        return self._in_words(part)

    @staticmethod
    def _in_words(part: Any) -> Measured:
        """The value of a kind that becomes text."""
        ends = (part.valuePeriod.start, part.valuePeriod.end) if part.valuePeriod else ()
        free = {
            "valueString": lambda: part.valueString,
            "valueDateTime": lambda: as_sent(part.valueDateTime),
            "valuePeriod": lambda: "/".join(as_sent(end) for end in ends),
        }
        coded_text = {
            "valueBoolean": lambda: "true" if part.valueBoolean else "false",
            "valueRatio": lambda: f"{side(part.valueRatio.numerator)}:{side(part.valueRatio.denominator)}",
            "valueRange": lambda: range_text(part.valueRange.low, part.valueRange.high),
            "valueTime": lambda: str(part.valueTime),
            "valueSampledData": lambda: "sampled data",
        }
        text = next((make() for name, make in coded_text.items() if getattr(part, name) is not None), None)
        words = next((make() for name, make in free.items() if getattr(part, name) is not None), None)
        return Measured(text=text, free_text=words)

    @staticmethod
    def _as_text(found: Coded, *, is_bare: bool = False) -> Measured:
        if found.free_text:
            return Measured(free_text=found.free_text)
        return Measured(text=(found.code or "").partition("//")[2] or None if is_bare else found.code)

    def read_diagnosticreport(self, name: str, one: Any) -> None:
        person, found = self._subject(name, one.subject), self._coded(one.code, "DiagnosticReport")
        contact, start, end = self._encounter(name, one.encounter)
        effective, issued = first_given(one.effectiveDateTime, one.effectivePeriod), span(one.issued)
        when, known = effective[0] or issued[0] or start[0], issued[1] or effective[1] or end[1]
        code = f"REPORT//{found.code}" if found.code else None
        rows = [Measured(free_text=one.conclusion)]
        rows += [
            self._as_text(self._coded(concept, "DiagnosticReport")) for concept in one.conclusionCode or []
        ]
        for row in rows:
            self._add(person, code, when, known, measured=row, coded_as=found, contact=contact)

    def read_procedure(self, name: str, one: Any) -> None:
        person, found = self._subject(name, one.subject), self._coded(one.code, "Procedure")
        contact, start, end = self._encounter(name, one.encounter)
        done = first_given(one.performedDateTime, one.performedPeriod)
        when = done[0] or end[1] or start[0]
        self._add(person, found.code, when, done[1], coded_as=found, contact=contact)
        if person and contact and found.code and when:
            self._coding(contact, None, "procedure", found.code, when)

    def _drug(self, name: str, one: Any, kind: str) -> Coded:
        """The code of a medication, or of the Medication that is referred to."""
        if one.medicationCodeableConcept is not None:
            return self._coded(one.medicationCodeableConcept, kind)
        medication = self.directory.resource(one.medicationReference, name)
        found = self._coded(medication.code, "Medication") if medication is not None else Coded(None)
        parts = [part.itemCodeableConcept for part in getattr(medication, "ingredient", None) or []]
        coded_parts = [self._coded(part, "Medication") for part in parts]
        if found.code is None:
            named = [part for part in coded_parts if part.code and not part.free_text]
            others = [part.code or "" for part in named[1:]]
            found = _with(named[0], others) if named else found
        display = one.medicationReference.display
        return found if found.code or not display else Coded(f"FHIR_TEXT//{kind}", (), display)

    @staticmethod
    def _dosage(dosages: Any) -> Any:
        """The first doseAndRate of the first dosage."""
        rates = dosages[0].doseAndRate if dosages else None
        return rates[0] if rates else None

    def _dose(self, told: Any, code: str | None) -> Measured:
        """A dose, else a rate; without either a range of doses, else a ratio, in words."""
        if told is None:
            return NOTHING
        dose = told.dose if hasattr(told, "dose") else told.doseQuantity
        quantity = dose if dose is not None else told.rateQuantity
        if quantity is not None:
            return quantity_value(quantity, code, self.targets)
        span_of_doses = getattr(told, "doseRange", None)
        if span_of_doses is not None:
            return Measured(text=range_text(span_of_doses.low, span_of_doses.high))
        ratio = told.rateRatio
        return (
            Measured(text=f"{side(ratio.numerator)}:{side(ratio.denominator)}")
            if ratio is not None
            else NOTHING
        )

    def _medication(
        self, name: str, one: Any, prefix: str, times: tuple[Instants, Instants], dose: Any
    ) -> None:
        """An event of a drug; times are where it may have happened, and when it is known."""
        encounter = one.encounter if hasattr(one, "encounter") else one.context
        kind = one.get_resource_type()
        found = self._drug(name, one, kind)
        contact, start, end = self._encounter(name, encounter)
        code = f"{prefix}{found.code}" if found.code else None
        measured = self._dose(dose, code)
        self._add(
            self._subject(name, one.subject), code, times[0][0] or start[0], times[1][1] or end[1],
            measured=measured, coded_as=found, contact=contact,
        )  # fmt: skip

    def read_medicationrequest(self, name: str, one: Any) -> None:
        authored = span(one.authoredOn)
        dose = self._dosage(one.dosageInstruction)
        self._medication(name, one, "MEDICATION_REQUEST//", (authored, authored), dose)

    def read_medicationadministration(self, name: str, one: Any) -> None:
        given = first_given(one.effectiveDateTime, one.effectivePeriod)
        dose = one.dosage
        self._medication(name, one, "", (given, given), dose)

    def read_medicationstatement(self, name: str, one: Any) -> None:
        taken, asserted = first_given(one.effectiveDateTime, one.effectivePeriod), span(one.dateAsserted)
        times = (taken if taken[0] else asserted, asserted if asserted[1] else taken)
        self._medication(name, one, "MEDICATION_STATEMENT//", times, self._dosage(one.dosage))

    def read_immunization(self, name: str, one: Any) -> None:
        found = self._coded(one.vaccineCode, "Immunization")
        contact, start, end = self._encounter(name, one.encounter)
        given, recorded = span(one.occurrenceDateTime), span(one.recorded)
        self._add(
            self._subject(name, one.patient), found.code, given[0] or recorded[0] or start[0],
            recorded[1] or given[1] or end[1],
            measured=quantity_value(one.doseQuantity, found.code, self.targets),
            coded_as=found, contact=contact,
        )  # fmt: skip

    def read_allergyintolerance(self, name: str, one: Any) -> None:
        substances = [reaction.substance for reaction in one.reaction or [] if reaction.substance]
        found = self._coded(one.code, "AllergyIntolerance")
        if found.code is None and substances:
            found = self._coded(substances[0], "AllergyIntolerance")
        contact, start, end = self._encounter(name, one.encounter)
        onset, recorded = first_given(one.onsetDateTime, one.onsetPeriod), span(one.recordedDate)
        self._add(
            self._subject(name, one.patient), f"ALLERGY//{found.code}" if found.code else None,
            onset[0] or recorded[0] or start[0], recorded[1] or onset[1] or end[1],
            measured=Measured(text=one.criticality), coded_as=found, contact=contact,
        )  # fmt: skip

    def read_specimen(self, name: str, one: Any) -> None:
        found = self._coded(one.type, "Specimen")
        collection = one.collection
        taken = first_given(collection.collectedDateTime, collection.collectedPeriod) if collection else NEVER
        received = span(one.receivedTime)
        code = f"SPECIMEN//{found.code}" if found.code else None
        when, known = taken[0] or received[0], taken[1] or received[1]
        self._add(self._subject(name, one.subject), code, when, known, coded_as=found)

    def read_servicerequest(self, name: str, one: Any) -> None:
        found = self._coded(one.code, "ServiceRequest")
        contact, start, end = self._encounter(name, one.encounter)
        authored = span(one.authoredOn)
        self._add(
            self._subject(name, one.subject), f"SERVICE_REQUEST//{found.code}" if found.code else None,
            authored[0] or start[0], authored[1] or end[1], measured=Measured(text=one.priority),
            coded_as=found, contact=contact,
        )  # fmt: skip

    def read_riskassessment(self, name: str, one: Any) -> None:
        judged_by = self._coded(one.code, "RiskAssessment")
        if judged_by.code is None:
            judged_by = self._coded(one.method, "RiskAssessment")
        contact, start, end = self._encounter(name, one.encounter)
        judged = first_given(one.occurrenceDateTime, one.occurrencePeriod)
        for prediction in one.prediction or [None]:
            outcome = (
                self._as_text(self._coded(prediction.outcome, "RiskAssessment")) if prediction else NOTHING
            )
            share = prediction.probabilityDecimal if prediction else None
            risk = prediction.qualitativeRisk if prediction else None
            found = _with(judged_by, _codes("RISK", [risk] if risk else None))
            measured = Measured(None if share is None else float(share), outcome.text, outcome.free_text)
            self._add(
                self._subject(name, one.subject), f"SCORE//{found.code or 'unspecified'}",
                judged[0] or start[0], judged[1] or end[1],
                measured=measured, coded_as=found, contact=contact,
            )  # fmt: skip

    def read_flag(self, name: str, one: Any) -> None:
        found, person = self._coded(one.code, "Flag"), self._subject(name, one.subject)
        contact, start, end = self._encounter(name, one.encounter)
        period = one.period
        begun = span(period.start) if period and period.start else NEVER
        if found.code is None:
            return
        self._add(
            person,
            f"FLAG//{found.code}",
            begun[0] or start[0],
            begun[1] or end[1],
            coded_as=found,
            contact=contact,
        )
        ended = span(period.end)[1] if period and period.end else None
        self._add(person, f"FLAG_END//{found.code}", ended, ended, coded_as=found, contact=contact)

    def read_episodeofcare(self, name: str, one: Any) -> None:
        person = self._subject(name, one.patient)
        period = one.period
        for found in [self._coded(concept, "EpisodeOfCare") for concept in one.type or []] or [
            Coded("unspecified")
        ]:
            if found.code is None or period is None:
                continue
            begun = span(period.start) if period.start else NEVER
            self._add(person, f"EPISODE_OF_CARE//{found.code}", begun[0], begun[1], coded_as=found)
            ended = span(period.end)[1] if period.end else None
            self._add(person, f"EPISODE_OF_CARE_END//{found.code}", ended, ended, coded_as=found)

    def read_documentreference(self, name: str, one: Any) -> None:
        concepts: Iterator[Any] = iter([one.type, *(one.category or [])[:1]])
        found = next(
            (f for f in (self._coded(c, "DocumentReference") for c in concepts) if f.code),
            Coded("unspecified"),
        )
        context = one.context
        dated = first_given(one.date, context.period if context else None)
        encounter = (context.encounter or [None])[0] if context else None
        contact = self._encounter(name, encounter)[0]
        self._add(
            self._subject(name, one.subject), f"DOCUMENT//{found.code}", dated[0], dated[1],
            coded_as=found, contact=contact,
        )  # fmt: skip
