"""The one error of this package that is a person's to mend: its message says what is wrong and what to do next."""


class AnalysisError(ValueError):
    """A folder, a file or a request that cannot be worked with; shown without a traceback, exit status 2."""


class NoTrialsYetError(AnalysisError):
    """A study that has not finished its first trial; whoever can wait may."""
