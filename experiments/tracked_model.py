"""What MLflow loads to serve a bundle: models-from-code, so that the store holds a folder and no pickle.

MLflow executes this file; nobody imports it. The input is prediction rows (subject_id, prediction_time,
contact_id if there is one), the parameter `dataset` is the folder that they are about, and the output has
their risks.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from phenotype.bundle import load_bundle
from phenotype.cases import ROWS, Cases
from phenotype.predictor import predict_risks
from phenotype.trajectory import open_dataset


class BundleModel(PythonModel):
    """A Pesta bundle behind MLflow's pyfunc."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle, which checks its digests."""
        self.bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, str] | None = None
    ) -> pd.DataFrame:
        """The calibrated risk of each row, sorted by subject_id and prediction_time, as a pandas frame."""
        rows = pl.from_pandas(model_input)
        if "contact_id" not in rows.columns:
            rows = rows.with_columns(contact_id=pl.lit(None))
        rows = rows.select(pl.col(name).cast(dtype) for name, dtype in ROWS.items())
        rows = rows.unique().sort("subject_id", "prediction_time")
        cases = Cases(open_dataset(Path((params or {})["dataset"])), rows)
        return predict_risks(self.bundle, cases).to_pandas()


set_model(BundleModel())
