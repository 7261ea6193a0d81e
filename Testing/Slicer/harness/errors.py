"""The one exception of the harness."""


class NotInSlicer(AttributeError):
    """What the application would refuse, silently ignore, or not have; or what no stand-in covers yet."""
