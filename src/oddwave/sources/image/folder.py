"""Which files count as images, by their endings; read `sources/files.py` for how a folder is searched for them."""

from pathlib import Path

from oddwave.sources.files import FileKind

__all__ = ["FOREIGN_ENDINGS", "HEIF_ENDINGS", "IMAGES", "IMAGE_ENDINGS", "is_image_name"]

HEIF_ENDINGS = (".heic", ".heif", ".hif")  # read where the extra `heif` is installed
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy", *HEIF_ENDINGS)
FOREIGN_ENDINGS = (
    *(".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".exr", ".hdr", ".dcm"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
IMAGES = FileKind("image", IMAGE_ENDINGS, FOREIGN_ENDINGS, twins=HEIF_ENDINGS)


def is_image_name(path: Path) -> bool:
    """Return whether a file's ending is one of an image's."""
    return IMAGES.matches(path)
