"""Searches a model's settings inside a fold's training and tuning rows; what is killed goes on.

Trials are optuna's, in a sqlite file of the search's folder. What a trial is asked depends on the seed and on
the trials that ended before it, so a search that was killed and resumed tries what it would have tried.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import yaml

from experiments.fitting import AnyModelConfig, fit_model
from experiments.parts import Part, learnt_rows
from experiments.run_folder import write_json, write_text
from experiments.search_config import TRIALS, Choice, Dimension, FloatRange, SearchConfig, changed
from experiments.training_scores import measure_for, shown, tuning_score
from ontology.errors import PestaError, Problem, TaskError
from phenotype.link import logit

logger = logging.getLogger(__name__)
BEST = "best.yaml"
_STUDY = "study.db"
_WORK = "work"
AnySettings = TypeVar("AnySettings", bound=AnyModelConfig)


def search_settings(
    search: SearchConfig,
    settings: AnySettings,
    train: Part,
    tuning: Part,
    *,
    seed: int,
    folder: Path,
    horizon_hours: float | None = None,
    censored: Part | None = None,
) -> AnySettings:
    """The best settings of a search, which goes on where it was killed.

    Args:
        search: what is tried.
        settings: of the model; what is not searched stays.
        train: training rows of the fold.
        tuning: its tuning rows; held-out rows are not given and so never seen.
        seed: of the search and of every fit.
        folder: for the trials, `trials.json` and `best.yaml`; kept.
        horizon_hours: of the task.
        censored: training rows whose record ended too early to tell, for models that learn from them.

    Raises:
        TaskError: no trial came to its end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = inner_parts(train, tuning, search.inner_folds, seed, censored)
    with _study(search, settings, seed, folder) as study:
        while len(ended := _ended(study)) < search.n_trials:
            study.sampler = _sampler(search, seed, len(ended))
            _run_trial(study, search, settings, parts, seed=seed, folder=folder, horizon_hours=horizon_hours)
            _write_trials(study, search, folder)
        best = _best(study, search)
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    values = _values(best)
    named = {"models": {search.model: values}}
    write_text(yaml.safe_dump(named, sort_keys=True, allow_unicode=True), folder / BEST)
    return changed(settings, values)


def inner_parts(
    train: Part, tuning: Part, n_folds: int, seed: int, censored: Part | None = None
) -> list[tuple[Part, Part, Part | None]]:
    """(training, tuning, censored training) rows of each inner fold; a patient's rows stay together."""
    if n_folds == 1:
        return [(train, tuning, censored)]
    together = train.joined(tuning)
    asked = together.cases.rows["subject_id"]
    subjects, number = np.unique(asked.to_numpy(), return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(subjects))[number] % n_folds
    return [
        (
            together.take(fold != one),
            together.take(is_judged),
            censored and censored.of_others(asked.filter(is_judged)),
        )
        for one in range(n_folds)
        for is_judged in [fold == one]
    ]


def _run_trial(
    study: Any,
    search: SearchConfig,
    settings: AnyModelConfig,
    parts: Sequence[tuple[Part, Part, Part | None]],
    *,
    seed: int,
    folder: Path,
    horizon_hours: float | None,
) -> None:
    """One more trial, told to the study however it ends."""
    import optuna

    trial = study.ask()
    for key, dimension in search.space.items():
        _suggest(trial, key, dimension)
    known = [one for one in _ended(study) if _is_whole(one) and one.params == trial.params]
    if known:
        study.tell(trial, known[0].value)
        return
    try:
        tried = changed(settings, _values(trial))
        scores = []
        for number, (train, tuning, censored) in enumerate(parts):
            learnt = learnt_rows(tried, train, censored)
            (folder / _WORK / str(number)).mkdir(parents=True, exist_ok=True)
            model = fit_model(
                tried,
                learnt.cases,
                learnt.labels,
                tuning.cases,
                tuning.labels,
                seed=seed,
                folder=folder / _WORK / str(number),
                outcomes=(learnt.outcomes, tuning.outcomes),
                horizon_hours=horizon_hours,
                on_epoch=_Pruning(trial) if number == 0 else None,
            )
            scores.append(_score(model.predict(tuning.cases), tuning.labels, search))
        study.tell(trial, float(np.mean(scores)))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except (PestaError, ValueError) as error:
        logger.warning("search: trial %d failed: %s", trial.number + 1, type(error).__name__)
        trial.set_user_attr("fault", type(error).__name__)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    _forget_checkpoints(folder / _WORK)


def _forget_checkpoints(work: Path) -> None:
    """Removes the trainings of trials that ended; the tokens that they read are kept for the next."""
    if not any(work.glob("*/*")):
        return
    from experiments.training_trainer import LAST

    for checkpoint in list(work.rglob(LAST)):
        shutil.rmtree(checkpoint.parent)


