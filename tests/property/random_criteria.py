"""Random definitions: trees over all kinds of criteria, as parsed YAML."""

from __future__ import annotations

CODES = ["A//1", "A//2", "B//1", "C//1"]
SCORED = ["VITAL//respiratory_rate", "VITAL//systolic_bp", "VITAL//consciousness"]
DIAGNOSES = ["ICD10-NO//I21.9", "ICD10-NO//C18.9"]


def bounds(rng, *, unit=False):
    made = {rng.choice(["above", "at_least", "below", "at_most"]): rng.choice([0, 1, 2, 3.5, 100.1])}
    return {**made, "unit": "mg/L"} if unit and rng.random() < 0.5 else made


def maybe(rng, body, **options):
    return {**body, **{key: make() for key, make in options.items() if rng.random() < 0.4}}


def random_events(rng):
    body = {"codes": rng.sample([*CODES, "A//*", *SCORED, *DIAGNOSES[:2]], rng.randint(1, 3))}
    return {
        "events": maybe(
            rng,
            body,
            value=lambda: bounds(rng, unit=True),
            during=lambda: rng.choice(["stay", "contact"]),
            **({"role": lambda: rng.choice(["main", "other"])} if rng.random() < 0.2 else {}),
        )
    }


def random_criterion(rng, depth, names):
    kinds = ["events"] * 3 + ["stay", "contact", "score", "weights"]
    if depth:
        kinds = [
            "events",
            "any",
            "all",
            "all",
            "at_least",
            "near",
            "near",
            "before",
            "after",
            "first",
            "last",
        ]
        kinds += ["worst", "rise", "measure", "score", "weights", "stay"]
    if names:
        kinds.append("phenotype")
    return MAKE[rng.choice(kinds)](rng, lambda: random_criterion(rng, max(depth - 1, 0), names), names)


def unit_of(rng):
    return rng.choice(["subject", "stay", "contact"])


def hours(rng):
    return rng.choice([1, 6, 24, 48, 500])


def make_all(rng, inner, _names):
    parts = [inner() for _ in range(rng.randint(1, 3))]
    parts += [{"not": inner()} for _ in range(rng.randint(0, 1))]
    return {"all": parts, "per": unit_of(rng)}


def make_at_least(rng, inner, _names):
    if rng.random() < 0.3:
        body = {"n": rng.randint(1, 3), "of": random_events(rng), "same": "text"}
        return {"at_least": maybe(rng, body, within_hours=lambda: hours(rng))}
    distinct = rng.choice(["time", "value", "part"])
    parts = [inner() for _ in range(rng.randint(1, 3))]
    n = rng.randint(1, len(parts)) if distinct == "part" else rng.randint(1, 3)
    body = {"n": n, "of": parts if len(parts) > 1 or distinct == "part" else parts[0], "distinct": distinct}
    return {"at_least": maybe(rng, body, within_hours=lambda: hours(rng), same=lambda: unit_of(rng))}


def make_near(rng, inner, _names):
    low, high = sorted([rng.choice([-48, -24, -6, 0, 6]), rng.choice([0, 6, 24, 72])])
    body = maybe(rng, {"of": inner(), "other": inner()}, from_hours=lambda: low, to_hours=lambda: high)
    body = maybe(rng, body, same=lambda: unit_of(rng))
    body |= {"absent": True} if rng.random() < 0.3 else {"keep": rng.choice(["of", "first", "other"])}
    return {"near": body}


def make_side(rng, inner, key):
    body = {"of": inner(), "other": inner()}
    return {key: maybe(rng, body, within_hours=lambda: hours(rng), same=lambda: unit_of(rng))}


def make_worst(rng, inner, _names):
    how = rng.choice(["max", "min", "mean", "sum", "count", "last"])
    body = {"of": inner(), "is": how, "window_hours": hours(rng)}
    return {"worst": maybe(rng, body, value=lambda: bounds(rng), same=lambda: unit_of(rng))}


def make_rise(rng, inner, _names):
    body = {"of": inner(), "within_hours": hours(rng)}
    body |= (
        {"by": rng.choice([0.2, 2.5, 26.5])} if rng.random() < 0.5 else {"ratio": rng.choice([1.0, 1.5, 35])}
    )
    return {"rise": maybe(rng, body, same=lambda: unit_of(rng))}


