"""`oddwave verify`: is a model whole, and nothing in it that no fit gives?"""

from hashlib import sha256

from oddwave.cli.options import AllowExternal, Model

__all__ = ["verify"]


def verify(model: Model, allow_external: AllowExternal = False) -> None:
    """Check that a model is whole and undamaged, without scoring anything.

    Compares every file with the sha256 in meta.json, the contents with what a fit can give, and the tensors with the
    settings. Exit status 0: all of it is right; 2: it is not, and one line says what.

    \b
    Example:
        oddwave verify model
    """
    from oddwave.detection.model_folder import read_model
    from oddwave.detector import Detector

    _, files = read_model(model)
    for name, content in sorted(files.items()):
        print(f"{name:<17} {len(content):>15,} bytes  sha256 {sha256(content).hexdigest()[:16]}  as saved")
    detector = Detector.load(model, allow_external=allow_external)
    print(f"{model} is whole: {detector.config.modality}, made with oddwave {detector.meta['package_version']}")