class _Pruning:
    """Tells a trial the epochs of its first network, and gives up where the pruner says so."""

    def __init__(self, trial: Any) -> None:
        self.trial, self.last = trial, -1

    def __call__(self, epoch: int, score: float) -> None:
        """Ends the fit by an exception where the trial is given up."""
        import optuna

        if epoch <= self.last:
            return
        self.last = epoch
        self.trial.report(score, epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _score(risks: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_], search: SearchConfig) -> float:
    measure = measure_for(labels, search.metric)
    return tuning_score(logit(risks), labels, np.ones(len(labels)), measure)


def _suggest(trial: Any, key: str, dimension: Dimension) -> None:
    """Asks for one value; choices go by their JSON, since optuna keeps plain values only."""
    if isinstance(dimension, Choice):
        trial.suggest_categorical(key, [json.dumps(value) for value in dimension.values])
    elif isinstance(dimension, FloatRange):
        trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)
    else:
        trial.suggest_int(key, dimension.low, dimension.high, step=dimension.step, log=dimension.log)


def _values(trial: Any) -> dict[str, Any]:
    """The settings of a trial, by dotted key."""
    return {
        key: json.loads(value) if isinstance(value, str) else value for key, value in trial.params.items()
    }


@contextmanager
def _study(search: SearchConfig, settings: AnyModelConfig, seed: int, folder: Path) -> Iterator[Any]:
    """The study of this search, what a killed process was trying told as failed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    described = json.dumps(
        [search.model_dump(mode="json", exclude={"n_trials"}), settings.model_dump(mode="json"), seed]
    )
    storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / _STUDY).resolve().as_posix()}")
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=hashlib.sha256(described.encode()).hexdigest()[:16],
            direction="minimize",
            pruner=_pruner(search),
            load_if_exists=True,
        )
        for trial in study.trials:
            if not trial.state.is_finished():
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _sampler(search: SearchConfig, seed: int, n_ended: int) -> Any:
    """A sampler whose draws follow from the seed and the trials that ended, not from when it was made."""
    import optuna

    (drawn,) = np.random.SeedSequence([seed, n_ended]).generate_state(1)
    return optuna.samplers.TPESampler(
        seed=int(drawn), n_startup_trials=search.n_startup_trials, constant_liar=False
    )


def _pruner(search: SearchConfig) -> Any:
    import optuna

    if search.pruner == "median":
        return optuna.pruners.MedianPruner(search.n_startup_trials, search.n_warmup_epochs)
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(search.n_warmup_epochs, 1))
    return optuna.pruners.NopPruner()


def _ended(study: Any) -> list[Any]:
    """Trials that came to an end of their own: whole, or given up."""
    import optuna

    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def _is_whole(trial: Any) -> bool:
    """Whether a trial was judged; one that was given up has its last epoch's score, which is another."""
    return str(trial.state.name) == "COMPLETE"


def _best(study: Any, search: SearchConfig) -> Any:
    whole = [trial for trial in _ended(study) if _is_whole(trial) and np.isfinite(trial.value)]
    if not whole:
        raise TaskError(
            Problem(
                "no trial of the search came to its end",
                where="search",
                found=f"{search.n_trials} trials, all given up or failed",
                allowed="at least one whole trial",
                next_step="narrow the space, or fit one of its settings alone to see what fails",
            )
        )
    return min(whole, key=lambda trial: (trial.value, trial.number))


def _write_trials(study: Any, search: SearchConfig, folder: Path) -> None:
    """All trials that ended, as JSON, and a line about the last one."""
    ended = _ended(study)
    told = [_told(number, trial, search) for number, trial in enumerate(ended)]
    write_json({"model": search.model, "metric": search.metric, "trials": told}, folder / TRIALS)
    last = ended[-1]
    found = shown(last.value, search.metric) if _is_whole(last) else "given up"
    logger.info("search: trial %d of %d, %s", len(ended), search.n_trials, found)


def _told(number: int, trial: Any, search: SearchConfig) -> Mapping[str, Any]:
    """A trial as it is written: its score as it is spoken of, a loss or an area; epochs' lower is better."""
    score = None
    if _is_whole(trial) and np.isfinite(trial.value):
        score = trial.value if search.metric == "log_loss" else 1 - trial.value
    return {
        "number": number,
        "state": trial.state.name.lower(),
        "settings": _values(trial),
        search.metric: score,
        "epochs": [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)],
        "seconds": round(trial.duration.total_seconds(), 3) if trial.duration else None,
        "fault": trial.user_attrs.get("fault"),
    }
