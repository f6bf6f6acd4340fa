"""Scoring in shards on many machines: a plan, shards that are whole or not there, and one report of them all.

    plan.py      which items are in which shard, what is missing, whether it is the same run; no Ray
    listing.py   what the input holds: files, objects, rows of Parquet
    fetching.py  an item's file on the machine that scores it
    shards.py    a shard is scored by the one scoring path and written
    merge.py     all shards in their order: counts, and the strongest items; no Ray
    engine.py    Ray Data: workers that load the model once
    run.py       one run from the input to the report

Read `plan.py` first.
"""

__all__: list[str] = []
