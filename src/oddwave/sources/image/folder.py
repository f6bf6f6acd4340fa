"""Which files count as pictures, by their endings; read `sources/files.py` for how a folder is searched for them."""

from pathlib import Path

from oddwave.sources.files import FileKind

__all__ = ["FOREIGN_ENDINGS", "IMAGE_ENDINGS", "PICTURES", "is_picture_name"]

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")
FOREIGN_ENDINGS = (
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".exr", ".hdr", ".dcm"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
PICTURES = FileKind("picture", IMAGE_ENDINGS, FOREIGN_ENDINGS)


def is_picture_name(path: Path) -> bool:
    """Say whether a file's ending is one of a picture's."""
    return PICTURES.matches(path)
