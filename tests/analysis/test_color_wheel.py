"""Colors tell direction and length of vectors."""

import numpy as np
import pytest

import napari_4dstem as n4


def circle(count=360):
    angles = np.radians(np.arange(0, 360, 360 / count))
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1)


def light(image):
    """Linear light of sRGB values."""
    values = image / 255
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def lightness(image):
    """CIE L* of sRGB values."""
    luminance = light(image) @ (0.2126, 0.7152, 0.0722)
    return 116 * np.cbrt(np.maximum(luminance, 0.008856)) - 16


def test_main_directions_have_their_colors():
    right, down, left, up = n4.color_wheel([(0, 1), (1, 0), (0, -1), (-1, 0)], 1).image
    assert right.argmax() == 0  # red
    assert down.argmin() == 2  # yellow green
    assert left.argmin() == 0  # cyan
    assert up.argmax() == 2  # violet


def test_all_directions_are_equally_bright():
    assert np.ptp(lightness(n4.color_wheel(circle(), 1).image)) < 8


def test_hues_go_around_evenly():
    image = n4.color_wheel(circle(), 1).image.astype(float)
    steps = np.linalg.norm(np.diff(image, axis=0, append=image[:1]), axis=1)
    assert steps.max() < 6
    assert len(np.unique(image, axis=0)) > 300


def test_longer_is_brighter_up_to_the_maximum():
    lengths = np.linspace(0, 4, 9)[:, None]
    shown = light(n4.color_wheel(lengths * (0.6, 0.8), 3).image).sum(axis=-1)
    assert (np.diff(shown[:7]) > 0).all()
    assert (shown[6:] == shown[6]).all()
    assert shown[0] == 0


def test_missing_and_zero_are_black():
    image = n4.color_wheel([(0, 0), (np.nan, 1), (np.inf, 0), (1, 1)]).image
    assert not image[:3].any()
    assert image[3].any()


def test_legend_has_the_color_of_each_vector_where_it_points():
    wheel = n4.color_wheel([(0, 5.0)], 5)
    side = len(wheel.legend)
    middle = side // 2
    for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0), (0.5, -0.25)):
        at = wheel.legend[round(middle + y * middle), round(middle + x * middle)]
        expected = n4.color_wheel((5 * y, 5 * x), 5).image
        np.testing.assert_array_equal(at, expected)
    assert not wheel.legend[0, 0].any()
    assert wheel.maximum == 5


def test_default_maximum_leaves_out_the_longest_hundredth():
    com = np.zeros((1000, 2))
    com[:, 0] = 1
    com[:5] = 900
    assert n4.color_wheel(com).maximum == 1
    assert n4.color_wheel(com[:5]).maximum == pytest.approx(900 * 2**0.5)


@pytest.mark.parametrize("com", [np.zeros((3, 4, 2)), np.full((3, 4, 2), np.nan)])
def test_nothing_is_black(com):
    wheel = n4.color_wheel(com)
    assert wheel.image.shape == (3, 4, 3)
    assert wheel.image.dtype == np.uint8
    assert not wheel.image.any()
    assert wheel.legend.any()


@pytest.mark.parametrize("maximum", [0, -1, np.nan, np.inf, "much"])
def test_maximum_is_a_length(maximum):
    with pytest.raises(n4.FormatError, match="a length above 0"):
        n4.color_wheel(np.zeros((3, 4, 2)), maximum)
