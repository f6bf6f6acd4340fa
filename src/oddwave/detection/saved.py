"""What the JSON of a saved model says, checked in full and read without torch: enough for `oddwave info`.

The tensors are compared with their sha256 only; `store.py`, to read next, looks into them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import DetectorConfig
from oddwave.detection.corrections import Correction, Corrections, CorrectionsForm, Mark
from oddwave.detection.model_agreement import check_agreement
from oddwave.detection.model_folder import read_model
from oddwave.detection.model_json import digest_of, plain_json, validated
from oddwave.detection.model_schema import SavedSettings, schemas_of
from oddwave.errors import CheckpointError
from oddwave.registry import MODALITIES, room_of

__all__ = ["CORRECTION_FILES", "MODEL_FILES", "SEAL", "SavedModel", "checked", "mismatch", "read_saved"]

MODEL_FILES = ("model.safetensors", "config.json", "calibration.json")
CORRECTION_FILES = ("corrections.json", "corrections.safetensors")  # where a model was given feedback
SEAL = "facts_sha256"  # of everything else in meta.json


@dataclass(frozen=True)
class SavedModel:
    """The contents of meta.json, config.json and calibration.json, as plain values and validated settings."""

    meta: dict[str, Any]
    config: DetectorConfig
    choices: dict[str, Any]
    constants: dict[str, Any]
    corrections: tuple[Mark, ...] = ()

    @property
    def alpha(self) -> float:
        """The false-alarm rate that is used where none is given: as set, or the smallest that can be expressed."""
        return max(self.config.calibration.alpha, self.smallest_alpha)

    @property
    def smallest_alpha(self) -> float:
        """The lowest false-alarm rate that this many calibration scores can express."""
        return 1.0 / (len(self.constants["scores"]) + 1.0)

    @property
    def threshold(self) -> float:
        """The score at and above which an item, or the peak of a stream, is anomalous at `alpha`."""
        from oddwave.calibration.conformal import Calibration
        from oddwave.calibration.rule import Rule

        own = self.constants
        scores, blocks = (np.array(own[name], float) for name in ("scores", "blocks"))
        learnt = Calibration(scores, blocks, own["block_size"], own["source"])
        said = Corrections(tuple(Correction(mark) for mark in self.corrections))
        return said.calibrated(learnt).threshold(Rule(self.alpha))

    def facts(self) -> dict[str, str]:
        """Describe in a few words what the model was trained on and how, in the modality's own `facts.py`."""
        facts: dict[str, str] = room_of(self.config.modality, "facts").facts(self.meta, self.constants)
        return facts


def read_saved(directory: Path) -> SavedModel:
    """Read everything but the tensors of a model.

    Raises:
        CheckpointError: a file is missing, damaged, of another format version or an unknown modality.
    """
    return checked(*read_model(directory), directory)


def checked(meta: dict[str, Any], files: Mapping[str, bytes], directory: Path) -> SavedModel:
    """Check everything but the tensors of what `read_model` gave. Raises: as `read_saved`."""
    modality = meta.get("modality")
    if modality not in MODALITIES:
        known = " or ".join(MODALITIES)
        raise CheckpointError(f"{directory} holds a model for {modality!r:.40}, expected one for {known}")
    if sorted(files) not in (sorted(MODEL_FILES), sorted((*MODEL_FILES, *CORRECTION_FILES))):
        raise CheckpointError(f"{directory} holds {', '.join(sorted(files))}, expected {', '.join(MODEL_FILES)}")
    facts = {key: value for key, value in meta.items() if key != SEAL}
    if digest_of(facts) != meta.get(SEAL):
        raise CheckpointError(f"{directory / 'meta.json'} is damaged: not what was saved; copy or fit the model again")
    config = validated(SavedSettings, files["config.json"], f"{directory}: config.json")
    meta_schema, constants_schema = schemas_of(modality, config)
    about = validated(meta_schema, json.dumps(meta).encode(), f"{directory / 'meta.json'}")
    saved = validated(constants_schema, files["calibration.json"], f"{directory}: calibration.json")
    try:
        check_agreement(about, config, saved)
    except ValueError as error:
        raise mismatch(directory, error) from None
    given = files.get("corrections.json")
    form = None if given is None else validated(CorrectionsForm, given, f"{directory}: corrections.json")
    if form is not None and (fault := form.fault()):
        raise mismatch(directory, ValueError(fault))
    constants = plain_json(files["calibration.json"], "calibration.json")
    return SavedModel(meta, config.settings(), config.choices, constants, () if form is None else tuple(form.marks))


def mismatch(directory: Path, error: Exception) -> CheckpointError:
    """Return the error for a model whose files contradict each other."""
    line = " ".join(str(error).split()) or type(error).__name__
    return CheckpointError(f"{directory} does not fit together ({line:.300}): copy or fit the model again")
