"""Colors of words that can be read in Slicer's light and in its dark style: made from the palette in use."""

import html

import qt

MIN_CONTRAST = 4.5  # WCAG 2, level AA
QUIET_WEIGHT = 0.7  # of the text's own color, the rest is the background's
WARNING = (0.78, 0.36, 0.0)  # orange
STEPS = 20


def quiet(text):
    """Less important words, as rich text."""
    return f'<span style="color:{_name(quietColor())}">{text}</span>'


def warning(text):
    """Words that ask for an action, as rich text."""
    return f'<span style="color:{readableName(WARNING)}">⚠ {text}</span>'


def warningsText(sentences):
    """How an input was read where the reader had to choose: lines for below what else is said, as rich text."""
    return "".join(f"<br/>{warning(html.escape(sentence))}" for sentence in sentences)


def quietColor():
    """The text's color, weakened, as (red, green, blue) of 0 to 1."""
    palette = _palette()
    text, ground = (_shares(palette.color(role)) for role in (qt.QPalette.WindowText, qt.QPalette.Window))
    return _mixed(text, ground, 1 - QUIET_WEIGHT)


def readableName(color):
    """A color (shares of red, green, blue) as #rrggbb, made as much darker or lighter as text of it needs."""
    palette = _palette()
    text = _shares(palette.color(qt.QPalette.WindowText))
    roles = (qt.QPalette.Window, qt.QPalette.Base, qt.QPalette.AlternateBase)
    grounds = [_shares(palette.color(role)) for role in roles]
    for step in range(STEPS + 1):
        mixed = _mixed(color, text, step / STEPS)
        if min(contrast(mixed, ground) for ground in grounds) >= MIN_CONTRAST:
            break
    return _name(mixed)


def contrast(one, other):
    """The ratio of two colors' luminance, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color):
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in color]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(one, other, share):
    return tuple(a + share * (b - a) for a, b in zip(one, other, strict=True))


def _palette():
    return qt.QLabel().palette  # the application's, as a property


def _shares(color):
    return tuple(part / 255 for part in (color.red(), color.green(), color.blue()))


def _name(color):
    return "#" + "".join(f"{round(255 * share):02x}" for share in color)
