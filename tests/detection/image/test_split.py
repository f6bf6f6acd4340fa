"""Training images: what is held back, what cannot be read, and copies or look-alikes among them."""

import numpy as np
import pytest
from PIL import Image

from oddwave.config import preset
from oddwave.detection.image.split import split_images
from oddwave.errors import DataError
from oddwave.sources.image.reader import read_images

CONFIG = preset("fast", "image")


def parts(num=20, noise=0.02, shift=True, size=48, low=0.3, high=0.7):
    """Make grey images of one bar each, at another place where `shift` is set."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(num):
        image = np.full((size, size), low)
        start = int(rng.integers(0, size // 2)) if shift else 10
        image[:, start : start + size // 4] = high
        made.append(np.clip(image + rng.normal(0, noise, image.shape), 0, 1))
    return made


def split(images, config=CONFIG, **options):
    return split_images(read_images(images).items, config, **options)


def test_a_fifth_is_held_back_and_nothing_is_in_both_parts():
    train, held, notes = split(parts(40))
    assert (len(train), len(held), notes) == (32, 8, [])
    assert not {item.id for item in train} & {item.id for item in held}
    again, _, _ = split(parts(40))
    assert [item.id for item in again] == [item.id for item in train]
    few, _, notes = split(parts(40), CONFIG.with_overrides(["image.max_images=10"]))
    assert len(few) == 10
    assert notes == ["10 of 32 training images kept, evenly spread (image.max_images)"]


def test_copies_on_both_sides_are_counted_and_one_is_named(tmp_path):
    for number, image in enumerate(parts(20)):
        Image.fromarray((255 * image).astype(np.uint8)).save(tmp_path / f"{number:02d}.png")
    train, held, notes = split(tmp_path)
    assert notes == []
    (tmp_path / f"{held[1].id}").write_bytes((tmp_path / f"{train[5].id}").read_bytes())
    (tmp_path / f"{train[7].id}").write_bytes((tmp_path / f"{train[8].id}").read_bytes())  # does no harm
    _, _, (note,) = split(tmp_path)
    assert note.startswith(
        f"1 of the 4 images held back are copies of images learnt from, such as '{held[1].id}' of '{train[5].id}':"
    )


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (parts(), None),
        (parts(shift=False, noise=1e-4), "nearly so"),  # no two are equal
        (parts(low=0.100, high=0.104, noise=1e-4), None),  # of little contrast, but differing by all of it
        (parts(low=0.500, high=0.500, noise=0.0), "look the same"),
        (parts(low=0.500, high=0.500, noise=0.02), None),  # a surface without a shape is its noise
    ],
    ids=["different", "nearly the same", "faint", "blank", "rough"],
)
def test_images_that_all_look_the_same_are_noted(images, said):
    _, _, notes = split(images)
    assert [said in note for note in notes] == ([] if said is None else [True])


def test_a_image_that_cannot_be_decoded_is_left_out_with_a_note_or_stops(tmp_path):
    for number, image in enumerate(parts(12)):
        Image.fromarray((255 * image).astype(np.uint8)).save(tmp_path / f"{number:02d}.png")
    items = read_images(tmp_path).items
    (tmp_path / "03.png").write_bytes((tmp_path / "04.png").read_bytes())  # somebody writes to it in the meantime
    train, held, (note,) = split_images(items, CONFIG)
    assert len(train) + len(held) == 11
    assert "03.png" in note
    assert note.endswith("; left out")
    with pytest.raises(DataError, match=r"03\.png"):
        split_images(items, CONFIG, stop_on_error=True)
    with pytest.raises(DataError, match="give at least 10 good ones"):
        split(parts(9))
