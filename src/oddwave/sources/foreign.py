"""Files that are no image or recording we can read, named as what they are by their first bytes.

Endings lie, and "not recognised" helps nobody: a phone's HEIC, a camera's raw file, or a web page saved in an image's
place is mended in one step once it is named. `image/decode.py` and `audio/decode.py` ask here before they give up.
"""

__all__ = ["HEAD_BYTES", "foreign_name"]

HEAD_BYTES = 512
_IMAGE_BRANDS = {  # any of those that an ISO container names after "ftyp"; AVIF names those of HEIC too
    "an AVIF image": {b"avif", b"avis"},
    "a HEIC image": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
    "a camera's raw file (CR3)": {b"crx "},
}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
_MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (8, b"CR\x02\x00", "a camera's raw file (CR2)"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)"),
    (0, b"IIRO", "a camera's raw file (ORF)"),
    (0, b"IIRS", "a camera's raw file (ORF)"),
    (0, b"MMOR", "a camera's raw file (ORF)"),
    (0, b"IIU\x00", "a camera's raw file (RW2)"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop file (PSD)"),
    (0, b"gimp xcf", "a GIMP file (XCF)"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"DDS ", "a DDS texture"),
    (128, b"DICM", "a DICOM file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x1a\x45\xdf\xa3", "a video or recording (Matroska, WebM)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media recording or video (WMA, WMV)"),
    (0, b"#!AMR", "an AMR recording"),
    (0, b"DSD ", "a DSD recording"),
    (0, b"FRM8", "a DSD recording"),
    (0, b"MAC ", "a Monkey's Audio recording"),
    (0, b"wvpk", "a WavPack recording"),
    (0, b"TTA1", "a True Audio recording"),
    (0, b"ADIF", "an AAC recording"),
    (0, b"\xff\xf1", "an AAC recording"),
    (0, b"\xff\xf9", "an AAC recording"),
    (0, b"MThd", "a MIDI file, which holds notes and no sound,"),
    (0, b"\x00\x00\x01\xba", "an MPEG video"),
    (0, b"\x00\x00\x01\xb3", "an MPEG video"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"version https://git-lfs", "a Git LFS pointer, whose contents were not fetched (git lfs pull),"),
    # containers and sound that only readers of images meet here, and images that only readers of sound meet
    (8, b"WAVE", "a WAV recording"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WEBP", "a WebP image"),
    (0, b"fLaC", "a FLAC recording"),
    (0, b"OggS", "an OGG recording"),
    (0, b"ID3", "an MP3 recording"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\x00", "a TIFF image"),
    (0, b"MM\x00*", "a TIFF image"),
    (0, b"\x93NUMPY", "a NumPy array (NPY)"),
)


def foreign_name(head: bytes) -> str:
    """Return what a file is that begins so, with its article; empty where that is not known."""
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[at : at + 4] for at in range(8, max(length, 12), 4)}
        other = "an M4A (AAC) recording" if head[8:12] in _AUDIO_BRANDS else "a video (MP4, MOV)"
        return next((name for name, own in _IMAGE_BRANDS.items() if brands & own), other)
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "a video (MOV)"
    for at, magic, name in _MAGICS:
        if head[at : at + len(magic)] == magic:
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, as servers send in a file's place,"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "an SVG drawing"
    return ""
