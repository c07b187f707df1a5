"""Random small datasets with ties, nulls, equal times and several stays, and the same as plain Python."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from phenotype.contacts import join_stays, stays
from phenotype.scores.course import score_course
from phenotype.scores.evidence import score_evidence
from phenotype.trajectory import CONTACTS, EVENTS

HOUR = 3_600_000_000
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1)
ORIGIN = 1_600_000_000_000_000 // DAY * DAY
CODES = ["A//1", "A//2", "B//1", "C//1"]
SCORED = {
    "VITAL//respiratory_rate": [14, 22, 26],
    "VITAL//systolic_bp": [95, 110, 130],
    "VITAL//consciousness": [0, 1],
}
DIAGNOSES = ["ICD10-NO//I21.9", "ICD10-NO//C18.9", "ICD10-NO//C78.7", "ICD10-NO//E11.9", "ICD10-NO//E11.2"]


def at(hours):
    return EPOCH + timedelta(microseconds=ORIGIN + round(hours * HOUR))


def random_dataset(rng, folder, *, with_lineage=True, is_consistent=False):
    """Writes a dataset; a consistent one has no event that names a contact before that has begun."""
    contacts, events, codings = [], [], []
    for subject in range(1, rng.randint(2, 5)):
        clock = rng.uniform(0, 30)
        own = []
        for _ in range(rng.randint(0, 4)):
            start = round(clock + rng.choice([0, 2, 8, 12, 40, 300]))
            end = None if rng.random() < 0.1 else start + rng.choice([0, 3, 24, 30, 80])
            contact = len(contacts) + 1
            own.append(contact)
            contacts.append(
                {
                    "contact_id": contact,
                    "subject_id": subject,
                    "start_time": None if rng.random() < 0.03 else at(start),
                    "end_time": None if end is None else at(end),
                    "care_level": rng.choice(["icu", "inpatient", "inpatient", "outpatient", None]),
                    "urgency": rng.choice(["acute", "planned", None]),
                    "discharged_to": rng.choice(["home", "home", "death", None]),
                }
            )
            clock = start if end is None else end
        if rng.random() < 0.7:
            events.append(
                {"subject_id": subject, "time": at(-rng.randint(1, 90) * 8766), "code": "MEDS_BIRTH"}
            )
        for _ in range(rng.randint(0, 25)):
            events.append(random_event(rng, subject, own, len(contacts), clock))
            if rng.random() < 0.2:
                events.append(
                    {**events[-1], "numeric_value": rng.choice([events[-1].get("numeric_value"), 3.5])}
                )
            if events[-1]["contact_id"] and rng.random() < 0.5:
                system, code = events[-1]["code"].split("//")
                role = rng.choice(["main", "other"])
                codings.append(
                    {"contact_id": events[-1]["contact_id"], "system": system, "code": code, "role": role}
                )
    begun = {c["contact_id"]: c["start_time"] for c in contacts}
    for event in events if is_consistent else ():
        start = begun.get(event.get("contact_id"))
        if start is None or event["time"] is None or event["time"] < start:
            event["contact_id"] = None
    rng.shuffle(events)
    for number, event in enumerate(events):
        event["lineage_id"] = 1000 + number if with_lineage else None
    write(folder, events, contacts, codings, n_shards=rng.randint(1, 3))


def random_event(rng, subject, own, n_contacts, clock):
    code = rng.choice([*CODES * 3, *SCORED, *DIAGNOSES])
    time = rng.choice([round(rng.uniform(0, clock + 20)), rng.choice([10, 20, 24, 48])])
    known = rng.choice([None, None, None, time, time + 30])
    value = rng.choice([None, 0.1, 0.3, 1, 2, 3, 3.5, 26.5, 100.1, 113.3])
    return {
        "subject_id": subject,
        "time": None if rng.random() < 0.03 else at(time),
        "code": code,
        "numeric_value": rng.choice(SCORED[code]) if code in SCORED else value,
        "text_value": rng.choice([None, "E. coli", " e. COLI", "CoNS"]),
        "known_time": None if known is None else at(known),
        "unit": None if code in SCORED else rng.choice(["mg/L", "mg/L", "g/L", "mmol/L", None]),
        "contact_id": rng.choice([None, *own, *own, rng.randint(1, n_contacts) if n_contacts else None]),
    }


def write(folder, events, contacts, codings, n_shards):
    (folder / "data").mkdir(parents=True)
    frame = pl.DataFrame([{name: event.get(name) for name in EVENTS} for event in events], schema=EVENTS)
    for shard in range(n_shards):
        part = frame.filter(pl.col("subject_id") % n_shards == shard)
        part.write_parquet(folder / "data" / f"{shard}.parquet")
    contact_rows = [{name: contact.get(name) for name in CONTACTS} for contact in contacts]
    pl.DataFrame(contact_rows, schema=CONTACTS).write_parquet(folder / "contacts.parquet")
    schema = {"contact_id": pl.Int64, "system": pl.String, "code": pl.String, "role": pl.String}
    pl.DataFrame(codings, schema=schema).write_parquet(folder / "codings.parquet")


def ticks(instant):
    return None if instant is None else (instant - EPOCH) // timedelta(microseconds=1)


def world_of(dataset):
    """The dataset as plain Python, with what the interpreter takes as given."""
    joined = join_stays(dataset.contacts().filter(pl.col("start_time").is_not_null()))
    world = {"contacts": {}, "stays": {}, "events": [], "births": {}}
    for c in joined.sort("subject_id", "start_time", "contact_id").to_dicts():
        keys = {"subject": "subject_id", "stay": "stay_id", "care_level": "care_level", "urgency": "urgency"}
        spans = {"start": ticks(c["start_time"]), "end": ticks(c["end_time"])}
        world["contacts"][c["contact_id"]] = {**{k: c[v] for k, v in keys.items()}, **spans}
    for s in stays(joined).to_dicts():
        spans = {"subject": s["subject_id"], "start": ticks(s["start_time"]), "end": ticks(s["end_time"])}
        world["stays"][s["stay_id"]] = {**s, **spans}

    def begun(spans, subject, time):
        held = [(s["start"], i) for i, s in spans.items() if s["subject"] == subject and s["start"] <= time]
        if not held or (spans[max(held)[1]]["end"] is not None and spans[max(held)[1]]["end"] < time):
            return None
        return max(held)[1]

    def belonging(subject, time, contact):
        own = world["contacts"].get(contact)
        if own is not None and own["subject"] == subject:
            return own["stay"], contact
        return begun(world["stays"], subject, time), begun(world["contacts"], subject, time)

    for e in dataset.events().collect().to_dicts():
        if e["time"] is None:
            continue
        stay, contact = belonging(e["subject_id"], ticks(e["time"]), e["contact_id"])
        world["events"].append(
            {
                "subject": e["subject_id"],
                "time": ticks(e["time"]),
                "code": e["code"],
                "value": e["numeric_value"],
                "text": None if e["text_value"] is None else e["text_value"].lower().strip(),
                "known": ticks(e["known_time"] or e["time"]),
                "unit": e["unit"],
                "stay": stay,
                "contact": contact,
                "id": e["lineage_id"],
            }
        )
        if e["code"] == "MEDS_BIRTH":
            world["births"][e["subject_id"]] = ticks(e["time"])
    world["codings"] = {
        (c["contact_id"], f"{c['system']}//{c['code']}", c["role"]) for c in dataset.codings().to_dicts()
    }
    courses = {}

    def course(name):
        if name not in courses:
            rows = score_course(dataset.events(), name, with_parts=True).to_dicts()
            courses[name] = [{**row, "time": ticks(row["time"])} for row in rows]
        return courses[name]

    def evidence(name, part, subject, time):
        asked = pl.DataFrame({"subject_id": [subject], "time": [EPOCH + timedelta(microseconds=time)]})
        found = score_evidence(dataset.events(), asked, name, part=part).to_dicts()
        return (found[0]["evidence"], ticks(found[0]["known_time"])) if found else ([], None)

    return {**world, "belonging": belonging, "course": course, "score_evidence": evidence}
