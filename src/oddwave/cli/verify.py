"""`oddwave verify`: is a model whole, and nothing in it that no fit gives?"""

from hashlib import sha256

from oddwave.cli.joint import saved_models
from oddwave.cli.options import AllowExternal, Model

__all__ = ["verify"]


def verify(model: Model, allow_external: AllowExternal = False) -> None:
    """Check that a model is whole and undamaged.

    Compares every file with the sha256 in meta.json, the contents with what a fit can give, and the tensors with the
    settings. Exit status 0: all of it is right; 2: it is not, and one line says what.

    \b
    Example:
        oddwave verify model
    """
    from oddwave.detection.model_folder import read_model
    from oddwave.detector import Detector

    about, files = read_model(model)
    parts = list(about["ports"]) if saved_models(model).keys() - {""} else [None]
    detectors = [Detector.load(model, modality=each, allow_external=allow_external) for each in parts]
    width = max(17, *map(len, files))
    for name, content in sorted(files.items()):
        print(f"{name:<{width}} {len(content):>15,} bytes  sha256 {sha256(content).hexdigest()[:16]}  as saved")
    modalities = " and ".join(detector.config.modality for detector in detectors)
    print(f"{model} is whole: {modalities}, made with oddwave {detectors[0].meta['package_version']}")
