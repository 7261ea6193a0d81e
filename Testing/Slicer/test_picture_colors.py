"""The pictures of the documents show the panel's grays as they are."""

import numpy as np
from picture_colors import with_few_colors
from PIL import Image


def test_grays_beside_a_colorful_view_stay_gray(tmp_path):
    """A panel in the dark style with the soft ramps of its buttons, and a view of shaded organs in 60 colors."""
    random = np.random.default_rng(0)
    picture = np.full((400, 800, 3), 50, np.uint8)
    picture[::20, :300] = picture[1::20, :300] = 60
    for row in range(2, 20):
        picture[row::20, :300] = 52 + row // 2
    shade = np.linspace(0.3, 1, 400)[:, None, None]
    for column, color in enumerate(random.integers(0, 256, (60, 3))):
        picture[:, 320 + 8 * column : 328 + 8 * column] = shade * color
    path = tmp_path / "panel.png"
    Image.fromarray(picture).save(path)
    with_few_colors(path)
    few = Image.open(path)
    assert few.mode == "P"
    shown = np.asarray(few.convert("RGB")).astype(int)[:, :300]
    assert (shown.max(-1) - shown.min(-1)).max() <= 2
    assert np.abs(shown - picture[:, :300]).max() <= 4
