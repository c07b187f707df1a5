"""A naive interpreter of the phenotype language: docs/phenotypes.md in plain Python, mark by mark.

It reads parsed YAML, not the typed model. Instants are microseconds. Two building blocks are taken as they
are, for they are proved elsewhere: which contacts make a stay, and the course of a score with its evidence.
"""

from __future__ import annotations

import math
from collections import namedtuple

from ontology.valuesets import load_family

HOUR = 3_600_000_000
DAY = 24 * HOUR
Mark = namedtuple("Mark", "subject start end value stay contact known evidence")
GROUP_OF = {
    "ICD10-NO//I21.9": "myocardial_infarction",
    "ICD10-NO//C18.9": "malignancy",
    "ICD10-NO//C78.7": "metastatic_cancer",
    "ICD10-NO//E11.9": "diabetes_uncomplicated",
    "ICD10-NO//E11.2": "diabetes_complicated",
}
"""Charlson groups (Quan 2005): metastasis hides malignancy, complications hide plain diabetes."""
UNITS = {("mg/L", "mg/L"): 1, ("g/L", "mg/L"): 1000, (None, "mg/L"): 1}


def order(mark):
    return tuple((x is not None, x) for x in mark[:6])


def merged(marks):
    found = {}
    for m in marks:
        known, evidence = found.get(m[:6], (None, frozenset()))
        known = m.known if known is None else known if m.known is None else min(known, m.known)
        found[m[:6]] = (known, evidence | m.evidence)
    return sorted((Mark(*key, *rest) for key, rest in found.items()), key=order)


def late(*times):
    return None if None in times else max(times)


def union(marks):
    return frozenset().union(*(m.evidence for m in marks))


def of_unit(mark, per):
    return getattr(mark, per)


def within(number, bounds):
    b = bounds or {}
    return (
        number > b.get("above", -math.inf)
        and number >= b.get("at_least", -math.inf)
        and number < b.get("below", math.inf)
        and number <= b.get("at_most", math.inf)
    )


def aggregate(marks, how):
    values = [m.value for m in marks if m.value is not None]
    if how == "count":
        return float(len(marks))
    if not values:
        return None
    made = {"max": max, "min": min, "sum": math.fsum, "first": lambda v: v[0], "last": lambda v: v[-1]}
    number = math.fsum(values) / len(values) if how == "mean" else made[how](values)
    return round(number, 6) if how in {"sum", "mean"} else number


def bearers(marks, number, how):
    """The marks that an aggregate rests on."""
    if how in {"sum", "mean", "count"}:
        return marks
    bearing = [m for m in marks if m.value == number]
    return [bearing[-1] if how == "last" else bearing[0]]


