"""The one exception that is meant for the person at the microscope."""


class RetinaJError(Exception):
    """Something the user can put right: a missing file, a broken annotation, an impossible option.

    The message is complete by itself: which file or option, what was wrong, what was expected and what to do. The command
    line prints it without a traceback, and the bridge hands it to ImageJ unchanged.
    """
