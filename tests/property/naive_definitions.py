"""A naive interpreter of the phenotype language: docs/phenotypes.md in plain Python, mark by mark.

It reads parsed YAML, not the typed model. Two building blocks are taken as they are, for they are proved
elsewhere: which contacts make a stay, and the course of a score with its evidence.
"""

from __future__ import annotations

import math

from naive_hospital import Hospital
from naive_marks import HOUR, Mark, aggregate, bearers, late, merged, of_unit, union, within

UNITS = {("mg/L", "mg/L"): 1, ("g/L", "mg/L"): 1000, (None, "mg/L"): 1}


class Naive(Hospital):
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

    def _phenotype(self, body, node):
        return [m for m, state in self.rows(body) if state == node.get("state", "confirmed")]