class Naive:
    def __init__(self, world, definitions):
        self.w, self.definitions = world, {d["name"]: d for d in definitions}

    def marks(self, node):
        (key,) = [k for k in node if k not in {"per", "state"}]
        return merged(getattr(self, f"_{key}")(node[key], node))

    def rows(self, name):
        d, taken, out = self.definitions[name], set(), []
        per = d.get("per", "each")
        for state in ("confirmed", "suspected", "excluded"):
            if state in d:
                mine = {}
                for m in self.marks(d[state]):
                    unit = (m.subject, m.start, m.end) if per == "each" else of_unit(m, per)
                    if unit is not None and unit not in taken and (per == "each" or unit not in mine):
                        mine.setdefault(unit, []).append(m)
                taken |= set(mine)
                out += [(m, state) for ms in mine.values() for m in ms]
        return out

    def unit_end(self, unit, per):
        return None if per == "subject" else self.w[f"{per}s"][unit]["end"]

    def _events(self, body, _node, *, with_text=False):
        found = []
        for e in self.w["events"]:
            is_in = any(
                e["code"] == c or (c[-1] == "*" and e["code"].startswith(c[:-1])) for c in body["codes"]
            )
            value = None if e["value"] is None else float(f"{e['value']:.7g}")
            bounds = body.get("value")
            if bounds and is_in:
                factor = UNITS.get((e["unit"], "mg/L")) if "unit" in bounds else 1
                value = None if None in (factor, value) else float(f"{value * factor:.7g}")
                is_in = value is not None and within(value, bounds)
            if "role" in body:
                is_in = is_in and (e["contact"], e["code"], body["role"]) in self.w["codings"]
            if is_in and not (body.get("during") and e[body["during"]] is None):
                m = Mark(
                    e["subject"],
                    e["time"],
                    e["time"],
                    value,
                    e["stay"],
                    e["contact"],
                    e["known"],
                    frozenset([e["id"]]),
                )
                found.append((m, e["text"]) if with_text else m)
        return found

    def _any(self, body, _node):
        return [m for part in body for m in self.marks(part)]

    def _all(self, body, node):
        per, out = node.get("per", "stay"), []
        positive = [self.marks(part) for part in body if "not" not in part]
        negated = [self.marks(part["not"]) for part in body if "not" in part]
        for unit in {of_unit(m, per) for ms in positive for m in ms} - {None}:
            held = [[m for m in ms if of_unit(m, per) == unit] for ms in positive]
            if all(held) and not any(of_unit(m, per) == unit for ms in negated for m in ms):
                firsts = [ms[0] for ms in held]
                at = max(m.start for m in firsts)
                one = next(m for m in firsts if m.start == at)
                known = late(*(m.known for m in firsts), *([self.unit_end(unit, per)] if negated else []))
                out.append(Mark(one.subject, at, at, None, one.stay, one.contact, known, union(firsts)))
        return out

    def _first(self, body, node, last=False):
        per, held = node.get("per", "stay"), {}
        for m in self.marks(body):
            held.setdefault(of_unit(m, per), []).append(m)
        held.pop(None, None)
        if last:
            return [
                ms[-1]._replace(known=late(ms[-1].known, self.unit_end(u, per))) for u, ms in held.items()
            ]
        return [ms[0] for ms in held.values()]

    def _last(self, body, node):
        return self._first(body, node, last=True)

    def _near(self, body, _node):
        hours = [body.get("from_hours"), body.get("to_hours")]
        low, high = (None if h is None else round(h * HOUR) for h in hours)
        return self._pairs(body, low, high, body.get("keep", "of"), absent=body.get("absent", False))

    def _before(self, body, _node):
        n = body.get("within_hours")
        return self._pairs(body, 1, None if n is None else round(n * HOUR), "of")

    def _after(self, body, _node):
        n = body.get("within_hours")
        return self._pairs(body, None if n is None else -round(n * HOUR), -1, "of")

    def _pairs(self, body, low, high, keep, *, absent=False):
        same, out, others = body.get("same", "subject"), [], self.marks(body["other"])
        for m in self.marks(body["of"]):
            if of_unit(m, same) is None:
                continue
            hits = [
                o
                for o in others
                if of_unit(o, same) == of_unit(m, same)
                and (low is None or o.start >= m.start + low)
                and (high is None or o.start <= m.start + high)
            ]
            if absent and not hits:
                out.append(m._replace(known=None if high is None else late(m.known, m.start + high)))
            elif hits and not absent:
                kept = {"of": m, "other": hits[0], "first": m if m.start <= hits[0].start else hits[0]}[keep]
                out.append(
                    kept._replace(known=late(m.known, hits[0].known), evidence=m.evidence | hits[0].evidence)
                )
        return out

    def _at_least(self, body, _node):
        parts = body["of"] if isinstance(body["of"], list) else [body["of"]]
        same, rows = body.get("same", "subject"), []
        for number, part in enumerate(parts):
            if same == "text":
                found = self._events(part["events"], None, with_text=True)
                rows += [((m.subject, text), number, m) for m, text in found if text is not None]
            else:
                rows += [
                    (of_unit(m, same), number, m) for m in self.marks(part) if of_unit(m, same) is not None
                ]
        kind = {"time": lambda r: r[2].start, "value": lambda r: r[2].value, "part": lambda r: r[1]}
        kind = kind[body.get("distinct", "time")]
        reach = body.get("within_hours", math.inf) * HOUR
        out = []
        for one in rows:
            m = one[2]
            ahead = [r for r in rows if r[0] == one[0] and m.start <= r[2].start <= m.start + reach]
            starts = {}
            for r in sorted(ahead, key=lambda r: r[2].start):
                if kind(r) is not None:
                    starts.setdefault(kind(r), r[2].start)
            if kind(one) is not None and len(starts) >= body["n"]:
                end = sorted(starts.values())[body["n"] - 1]
                held = [r[2] for r in ahead if r[2].start <= end]
                known = late(*(h.known for h in held))
                out.append(m._replace(end=end, value=None, known=known, evidence=union(held)))
        return out

    def _worst(self, body, _node):
        same, how, out, marks = body.get("same", "subject"), body.get("is", "max"), [], self.marks(body["of"])
        for m in marks:
            low = m.start - round(body["window_hours"] * HOUR)
            held = [x for x in marks if of_unit(x, same) == of_unit(m, same) and low < x.start <= m.start]
            number = None if of_unit(m, same) is None else aggregate(held, how)
            if number is not None and within(number, body.get("value")):
                rest = [m, *bearers(held, number, how)]
                out.append(
                    m._replace(value=number, known=late(*(x.known for x in rest)), evidence=union(rest))
                )
        return out

    def _rise(self, body, _node):
        same, out = body.get("same", "subject"), []
        marks = [m for m in self.marks(body["of"]) if m.value is not None and of_unit(m, same) is not None]
        for m in marks:
            low = m.start - round(body["within_hours"] * HOUR)
            held = [x for x in marks if of_unit(x, same) == of_unit(m, same) and low <= x.start < m.start]
            if held:
                lowest = min(held, key=lambda x: x.value)
                by, ratio = body.get("by"), body.get("ratio")
                number = round(m.value - lowest.value, 6) if by else None
                if ratio and lowest.value > 0:
                    number = round(m.value / lowest.value, 6)
                if number is not None and number >= (by or ratio):
                    known = late(m.known, lowest.known)
                    out.append(m._replace(value=number, known=known, evidence=m.evidence | lowest.evidence))
        return out

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
                known = s["end"] if body else s["start"]
                out.append(Mark(s["subject"], s["start"], s["end"], days, unit, None, known, frozenset()))
        latest = {}
        for unit, s in sorted(everyone.items(), key=lambda item: (item[1]["end"] or 0, item[0])):
            latest[s["next"]] = unit
        for key in body.keys() & {"readmission_within_days", "readmitted_within_days"}:
            near = {i for i, s in everyone.items() if s["gap"] < body[key] and latest[s["next"]] == i}
            near = {everyone[i]["next"] for i in near} if key == "readmission_within_days" else near
            out = [m for m in out if m.stay in near]
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
                known = c["end"] if body else c["start"]
                out.append(
                    Mark(c["subject"], c["start"], c["end"], days, c["stay"], unit, known, frozenset())
                )
        return out

    def _phenotype(self, body, node):
        return [m for m, state in self.rows(body) if state == node.get("state", "confirmed")]

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
