"""Read the records of a study and show what it found: a report for people, a selection for the next run.

Reads the study folder and nothing else; knows nothing of torch, Ray or Optuna, so that a report can be built anywhere.
Reading order: ``records`` (folder -> frozen :class:`~analysis.records.Study`) -> the compute files (``pareto``,
``fronts``, ``checks``, ``feasibility``, ``hypervolume``, ``importance``, ``progress``, ``outcomes``, ``parallel``,
``controls``, ``summary``), each giving small frozen values -> ``figures`` (values -> plotly), ``tables``,
``check_tables`` (values -> HTML) and ``payload`` (values -> JSON, from which the scripts under ``assets`` draw what
changes in the browser) -> ``sections``, ``explorer``, ``course``, ``parameter_sections`` and ``frame`` (the words
between) -> ``report``. ``compare`` and ``watch`` stand on the same; ``select`` needs only ``ranking``.
"""
