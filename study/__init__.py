"""Launch and record studies: configuration, search space, searcher, Ray trainable, driver and records.

Reading order of the main job: ``cli`` (what a user types) -> ``config`` (resolve and validate) -> ``driver`` (Ray) ->
``trainable`` -> ``evaluation`` (one configuration, pure) -> ``objective`` (metrics to margins) -> ``searcher`` (Optuna)
-> ``records`` (Parquet).
"""