def make_score(rng, inner, _names):
    body = {"name": rng.choice(["NEWS2", "qSOFA"])}
    around = {"around": inner(), "from_hours": rng.choice([-48, -6, 0]), "to_hours": rng.choice([0, 24])}
    if rng.random() < 0.3:
        return {
            "score": {
                **body,
                **around,
                "rise": rng.choice([1, 2]),
                "baseline": rng.choice(["zero", "lowest_before"]),
            }
        }
    body = maybe(
        rng,
        body,
        at_least=lambda: rng.randint(0, 4),
        any_single=lambda: rng.choice([1, 2, 3]),
        below=lambda: rng.randint(2, 6),
    )
    body |= {"part": "breathing"} if rng.random() < 0.3 else {}
    return {"score": {**body, **around} if rng.random() < 0.4 else body}


def make_weights(rng, _inner, _names):
    body = {"family": "charlson_quan", "per": rng.choice(["stay", "stay", "subject"])}
    return {
        "weights": maybe(
            rng,
            body,
            look_back_days=lambda: rng.choice([1, 10, 365]),
            at_least=lambda: rng.choice([0, 1, 2]),
            below=lambda: rng.choice([2, 6]),
        )
    }


def make_stay(rng, _inner, _names):
    days = rng.choice([{"above": 0.9}, {"at_least": 1.0}, {"below": 2}])
    body = maybe(rng, {}, care_level=lambda: ["icu", "inpatient"], length_days=lambda: days)
    if rng.random() < 0.5:
        key, make = rng.choice(
            [
                ("acute", lambda: rng.random() < 0.5),
                ("overnight", lambda: rng.random() < 0.5),
                ("ended", lambda: rng.random() < 0.5),
                ("died", lambda: rng.random() < 0.5),
                ("age_years", lambda: {"at_least": rng.choice([18, 50])}),
                ("above_percentile", lambda: rng.choice([25, 50, 75])),
                ("above_mean_sd", lambda: rng.choice([0, 1])),
                ("readmission_within_days", lambda: rng.choice([1, 10, 30])),
                ("readmitted_within_days", lambda: rng.choice([1, 10, 30])),
            ]
        )
        body[key] = make()
    return {"stay": body}


def make_contact(rng, _inner, _names):
    body = maybe(rng, {}, care_level=lambda: ["icu"], acute=lambda: rng.random() < 0.5)
    if rng.random() < 0.3:
        return {"contact": {**body, "at": "start"}}
    spans = {"length_days": lambda: {"at_least": 1}, "ended": lambda: rng.random() < 0.7}
    return {"contact": maybe(rng, body, **spans)}


def make_measure(rng, inner, _names):
    counts = ["count", "count_stays", "count_days", "sum_days", "sum", "min", "max", "mean", "first_value"]
    body = {"of": inner(), "is": rng.choice([*counts, "last_value", "ever"])}
    if rng.random() < 0.4:
        body["in"] = "stay"
    else:
        body["is"] = rng.choice([body["is"], "hours_since", "days_since"])
        body = maybe(rng, body, look_back_days=lambda: rng.choice([1, 10]), known=lambda: rng.random() < 0.3)
    return {"measure": maybe(rng, body, value=lambda: bounds(rng))}


MAKE = {
    "events": lambda rng, _inner, _names: random_events(rng),
    "any": lambda rng, inner, _names: {"any": [inner() for _ in range(rng.randint(1, 3))]},
    "all": make_all,
    "at_least": make_at_least,
    "near": make_near,
    "before": lambda rng, inner, _names: make_side(rng, inner, "before"),
    "after": lambda rng, inner, _names: make_side(rng, inner, "after"),
    "first": lambda rng, inner, _names: {"first": inner(), "per": unit_of(rng)},
    "last": lambda rng, inner, _names: {"last": inner(), "per": unit_of(rng)},
    "worst": make_worst,
    "rise": make_rise,
    "score": make_score,
    "weights": make_weights,
    "stay": make_stay,
    "contact": make_contact,
    "measure": make_measure,
    "phenotype": lambda rng, _inner, names: {
        "phenotype": rng.choice(names),
        "state": rng.choice(["confirmed", "confirmed", "suspected"]),
    },
}


def random_definitions(rng, n):
    made = []
    for number in range(n):
        names = [d["name"] for d in made]
        body = {"name": f"d{number}", "title": "t", "version": "1", "sources": ["s"], "review": "r"}
        body["per"] = rng.choice(["each", "each", "subject", "stay", "contact"])
        body["confirmed"] = random_criterion(rng, rng.randint(0, 3), names)
        for state in ("suspected", "excluded"):
            if rng.random() < 0.4:
                body[state] = random_criterion(rng, 1, names)
        made.append(body)
    return made
