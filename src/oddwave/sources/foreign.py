"""Files that oddwave cannot read, named as what they are by their first bytes.

Endings lie, and "not recognised" helps nobody: a phone's HEIC, a camera's raw file, or a web page saved in an image's
place is mended in one step once it is named. The decoders of images and audio and the reader of series ask here before
they give up.
"""

import re

__all__ = ["HEAD_BYTES", "foreign_data", "foreign_name"]

HEAD_BYTES = 512
_IMAGE_BRANDS = {  # any of those that an ISO container names after "ftyp"; AVIF names those of HEIC too
    "an AVIF image": {b"avif", b"avis"},
    "a HEIC image": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
    "a camera's raw file (CR3)": {b"crx "},
}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
# What to do about it, for readers of series; they do not ask for what a table's first column may be called.
_ELSEWHERE = ""
_SAVE_AS = "save it as CSV or Parquet"
_UNPACK = "unpack it first"
_IMAGES = "fit a model of images with `oddwave fit image`"
_AUDIO = "fit a model of sound with `oddwave fit audio`"
_MAGICS: tuple[tuple[int, bytes, str, str], ...] = (
    (8, b"CR\x02\x00", "a camera's raw file (CR2)", _ELSEWHERE),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)", _ELSEWHERE),
    (0, b"IIRO", "a camera's raw file (ORF)", _ELSEWHERE),
    (0, b"IIRS", "a camera's raw file (ORF)", _ELSEWHERE),
    (0, b"MMOR", "a camera's raw file (ORF)", _ELSEWHERE),
    (0, b"IIU\x00", "a camera's raw file (RW2)", _ELSEWHERE),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image", _ELSEWHERE),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", _ELSEWHERE),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image", _ELSEWHERE),
    (0, b"\xff\x0a", "a JPEG XL image", _ELSEWHERE),
    (0, b"8BPS", "a Photoshop file (PSD)", _ELSEWHERE),
    (0, b"gimp xcf", "a GIMP file (XCF)", _ELSEWHERE),
    (0, b"v/1\x01", "an OpenEXR image", _ELSEWHERE),
    (0, b"#?RADIANCE", "a Radiance HDR image", _ELSEWHERE),
    (0, b"DDS ", "a DDS texture", _ELSEWHERE),
    (128, b"DICM", "a DICOM file", _ELSEWHERE),
    (0, b"SIMPLE  =", "a FITS file", _ELSEWHERE),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (also NetCDF-4 or MATLAB 7.3)", "load it in Python and pass the arrays"),
    (0, b"%PDF", "a PDF document", "get the readings as CSV"),
    (0, b"\x1a\x45\xdf\xa3", "a video or recording (Matroska, WebM)", _ELSEWHERE),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media recording or video (WMA, WMV)", _ELSEWHERE),
    (0, b"#!AMR", "an AMR recording", _ELSEWHERE),
    (0, b"DSD ", "a DSD recording", _ELSEWHERE),
    (0, b"FRM8", "a DSD recording", _ELSEWHERE),
    (0, b"MAC ", "a Monkey's Audio recording", _ELSEWHERE),
    (0, b"wvpk", "a WavPack recording", _ELSEWHERE),
    (0, b"TTA1", "a True Audio recording", _ELSEWHERE),
    (0, b"ADIF", "an AAC recording", _ELSEWHERE),
    (0, b"\xff\xf1", "an AAC recording", _ELSEWHERE),
    (0, b"\xff\xf9", "an AAC recording", _ELSEWHERE),
    (0, b"MThd", "a MIDI file, which holds notes and no sound,", _ELSEWHERE),
    (0, b"\x00\x00\x01\xba", "an MPEG video", _ELSEWHERE),
    (0, b"\x00\x00\x01\xb3", "an MPEG video", _ELSEWHERE),
    (0, b"FLV\x01", "a Flash video", _ELSEWHERE),
    (0, b"PK\x03\x04", "a ZIP archive (or an Office document)", _ELSEWHERE),
    (0, b"\x1f\x8b", "a gzip archive", _ELSEWHERE),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"PAR1", "a Parquet table", _ELSEWHERE),
    (0, b"version https://git-lfs", "a Git LFS pointer, whose contents were not fetched (git lfs pull),", _ELSEWHERE),
    (8, b"WAVE", "a WAV recording", _ELSEWHERE),
    (8, b"AVI ", "an AVI video", _ELSEWHERE),
    (8, b"WEBP", "a WebP image", _ELSEWHERE),
    (0, b"fLaC", "a FLAC recording", _AUDIO),
    (0, b"OggS", "an OGG recording", _AUDIO),
    (0, b"ID3", "an MP3 recording", _ELSEWHERE),
    (0, b"\x89PNG", "a PNG image", _IMAGES),
    (0, b"\xff\xd8\xff", "a JPEG image", _IMAGES),
    (0, b"GIF8", "a GIF image", _IMAGES),
    (0, b"BM", "a BMP image", _ELSEWHERE),
    (0, b"II*\x00", "a TIFF image", _ELSEWHERE),
    (0, b"MM\x00*", "a TIFF image", _ELSEWHERE),
    (0, b"\x93NUMPY", "a NumPy array (NPY)", _ELSEWHERE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (XLS) or another Office file", _SAVE_AS),
    (0, b"CDF\x01", "a NetCDF file", "load it in Python and pass the arrays"),
    (0, b"CDF\x02", "a NetCDF file", "load it in Python and pass the arrays"),
    (0, b"MATLAB 5.0", "a MATLAB file", "load it in Python and pass the arrays"),
    (0, b"ARROW1", "a Feather or Arrow file", "load it in Python and pass the frame, or save it as Parquet"),
    (0, b"FEA1", "a Feather file", "load it in Python and pass the frame, or save it as Parquet"),
    (0, b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (0, b"Obj\x01", "an Avro file", _SAVE_AS),
    (0, b"ORC", "an ORC file", _SAVE_AS),
    (0, b"BZh", "a bzip2 file", _UNPACK),
    (0, b"\xfd7zXZ\0", "an XZ file", _UNPACK),
    (0, b"]\0\0", "an LZMA file", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (0, b"\x7fELF", "a program", "give a file of readings"),
)  # fmt: skip
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_MARKUP = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.I)
_XML = re.compile(rb"\s*<\?xml\b")
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[\[{\"\d-])")


def foreign_name(head: bytes) -> str:
    """Return what a file is that begins so, with its article; empty where that is not known."""
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[at : at + 4] for at in range(8, max(length, 12), 4)}
        other = "an M4A (AAC) recording" if head[8:12] in _AUDIO_BRANDS else "a video (MP4, MOV)"
        return next((name for name, own in _IMAGE_BRANDS.items() if brands & own), other)
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "a video (MOV)"
    for at, magic, name, _ in _MAGICS:
        if head[at : at + len(magic)] == magic:
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, as servers send in a file's place,"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "an SVG drawing"
    return ""


def foreign_data(head: bytes) -> tuple[str, str] | None:
    """Return what a file that begins so is, and what to do about it; None where it may hold readings."""
    for at, magic, name, cure in _MAGICS:
        if cure and head[at : at + len(magic)] == magic:
            return name, cure
    if head.startswith(b"RIFF"):
        return "a RIFF file, mostly sound (WAV)", _AUDIO
    if _PICKLE.match(head):
        return "a Python pickle, which may run code when it is opened", "load it yourself and pass the arrays or frame"
    if _MARKUP.match(head):
        return "a web page (HTML)", "get the file itself, the page may ask to log in"
    if _XML.match(head):
        return "an XML file", _SAVE_AS
    if _JSON.match(head):
        return "a JSON file", _SAVE_AS
    return None
