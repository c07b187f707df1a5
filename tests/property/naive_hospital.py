"""The naive interpreter's part about time in hospital: scores, weights, stays, contacts and measures."""

from __future__ import annotations

import math

from naive_marks import DAY, HOUR, Mark, aggregate, bearers, late, union, within

from ontology.valuesets.sets import load_family

GROUP_OF = {
    "ICD10-NO//I21.9": "myocardial_infarction",
    "ICD10-NO//C18.9": "malignancy",
    "ICD10-NO//C78.7": "metastatic_cancer",
    "ICD10-NO//E11.9": "diabetes_uncomplicated",
    "ICD10-NO//E11.2": "diabetes_complicated",
}
"""Charlson groups (Quan 2005): metastasis hides malignancy, complications hide plain diabetes."""


class Hospital:
    """Needs `marks` and the world `w` of the class that it is mixed into."""

    def _score(self, body, _node):
        name, part, out = body["name"], body.get("part", "score"), []

        def is_in(row):
            value = row[part]
            if value is None:
                return False
            bounds = within(value, {k: body[k] for k in ("at_least", "below") if k in body})
            if "any_single" not in body:
                return bounds
            points = [x for k, x in row.items() if k not in {"subject_id", "time", "score", "n_components"}]
            single = any(x is not None and x >= body["any_single"] for x in points)
            return bounds or single if body.keys() & {"at_least", "below"} else single

        if "around" not in body:
            course = self.w["course"](name)
            return [self._scored(body, r["subject_id"], r["time"], r[part], []) for r in course if is_in(r)]
        for around in self.marks(body["around"]):
            low = around.start + round(body.get("from_hours", -48) * HOUR)
            high = around.start + round(body.get("to_hours", 24) * HOUR)
            of_subject = [r for r in self.w["course"](name) if r["subject_id"] == around.subject]
            in_force = [r for r in of_subject if r["time"] <= low][-1:]
            seen = [{**r, "time": low} for r in in_force] + [r for r in of_subject if low < r["time"] <= high]
            if "rise" not in body:
                hits = [(r["time"], r[part]) for r in seen if is_in(r)]
            else:
                if not in_force:
                    seen = [{"time": low, "score": 0.0}, *seen]
                scores = [r["score"] or 0.0 for r in seen]
                bases = [0.0] * len(scores)
                if body.get("baseline", "zero") == "lowest_before":
                    bases = [math.inf, *(min(scores[:n]) for n in range(1, len(scores)))]
                hits = [
                    (r["time"], s - b)
                    for r, s, b in zip(seen, scores, bases, strict=True)
                    if s - b >= body["rise"]
                ]
            if hits:
                out.append(self._scored(body, around.subject, *hits[0], [around]))
        return out

    def _scored(self, body, subject, time, value, around):
        evidence, known = self.w["score_evidence"](body["name"], body.get("part"), subject, time)
        places = [(m.stay, m.contact) for m in around] or [self.w["belonging"](subject, time, None)]
        ((stay, contact),) = places
        known = late(max(known or time, time), *(m.known for m in around))
        return Mark(
            subject, time, time, float(value), stay, contact, known, frozenset(evidence) | union(around)
        )

    def _weights(self, body, _node):
        groups, out = load_family(body["family"]).groups, []
        look_back = round(body.get("look_back_days", load_family(body["family"]).look_back_days or 0) * DAY)
        codes = [e for e in self.w["events"] if e["code"] in GROUP_OF]
        per_subject = body.get("per", "stay") == "subject"
        units = {e["subject"]: None for e in codes} if per_subject else self.w["stays"]
        for unit, s in units.items():
            seen = {}
            for e in sorted(codes, key=lambda e: (e["time"], e["id"])):
                is_own = (
                    e["subject"] == unit
                    if per_subject
                    else e["stay"] == unit
                    or (e["subject"] == s["subject"] and s["start"] - look_back <= e["time"] < s["start"])
                )
                if is_own:
                    seen.setdefault(GROUP_OF[e["code"]], e)
            counted = set(seen) - {hidden for group in seen for hidden in groups[group].hides}
            weighting = load_family(body["family"]).weighting
            total = round(sum(groups[group].weights[weighting] for group in counted), 6)
            if within(total, {k: body[k] for k in ("at_least", "below") if k in body}):
                times = [e["time"] for e in seen.values()]
                known, ids = [e["known"] for e in seen.values()], frozenset(e["id"] for e in seen.values())
                if per_subject:
                    out.append(Mark(unit, min(times), max(times), total, None, None, max(known), ids))
                else:
                    out.append(
                        Mark(
                            s["subject"], s["start"], s["end"], total, unit, None, late(s["end"], *known), ids
                        )
                    )
        return out

    def _stay(self, body, _node):
        out, everyone = [], self.w["stays"]
        for unit, s in everyone.items():
            days = None if s["end"] is None else round((s["end"] - s["start"]) / DAY, 6)
            born = self.w["births"].get(s["subject"])
            age = None if born is None else round((s["start"] - born) / (365.25 * DAY), 6)
            later = sorted(
                (o["start"], i)
                for i, o in everyone.items()
                if o["subject"] == s["subject"]
                and o["is_overnight"]
                and o["is_acute"]
                and s["end"] is not None
                and o["start"] > s["end"]
            )
            s["next"] = later[0][1] if later and s["is_overnight"] and not s["is_dead"] else None
            s["gap"] = (later[0][0] - s["end"]) / DAY if s["next"] is not None else math.inf
            flags = {"acute": "is_acute", "overnight": "is_overnight", "died": "is_dead"}
            is_in = all(s[flag] == body[k] for k, flag in flags.items() if k in body)
            is_in = is_in and ("care_level" not in body or s["care_level"] in body["care_level"])
            is_in = is_in and ("ended" not in body or (s["end"] is not None) == body["ended"])
            for key, number in (("length_days", days), ("age_years", age)):
                is_in = is_in and (key not in body or (number is not None and within(number, body[key])))
            if is_in:
                out.append(Mark(s["subject"], s["start"], s["end"], days, unit, None, s["end"], frozenset()))
        latest = {}
        for unit, s in sorted(everyone.items(), key=lambda item: (item[1]["end"] or 0, item[0])):
            latest[s["next"]] = unit
        for key in sorted(body.keys() & {"readmission_within_days", "readmitted_within_days"}):
            near = {i for i, s in everyone.items() if s["gap"] < body[key] and latest[s["next"]] == i}
            near = {everyone[i]["next"] for i in near} if key == "readmission_within_days" else near
            out = [m for m in out if m.stay in near]
            if key == "readmitted_within_days":
                out = [m._replace(known=everyone[everyone[m.stay]["next"]]["end"]) for m in out]
        lengths = sorted(m.value for m in out if m.value is not None)
        if "above_percentile" in body and lengths:
            rank = body["above_percentile"] / 100 * (len(lengths) - 1)
            low, high = lengths[math.floor(rank)], lengths[math.ceil(rank)]
            bound = low + (high - low) * (rank - math.floor(rank))
            out = [m for m in out if m.value is not None and m.value > bound + 1e-12]
        if "above_mean_sd" in body:
            if len(lengths) < 2:
                return []
            mean = math.fsum(lengths) / len(lengths)
            sd = math.sqrt(math.fsum((x - mean) ** 2 for x in lengths) / (len(lengths) - 1))
            out = [m for m in out if m.value is not None and m.value > mean + body["above_mean_sd"] * sd]
        return out

    def _contact(self, body, _node):
        out = []
        for unit, c in self.w["contacts"].items():
            days = None if c["end"] is None else round((c["end"] - c["start"]) / DAY, 6)
            is_in = "care_level" not in body or c["care_level"] in body["care_level"]
            is_in = is_in and (
                "acute" not in body
                or (c["urgency"] is not None and (c["urgency"] == "acute") == body["acute"])
            )
            is_in = is_in and ("ended" not in body or (c["end"] is not None) == body["ended"])
            is_in = is_in and (
                "length_days" not in body or (days is not None and within(days, body["length_days"]))
            )
            if is_in:
                end = c["start"] if body.get("at") == "start" else c["end"]
                days = None if body.get("at") == "start" else days
                out.append(Mark(c["subject"], c["start"], end, days, c["stay"], unit, end, frozenset()))
        return out

    def _measure(self, body, _node):
        out, marks, how = [], self.marks(body["of"]), body["is"]
        for unit, s in self.w["stays"].items():
            at = s["start"]
            if body.get("in", "history") == "stay":
                held, own = [m for m in marks if m.stay == unit], s["end"]
            else:
                low, own = (
                    at - round(body.get("look_back_days", math.inf) * DAY)
                    if "look_back_days" in body
                    else -math.inf,
                    at,
                )
                held = [m for m in marks if m.subject == s["subject"] and low <= m.start < at]
                if body.get("known", True):
                    held = [m for m in held if m.known is not None and m.known <= at]
            number, rest = self._number(how, held, at), held
            if number is None or not within(number, body.get("value")):
                continue
            if how in {"hours_since", "days_since"}:
                rest = held[-1:]
            elif how in {"min", "max", "first_value", "last_value"}:
                rest = bearers(held, number, how.removesuffix("_value"))
                valued = [m for m in held if m.value is not None]
                rest = valued[:1] if how == "first_value" else rest
                rest = valued[-1:] if how == "last_value" else rest
            known = late(own, *(m.known for m in rest))
            out.append(Mark(s["subject"], at, own, number, unit, None, known, union(rest)))
        return out

    def _number(self, how, held, at):
        if how in {"count", "min", "max", "mean", "first_value", "last_value", "sum"}:
            number = aggregate(held, how.removesuffix("_value"))
            return 0.0 if number is None and how == "sum" else number
        if how in {"hours_since", "days_since"}:
            return round((at - held[-1].start) / (HOUR if how == "hours_since" else DAY), 6) if held else None
        return {
            "ever": float(bool(held)),
            "count_stays": float(len({m.stay for m in held} - {None})),
            "count_days": float(len({m.start // DAY for m in held})),
            "sum_days": round(math.fsum((m.end - m.start) / DAY for m in held if m.end is not None), 6),
        }[how]
