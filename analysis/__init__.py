"""Read the records of a study and show what it found: a report for people, a selection for the next run.

Reads the study folder and nothing else; knows nothing of torch, Ray or Optuna, so that a report can be built anywhere.
Reading order: ``records`` (folder -> frozen :class:`~analysis.records.Study`) -> the compute files (``pareto``,
``fronts``, ``checks``, ``progress``, ``parallel``, ``controls``, ``summary``), each giving small frozen values ->
``figures`` (values -> plotly), ``tables``, ``check_tables`` (values -> HTML) and ``panel`` (values -> JSON) ->
``sections`` and ``frame`` (the words between) -> ``report``; ``select`` needs only ``ranking``.
"""
