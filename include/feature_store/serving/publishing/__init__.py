"""Publishing: points that people and programs bring themselves, held to the catalog's rules, visible at once.

`publish` takes the body of a request as it came and who sent it, and answers how many points became versions, how many
said what was held already, and which failed and why. The database's part is the function `features.publish`.
"""

from feature_store.serving.publishing.body import MAX_BYTES, MAX_POINTS, Point, PublishRequest, read_request
from feature_store.serving.publishing.rules import Failure, Publisher
from feature_store.serving.publishing.writing import PublishAnswer, publish

__all__ = [
    "MAX_BYTES",
    "MAX_POINTS",
    "Failure",
    "Point",
    "PublishAnswer",
    "PublishRequest",
    "Publisher",
    "publish",
    "read_request",
]
