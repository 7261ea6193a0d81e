"""Colors of text that are readable in Slicer's light and dark styles, computed from the palette in use."""

import html

import qt

MIN_CONTRAST = 4.5  # WCAG 2, level AA
QUIET_WEIGHT = 0.7  # weight of the text's color in `quietColor`; the background's has the rest
WARNING = (0.78, 0.36, 0.0)  # orange
STEPS = 20


def quiet(text):
    """Less important text, as rich text."""
    return f'<span style="color:{_name(quietColor())}">{text}</span>'


def warning(text):
    """Text that asks for an action, as rich text."""
    return f'<span style="color:{readableName(WARNING)}">⚠ {text}</span>'


def warningsText(sentences):
    """The reader's warnings on an input as rich text, each on a new line, to be put below another text."""
    return "".join(f"<br/>{warning(html.escape(sentence))}" for sentence in sentences)


def quietColor():
    """The text's color blended with the background's, as (red, green, blue) of 0 to 1."""
    palette = _palette()
    text, background = (_rgb(palette.color(role)) for role in (qt.QPalette.WindowText, qt.QPalette.Window))
    return _mixed(text, background, 1 - QUIET_WEIGHT)


def readableName(color):
    """A color (red, green, blue of 0 to 1) as #rrggbb, made darker or lighter until text in it is readable."""
    palette = _palette()
    text = _rgb(palette.color(qt.QPalette.WindowText))
    roles = (qt.QPalette.Window, qt.QPalette.Base, qt.QPalette.AlternateBase)
    backgrounds = [_rgb(palette.color(role)) for role in roles]
    for step in range(STEPS + 1):
        mixed = _mixed(color, text, step / STEPS)
        if min(contrast(mixed, background) for background in backgrounds) >= MIN_CONTRAST:
            break
    return _name(mixed)


def contrast(one, other):
    """The contrast of two colors, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color):
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in color]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(one, other, weight):
    return tuple(a + weight * (b - a) for a, b in zip(one, other, strict=True))


def _palette():
    return qt.QLabel().palette  # the application's, as a property


def _rgb(color):
    return tuple(value / 255 for value in (color.red(), color.green(), color.blue()))


def _name(color):
    return "#" + "".join(f"{round(255 * value):02x}" for value in color)
